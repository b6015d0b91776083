/* SPDX-License-Identifier: BSD-2-Clause */
#include "liquid.h"

#include <string.h>
#ifndef LIQUID_NO_FLOAT
#include <math.h>
#endif

#include "liquid_link.h"

#define MOST_INPUTS (LIQUID_LINK_REQUEST_WORDS - 1) /* data words of a write that fills its request */
#define PATIENCE_MS 10000                           /* that a frame may take */
#define IDLE_POLLS 1000                             /* of STATUS after an abort */

/* ---- Sessions and images ---- */

liquid_result liquid_open(liquid_device *device, const liquid_wire *wire, uint16_t seed) {
    memset(device, 0, sizeof *device);
    device->wire = wire;
    liquid_link_begin(device);
    TRY(liquid_link_converse(device, seed, 0));
    if (device->answered != 1 || device->answer[0] != LIQUID_LINK_VERSION) return LIQUID_NOT_A_DEVICE;
    device->open = true;
    static const uint8_t names[] = {LIQUID_REG_ID,
                                    LIQUID_REG_VERSION,
                                    LIQUID_REG_CONFIG_HASH_LOW,
                                    LIQUID_REG_CONFIG_HASH_HIGH,
                                    LIQUID_REG_CLOCK_KHZ_LOW,
                                    LIQUID_REG_CLOCK_KHZ_HIGH};
    liquid_link_begin(device);
    for (size_t i = 0; i < sizeof names; i++) liquid_link_read(device, names[i], 1);
    TRY(liquid_link_transact(device, false));
    if (device->answer[0] != LIQUID_PRODUCT_ID) return liquid_link_lose(device, LIQUID_NOT_A_DEVICE);
    device->isa_version = device->answer[1];
    device->config_hash = device->answer[2] | (uint32_t)device->answer[3] << 16;
    device->clock_khz = device->answer[4] | (uint32_t)device->answer[5] << 16;
    return LIQUID_OK;
}

static void ask_place(liquid_device *d, unsigned space) {
    liquid_link_begin(d);
    liquid_link_value(d, LIQUID_REG_MEM_SPACE, (uint16_t)(space << LIQUID_MEM_SPACE_SPACE_LOW));
    liquid_link_value(d, LIQUID_REG_MEM_ADDRESS, 0);
}

static liquid_result write_section(liquid_device *d, const liquid_section *section) {
    ask_place(d, section->space);
    for (uint32_t at = 0; at < section->count;) {
        const uint32_t left = section->count - at, most = liquid_link_room(d) - 1;
        const unsigned count = (unsigned)(left < most ? left : most);
        liquid_link_write(d, LIQUID_REG_MEM_DATA, section->words + at, count);
        TRY(liquid_link_transact(d, false));
        liquid_link_begin(d);
        at += count;
    }
    return LIQUID_OK;
}

static liquid_result check_section(liquid_device *d, const liquid_section *section) {
    ask_place(d, section->space);
    for (uint32_t at = 0; at < section->count;) {
        const uint32_t left = section->count - at;
        const unsigned count = left < LIQUID_LINK_RESPONSE_WORDS ? (unsigned)left : LIQUID_LINK_RESPONSE_WORDS;
        liquid_link_read(d, LIQUID_REG_MEM_DATA, count);
        TRY(liquid_link_transact(d, false));
        if (memcmp(d->answer, section->words + at, count * sizeof *d->answer)) return LIQUID_MEMORY;
        liquid_link_begin(d);
        at += count;
    }
    return LIQUID_OK;
}

/* Words of an answer without a lag: a mark, the outputs, the trailer. */
static unsigned frame_words(const liquid_image *image) { return 1u + image->output_words + LIQUID_TRAILER_WORDS; }

static liquid_result fault(liquid_device *d, uint16_t status) {
    if (!(status & ~LIQUID_STATUS_IDLE)) return LIQUID_OK;
    d->status = status;
    d->image = NULL;
    return LIQUID_FAULT;
}

