// SPDX-License-Identifier: BSD-2-Clause
// Registers and memories in place of CXXRTL's own, with the same members and about twice as fast together: a register
// is copied without a branch that asks whether it changed, and a memory port whose write mask is zero queues nothing
// (CXXRTL queues a write for each port in each cycle). There are no observers here, so that none is told of a change.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <cxxrtl/cxxrtl.h>

namespace cxxrtl {

// Commits so far that changed a word of some memory.
inline uint64_t memory_changes = 0;

template <size_t Bits>
struct fast_wire {
  static constexpr size_t bits = Bits;
  value<Bits> curr, next;

  fast_wire() = default;
  explicit constexpr fast_wire(const value<Bits> &init) : curr(init), next(init) {}
  template <typename... Init>
  explicit constexpr fast_wire(Init... init) : curr{init...}, next{init...} {}

  // As in CXXRTL: two registers are never meant to be the same.
  fast_wire(const fast_wire &) = delete;
  fast_wire &operator=(const fast_wire &) = delete;
  fast_wire(fast_wire &&) = default;
  fast_wire &operator=(fast_wire &&) = default;

  template <class Integer>
  Integer get() const { return curr.template get<Integer>(); }

  // The comparison goes away where its result is not used.
  template <class Observer>
  CXXRTL_ALWAYS_INLINE bool commit(Observer &) {
    const bool changed = curr != next;
    curr = next;
    return changed;
  }
};

template <size_t Width>
class fast_memory {
 public:
  const size_t depth;
  std::unique_ptr<value<Width>[]> data;

  explicit fast_memory(size_t depth) : depth(depth), data(new value<Width>[depth]) {}
  const value<Width> &operator[](size_t index) const { return data[index]; }
  value<Width> &operator[](size_t index) { return data[index]; }

  CXXRTL_ALWAYS_INLINE void update(size_t index, const value<Width> &word, const value<Width> &mask, int priority = 0) {
    if (!mask.is_zero()) push({index, word, mask, priority});
  }

  template <class Observer>
  CXXRTL_ALWAYS_INLINE bool commit(Observer &) { return !queue.empty() && apply(); }

 private:
  struct write {
    size_t index;
    value<Width> word, mask;
    int priority;
  };
  std::vector<write> queue;  // in the order of priority: the last write to a word wins

  __attribute__((noinline)) void push(const write &entry) {
    auto later = [](int priority, const write &other) { return priority < other.priority; };
    queue.insert(std::upper_bound(queue.begin(), queue.end(), entry.priority, later), entry);
  }

  __attribute__((noinline)) bool apply() {
    bool changed = false;
    for (const write &entry : queue) {
      const value<Width> before = data[entry.index];
      data[entry.index] = before.update(entry.word, entry.mask);
      changed |= data[entry.index] != before;
    }
    queue.clear();
    memory_changes += changed;
    return changed;
  }
};

}  // namespace cxxrtl
