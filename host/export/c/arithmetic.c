/* SPDX-License-Identifier: BSD-2-Clause */
/* Arithmetic of the machine (docs/isa.md), function by function: a model takes those that it uses. A part ends where the
 * next one's name stands; LANES, EXP2_ROM, LOG2_CORRECTION and the type `model` are the model's. */

/*! arithmetic_shift */
/* Right shifts of negative numbers have to be arithmetic, as they are on every processor that this is meant for. */
typedef char shifts_are_arithmetic[(-3 >> 1) == -2 ? 1 : -1];

/*! signed32 */
/* The low 32 bits as a two's complement number. */
static int32_t signed32(uint32_t x) {
    return x >> 31 ? -(int32_t)(UINT32_MAX - x) - 1 : (int32_t)x;
}

/*! signed16 */
static int16_t signed16(uint32_t x) {
    return (int16_t)((int32_t)((x + 0x8000u) & 0xFFFFu) - 0x8000);
}

/*! sat16 */
static int32_t sat16(int32_t x) {
    return x > INT16_MAX ? INT16_MAX : x < INT16_MIN ? INT16_MIN : x;
}

/*! clamp */
/* sat16 that says in `event` where it changed its argument. */
static int32_t clamp(int32_t x, unsigned *event) {
    const int32_t y = sat16(x);
    *event |= y != x;
    return y;
}

/*! rshift */
/* floor(x / 2^n + 1/2), n from 0 to 31. */
static int32_t rshift(int32_t x, unsigned n) {
    return n ? (x >> n) + (x >> (n - 1) & 1) : x;
}

/*! distance */
/* A shift within its five bits; one below 0 is an event. */
static unsigned distance(int shift, unsigned *event) {
    *event |= shift < 0;
    return shift < 0 ? 0u : shift > 31 ? 31u : (unsigned)shift;
}

/*! times */
/* d by a float code {exponent[5], mantissa[11]}, not yet saturated. */
static int32_t times(int32_t d, unsigned code, int shift, unsigned *event) {
    return rshift(d * (int32_t)(2048u + (code & 2047u)), distance(shift - (int)(code >> 11), event));
}

/*! interpolated */
/* Entry i of a table and u / 256 of the way to the next; the last segment is flat. */
static int32_t interpolated(const int16_t *table, unsigned i, int32_t u) {
    const int32_t rise = i == 255 ? 0 : table[i + 1] - table[i];
    return table[i] + ((rise * u + 128) >> 8);
}

/*! magnitude_of */
/* table(|x|) */
static int32_t magnitude_of(const int16_t *table, int32_t x) {
    int32_t a = x < 0 ? -x : x;
    if (a > INT16_MAX) a = INT16_MAX;
    return interpolated(table, (unsigned)a >> 7, (a & 127) << 1);
}

/*! direct */
/* table(x) over all words x */
static int32_t direct(const int16_t *table, int32_t x) {
    const unsigned at = (unsigned)(x + 0x8000);
    return sat16(interpolated(table, at >> 8, (int32_t)(at & 255u)));
}

/*! exp2_code */
/* 2^(x / 2^11) as a float code of bias 16, which is taken as a signed word from here on. */
static int32_t exp2_code(int32_t x) {
    const unsigned j = (unsigned)x & 2047u, rom = EXP2_ROM[j >> 3];
    unsigned mantissa = (rom & 2047u) + (((rom >> 11) * (j & 7u) + 4u) >> 3);
    if (mantissa > 2047u) mantissa = 2047u;
    return signed16((uint32_t)((x >> 11) + 16) << 11 | mantissa);
}

/*! log2_step */
/* log2 of a step, Q4.11, from its float code in ticks. */
static int32_t log2_step(unsigned code) {
    const int32_t mantissa = (int32_t)(code & 2047u);
    return sat16(((int32_t)(code >> 11) - TICK_BITS) * 2048 + mantissa + LOG2_CORRECTION[mantissa >> 5]);
}

