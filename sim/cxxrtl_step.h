// SPDX-License-Identifier: BSD-2-Clause
// A simulated device and its clock, for the loops in C++ that drive one: a loop includes this file and adds its own.
//
// One clock cycle is one evaluate() and one commit(). evaluate() computes all logic from the registers and inputs as
// they stand and, on a rising edge, the registers' next values; commit() makes them current. Between the two, outputs
// show what the device shows just before the edge, so that handshakes are sampled there. This holds in a flattened
// design without feedback through separate cells; with it (DEVICE_SETTLES), logic is settled with the clock low first.
#pragma once
#include <cstddef>
#include <cstdint>
#include <new>

#include "cxxrtl_fast.h"

// The generated code says `wire<N>` and `memory<N>`, and gets the faster ones.
#define wire fast_wire
#define memory fast_memory
#include "device.h"
#undef wire
#undef memory

namespace {

struct Simulation {
  device::p_liquid design;
  uint64_t cycles = 0;
};

// Complete one cycle up to the moment before its edge commits. Calls are qualified, because virtual ones are slower.
inline __attribute__((always_inline)) void evaluate(Simulation &s) {
  auto &d = s.design;
#if DEVICE_SETTLES
  d.p_clk.data[0] = 0;
  do d.device::p_liquid::eval(nullptr);
  while (d.device::p_liquid::commit());
#endif
  d.prev_p_clk.data[0] = 0;
  d.p_clk.data[0] = 1;
  d.device::p_liquid::eval(nullptr);
}

// The edge. Returns whether a register or memory changed; not to ask is faster.
inline __attribute__((always_inline)) bool commit(Simulation &s) {
  s.cycles++;
  return s.design.device::p_liquid::commit();
}

inline void advance(Simulation &s, uint64_t cycles) {
  for (uint64_t i = 0; i < cycles; i++) {
    evaluate(s);
    commit(s);
  }
}

// Hold reset for `cycles` and let as many pass after it.
inline void reset(Simulation &s, uint64_t cycles) {
  for (int level = 1; level >= 0; level--) {
    s.design.p_rst.data[0] = level;
    advance(s, cycles);
  }
}

}  // namespace
