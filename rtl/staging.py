# SPDX-License-Identifier: BSD-2-Clause
"""Values that belong to a row, held for the stages of the element pipeline that use them.

Rows follow each other `lanes` cycles apart or more, while the pipeline is longer than that: several rows are in it at
once. What an instruction says about its row is therefore handed on from stage to stage, in hops of at most `lanes`
stages, as element 0 passes.
"""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Module, Signal, Value


@dataclass(frozen=True)
class Standing:
    """A value of a row that stands by itself while element 0 is at the stages `first` to `last`."""

    name: str
    value: Value
    first: int
    last: int


class Staging:
    """Tokens, lane counters and held values for one pipeline.

    start   high while element 0 is at stage `first`
    lanes   elements of a row, and the least distance of two rows
    """

    def __init__(self, m: Module, start: Value, lanes: int, first: int) -> None:
        self._m, self.lanes, self._first = m, lanes, first
        self._tokens: list[Value] = [start]  # index k: element 0 is at stage first + k
        self._registers: dict[tuple[str, int], Signal] = {}

    def token(self, stage: int) -> Value:
        """High while element 0 is at `stage`."""
        while len(self._tokens) <= stage - self._first:
            later = Signal(name=f"token_{len(self._tokens)}")
            self._m.d.sync += later.eq(self._tokens[-1])
            self._tokens.append(later)
        return self._tokens[stage - self._first]

    def at(self, source: Standing, stage: int) -> Value:
        """The value, where element 0 is at `stage`: no earlier than it stands by itself."""
        if stage <= source.last:
            assert stage >= source.first, f"{source.name} does not stand at stage {stage}"
            return source.value
        return self._register(source, max(source.last, stage - self.lanes) + 1)

    def held(self, source: Standing, stage: int) -> Value:
        """The value, as it stands for every element at `stage`."""
        if source.first <= stage and stage + self.lanes - 1 <= source.last:
            return source.value
        return self._register(source, stage)

    def _register(self, source: Standing, stage: int) -> Signal:
        """A copy that stands from the cycle in which element 0 is at `stage`, for `lanes` cycles."""
        key = (source.name, stage)
        if key not in self._registers:
            register = Signal.like(source.value, name=f"{source.name}_at_{stage}")
            before, token = self.at(source, stage - 1), self.token(stage - 1)
            with self._m.If(token):
                self._m.d.sync += register.eq(before)
            self._registers[key] = register
        return self._registers[key]

    def lane(self, stage: int) -> Signal:
        """Lane number of the element at `stage`."""
        counter = Signal(range(self.lanes), name=f"lane_at_{stage}")
        token = self.token(stage - 1)
        with self._m.If(token):
            self._m.d.sync += counter.eq(0)
        with self._m.Else():
            self._m.d.sync += counter.eq(counter + 1)
        return counter

    def valid(self, stage: int, lane: Value) -> Signal:
        """High while an element is at `stage`; `lane` is that stage's counter."""
        active = Signal(name=f"valid_at_{stage}")
        token = self.token(stage - 1)
        with self._m.If(token):
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
