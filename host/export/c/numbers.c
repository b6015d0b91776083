/* SPDX-License-Identifier: BSD-2-Clause */
/*@title@*/
#include "liquid_model_numbers.h"

#include <math.h>

/*@constants@*/

int liquid_model_encode(const float *x, int16_t *input) {
    int clamped = 0;
    for (int i = 0; i < LIQUID_MODEL_INPUTS; i++) {
        if (!isfinite(x[i])) return -1;
        const double word = rint(((double)x[i] - MEAN[i]) / SCALE[i] * INPUT_STEPS);
        clamped += word > INT16_MAX || word < INT16_MIN;
        input[i] = (int16_t)(word > INT16_MAX ? INT16_MAX : word < INT16_MIN ? INT16_MIN : word);
    }
    return clamped;
}

int liquid_model_time(double dt, uint32_t *ticks, int16_t *log2_dt) {
    if (!(dt >= 0.0 && dt <= LIQUID_MODEL_MAX_DT)) return -1;
    const double units = dt / UNIT, rounded = rint(ldexp(units, LIQUID_MODEL_TICK_BITS));
    if (rounded > UINT32_MAX) return -1;
    *ticks = (uint32_t)rounded;
    *log2_dt = INT16_MIN;
    if (*ticks) {
        int exponent;
        const double fraction = frexp(units, &exponent);
        *log2_dt = liquid_model_log2((uint64_t)ldexp(fraction, 53), exponent - 53);
    }
    return 0;
}

int liquid_model_step_numbers(liquid_model *m, const float *x, double dt, float *y) {
    int16_t input[LIQUID_MODEL_INPUTS], output[LIQUID_MODEL_OUTPUTS], log2_dt;
    uint32_t ticks;
    if (liquid_model_time(dt, &ticks, &log2_dt) || liquid_model_encode(x, input) < 0) return -1;
    const int status = liquid_model_step_raw(m, input, ticks, log2_dt, output);
    for (int i = 0; i < LIQUID_MODEL_OUTPUTS; i++) y[i] = (float)output[i] / OUTPUT_STEPS;
    return status;
}
