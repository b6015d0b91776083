// SPDX-License-Identifier: BSD-2-Clause
// The whole chip and the other end of its UART: bytes from the host become the waveform of the pin rx, the waveform of
// tx becomes bytes. 8 data bits, no parity, one stop bit, lowest bit first, `divisor` cycles a bit (docs/link.md).
#include <cstring>
#include <memory>
#include <vector>

#include "cxxrtl_step.h"

namespace {

constexpr int DATA_BITS = 8, FRAME_BITS = 10;
// A chip rests when its state comes back after some cycles in which nothing is on the wires: a counter that never stands
// still is no unrest. How often that is looked for, and the longest such period.
constexpr uint64_t LOOK_EVERY = 1024, LONGEST_PERIOD = 64;

// xorshift64*, of Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled" (2016).
struct Random {
  uint64_t state = 1;
  uint64_t next() {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545F4914F6CDD1DULL;
  }
};

struct Chip : Simulation {
  uint32_t divisor;
  uint64_t noise = 0;  // a bit on either wire is inverted with the probability noise / 2^32
  Random random;
  // Host to chip: `sending` holds what is left of the start, data and stop bits of a byte.
  std::vector<uint8_t> queue;
  size_t sent = 0;
  uint32_t sending = 0, sending_left = 0;  // bits behind the present one; cycles left of the present one
  int sending_bits = 0;
  bool rx = true;
  // Chip to host: the bits that were sampled, and the cycles to the next sample. Bit -1 is the start bit.
  int receiving_bit = -2;  // -2: the line is idle
  uint32_t receiving = 0, receiving_left = 0;
  uint64_t last_low = 0;  // the cycle in which tx was low last
  uint64_t framing_errors = 0;
  uint64_t period = 0;  // 0: the chip does not rest
  uint64_t skipped = 0;
  // All of the design but the words of its memories, of which it is known whether one changed.
  std::unique_ptr<uint8_t[]> snapshot{new uint8_t[sizeof(device::p_liquid)]};
  uint64_t snapshot_cycle = 0, snapshot_changes = 0;
  bool snapshot_taken = false;

  explicit Chip(uint32_t divisor) : divisor(divisor) { design.p_rx.data[0] = 1; }

  bool noisy(bool level) { return noise && (random.next() >> 32) < noise ? !level : level; }

  bool quiet() const { return sending_bits == 0 && sent == queue.size() && receiving_bit == -2 && rx; }

  // After a commit, with nothing on the wires: find out whether the chip rests.
  void look() {
    const uint64_t age = cycles - snapshot_cycle;
    if (!snapshot_taken || age >= LOOK_EVERY) {
      std::memcpy(snapshot.get(), static_cast<const void *>(&design), sizeof(design));
      snapshot_cycle = cycles;
      snapshot_changes = cxxrtl::memory_changes;
      snapshot_taken = true;
    } else if (age <= LONGEST_PERIOD && snapshot_changes == cxxrtl::memory_changes &&
               !std::memcmp(snapshot.get(), static_cast<const void *>(&design), sizeof(design))) {
      period = age;
    }
  }

  // Count the cycles up to `end`, as many as are whole periods, without simulating them.
  void skip(uint64_t end) {
    const uint64_t whole = (end - cycles) / period * period;
    cycles += whole;
    skipped += whole;
  }

  // The level of rx in this cycle.
  void drive() {
    if (sending_left == 0) {
      if (sending_bits == 0 && sent < queue.size()) {
        sending = uint32_t(queue[sent++]) << 1 | 1u << (DATA_BITS + 1);
        sending_bits = FRAME_BITS;
        period = 0;
        snapshot_taken = false;
        if (sent == queue.size()) queue.clear(), sent = 0;
      }
      if (sending_bits) {
        rx = noisy(sending & 1);
        sending >>= 1;
        sending_bits--;
        sending_left = divisor;
      } else {
        rx = true;
      }
      design.p_rx.data[0] = rx;
    }
    if (sending_left) sending_left--;
  }

  // Sample tx in the middle of each bit. Returns whether a byte is complete, which is then in `receiving`.
  bool sample() {
    const bool level = design.p_tx.template get<uint8_t>();
    if (!level) last_low = cycles;
    if (receiving_bit == -2) {
      if (level) return false;
      receiving_bit = -1;
      receiving_left = divisor / 2;
      receiving = 0;
      return false;
    }
    if (--receiving_left) return false;
    receiving_left = divisor;
    const bool seen = noisy(level);
    if (receiving_bit == -1) {
      receiving_bit = seen ? -2 : 0;
    } else if (receiving_bit < DATA_BITS) {
      receiving |= uint32_t(seen) << receiving_bit++;
    } else {
      receiving_bit = -2;
      framing_errors += !seen;
      return seen;
    }
    return false;
  }
};

}  // namespace

extern "C" {

void *chip_new(uint32_t divisor) { return new (std::nothrow) Chip(divisor); }

void chip_free(void *handle) { delete static_cast<Chip *>(handle); }

void chip_reset(void *handle, uint64_t cycles) {
  auto &c = *static_cast<Chip *>(handle);
  reset(c, cycles);
  c.period = 0;
  c.snapshot_taken = false;
}

// Bits on both wires are inverted with the probability noise / 2^32 from now on.
void chip_noise(void *handle, uint64_t noise, uint64_t seed) {
  auto &c = *static_cast<Chip *>(handle);
  c.noise = noise;
  c.random.state = seed | 1;
}

// Queue `count` bytes to the chip and advance by at most `limit` cycles; store the bytes that come back. Ends sooner when
// `capacity` bytes have come, or one has and tx has been high for `quiet` cycles since. Cycles in which the chip rests
// are counted, not simulated. Returns the number of bytes stored.
size_t chip_run(void *handle, const uint8_t *bytes, size_t count, uint8_t *out, size_t capacity, uint64_t limit,
                uint64_t quiet) {
  auto &c = *static_cast<Chip *>(handle);
  c.queue.insert(c.queue.end(), bytes, bytes + count);
  const uint64_t end = c.cycles + limit;
  size_t stored = 0;
  while (c.cycles < end) {
    if (stored == capacity || (stored && c.receiving_bit == -2 && c.cycles - c.last_low > quiet)) break;
    if (stored == 0 && c.quiet()) {
      if (c.period == 0) c.look();
      if (c.period) c.skip(end);
      if (c.cycles == end) break;
    }
    c.drive();
    evaluate(c);
    if (c.sample()) out[stored++] = uint8_t(c.receiving);
    commit(c);
  }
  return stored;
}

// Bits 0 to 2: the outputs activity, error and interrupt; bit 3: the chip rests; bit 4: bytes wait to be sent to it.
uint32_t chip_state(void *handle) {
  auto &c = *static_cast<Chip *>(handle);
  auto &d = c.design;
  return d.p_activity.template get<uint8_t>() | d.p_error.template get<uint8_t>() << 1 |
         d.p_interrupt.template get<uint8_t>() << 2 | uint32_t(c.period && c.quiet()) << 3 | uint32_t(c.sent < c.queue.size()) << 4;
}

// Cycles so far; those of them that were counted and not simulated; bytes from the chip without a stop bit.
void chip_counts(void *handle, uint64_t counts[3]) {
  auto &c = *static_cast<Chip *>(handle);
  counts[0] = c.cycles;
  counts[1] = c.skipped;
  counts[2] = c.framing_errors;
}
}
