# SPDX-License-Identifier: BSD-2-Clause
"""Values that belong to a row, held for the stages of the element pipeline that use them.

Rows follow each other `lanes` cycles apart or more, while the pipeline is longer than that: several rows are in it at
once. What an instruction says about its row is therefore handed on from stage to stage, in hops of at most `lanes`
stages, as element 0 passes.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value


class Staging:
    """Tokens, lane counters and held values for one pipeline.

    start   high in the cycle before element 0 is at stage 0
    lanes   elements of a row, and the least distance of two rows
    """

    def __init__(self, m: Module, start: Value, lanes: int) -> None:
        self._m, self.lanes = m, lanes
        self._tokens: list[Value] = [start]  # index k: element 0 is at stage k - 1
        self._held: dict[tuple[str, int], Value] = {}

    def token(self, stage: int) -> Value:
        """High while element 0 is at `stage` (-1 is `start`)."""
        while len(self._tokens) < stage + 2:
            later = Signal(name=f"token_{len(self._tokens) - 1}")
            self._m.d.sync += later.eq(self._tokens[-1])
            self._tokens.append(later)
        return self._tokens[stage + 1]

    def held(self, name: str, value: Value, stage: int, since: int = 0) -> Value:
        """`value`, as it stands for the elements at `stage`.

        It stands itself from the cycle in which element 0 is at stage `since`, for `lanes` cycles.
        """
        if stage == since:
            return value
        key = (name, stage)
        if key not in self._held:
            source = self.held(name, value, max(since, stage - self.lanes), since)
            register = Signal.like(value, name=f"{name}_at_{stage}")
            with self._m.If(self.token(stage - 1)):
                self._m.d.sync += register.eq(source)
            self._held[key] = register
        return self._held[key]

    def before(self, name: str, value: Value, stage: int, since: int = 0) -> Value:
        """The same, where it may be read while element 0 is at `stage` - 1, to be registered for `stage`."""
        return self.held(name, value, max(since, stage - self.lanes), since)

    def lane(self, stage: int) -> Signal:
        """Lane number of the element at `stage`."""
        counter = Signal(range(self.lanes), name=f"lane_at_{stage}")
        with self._m.If(self.token(stage - 1)):
            self._m.d.sync += counter.eq(0)
        with self._m.Else():
            self._m.d.sync += counter.eq(counter + 1)
        return counter

    def valid(self, stage: int, lane: Signal) -> Signal:
        """High while an element is at `stage`; `lane` is that stage's counter."""
        active = Signal(name=f"valid_at_{stage}")
        with self._m.If(self.token(stage - 1)):
            self._m.d.sync += active.eq(1)
        with self._m.Elif(lane == self.lanes - 1):
            self._m.d.sync += active.eq(0)
        return active

    def delay(self, value: Value, cycles: int, name: str) -> Value:
        """`value` that many cycles later."""
        for k in range(cycles):
            later = Signal.like(value, name=f"{name}_{k + 1}")
            self._m.d.sync += later.eq(value)
            value = later
        return value
