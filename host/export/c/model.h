/* SPDX-License-Identifier: BSD-2-Clause */
/*@title@*/
#ifndef LIQUID_MODEL_H
#define LIQUID_MODEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*@constants@*/

/* Bits of a status. */
/*@status@*/

/* What a frame cost; the counters of the machine, but for its cycles. */
typedef struct {
    uint16_t status;
    uint16_t rhs_evals;      /* evaluations of the right-hand side */
    uint16_t steps_accepted; /* of an adaptive solver, and rejected */
    uint16_t steps_rejected;
    uint16_t saturations;  /* elements that had something clamped */
    uint32_t macs_skipped; /* multiplications left out, their operands having hardly moved */
    uint32_t lag_ticks;    /* of the frame that its budget did not suffice for, and the last step's norm */
    uint32_t lag_norm;
} liquid_model_report;

/* All state of a network: RAM of yours, as many of them as you like. Read `report`, leave the rest alone. */
typedef struct {
/*@state@*/
    liquid_model_report report; /* of the last frame */
} liquid_model;

/* Bytes of a liquid_model, for those who cannot say sizeof. */
size_t liquid_model_size(void);

/* Once, before anything else; the next frame begins a sequence. */
void liquid_model_init(liquid_model *m);

/* The next frame begins a new sequence. */
void liquid_model_reset(liquid_model *m);

/* A frame: input words, ticks since the one before it (2^20 to a machine time unit; 0 is legal), output words. Returns
 * the status. */
uint16_t liquid_model_step(liquid_model *m, const int16_t *input, uint32_t ticks, int16_t *output);

/* The same with log2 dt, Q4.11, worked out by the caller: for a dt that is no whole number of ticks. */
uint16_t liquid_model_step_raw(
    liquid_model *m, const int16_t *input, uint32_t ticks, int16_t log2_dt, int16_t *output);

/* What the last frame cost. */
const liquid_model_report *liquid_model_last(const liquid_model *m);

/* The word log2 dt of a frame of so many ticks, and that of mantissa * 2^exponent machine time units, mantissa > 0. */
int16_t liquid_model_log2_dt(uint32_t ticks);
int16_t liquid_model_log2(uint64_t mantissa, int exponent);

/* The weight, a float code, of the frame'th frame of a sequence in a running mean, from 1 to 65536. */
uint16_t liquid_model_pool_weight(uint32_t frame);

#ifdef __cplusplus
}
#endif

#endif