/*! dot */
/* sum += W x: LANES rows of W, a column of them after the other. Four rows at a time stay in registers. */
static void dot(uint32_t *sum, const int8_t *w, const int16_t *x, unsigned columns) {
    for (unsigned l = 0; l < LANES; l += 4) {
        uint32_t s0 = sum[l], s1 = sum[l + 1], s2 = sum[l + 2], s3 = sum[l + 3];
        const int8_t *at = w + l;
        for (unsigned c = 0; c < columns; c++, at += LANES) {
            const int32_t k = x[c];
            s0 += (uint32_t)(at[0] * k);
            s1 += (uint32_t)(at[1] * k);
            s2 += (uint32_t)(at[2] * k);
            s3 += (uint32_t)(at[3] * k);
        }
        sum[l] = s0, sum[l + 1] = s1, sum[l + 2] = s2, sum[l + 3] = s3;
    }
}

/*! sparse */
/* sum += W x for the moves that were taken last; `counted` says whether those left out are counted. */
static void sparse(model *m, uint32_t *sum, const int8_t *w, unsigned columns, unsigned counted) {
    for (unsigned k = 0; k < m->taken; k++) {
        const unsigned at = (m->first_taken + k) & 255u;
        const int32_t delta = m->s[at];
        if (m->column[at] >= columns) continue;
        for (unsigned l = 0; l < LANES; l++) sum[l] += (uint32_t)(w[m->column[at] * LANES + l] * delta);
    }
    if (counted && columns > m->taken) m->skipped += columns - m->taken;
}

/*! take */
/* The entries of a list are those of the following sparse products; it begins anew, perhaps in its other half. */
static void take(model *m, unsigned list, unsigned half) {
    m->first_taken = m->list_start[list];
    m->taken = (uint8_t)(m->list_end[list] - m->list_start[list]);
    m->list_start[list] = m->list_end[list] = (uint8_t)(m->list_start[list] ^ half);
}

/*! moved */
/* Lists an element that moved by more than the threshold since its column was computed with *x. */
static void moved(model *m, int16_t *x, int32_t y, unsigned column) {
    const int32_t delta = y - *x, size = delta < 0 ? -delta : delta;
    if (delta != sat16(delta)) {
        m->report.status |= STATUS_SATURATED;
        m->step_saturated = 1;
    } else if (size > m->threshold) {
        const unsigned at = m->list_end[m->tracked]++;
        m->s[at] = (int16_t)delta;
        m->column[at] = (uint8_t)column;
        *x = (int16_t)y;
    }
}

/*! count_event */
/* An element that had something clamped. */
static void count_event(model *m, unsigned event) {
    m->saturations += event;
    m->step_saturated |= (uint8_t)event;
}

/*! add_norm */
static void add_norm(model *m, int32_t y, unsigned shift) {
    uint32_t size = (uint32_t)(y < 0 ? -y : y) >> shift;
    if (size > NORM_CLAMP) size = NORM_CLAMP;
    m->norm = (m->norm + size * size) & NORM_MASK;
}

/*! add_peak */
static void add_peak(model *m, int32_t y) {
    const int32_t size = y < 0 ? -y : y;
    m->peak |= (uint16_t)(size > INT16_MAX ? INT16_MAX : size);
}

/*! held */
/* A counter holds at the largest value of 16 bits. */
static uint16_t held(uint32_t count) {
    return (uint16_t)(count > UINT16_MAX ? UINT16_MAX : count);
}

/*! done */
static void done(model *m) {
    if (m->saturations) m->report.status |= STATUS_SATURATED;
    m->report.rhs_evals = held(m->rhs_evals);
    m->report.steps_accepted = held(m->accepted);
    m->report.steps_rejected = held(m->rejected);
    m->report.saturations = held(m->saturations);
    m->report.macs_skipped = (m->skipped > SKIPPED_MOST ? SKIPPED_MOST : m->skipped) * LANES;
}
