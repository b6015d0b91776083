// SPDX-License-Identifier: BSD-2-Clause
// The synapses of the published LTC, and its fused solver over whole sequences, forward and backward: synapses.py says
// what is computed, and calls this where a C++ compiler is at hand. Samples do not meet, so that each call takes a range
// of them and calls may run at the same time. Matrices are (from, to), as in the parameters, rows padded to whole vectors.
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

namespace {

constexpr int64_t LANES = 16, BLOCK = 8; // floats of a vector; samples that share each weight that is loaded, if so many
typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t Integers __attribute__((vector_size(LANES * sizeof(int32_t))));

inline Vector load(const float *from) { Vector v; std::memcpy(&v, from, sizeof v); return v; }
inline void store(float *to, Vector v) { std::memcpy(to, &v, sizeof v); }
inline Vector all(float value) { return Vector{} + value; }
inline int64_t padded(int64_t count) { return (count + LANES - 1) / LANES * LANES; }

// 1 / (1 + e^-z), within a few units in the last place. e^-z = 2^n e^f, n whole and |f| <= log(2) / 2, where Taylor's
// polynomial to the power of 7 is off by less than 1e-8; log 2 is taken in two parts, the first of few bits.
inline Vector sigmoid(Vector z) {
    z = z > 87.0f ? all(87.0f) : z;
    z = z < -87.0f ? all(-87.0f) : z;
    const Integers count = __builtin_convertvector(126.5f - z * 1.44269504f, Integers) - 126; // rounds: it cuts above 0
    const Vector whole = __builtin_convertvector(count, Vector);
    const Vector f = (-z - whole * 0.693359375f) + whole * 2.12194440e-4f;
    Vector p = all(1.0f / 5040.0f);
    p = p * f + 1.0f / 720.0f;
    p = p * f + 1.0f / 120.0f;
    p = p * f + 1.0f / 24.0f;
    p = p * f + 1.0f / 6.0f;
    p = p * f + 0.5f;
    p = p * f + 1.0f;
    p = p * f + 1.0f;
    const Integers scale = (count + 127) << 23;
    Vector power;
    std::memcpy(&power, &scale, sizeof power);
    return 1.0f / (1.0f + p * power);
}

// The parameters of synapses from J to I neurons.
struct Synapses {
    int64_t from, to, width; // J, I, and I in whole vectors
    std::vector<float> pulling, leaking, sigma, pushed;

    Synapses(int64_t j, int64_t i, const float *a, const float *c, const float *s, const float *mu)
        : from(j), to(i), width(padded(i)), pulling(j * width), leaking(j * width), sigma(j * width), pushed(j * width) {
        for (int64_t row = 0; row < j; ++row)
            for (int64_t column = 0; column < i; ++column) {
                const int64_t source = row * i + column, target = row * width + column;
                pulling[target] = a[source], leaking[target] = c[source], sigma[target] = s[source];
                pushed[target] = -s[source] * mu[source];
            }
    }

    // pull and leak (B, width) of v (B, J).
    template <int64_t B> void sums(const float *v, float *pull, float *leak) const {
        for (int64_t i = 0; i < width; i += LANES) {
            Vector p[B] = {}, l[B] = {};
            for (int64_t j = 0; j < from; ++j) {
                const int64_t at = j * width + i;
                const Vector s = load(&sigma[at]), o = load(&pushed[at]), a = load(&pulling[at]), c = load(&leaking[at]);
                for (int64_t b = 0; b < B; ++b) {
                    const Vector opened = sigmoid(s * v[b * from + j] + o);
                    p[b] += a * opened, l[b] += c * opened;
                }
            }
            for (int64_t b = 0; b < B; ++b)
                store(pull + b * width + i, p[b]), store(leak + b * width + i, l[b]);
        }
    }
};

// Gradients of the parameters, added up: of A and C, and of z = sigma v + offset.
struct Gradients {
    std::vector<float> pulling, leaking, slope, offset;
    explicit Gradients(const Synapses &s)
        : pulling(s.from * s.width), leaking(s.from * s.width), slope(s.from * s.width), offset(s.from * s.width) {}