liquid_result liquid_load(liquid_device *device, const liquid_image *image) {
    liquid_device *const d = device;
    if (!d->open) return LIQUID_LOST;
    if (image->isa_version != d->isa_version) return LIQUID_WRONG_VERSION;
    if (image->config_hash != d->config_hash) return LIQUID_WRONG_CONFIG;
    if (frame_words(image) + LIQUID_LAG_WORDS > LIQUID_FRAME_WORDS) return LIQUID_TOO_LARGE;
    d->image = NULL;
    liquid_link_begin(d);
    liquid_link_value(d, LIQUID_REG_CONTROL, LIQUID_CONTROL_ABORT);
    TRY(liquid_link_transact(d, false));
    for (unsigned poll = 0;; poll++) {
        liquid_link_begin(d);
        liquid_link_read(d, LIQUID_REG_STATUS, 1);
        TRY(liquid_link_transact(d, false));
        if (d->answer[0] & LIQUID_STATUS_IDLE) break;
        if (poll == IDLE_POLLS) return LIQUID_STUCK;
    }
    for (unsigned i = 0; i < image->section_count; i++) TRY(write_section(d, &image->sections[i]));
    /* Read back once all is written: a memory that answers for another is found as well. */
    for (unsigned i = 0; i < image->section_count; i++) TRY(check_section(d, &image->sections[i]));
    liquid_link_begin(d);
    liquid_link_value(d, LIQUID_REG_OUT_MARK, (uint16_t)frame_words(image));
    liquid_link_value(d, LIQUID_REG_IRQ_ENABLE, LIQUID_IRQ_ENABLE_OUT_READY | LIQUID_IRQ_ENABLE_ERROR);
    liquid_link_read(d, LIQUID_REG_STATUS, 1);
    liquid_link_value(d, LIQUID_REG_CONTROL, LIQUID_CONTROL_RUN);
    TRY(liquid_link_transact(d, false));
    TRY(fault(d, d->answer[0]));
    d->image = image;
    d->number = 0;
    return LIQUID_OK;
}

void liquid_reset(liquid_device *device) { device->number = 0; }

/* ---- Frames ---- */

uint16_t liquid_pool_weight(uint32_t number) {
    const uint32_t limit = (uint32_t)1 << LIQUID_FLOAT_BIAS;
    const uint32_t one = (uint32_t)1 << LIQUID_FLOAT_MANTISSA_BITS;
    if (number < 1) number = 1;
    if (number > limit) number = limit;
    unsigned bits = 0;
    while (number >> bits > 1) bits++;
    uint32_t mantissa = one, exponent = LIQUID_FLOAT_BIAS - bits;
    if (number != (uint32_t)1 << bits) {
        exponent--;
        mantissa = ((one << (bits + 1)) + number / 2) / number;
        if (mantissa == 2 * one) {
            exponent++;
            mantissa = one;
        }
    }
    return (uint16_t)(exponent << LIQUID_FLOAT_MANTISSA_BITS | (mantissa - one));
}

/* Read `count` more words of the frame, which are there, to `words` + `at`; the last request asks for STATUS too. */
static liquid_result fetch(liquid_device *d, unsigned at, unsigned count) {
    const unsigned most = LIQUID_LINK_RESPONSE_WORDS - 1;
    while (count) {
        const unsigned part = count < most ? count : most;
        liquid_link_begin(d);
        liquid_link_read(d, LIQUID_REG_OUT_DATA, part);
        liquid_link_read(d, LIQUID_REG_STATUS, 1);
        TRY(liquid_link_transact(d, false));
        TRY(fault(d, d->answer[part]));
        memcpy(d->words + at, d->answer, part * sizeof *d->words);
        at += part;
        count -= part;
    }
    return LIQUID_OK;
}

/* Send a frame's words; wait for its answer, in the same request where both fit; the first `count` words of it. */
static liquid_result exchange(liquid_device *d, const uint16_t *header, const int16_t *inputs, unsigned input_count,
                              unsigned count) {
    const unsigned total = LIQUID_HEADER_WORDS + input_count;
    unsigned sent = 0;
    liquid_link_begin(d);
    while (sent < total) {
        const unsigned left = total - sent, part = left < MOST_INPUTS ? left : MOST_INPUTS;
        liquid_link_begin(d);
        liquid_link_operation(d, LIQUID_REG_IN_DATA, part, 1);
        for (unsigned i = 0; i < part; i++, sent++)
            d->request[d->asked++] =
                sent < LIQUID_HEADER_WORDS ? header[sent] : (uint16_t)inputs[sent - LIQUID_HEADER_WORDS];
        if (sent < total || liquid_link_room(d) < 3) {
            TRY(liquid_link_transact(d, false));
            liquid_link_begin(d);
        }
    }
    const bool whole = count + 2 <= LIQUID_LINK_RESPONSE_WORDS;
    for (uint32_t waited = 0; waited < PATIENCE_MS; waited += liquid_link_wait_ms(d)) {
        liquid_link_wait(d);
        if (whole) liquid_link_read(d, LIQUID_REG_OUT_DATA, count);
        liquid_link_read(d, LIQUID_REG_STATUS, 1);
        TRY(liquid_link_transact(d, true));
        if (d->answer[0]) {
            TRY(fault(d, d->answer[d->answered - 1]));
            if (!whole) return fetch(d, 0, count);
            memcpy(d->words, d->answer + 1, count * sizeof *d->words);
            return LIQUID_OK;
        }
        liquid_link_begin(d);
    }
    return LIQUID_STUCK;
}

static uint32_t pair(const uint16_t *words) { return words[0] | (uint32_t)words[1] << 16; }

