/* SPDX-License-Identifier: BSD-2-Clause */
/* The beginning of a program on a Cortex-M7 without an operating system: vectors, data and bss, main, exit. */
#include <stdint.h>
#include <stdlib.h>

extern uint32_t stack_top, data_start, data_end, data_load, bss_start, bss_end;
extern void initialise_monitor_handles(void);
extern int main(void);

/* What newlib's exit calls. */
void _init(void) {}
void _fini(void) {}

void reset(void) {
    const uint32_t *from = &data_load;
    for (uint32_t *to = &data_start; to < &data_end;) *to++ = *from++;
    for (uint32_t *to = &bss_start; to < &bss_end;) *to++ = 0;
    initialise_monitor_handles(); /* printf and exit by semihosting */
    exit(main());
}

static void fault(void) {
    exit(3);
}

__attribute__((section(".vectors"), used)) static const void *const VECTORS[16] = {
    &stack_top, (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault,
};
