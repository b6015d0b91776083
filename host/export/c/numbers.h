/* SPDX-License-Identifier: BSD-2-Clause */
/*@title@*/
#ifndef LIQUID_MODEL_NUMBERS_H
#define LIQUID_MODEL_NUMBERS_H

#include "liquid_model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Optional, and the only file that knows floating point: frames in the units of the training data. */

/* A frame of LIQUID_MODEL_INPUTS numbers, `dt` after the one before it, to LIQUID_MODEL_OUTPUTS numbers. Returns the
 * status, or -1 where a number is not finite or dt is below 0 or above LIQUID_MODEL_MAX_DT: then nothing has happened. */
int liquid_model_step_numbers(liquid_model *m, const float *x, double dt, float *y);

/* The two words of a time; -1 as above, else 0. */
int liquid_model_time(double dt, uint32_t *ticks, int16_t *log2_dt);

/* Numbers to input words, ties to even. Returns how many had to be clamped, or -1 as above. */
int liquid_model_encode(const float *x, int16_t *input);

#ifdef __cplusplus
}
#endif

#endif
