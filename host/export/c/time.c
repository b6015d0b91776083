/* SPDX-License-Identifier: BSD-2-Clause */
/* What a driver works out for each frame, in integers. */

/*! pool_weight */
/* Float code of 1 / frame, the weight of the frame in the running mean. No quotient lies between two codes. */
static uint16_t pool_weight(uint32_t frame) {
    unsigned k = 0;
    while (frame >> k > 1) k++;
    if (frame == (uint32_t)1 << k) return (uint16_t)((16 - k) << 11);
    /* A mantissa that rounds up to 2 carries into the exponent. */
    return (uint16_t)(((15 - k) << 11) + (((uint32_t)4096 << k) + frame / 2) / frame - 2048);
}

/*! square_high */
/* The high half of x^2. */
static uint64_t square_high(uint64_t x) {
    const uint64_t high = x >> 32, low = x & UINT32_MAX, cross = high * low;
    return high * high + (cross >> 32) * 2 + (((low * low >> 32) + (cross & UINT32_MAX) * 2) >> 32);
}

/*! log2_word */
/* log2 of mantissa * 2^exponent, mantissa > 0, as the nearest Q4.11 word. Each squaring of a number from 1 to 2 gives the
 * next bit of its logarithm; a logarithm in the middle of two words is that of no fraction. */
static int16_t log2_word(uint64_t mantissa, int exponent) {
    exponent += 63;
    while (!(mantissa >> 63)) mantissa <<= 1, exponent--;
    int32_t log = exponent;
    for (int bit = 0; bit < 12; bit++) {
        mantissa = square_high(mantissa);
        const unsigned two = mantissa >> 63 & 1u;
        if (!two) mantissa <<= 1;
        log = log * 2 + (int32_t)two;
    }
    log = (log + 1) >> 1;
    return (int16_t)(log > INT16_MAX ? INT16_MAX : log < INT16_MIN + 1 ? INT16_MIN + 1 : log);
}
