/* SPDX-License-Identifier: BSD-2-Clause */
#include "liquid.h"

#include <string.h>
#ifndef LIQUID_NO_FLOAT
#include <math.h>
#endif

#define MOST_INPUTS (LIQUID_LINK_REQUEST_WORDS - 1) /* data words of a write that fills its request */
#define BYTES_A_TRY 4096                            /* a wire that never falls silent is no answer */
#define PATIENCE_MS 10000                           /* that a frame may take */
#define IDLE_POLLS 1000                             /* of STATUS after an abort */

/* ---- Frames on the wire ---- */

static uint32_t crc_step(uint32_t crc, uint8_t byte) {
    crc ^= byte;
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ LIQUID_LINK_CRC_POLYNOMIAL : crc >> 1;
    return crc;
}

typedef struct {
    const liquid_wire *wire;
    uint8_t bytes[64];
    size_t count;
    uint32_t crc;
    bool fine;
} sender;

static void send_raw(sender *s, uint8_t byte) {
    s->bytes[s->count++] = byte;
    if (s->count == sizeof s->bytes) {
        s->fine = s->fine && s->wire->write(s->wire->context, s->bytes, s->count);
        s->count = 0;
    }
}

static void send_word(sender *s, uint16_t word) {
    for (int shift = 0; shift < 16; shift += 8) {
        uint8_t byte = (uint8_t)(word >> shift);
        s->crc = crc_step(s->crc, byte);
        if (byte == LIQUID_LINK_FLAG || byte == LIQUID_LINK_ESCAPE) {
            send_raw(s, LIQUID_LINK_ESCAPE);
            byte ^= LIQUID_LINK_ESCAPE_FLIP;
        }
        send_raw(s, byte);
    }
}

static bool send_request(liquid_device *d, uint16_t tag) {
    sender s = {.wire = d->wire, .crc = 0xFFFFFFFFu, .fine = true};
    send_raw(&s, LIQUID_LINK_FLAG);
    send_word(&s, tag);
    for (unsigned i = 0; i < d->asked; i++) send_word(&s, d->request[i]);
    const uint32_t crc = ~s.crc;
    send_word(&s, (uint16_t)crc);
    send_word(&s, (uint16_t)(crc >> 16));
    send_raw(&s, LIQUID_LINK_FLAG);
    return s.fine && (s.count == 0 || s.wire->write(s.wire->context, s.bytes, s.count));
}

static uint16_t content_word(const liquid_device *d, unsigned index) {
    return (uint16_t)(d->content[2 * index] | d->content[2 * index + 1] << 8);
}

/* Whether the content is a sound response to `tag`, or DAMAGED; its code in `code`, its words in `answer`. */
static bool response(liquid_device *d, size_t size, uint16_t tag, unsigned *code) {
    if (size % 2 || size < 8) return false;
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < size; i++) crc = crc_step(crc, d->content[i]);
    const uint16_t status = content_word(d, 1);
    const unsigned count = status >> LIQUID_LINK_STATUS_COUNT_LOW & LIQUID_LINK_STATUS_COUNT_MASK;
    if (crc != LIQUID_LINK_CRC_RESIDUE || size != 2 * (count + 4)) return false;
    *code = status & LIQUID_LINK_STATUS_CODE_MASK;
    if (*code == LIQUID_LINK_DAMAGED) return true;
    if (content_word(d, 0) != tag) return false; /* of an earlier request */
    for (unsigned i = 0; i < count; i++) d->answer[i] = content_word(d, i + 2);
    d->answered = (uint8_t)count;
    return true;
}

/* Wait for an answer to `tag`. LIQUID_TIMEOUT where none comes within `timeout_ms` of silence. */
static liquid_result receive(liquid_device *d, uint16_t tag, uint32_t timeout_ms, unsigned *code) {
    uint8_t chunk[32];
    size_t size = 0, seen = 0;
    bool escaped = false, damaged = false;
    while (seen < BYTES_A_TRY) {
        const int count = d->wire->read(d->wire->context, chunk, sizeof chunk, timeout_ms);
        if (count < 0) return LIQUID_WIRE;
        if (count == 0) return LIQUID_TIMEOUT;
        seen += (size_t)count;
        for (int i = 0; i < count; i++) {
            uint8_t byte = chunk[i];
            if (byte == LIQUID_LINK_FLAG) {
                if (!damaged && !escaped && response(d, size, tag, code)) return LIQUID_OK;
                size = 0;
                escaped = damaged = false;
            } else if (byte == LIQUID_LINK_ESCAPE) {
                damaged = damaged || escaped;
                escaped = true;
            } else {
                if (escaped) byte ^= LIQUID_LINK_ESCAPE_FLIP;
                escaped = false;
                if (size < sizeof d->content) d->content[size++] = byte;
                else damaged = true;
            }
        }
    }
    return LIQUID_TIMEOUT;
}