    // Adds the gradient in v (B, J) to d_v, from that in its sums, (B, width) each.
    template <int64_t B>
    void back(const Synapses &s, const float *v, const float *d_pull, const float *d_leak, float *d_v) {
        for (int64_t j = 0; j < s.from; ++j) {
            Vector total[B] = {};
            for (int64_t i = 0; i < s.width; i += LANES) {
                const int64_t at = j * s.width + i;
                const Vector sigma = load(&s.sigma[at]), o = load(&s.pushed[at]);
                const Vector a = load(&s.pulling[at]), c = load(&s.leaking[at]);
                Vector d_a = load(&pulling[at]), d_c = load(&leaking[at]), d_s = load(&slope[at]), d_o = load(&offset[at]);
                for (int64_t b = 0; b < B; ++b) {
                    const float state = v[b * s.from + j];
                    const Vector opened = sigmoid(sigma * state + o);
                    const Vector p = load(d_pull + b * s.width + i), l = load(d_leak + b * s.width + i);
                    d_a += opened * p, d_c += opened * l;
                    const Vector d_z = (a * p + c * l) * (opened - opened * opened);
                    d_o += d_z, d_s += d_z * state, total[b] += d_z * sigma;
                }
                store(&pulling[at], d_a), store(&leaking[at], d_c), store(&slope[at], d_s), store(&offset[at], d_o);
            }
            for (int64_t b = 0; b < B; ++b) {
                float sum = 0.0f;
                for (int64_t lane = 0; lane < LANES; ++lane) sum += total[b][lane];
                d_v[b * s.from + j] += sum;
            }
        }
    }

    // (4, J, I): of A, C, sigma and mu.
    void finish(const Synapses &s, const float *mu, float *out) const {
        const int64_t size = s.from * s.to;
        for (int64_t j = 0; j < s.from; ++j)
            for (int64_t i = 0; i < s.to; ++i) {
                const int64_t at = j * s.width + i, to = j * s.to + i;
                out[to] = pulling[at], out[size + to] = leaking[at];
                out[2 * size + to] = slope[at] - mu[to] * offset[at];
                out[3 * size + to] = -s.sigma[at] * offset[at];
            }
    }
};

// Copies rows into B rows; those that are missing are 0, whose gradients are 0.
template <int64_t B> void gather(float *to, int64_t width, const float *from, int64_t columns, int64_t rows) {
    std::memset(to, 0, sizeof(float) * B * width);
    for (int64_t row = 0; row < rows; ++row) std::memcpy(to + row * width, from + row * columns, sizeof(float) * columns);
}

// Calls work(size, at, rows) for blocks of samples: up to BLOCK at a time, or one by one where that is less work.
template <typename Work> void each(int64_t first, int64_t last, Work work) {
    for (int64_t at = first; at < last;) {
        const int64_t left = last - at, rows = left >= BLOCK ? BLOCK : left > BLOCK / 2 ? left : 1;
        if (rows > 1) work(std::integral_constant<int64_t, BLOCK>{}, at, rows);
        else work(std::integral_constant<int64_t, 1>{}, at, rows);
        at += rows;
    }
}

} // namespace

