/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's side of the link (docs/link.md) and of the accelerator's registers, in C99, for a microcontroller beside
 * the FPGA. No allocation: all state is in a `liquid_device` of the caller's. No library beyond <string.h>; <math.h> for
 * the conversions of numbers, which LIQUID_NO_FLOAT leaves out.
 *
 *   liquid_device device;
 *   liquid_open(&device, &wire, seed);              any number that differs from the last time
 *   liquid_load(&device, &liquid_model);            model.c is written by `liquid clib FOLDER IMAGE.liquid`
 *   liquid_step(&device, x, 0.01, y, NULL);         a frame, 0.01 s after the one before it
 *
 * Every function returns LIQUID_OK or says what went wrong. After LIQUID_LOST, LIQUID_TIMEOUT and LIQUID_WIRE the state
 * of the sequence is lost: open and load again, and the next frame begins a new sequence. A device is one thread's.
 */
#ifndef LIQUID_H
#define LIQUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "liquid_registers.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    LIQUID_OK = 0,
    LIQUID_WIRE,          /* `write` or `read` failed */
    LIQUID_TIMEOUT,       /* no sound answer after all tries */
    LIQUID_LOST,          /* the device was reset, or another host spoke to it */
    LIQUID_NOT_A_DEVICE,  /* what answers is no accelerator, or speaks another version of the link */
    LIQUID_WRONG_VERSION, /* the image is for another instruction set than the device's */
    LIQUID_WRONG_CONFIG,  /* the image was compiled for another configuration than the device's */
    LIQUID_MEMORY,        /* a memory does not hold what was written to it */
    LIQUID_FAULT,         /* an error bit of STATUS is set: see `status` of the device */
    LIQUID_STUCK,         /* the frame does not end */
    LIQUID_STREAM,        /* the device sends words that it may not send */
    LIQUID_TOO_LARGE,     /* a frame's words do not fit LIQUID_FRAME_WORDS */
    LIQUID_NOT_LOADED     /* no image is loaded, or its sequence was lost */
} liquid_result;

/* The wire. `write` sends all bytes; false where the wire is broken. `read` waits until a byte is there, `timeout_ms` at
 * most, and returns how many it stored, up to `capacity`: 0 after the time, negative where the wire is broken. */
typedef struct {
    void *context;
    bool (*write)(void *context, const uint8_t *bytes, size_t count);
    int (*read)(void *context, uint8_t *bytes, size_t capacity, uint32_t timeout_ms);
    uint32_t timeout_ms; /* that an answer takes on the wire and in its drivers, at most; 0: 200 */
    unsigned tries;      /* of a request; 0: 8 */
} liquid_wire;

typedef struct {
    uint16_t space; /* LIQUID_SPACE_* */
    uint32_t count;
    const uint16_t *words;
} liquid_section;

/* A compiled model: what an image file holds, in arrays. */
typedef struct {
    uint32_t config_hash;
    uint16_t isa_version;
    uint16_t inputs, outputs, output_words; /* output_words: outputs, padded to lanes */
    uint16_t section_count;
    const liquid_section *sections;
    int16_t input_frac_bits, output_frac_bits;
    const double *input_mean, *input_scale;
    double machine_unit; /* of time, in the unit of dt: seconds, or frames for a model that counts time in those */
    double default_dt, max_dt;
} liquid_image;

/* What the trailer of a frame says (docs/isa.md); lag and lag_norm are of a frame that its budget cut short. */
typedef struct {
    uint16_t status; /* LIQUID_STATUS_BIT_* */
    uint32_t cycles, mac_cycles, skipped;
    uint16_t rhs_evals, accepted, rejected, saturations;
    uint32_t lag, lag_norm;
} liquid_frame;

#ifndef LIQUID_FRAME_WORDS
#define LIQUID_FRAME_WORDS 256 /* the longest answer to a frame, in words */
#endif

typedef struct {
    const liquid_wire *wire;
    const liquid_image *image;
    bool open;
    uint16_t tag, isa_version;
    uint16_t status; /* STATUS when LIQUID_FAULT was returned */
    uint32_t config_hash, clock_khz, number;
    uint8_t asked, answered, expected;
    uint16_t request[LIQUID_LINK_REQUEST_WORDS], answer[LIQUID_LINK_RESPONSE_WORDS];
    uint16_t words[LIQUID_FRAME_WORDS];
    uint8_t content[2 * (2 + LIQUID_LINK_RESPONSE_WORDS + 2)];
} liquid_device;

/* Begin a session, and ask who answers. */
liquid_result liquid_open(liquid_device *device, const liquid_wire *wire, uint16_t seed);

/* Write an image into the device, read all of it back, and start its program. */
liquid_result liquid_load(liquid_device *device, const liquid_image *image);

/* The next frame begins a new sequence. */
void liquid_reset(liquid_device *device);

/* Run a frame in words: `inputs` as the model's format has them, `ticks` of dt, log2 dt in Q4.11 (INT16_MIN for dt = 0).
 * `outputs` gets image->outputs words; `frame` may be NULL. */
liquid_result liquid_step_words(liquid_device *device, const int16_t *inputs, uint32_t ticks, int16_t log2_dt,
                                int16_t *outputs, liquid_frame *frame);

/* The weight 1/number, a float code, of a frame in the running mean over the frames of its sequence; number from 1. */
uint16_t liquid_pool_weight(uint32_t number);

const char *liquid_strerror(liquid_result result);

#ifndef LIQUID_NO_FLOAT
/* The same in numbers: y = word / 2**output_frac_bits. The words are those of the Python driver: a feature is
 * (x - mean) / scale, rounded half to even to input_frac_bits, and saturated. */
liquid_result liquid_step(liquid_device *device, const float *x, double dt, float *y, liquid_frame *frame);
int16_t liquid_input_word(const liquid_image *image, unsigned feature, float x);
uint32_t liquid_ticks(const liquid_image *image, double dt);
int16_t liquid_log2_dt(const liquid_image *image, double dt);
#endif

#ifdef __cplusplus
}
#endif
#endif
