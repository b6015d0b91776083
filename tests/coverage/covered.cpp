// SPDX-License-Identifier: BSD-2-Clause
// The accelerator as Verilator translates it, behind the functions of sim/cxxrtl_loop.cpp, and what was covered.
#include <cstddef>
#include <cstdint>

#include "Vliquid.h"
#include "verilated.h"
#include "verilated_cov.h"

namespace {

struct Simulation {
  VerilatedContext context;
  Vliquid design{&context};
  uint64_t cycles = 0;
};

// Settle logic before the edge, so that outputs show what stands just before it.
void settle(Simulation &s) {
  s.design.clk = 0;
  s.design.eval();
}

void edge(Simulation &s) {
  s.design.clk = 1;
  s.design.eval();
  s.cycles++;
}

size_t burst(Simulation &s, uint32_t base, const uint16_t *ask, size_t count, uint16_t *answer, uint64_t patience) {
  auto &d = s.design;
  size_t asked = 0, answered = 0;
  uint64_t idle = 0;
  d.response___05Fready = 1;
  while (answered < count && idle < patience) {
    d.request___05Fvalid = asked < count;
    if (asked < count) d.request___05Fpayload = base | (ask ? uint32_t(ask[asked]) << 9 : 0);
    settle(s);
    const bool taken = asked < count && d.request___05Fready, came = d.response___05Fvalid;
    if (came) {
      if (answer) answer[answered] = d.response___05Fpayload;
      answered++;
    }
    asked += taken;
    idle = taken || came ? 0 : idle + 1;
    edge(s);
  }
  d.request___05Fvalid = 0;
  return answered;
}

}  // namespace

extern "C" {

void *liquid_new() {
  auto *s = new Simulation;
  s->design.request___05Fvalid = s->design.response___05Fready = 0;
  return s;
}

void liquid_free(void *handle) { delete static_cast<Simulation *>(handle); }

void liquid_reset(void *handle, uint64_t cycles) {
  auto &s = *static_cast<Simulation *>(handle);
  for (int level = 1; level >= 0; level--) {
    s.design.rst = level;
    for (uint64_t i = 0; i < cycles; i++) {
      settle(s);
      edge(s);
    }
  }
}

size_t liquid_write(void *handle, uint8_t address, const uint16_t *words, size_t count, uint64_t patience) {
  return burst(*static_cast<Simulation *>(handle), 1u | uint32_t(address) << 1, words, count, nullptr, patience);
}

size_t liquid_read(void *handle, uint8_t address, uint16_t *words, size_t count, uint64_t patience) {
  return burst(*static_cast<Simulation *>(handle), uint32_t(address) << 1, nullptr, count, words, patience);
}

int liquid_wait(void *handle, uint64_t limit) {
  auto &s = *static_cast<Simulation *>(handle);
  for (uint64_t i = 0; i < limit; i++) {
    settle(s);
    const bool high = s.design.__SYM__interrupt;  // Verilator keeps `interrupt` for itself
    edge(s);
    if (high) return 1;
  }
  return 0;
}

uint64_t liquid_cycles(void *handle) { return static_cast<Simulation *>(handle)->cycles; }

// Writes how often each point was reached by this simulation.
void liquid_coverage(void *handle, const char *path) {
  static_cast<Simulation *>(handle)->context.coveragep()->write(path);
}
}
