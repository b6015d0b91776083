/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests and their answers: docs/link.md. */
#include "liquid_link.h"

#include <string.h>

#define BYTES_A_TRY 4096 /* a wire that never falls silent is no answer */

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

liquid_result liquid_link_lose(liquid_device *d, liquid_result why) {
    d->open = false;
    d->image = NULL;
    return why;
}

/* Send the request under `tag` until it is answered; the device carries it out once, however often it is sent. */
liquid_result liquid_link_converse(liquid_device *d, uint16_t tag, uint32_t waits_ms) {
    const uint32_t usual = d->wire->timeout_ms ? d->wire->timeout_ms : 200;
    const unsigned tries = d->wire->tries ? d->wire->tries : 8;
    unsigned damaged = 0;
    for (unsigned attempt = 0; attempt < tries; attempt++) {
        const uint32_t timeout = usual * (1 + attempt) + waits_ms;
        unsigned code = LIQUID_LINK_OK;
        if (!send_request(d, tag)) return liquid_link_lose(d, LIQUID_WIRE);
        liquid_result result = receive(d, tag, timeout, &code);
        if (result == LIQUID_WIRE) return liquid_link_lose(d, result);
        if (result == LIQUID_TIMEOUT) continue;
        if (code == LIQUID_LINK_OK) {
            d->tag = tag;
            return LIQUID_OK;
        }
        if (code != LIQUID_LINK_DAMAGED) return liquid_link_lose(d, LIQUID_LOST);
        /* Two copies on the wire could damage each other for ever: only the first is answered at once. */
        if (damaged++ && silence(d, usual) != LIQUID_OK) return liquid_link_lose(d, LIQUID_WIRE);
    }
    return liquid_link_lose(d, LIQUID_TIMEOUT);
}

/* ---- Requests ---- */

void liquid_link_begin(liquid_device *d) { d->asked = d->expected = 0; }

unsigned liquid_link_room(const liquid_device *d) { return LIQUID_LINK_REQUEST_WORDS - d->asked; }

void liquid_link_operation(liquid_device *d, unsigned address, unsigned count, unsigned write) {
    d->request[d->asked++] = (uint16_t)(address | count << LIQUID_LINK_OPERATION_COUNT_LOW |
                                        write << LIQUID_LINK_OPERATION_WRITE_LOW);
}

void liquid_link_write(liquid_device *d, unsigned address, const uint16_t *words, unsigned count) {
    liquid_link_operation(d, address, count, 1);
    memcpy(&d->request[d->asked], words, count * sizeof *words);
    d->asked = (uint8_t)(d->asked + count);
}

void liquid_link_value(liquid_device *d, unsigned address, uint16_t value) { liquid_link_write(d, address, &value, 1); }

void liquid_link_read(liquid_device *d, unsigned address, unsigned count) {
    liquid_link_operation(d, address, count, 0);
    d->expected = (uint8_t)(d->expected + count);
}

void liquid_link_wait(liquid_device *d) {
    liquid_link_operation(d, LIQUID_LINK_WAIT_LIMIT, 0, 0);
    d->expected++;
}

/* Milliseconds of the longest wait; the slowest clock that a device may have, where it does not tell its own. */
uint32_t liquid_link_wait_ms(const liquid_device *d) {
    const uint32_t khz = d->clock_khz ? d->clock_khz : 1000;
    return (uint32_t)LIQUID_LINK_WAIT_LIMIT * LIQUID_LINK_WAIT_UNIT / khz + 1;
}

liquid_result liquid_link_transact(liquid_device *d, bool waits) {
    if (!d->open) return LIQUID_LOST;
    const liquid_result result = liquid_link_converse(d, (uint16_t)(d->tag + 1), waits ? liquid_link_wait_ms(d) : 0);
    if (result != LIQUID_OK) return result;
    /* A wait that ended without the interrupt is the last answer. */
    if (d->answered != d->expected && !(waits && d->answered == 1 && !d->answer[0])) return liquid_link_lose(d, LIQUID_STREAM);
    return LIQUID_OK;
}
