/* SPDX-License-Identifier: BSD-2-Clause */
/*@title@*/
#include "liquid_model.h"

#include <string.h>

/*@defines@*/

typedef liquid_model model;

/*@constants@*/
/*@parts@*/

/* A frame, as the program in the image says; the numbers are its addresses, as `liquid inspect` prints them. */
static void frame(model *m, const int16_t *input, int16_t *output) {
/*@frame@*/
}

size_t liquid_model_size(void) {
    return sizeof(liquid_model);
}

void liquid_model_init(liquid_model *m) {
    memset(m, 0, sizeof *m);
/*@init@*/
}

void liquid_model_reset(liquid_model *m) {
    m->frame = 0;
}

uint16_t liquid_model_step_raw(
    liquid_model *m, const int16_t *input, uint32_t ticks, int16_t log2_dt, int16_t *output) {
    /* The weight of a mean stays where its float code ends. */
    if (m->frame < POOL_FRAMES) m->frame++;
    else m->frame = POOL_FRAMES;
    if (m->frame == 1) m->parity = 0, m->fresh = 1, m->history = 0, m->at_limit = 0, m->newest = 0;
    m->time_left = ticks;
    m->log2_dt = log2_dt;
    m->pool = pool_weight(m->frame);
    m->rhs_evals = 0, m->accepted = 0, m->rejected = 0, m->saturations = 0, m->skipped = 0;
    m->norm = 0, m->peak = 0, m->step_saturated = 0;
    memset(&m->report, 0, sizeof m->report);
    frame(m, input, output);
    return m->report.status;
}

uint16_t liquid_model_step(liquid_model *m, const int16_t *input, uint32_t ticks, int16_t *output) {
    return liquid_model_step_raw(m, input, ticks, liquid_model_log2_dt(ticks), output);
}

const liquid_model_report *liquid_model_last(const liquid_model *m) {
    return &m->report;
}

int16_t liquid_model_log2_dt(uint32_t ticks) {
    if (ticks == 0) return INT16_MIN;
/*@default@*/
    return log2_word(ticks, -TICK_BITS);
}

int16_t liquid_model_log2(uint64_t mantissa, int exponent) {
    return log2_word(mantissa, exponent);
}

uint16_t liquid_model_pool_weight(uint32_t frame_number) {
    return pool_weight(frame_number);
}