static liquid_result silence(liquid_device *d, uint32_t timeout_ms) {
    uint8_t chunk[32];
    for (size_t seen = 0; seen < BYTES_A_TRY;) {
        const int count = d->wire->read(d->wire->context, chunk, sizeof chunk, timeout_ms);
        if (count <= 0) return count ? LIQUID_WIRE : LIQUID_OK;
        seen += (size_t)count;
    }
    return LIQUID_OK;
}

static liquid_result lose(liquid_device *d, liquid_result why) {
    d->open = false;
    d->image = NULL;
    return why;
}

/* Send the request under `tag` until it is answered; the device carries it out once, however often it is sent. */
static liquid_result converse(liquid_device *d, uint16_t tag, uint32_t waits_ms) {
    const uint32_t usual = d->wire->timeout_ms ? d->wire->timeout_ms : 200;
    const unsigned tries = d->wire->tries ? d->wire->tries : 8;
    unsigned damaged = 0;
    for (unsigned attempt = 0; attempt < tries; attempt++) {
        const uint32_t timeout = usual * (1 + attempt) + waits_ms;
        unsigned code = LIQUID_LINK_OK;
        if (!send_request(d, tag)) return lose(d, LIQUID_WIRE);
        liquid_result result = receive(d, tag, timeout, &code);
        if (result == LIQUID_WIRE) return lose(d, result);
        if (result == LIQUID_TIMEOUT) continue;
        if (code == LIQUID_LINK_OK) {
            d->tag = tag;
            return LIQUID_OK;
        }
        if (code != LIQUID_LINK_DAMAGED) return lose(d, LIQUID_LOST);
        /* Two copies on the wire could damage each other for ever: only the first is answered at once. */
        if (damaged++ && silence(d, usual) != LIQUID_OK) return lose(d, LIQUID_WIRE);
    }
    return lose(d, LIQUID_TIMEOUT);
}

/* ---- Requests ---- */

static void begin(liquid_device *d) { d->asked = d->expected = 0; }

static unsigned room(const liquid_device *d) { return LIQUID_LINK_REQUEST_WORDS - d->asked; }

static void operation(liquid_device *d, unsigned address, unsigned count, unsigned write) {
    d->request[d->asked++] = (uint16_t)(address | count << LIQUID_LINK_OPERATION_COUNT_LOW |
                                        write << LIQUID_LINK_OPERATION_WRITE_LOW);
}

static void ask_write(liquid_device *d, unsigned address, const uint16_t *words, unsigned count) {
    operation(d, address, count, 1);
    memcpy(&d->request[d->asked], words, count * sizeof *words);
    d->asked = (uint8_t)(d->asked + count);
}

static void ask_value(liquid_device *d, unsigned address, uint16_t value) { ask_write(d, address, &value, 1); }

static void ask_read(liquid_device *d, unsigned address, unsigned count) {
    operation(d, address, count, 0);
    d->expected = (uint8_t)(d->expected + count);
}

static void ask_wait(liquid_device *d) {
    operation(d, LIQUID_LINK_WAIT_LIMIT, 0, 0);
    d->expected++;
}

/* Milliseconds of the longest wait; the slowest clock that a device may have, where it does not tell its own. */
static uint32_t wait_ms(const liquid_device *d) {
    const uint32_t khz = d->clock_khz ? d->clock_khz : 1000;
    return (uint32_t)LIQUID_LINK_WAIT_LIMIT * LIQUID_LINK_WAIT_UNIT / khz + 1;
}

static liquid_result transact(liquid_device *d, bool waits) {
    if (!d->open) return LIQUID_LOST;
    const liquid_result result = converse(d, (uint16_t)(d->tag + 1), waits ? wait_ms(d) : 0);
    if (result != LIQUID_OK) return result;
    /* A wait that ended without the interrupt is the last answer. */
    if (d->answered != d->expected && !(waits && d->answered == 1 && !d->answer[0])) return lose(d, LIQUID_STREAM);
    return LIQUID_OK;
}

#define TRY(call)                                 \
    do {                                          \
        const liquid_result result_ = (call);     \
        if (result_ != LIQUID_OK) return result_; \
    } while (0)

/* ---- Sessions and images ---- */

