// SPDX-License-Identifier: BSD-2-Clause
// The device's loops (sim/cxxrtl_loop.cpp), and which of its mutants is alive: 0 for none of them.
#include "cxxrtl_loop.cpp"

extern "C" void liquid_mutant(void *handle, uint32_t number) {
  static_cast<Simulation *>(handle)->design.p_mutant.data[0] = number;
}
