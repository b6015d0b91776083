/* SPDX-License-Identifier: BSD-2-Clause */
/* The step controller (docs/isa.md, PLAN, DECIDE, JUDGE). Its words in m->s have the names of their parameters. */

/*! bit_length */
static int bit_length(uint32_t x) {
    int bits = 0;
    for (; x; x >>= 1) bits++;
    return bits;
}

/*! pseudo_log2 */
/* {position of the leading one, the 11 bits below it} */
static int32_t pseudo_log2(uint32_t n) {
    const int e = bit_length(n) - 1;
    const uint32_t mantissa = e > 11 ? n >> (e - 11) : n << (11 - e);
    return e * 2048 + (int32_t)(mantissa & 2047u);
}

/*! low_byte */
static int32_t low_byte(int16_t word) {
    return (int32_t)(((uint32_t)word + 128u) & 255u) - 128;
}

/*! plan */
/* Chooses the next step; `jump`: the first after the input's jump. */
static void plan(model *m, unsigned jump) {
    const int16_t from = m->fresh ? m->s[LOG_START] : jump && !m->opening ? m->s[JUMP_SIZE] : m->s[SIZE];
    const uint32_t size = (uint16_t)from, e = size >> 11, top = (2048u + (size & 2047u)) << 20, wanted = top >> (31 - e);
    m->s[SIZE] = from;
    if (jump) m->opening = 1;
    m->fresh = 0;
    m->norm = 0, m->peak = 0, m->step_saturated = 0;
    m->clipped = 1;
    if (m->time_left <= wanted) m->step = m->time_left;
    else if (e == 31 || m->time_left < top >> (30 - e)) m->step = m->time_left >> 1;
    else m->step = wanted, m->clipped = 0;
    m->step_code = (uint16_t)(m->clipped ? (uint32_t)pseudo_log2(m->step) : size);
    m->s[STEP] = signed16(m->step_code);
}

/*! excess */
/* log2 of the norm, less that of the largest one that is accepted. */
static int32_t excess(const model *m) {
    return pseudo_log2(m->norm | 1u) - (uint16_t)m->s[LOG_ACCEPT];
}

/*! judge */
static void judge(model *m) {
    m->judged = excess(m) <= 0 && !m->step_saturated;
    m->norm = 0, m->peak = 0, m->step_saturated = 0;
}

/*! decide */
/* Accepts or rejects the step, and chooses the size of the next one. */
static void decide(model *m) {
    const int32_t over = excess(m), error = over >> 1, last = m->s[ERROR_0 + m->newest];
    const unsigned ok = over <= 0 && !m->step_saturated, accept = ok || m->at_limit;
    int32_t change = m->s[SAFETY] - (low_byte(m->s[BETA1]) * error >> 7);
    if (m->history) change -= low_byte(m->s[BETA2]) * last >> 7;
    if (m->history) change -= low_byte(m->s[ALPHA2]) * m->s[CHANGE_LAST] >> 7;
    const int32_t most = m->s[accept ? CHANGE_MAX : CHANGE_REJECT];
    if (change < m->s[CHANGE_MIN]) change = m->s[CHANGE_MIN];
    if (change > most) change = most;
    m->s[ERROR_0 + !m->newest] = (int16_t)error;
    int32_t next = m->step_code + change;
    /* A step that was cut short says little about how long the next may be. */
    if (accept && m->clipped && next < (uint16_t)m->s[SIZE]) next = (uint16_t)m->s[SIZE];
    const int32_t smallest = (uint16_t)m->s[LOG_MIN], largest = (uint16_t)m->s[LOG_MAX];
    m->at_limit = next < smallest;
    if (next < smallest) next = smallest;
    if (next > largest) next = largest;
    m->s[SIZE] = signed16((uint32_t)next);
    if (!accept) {
        m->rejected++;
        return;
    }
    if (!ok) m->report.status |= STATUS_STEP_LIMIT;
    m->accepted++;
    m->time_left -= m->step;
    m->parity ^= 1u;
    m->s[CHANGE_LAST] = (int16_t)change;
    m->newest ^= 1u;
    m->history = 1;
    if (m->opening) m->s[JUMP_SIZE] = m->s[SIZE];
    m->opening = 0;
    if (m->time_left && m->s[HALT] && bit_length(m->time_left) + bit_length(m->peak) <= m->s[HALT]) {
        m->time_left = 0;
        m->report.status |= STATUS_EARLY_HALT;
    }
}