liquid_result liquid_open(liquid_device *device, const liquid_wire *wire, uint16_t seed) {
    memset(device, 0, sizeof *device);
    device->wire = wire;
    begin(device);
    TRY(converse(device, seed, 0));
    if (device->answered != 1 || device->answer[0] != LIQUID_LINK_VERSION) return LIQUID_NOT_A_DEVICE;
    device->open = true;
    static const uint8_t names[] = {LIQUID_REG_ID,
                                    LIQUID_REG_VERSION,
                                    LIQUID_REG_CONFIG_HASH_LOW,
                                    LIQUID_REG_CONFIG_HASH_HIGH,
                                    LIQUID_REG_CLOCK_KHZ_LOW,
                                    LIQUID_REG_CLOCK_KHZ_HIGH};
    begin(device);
    for (size_t i = 0; i < sizeof names; i++) ask_read(device, names[i], 1);
    TRY(transact(device, false));
    if (device->answer[0] != LIQUID_PRODUCT_ID) return lose(device, LIQUID_NOT_A_DEVICE);
    device->isa_version = device->answer[1];
    device->config_hash = device->answer[2] | (uint32_t)device->answer[3] << 16;
    device->clock_khz = device->answer[4] | (uint32_t)device->answer[5] << 16;
    return LIQUID_OK;
}

static void ask_place(liquid_device *d, unsigned space) {
    begin(d);
    ask_value(d, LIQUID_REG_MEM_SPACE, (uint16_t)(space << LIQUID_MEM_SPACE_SPACE_LOW));
    ask_value(d, LIQUID_REG_MEM_ADDRESS, 0);
}

static liquid_result write_section(liquid_device *d, const liquid_section *section) {
    ask_place(d, section->space);
    for (uint32_t at = 0; at < section->count;) {
        const uint32_t left = section->count - at, most = room(d) - 1;
        const unsigned count = (unsigned)(left < most ? left : most);
        ask_write(d, LIQUID_REG_MEM_DATA, section->words + at, count);
        TRY(transact(d, false));
        begin(d);
        at += count;
    }
    return LIQUID_OK;
}

static liquid_result check_section(liquid_device *d, const liquid_section *section) {
    ask_place(d, section->space);
    for (uint32_t at = 0; at < section->count;) {
        const uint32_t left = section->count - at;
        const unsigned count = left < LIQUID_LINK_RESPONSE_WORDS ? (unsigned)left : LIQUID_LINK_RESPONSE_WORDS;
        ask_read(d, LIQUID_REG_MEM_DATA, count);
        TRY(transact(d, false));
        if (memcmp(d->answer, section->words + at, count * sizeof *d->answer)) return LIQUID_MEMORY;
        begin(d);
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
    begin(d);
    ask_value(d, LIQUID_REG_CONTROL, LIQUID_CONTROL_ABORT);
    TRY(transact(d, false));
    for (unsigned poll = 0;; poll++) {
        begin(d);
        ask_read(d, LIQUID_REG_STATUS, 1);
        TRY(transact(d, false));
        if (d->answer[0] & LIQUID_STATUS_IDLE) break;
        if (poll == IDLE_POLLS) return LIQUID_STUCK;
    }
    for (unsigned i = 0; i < image->section_count; i++) TRY(write_section(d, &image->sections[i]));
    /* Read back once all is written: a memory that answers for another is found as well. */
    for (unsigned i = 0; i < image->section_count; i++) TRY(check_section(d, &image->sections[i]));
    begin(d);
    ask_value(d, LIQUID_REG_OUT_MARK, (uint16_t)frame_words(image));
    ask_value(d, LIQUID_REG_IRQ_ENABLE, LIQUID_IRQ_ENABLE_OUT_READY | LIQUID_IRQ_ENABLE_ERROR);
    ask_read(d, LIQUID_REG_STATUS, 1);
    ask_value(d, LIQUID_REG_CONTROL, LIQUID_CONTROL_RUN);
    TRY(transact(d, false));
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
        begin(d);
        ask_read(d, LIQUID_REG_OUT_DATA, part);
        ask_read(d, LIQUID_REG_STATUS, 1);
        TRY(transact(d, false));
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
    begin(d);
    while (sent < total) {
        const unsigned left = total - sent, part = left < MOST_INPUTS ? left : MOST_INPUTS;
        begin(d);
        operation(d, LIQUID_REG_IN_DATA, part, 1);
        for (unsigned i = 0; i < part; i++, sent++)
            d->request[d->asked++] =
                sent < LIQUID_HEADER_WORDS ? header[sent] : (uint16_t)inputs[sent - LIQUID_HEADER_WORDS];
        if (sent < total || room(d) < 3) {
            TRY(transact(d, false));
            begin(d);
        }
    }
    const bool whole = count + 2 <= LIQUID_LINK_RESPONSE_WORDS;
    for (uint32_t waited = 0; waited < PATIENCE_MS; waited += wait_ms(d)) {
        ask_wait(d);
        if (whole) ask_read(d, LIQUID_REG_OUT_DATA, count);
        ask_read(d, LIQUID_REG_STATUS, 1);
        TRY(transact(d, true));
        if (d->answer[0]) {
            TRY(fault(d, d->answer[d->answered - 1]));
            if (!whole) return fetch(d, 0, count);
            memcpy(d->words, d->answer + 1, count * sizeof *d->words);
            return LIQUID_OK;
        }
        begin(d);
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