extern "C" {

// out (2, N, I) from v (N, J), for columns first to last.
void liquid_sums(int64_t count, int64_t from, int64_t to, int64_t first, int64_t last, const float *v, const float *a,
                 const float *c, const float *sigma, const float *mu, float *out) {
    const Synapses s(from, to, a, c, sigma, mu);
    std::vector<float> block(BLOCK * from), pull(BLOCK * s.width), leak(BLOCK * s.width);
    each(first, last, [&](auto size, int64_t at, int64_t rows) {
        constexpr int64_t B = size;
        gather<B>(block.data(), from, v + at * from, from, rows);
        s.sums<B>(block.data(), pull.data(), leak.data());
        for (int64_t row = 0; row < rows; ++row) {
            std::memcpy(out + (at + row) * to, &pull[row * s.width], sizeof(float) * to);
            std::memcpy(out + (count + at + row) * to, &leak[row * s.width], sizeof(float) * to);
        }
    });
}

// d_v (N, J) and gradients (4, J, I) of the parameters from d_sums (2, N, I).
void liquid_sums_backward(int64_t count, int64_t from, int64_t to, int64_t first, int64_t last, const float *v,
                          const float *a, const float *c, const float *sigma, const float *mu, const float *d_sums,
                          float *d_v, float *d_parameters) {
    const Synapses s(from, to, a, c, sigma, mu);
    Gradients gradients(s);
    std::vector<float> block(BLOCK * from), d_block(BLOCK * from), pull(BLOCK * s.width), leak(BLOCK * s.width);
    each(first, last, [&](auto size, int64_t at, int64_t rows) {
        constexpr int64_t B = size;
        gather<B>(block.data(), from, v + at * from, from, rows);
        gather<B>(pull.data(), s.width, d_sums + at * to, to, rows);
        gather<B>(leak.data(), s.width, d_sums + (count + at) * to, to, rows);
        std::memset(d_block.data(), 0, sizeof(float) * d_block.size());
        gradients.back<B>(s, block.data(), pull.data(), leak.data(), d_block.data());
        std::memcpy(d_v + at * from, d_block.data(), sizeof(float) * rows * from);
    });
    gradients.finish(s, mu, d_parameters);
}

// states and inertia (T, n, B, I), for samples first to last: v' = v + dt (pull - v leak) / inertia, inertia = cm + dt leak.
// given (2, T, B, I), dt (T, B, I).
void liquid_unfold(int64_t frames, int64_t unfolds, int64_t batch, int64_t units, int64_t first, int64_t last,
                   const float *start, const float *given, const float *dt, const float *cm, const float *a,
                   const float *c, const float *sigma, const float *mu, float *states, float *inertia) {
    const Synapses s(units, units, a, c, sigma, mu);
    std::vector<float> v(BLOCK * units), pull(BLOCK * s.width), leak(BLOCK * s.width);
    each(first, last, [&](auto size, int64_t at, int64_t rows) {
        constexpr int64_t B = size;
        gather<B>(v.data(), units, start + at * units, units, rows);
        for (int64_t frame = 0; frame < frames; ++frame)
            for (int64_t unfold = 0; unfold < unfolds; ++unfold) {
                s.sums<B>(v.data(), pull.data(), leak.data());
                for (int64_t row = 0; row < rows; ++row) {
                    const int64_t outside = (frame * batch + at + row) * units;
                    const int64_t to = ((frame * unfolds + unfold) * batch + at + row) * units;
                    for (int64_t i = 0; i < units; ++i) {
                        const float leaks = leak[row * s.width + i] + given[frames * batch * units + outside + i];
                        const float pulls = pull[row * s.width + i] + given[outside + i];
                        const float step = dt[outside + i], old = v[row * units + i], divisor = cm[i] + step * leaks;
                        inertia[to + i] = divisor;
                        v[row * units + i] = states[to + i] = old + step * (pulls - old * leaks) / divisor;
                    }
                }
            }
    });
}

// From d_states (T, B, I): d_after (T, n, B, I), the gradient in the state after each unfold; d_start (B, I); and gradients
// (4, I, I) of the parameters.
void liquid_unfold_backward(int64_t frames, int64_t unfolds, int64_t batch, int64_t units, int64_t first, int64_t last,
                            const float *start, const float *dt, const float *cm, const float *a, const float *c,
                            const float *sigma, const float *mu, const float *states, const float *inertia,
                            const float *d_states, float *d_after, float *d_start, float *d_parameters) {
    const Synapses s(units, units, a, c, sigma, mu);
    Gradients gradients(s);
    const int64_t slice = batch * units;
    std::vector<float> v(BLOCK * units), d_v(BLOCK * units), pull(BLOCK * s.width), leak(BLOCK * s.width);
    each(first, last, [&](auto size, int64_t at, int64_t rows) {
        constexpr int64_t B = size;
        for (auto *zeros : {&d_v, &pull, &leak}) std::memset(zeros->data(), 0, sizeof(float) * zeros->size());
        for (int64_t number = frames * unfolds; number-- > 0;) {
            const int64_t frame = number / unfolds, here = number * slice + at * units;
            const float *before = number ? states + here - slice : start + at * units;
            gather<B>(v.data(), units, before, units, rows);
            for (int64_t row = 0; row < rows; ++row)
                for (int64_t i = 0; i < units; ++i) {
                    const int64_t to = here + row * units + i, outside = frame * slice + (at + row) * units + i;
                    float &d = d_v[row * units + i];
                    if ((number + 1) % unfolds == 0) d += d_states[outside];
                    d_after[to] = d;
                    const float share = d / inertia[to], rate = dt[outside] * share;
                    pull[row * s.width + i] = rate, leak[row * s.width + i] = -rate * states[to];
                    d = cm[i] * share;
                }
            gradients.back<B>(s, v.data(), pull.data(), leak.data(), d_v.data());
        }
        std::memcpy(d_start + at * units, d_v.data(), sizeof(float) * rows * units);
    });
    gradients.finish(s, mu, d_parameters);
}
}
