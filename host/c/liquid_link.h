/* SPDX-License-Identifier: BSD-2-Clause */
/* What liquid.c asks of liquid_link.c: a request put together, sent until it is answered. Not for users. */
#ifndef LIQUID_LINK_H
#define LIQUID_LINK_H

#include "liquid.h"

/* Begin an empty request; words that it still takes; its operations. */
void liquid_link_begin(liquid_device *d);
unsigned liquid_link_room(const liquid_device *d);
void liquid_link_operation(liquid_device *d, unsigned address, unsigned count, unsigned write);
void liquid_link_write(liquid_device *d, unsigned address, const uint16_t *words, unsigned count);
void liquid_link_value(liquid_device *d, unsigned address, uint16_t value);
void liquid_link_read(liquid_device *d, unsigned address, unsigned count);
void liquid_link_wait(liquid_device *d);

/* Send it under the next tag; `waits`: it may end at a wait without the interrupt, the only answer then. */
liquid_result liquid_link_transact(liquid_device *d, bool waits);

/* Send it under `tag`, as often as need be; the device carries it out once. Milliseconds of the longest wait. */
liquid_result liquid_link_converse(liquid_device *d, uint16_t tag, uint32_t waits_ms);
uint32_t liquid_link_wait_ms(const liquid_device *d);

/* End the session: the sequence under way is lost. */
liquid_result liquid_link_lose(liquid_device *d, liquid_result why);

#define TRY(call)                                 \
    do {                                          \
        const liquid_result result_ = (call);     \
        if (result_ != LIQUID_OK) return result_; \
    } while (0)

#endif
