// SPDX-License-Identifier: BSD-2-Clause
// Bursts over the request and response streams of a device, and the wait for its interrupt, as loops in C++: one call
// from Python for each burst, not for each cycle.
#include "cxxrtl_step.h"

namespace {

// Make `count` requests, `base` with the words of `ask` where it is not null, and store the answers where `answer` is not
// null. Returns how many were answered: fewer than `count` when nothing moved for `patience` cycles.
size_t burst(Simulation &s, uint32_t base, const uint16_t *ask, size_t count, uint16_t *answer, uint64_t patience) {
  auto &d = s.design;
  size_t asked = 0, answered = 0;
  uint64_t idle = 0;
  d.p_response____ready.data[0] = 1;
  while (answered < count && idle < patience) {
    d.p_request____valid.data[0] = asked < count;
    if (asked < count) d.p_request____payload.data[0] = base | (ask ? uint32_t(ask[asked]) << 9 : 0);
    evaluate(s);
    const bool taken = asked < count && d.p_request____ready.template get<uint8_t>();
    const bool came = d.p_response____valid.template get<uint8_t>();
    if (came) {
      if (answer) answer[answered] = d.p_response____payload.template get<uint16_t>();
      answered++;
    }
    asked += taken;
    idle = taken || came ? 0 : idle + 1;
    commit(s);
  }
  d.p_request____valid.data[0] = 0;
  return answered;
}

}  // namespace

extern "C" {

void *liquid_new() { return new (std::nothrow) Simulation; }

void liquid_free(void *handle) { delete static_cast<Simulation *>(handle); }

void liquid_reset(void *handle, uint64_t cycles) { reset(*static_cast<Simulation *>(handle), cycles); }

size_t liquid_write(void *handle, uint8_t address, const uint16_t *words, size_t count, uint64_t patience) {
  return burst(*static_cast<Simulation *>(handle), 1u | uint32_t(address) << 1, words, count, nullptr, patience);
}

size_t liquid_read(void *handle, uint8_t address, uint16_t *words, size_t count, uint64_t patience) {
  return burst(*static_cast<Simulation *>(handle), uint32_t(address) << 1, nullptr, count, words, patience);
}

// Advance until the interrupt line is high, at most `limit` cycles. Returns whether it is high.
int liquid_wait(void *handle, uint64_t limit) {
  auto &s = *static_cast<Simulation *>(handle);
  for (uint64_t i = 0; i < limit; i++) {
    evaluate(s);
    const bool high = s.design.p_interrupt.template get<uint8_t>();
    commit(s);
    if (high) return 1;
  }
  return 0;
}

uint64_t liquid_cycles(void *handle) { return static_cast<Simulation *>(handle)->cycles; }
}