liquid_result liquid_step_words(liquid_device *device, const int16_t *inputs, uint32_t ticks, int16_t log2_dt,
                                int16_t *outputs, liquid_frame *frame) {
    liquid_device *const d = device;
    const liquid_image *const image = d->image;
    if (!image) return LIQUID_NOT_LOADED;
    const unsigned count = frame_words(image);
    const uint16_t header[LIQUID_HEADER_WORDS] = {(uint16_t)(d->number ? 0 : LIQUID_FLAG_FIRST), (uint16_t)ticks,
                                                  (uint16_t)(ticks >> 16), (uint16_t)log2_dt,
                                                  liquid_pool_weight(d->number + 1)};
    /* Whatever goes wrong from here on leaves words of this frame in the device: nobody's, until the next load. */
    d->image = NULL;
    TRY(exchange(d, header, inputs, image->inputs, count));
    const uint16_t *at = d->words;
    liquid_frame found;
    memset(&found, 0, sizeof found);
    if (*at == LIQUID_MARK_LAG) {
        TRY(fetch(d, count, LIQUID_LAG_WORDS));
        found.lag = pair(at + 1);
        found.lag_norm = pair(at + 3);
        at += LIQUID_LAG_WORDS;
    }
    const uint16_t *const trailer = at + 1 + image->output_words;
    if (*at != (LIQUID_MARK_VECTOR | image->output_words) || (*trailer & LIQUID_MARK_MASK) != LIQUID_MARK_DONE)
        return LIQUID_STREAM;
    for (unsigned i = 0; i < image->outputs; i++) outputs[i] = (int16_t)at[1 + i];
    found.status = (uint16_t)(trailer[0] & ~LIQUID_MARK_MASK);
    found.cycles = pair(trailer + 1);
    found.rhs_evals = trailer[3];
    found.accepted = trailer[4];
    found.rejected = trailer[5];
    found.mac_cycles = pair(trailer + 6);
    found.saturations = trailer[8];
    found.skipped = pair(trailer + 9);
    if (frame) *frame = found;
    d->number++;
    d->image = image;
    return LIQUID_OK;
}

const char *liquid_strerror(liquid_result result) {
    switch (result) {
        case LIQUID_OK: return "no error";
        case LIQUID_WIRE: return "the wire to the device is broken";
        case LIQUID_TIMEOUT: return "the device does not answer";
        case LIQUID_LOST: return "the device was reset, or another host spoke to it";
        case LIQUID_NOT_A_DEVICE: return "what answers is no accelerator that this library speaks to";
        case LIQUID_WRONG_VERSION: return "the image is for another version of the instruction set";
        case LIQUID_WRONG_CONFIG: return "the image was compiled for another configuration";
        case LIQUID_MEMORY: return "a memory does not hold what was written to it";
        case LIQUID_FAULT: return "the device reports an error";
        case LIQUID_STUCK: return "the device does not finish";
        case LIQUID_STREAM: return "the device sent words that it may not send";
        case LIQUID_TOO_LARGE: return "the frame's answer is longer than LIQUID_FRAME_WORDS";
        case LIQUID_NOT_LOADED: return "no image is loaded";
    }
    return "unknown error";
}

/* ---- Numbers ---- */

#ifndef LIQUID_NO_FLOAT
static int16_t saturate(double value) {
    return (int16_t)(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value);
}

int16_t liquid_input_word(const liquid_image *image, unsigned feature, float x) {
    const double normal = ((double)x - image->input_mean[feature]) / image->input_scale[feature];
    return saturate(rint(ldexp(normal, image->input_frac_bits)));
}

uint32_t liquid_ticks(const liquid_image *image, double dt) {
    const double ticks = rint(ldexp(dt / image->machine_unit, LIQUID_TICK_BITS));
    return ticks >= 4294967295.0 ? 4294967295u : ticks > 0 ? (uint32_t)ticks : 0;
}

int16_t liquid_log2_dt(const liquid_image *image, double dt) {
    if (!liquid_ticks(image, dt)) return INT16_MIN;
    const int16_t word = saturate(rint(ldexp(log2(dt / image->machine_unit), LIQUID_LOG2_FRAC_BITS)));
    return word == INT16_MIN ? INT16_MIN + 1 : word;
}

liquid_result liquid_step(liquid_device *device, const float *x, double dt, float *y, liquid_frame *frame) {
    const liquid_image *const image = device->image;
    if (!image) return LIQUID_NOT_LOADED;
    if (image->inputs > LIQUID_FRAME_WORDS || image->outputs > LIQUID_FRAME_WORDS) return LIQUID_TOO_LARGE;
    int16_t inputs[LIQUID_FRAME_WORDS], outputs[LIQUID_FRAME_WORDS] = {0};
    for (unsigned i = 0; i < image->inputs; i++) inputs[i] = liquid_input_word(image, i, x[i]);
    TRY(liquid_step_words(device, inputs, liquid_ticks(image, dt), liquid_log2_dt(image, dt), outputs, frame));
    for (unsigned i = 0; i < image->outputs; i++) y[i] = (float)ldexp(outputs[i], -image->output_frac_bits);
    return LIQUID_OK;
}
#endif
