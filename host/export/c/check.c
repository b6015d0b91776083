/* SPDX-License-Identifier: BSD-2-Clause */
/*@title@*/
/* A harness apart from the model: frames whose answers the golden model gave when this was written. On a processor of
 * yours, call liquid_model_check; on a computer, this is a whole program. */
#include "liquid_model.h"

typedef struct {
    uint8_t first;
    uint32_t ticks;
    int16_t log2_dt;
    int16_t input[LIQUID_MODEL_INPUTS], output[LIQUID_MODEL_OUTPUTS];
    uint16_t status, rhs_evals, steps_accepted, steps_rejected, saturations;
    uint32_t macs_skipped;
} checked;

/*@frames@*/

/* 0 where all answers are the golden model's, else the number, from 1, of the first frame that is wrong. */
int liquid_model_check(liquid_model *m) {
    int16_t output[LIQUID_MODEL_OUTPUTS];
    liquid_model_init(m);
    for (int i = 0; i < (int)(sizeof FRAMES / sizeof *FRAMES); i++) {
        const checked *const f = &FRAMES[i];
        if (f->first) liquid_model_reset(m);
        liquid_model_step_raw(m, f->input, f->ticks, f->log2_dt, output);
        const liquid_model_report *const r = liquid_model_last(m);
        int wrong = r->status != f->status || r->rhs_evals != f->rhs_evals || r->steps_accepted != f->steps_accepted ||
                    r->steps_rejected != f->steps_rejected || r->saturations != f->saturations ||
                    r->macs_skipped != f->macs_skipped;
        for (int k = 0; k < LIQUID_MODEL_OUTPUTS; k++) wrong |= output[k] != f->output[k];
        if (wrong) return i + 1;
    }
    return 0;
}

#ifndef LIQUID_MODEL_NO_MAIN
#include <stdio.h>

int main(void) {
    static liquid_model m;
    const int wrong = liquid_model_check(&m);
    if (wrong) printf("frame %d differs from the golden model\n", wrong);
    else printf("%d frames are the golden model's\n", (int)(sizeof FRAMES / sizeof *FRAMES));
    return wrong != 0;
}
#endif
