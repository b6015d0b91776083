# SPDX-License-Identifier: BSD-2-Clause
"""A state machine with a flip-flop for each state: more flip-flops than a number would take, and no decoders."""

from collections.abc import Iterator
from contextlib import contextmanager

from amaranth.hdl import Cat, Module, Signal, Value


class OneHot:
    """What `m.FSM` is, in one-hot code; the tools keep the code that they are given.

        states = OneHot(m, "IDLE", "BUSY")     the first is the one after reset
        with states.at("IDLE"):
            with m.If(start):
                states.go("BUSY")              the last of several counts; none: it stays
        states.close()

    On iCE40, where a look-up table has four inputs, a state out of 32 takes two of them to decode, and each output of
    the machine several decoders.
    """

    def __init__(self, m: Module, *names: str) -> None:
        self._m, self._names = m, names
        self._state = Signal(len(names), init=1, name="state")
        self._following = [
            Signal(len(names), init=1 << place, name=f"after_{name.lower()}") for place, name in enumerate(names)
        ]
        self._at: int | None = None

    def active(self, *names: str) -> Value:
        """Whether the machine is in one of these states."""
        return Cat(self._state[self._names.index(name)] for name in names).any()

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """What holds in a state."""
        self._at = self._names.index(name)
        with self._m.If(self._state[self._at]):
            yield
        self._at = None

    def go(self, name: str) -> None:
        """The state after this one; inside `at`."""
        assert self._at is not None, "a state is left inside of it"
        self._m.d.comb += self._following[self._at].eq(1 << self._names.index(name))

    def close(self) -> None:
        """To be called once, after the last state."""
        following: Value = Cat()
        for here, after in zip(self._state, self._following):
            following = following | (after & here.replicate(len(after)))
        self._m.d.sync += self._state.eq(following)
