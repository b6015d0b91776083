// SPDX-License-Identifier: BSD-2-Clause
// The bus loop of cxxrtl_loop.cpp, which also keeps the values of some signals in every cycle, for waveforms. A signal is
// named as in the flattened design and was made an output of it (sim/trace.py, which reads this list).
#include <vector>

#include "cxxrtl_step.h"

#define SIGNALS(X) \
  X(core.sequencer.pc, core_2e_sequencer_2e_pc) \
  X(core.sequencer.load, core_2e_sequencer_2e_load) \
  X(core.sequencer.idle, core_2e_sequencer_2e_idle) \
  X(core.sequencer.flags, core_2e_sequencer_2e_flags) \
  X(core.sequencer.header, core_2e_sequencer_2e_header) \
  X(core.sequencer.frame_start, core_2e_sequencer_2e_frame__start) \
  X(core.sequencer.frame_done, core_2e_sequencer_2e_frame__done) \
  X(core.sequencer.parity, core_2e_sequencer_2e_parity) \
  X(core.sequencer.row, core_2e_sequencer_2e_row) \
  X(core.sequencer.emit, core_2e_sequencer_2e_emit) \
  X(core.sequencer.slot.product, core_2e_sequencer_2e_slot_2e_product) \
  X(core.sequencer.slot.snapshot, core_2e_sequencer_2e_slot_2e_snapshot) \
  X(core.sequencer.plan, core_2e_sequencer_2e_plan) \
  X(core.controller.step, core_2e_controller_2e_step) \
  X(core.controller.left, core_2e_controller_2e_left) \
  X(core.controller.accepted, core_2e_controller_2e_accepted) \
  X(core.controller.rejected, core_2e_controller_2e_rejected) \
  X(core.controller.limited, core_2e_controller_2e_limited) \
  X(core.controller.halted, core_2e_controller_2e_halted) \
  X(core.counters.norm, core_2e_counters_2e_norm) \
  X(core.counters.clamped, core_2e_counters_2e_clamped) \
  X(core.elements.write_v, core_2e_elements_2e_write__v) \
  X(core.elements.write_v_row, core_2e_elements_2e_write__v__row) \
  X(core.elements.write_e, core_2e_elements_2e_write__e) \
  X(core.elements.write_e_row, core_2e_elements_2e_write__e__row) \
  X(core.elements.write_e_parity, core_2e_elements_2e_write__e__parity) \
  X(core.elements.write_lane, core_2e_elements_2e_write__lane) \
  X(core.elements.write_data, core_2e_elements_2e_write__data) \
  X(core.elements.write_out, core_2e_elements_2e_write__out) \
  X(core.fifo_in.level, core_2e_fifo__in_2e_level) \
  X(core.fifo_out.level, core_2e_fifo__out_2e_level) \
  X(core.active, core_2e_active) \
  X(interrupt, interrupt) \
  X(request__valid, request____valid) \
  X(request__ready, request____ready) \
  X(request__payload, request____payload) \
  X(response__valid, response____valid) \
  X(response__payload, response____payload)

namespace {

std::vector<uint32_t> rows;
bool keeping = true;

template <class Port>
uint32_t read_port(const Port &port) { return port.template get<uint32_t>(); }

// The edge, and before it the signals of the cycle that it ends.
inline bool traced_commit(Simulation &s) {
#define KEEP(name, port) rows.push_back(read_port(s.design.p_##port));
  if (keeping) { SIGNALS(KEEP) }
#undef KEEP
  return commit(s);
}

}  // namespace

#define commit traced_commit
#include "cxxrtl_loop.cpp"
#undef commit

extern "C" {

// Whether signals are kept from now on.
void trace_keep(void *, int keep) { keeping = keep; }

// Words that were kept since they were taken last, cycle after cycle.
size_t trace_size(void *) { return rows.size(); }

void trace_take(void *, uint32_t *words) {
  std::copy(rows.begin(), rows.end(), words);
  rows.clear();
}
}
