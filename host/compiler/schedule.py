# SPDX-License-Identifier: BSD-2-Clause
"""Stalls: the smallest that keep every hazard of docs/isa.md away, found by following the program.

The program is followed from FRAME on, with both parities, through every way that its forward jumps leave open, loops
over all their rows. What is under way is kept as the snapshot slot of the last write of each row. A backward jump, PLAN
and DECIDE wait until nothing is under way, so that the ways behind them begin afresh.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from liquid_accel.image import space_rows
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import (
    E_S,
    STALL_MAX,
    AddSource,
    Cond,
    Control,
    Factor,
    Instruction,
    Op,
    Space,
    Timing,
    drain,
)  # fmt: skip

Row = tuple[Space, int]
_LONG_AGO = -(1 << 20)


@dataclass
class Flight:
    """What is under way before an instruction whose first slot, without a stall, is cycle 0.

    Times are slots of snapshots: the last write of each row, the last snapshot, the last that went into the norm or the
    peak, the last that went to the output FIFO, the last that was tracked.
    """

    parity: int
    written: dict[Row, int] = field(default_factory=dict)
    snapshot: int = _LONG_AGO
    judged: int = _LONG_AGO
    pushed: int = _LONG_AGO
    tracked: int = _LONG_AGO

    def later(self, cycles: int, horizon: int) -> Flight:
        """The same, `cycles` on; what has long landed is forgotten."""

        def moved(slot: int) -> int:
            return slot - cycles if slot - cycles > -horizon else _LONG_AGO

        written = {row: slot - cycles for row, slot in self.written.items() if slot - cycles > -horizon}
        return Flight(
            self.parity, written, moved(self.snapshot), moved(self.judged), moved(self.pushed), moved(self.tracked)
        )

    @property
    def key(self) -> tuple[object, ...]:
        times = self.snapshot, self.judged, self.pushed, self.tracked
        return (self.parity, frozenset(self.written.items()), *times)


class Scheduler:
    """Finds the stalls of programs for one configuration."""

    def __init__(self, config: LiquidConfig):
        self.config, self.lanes = config, config.lanes
        self.drain = drain(config.lanes)
        self.horizon = self.drain + max(Timing.NORM, Timing.TRACK) + 2

    # ---- One instruction

    def _row(self, space: Space, row: int, flip: int) -> Row:
        depth = space_rows(self.config, space)
        return space, (row % depth) ^ (depth // 2 if flip else 0)

    def earliest(self, i: Instruction, r: int, flight: Flight) -> int:
        """The first slot that the instruction may have."""
        if i.op == Op.CONTROL:
            return self._control(i, flight)
        flip, slots = i.x_par & flight.parity, [0]
        if i.op == Op.DOT:
            for k in range(-(-i.cols // self.lanes)):
                # a row is fetched whole, so that its last lane decides
                written = flight.written.get(self._row(Space.VECTOR, i.x + k, flip), _LONG_AGO)
                slots.append(written + self.drain - k * self.lanes)
        elif i.op == Op.TERM:
            written = flight.written.get(self._row(Space.VECTOR, i.x + (r if i.indexed else 0), flip), _LONG_AGO)
            row, lane = divmod(i.w & 0xFF, self.lanes)
            scalar = flight.written.get((Space.S, row), _LONG_AGO)
            slots += [written + self.drain, scalar + self.drain - (self.lanes - 1) + lane]
        if i.last:
            before = i.slots(self.lanes) - 1
            slots += [slot - before for slot in self._snapshots(i, r, flight)]
        return max(slots)

    def _snapshots(self, i: Instruction, r: int, flight: Flight) -> list[int]:
        """Slots that the snapshot may not come before."""
        f = i.finish
        ri = r if f.indexed else 0
        slots = [flight.snapshot + self.lanes]
        if f.e_mask & E_S:
            slots.append(flight.tracked + self.lanes + Timing.TRACK)
        reads = (
            (f.a_sel == AddSource.MEMORY, Space.A, f.a, 0, Timing.READ_A),
            (bool(f.sub or f.add), Space.B, f.b, f.b_par & flight.parity, Timing.READ_B),
            (f.c_sel == Factor.MEMORY, Space.C, f.c, 0, Timing.READ_C),
        )
        for wanted, space, row, flip, stage in reads:
            if wanted:
                # reads and writes both move on by a lane a cycle
                written = flight.written.get(self._row(space, row + ri, flip), _LONG_AGO)
                slots.append(written + Timing.WRITE + 1 - stage)
        return slots

    def _control(self, i: Instruction, flight: Flight) -> int:
        empty = flight.snapshot + self.drain
        listed = flight.tracked + self.drain + Timing.TRACK
        if i.control in (Control.DECIDE, Control.JUDGE):
            # A tracked row may set stepsat.
            return max(0, empty, flight.judged + self.drain + Timing.NORM, listed)
        # A control takes effect when it is loaded, a cycle before a row of that cycle has pushed its words.
        pushed = flight.pushed + self.drain + 1
        if i.control == Control.LAG:
            return max(0, pushed, flight.judged + self.drain + Timing.NORM)
        if i.control in (Control.TAKE, Control.LIST, Control.TRACK):
            return max(0, listed)
        if i.control in (Control.PLAN, Control.DONE):
            return max(0, empty, listed)
        if i.control in (Control.EMIT, Control.ROOM):
            return max(0, pushed)
        return 0

    def after(self, i: Instruction, r: int, flight: Flight, stall: int) -> Flight:
        """What is under way once the instruction has issued after `stall`."""
        if i.op == Op.CONTROL:
            if i.control in (Control.PLAN, Control.DECIDE, Control.JUDGE, Control.FRAME):
                return Flight(flight.parity)
            later = flight.later(stall + i.slots(self.lanes), self.horizon)
            later.parity ^= i.control == Control.SWAP
            return later
        later = flight.later(stall + i.slots(self.lanes), self.horizon)
        if i.last:
            f, slot = i.finish, -1  # the snapshot has the instruction's last slot
            ri = r if f.indexed else 0
            later.snapshot = slot
            if f.v_en:
                later.written[self._row(Space.VECTOR, f.v + ri, f.v_par & flight.parity)] = slot
            for bit, space in enumerate((Space.A, Space.B, Space.C, Space.S)):
                if f.e_mask >> bit & 1:
                    later.written[self._row(space, f.e + ri, f.e_par & flight.parity)] = slot
            if f.norm or f.peak:
                later.judged = slot
            if f.out:
                later.pushed = slot
            if f.track:
                later.tracked = slot
        return later

    # ---- The program

    def schedule(self, program: list[Instruction]) -> list[Instruction]:
        """The program with its stalls."""
        stalls = [0] * len(program)
        ways: dict[int, list[Flight]] = {0: [Flight(0), Flight(1)]}
        at = 0
        again = {i.target for at, i in enumerate(program) if _jumps(i) and i.target <= at}
        while at < len(program):
            flights = _distinct(ways.pop(at, []))
            if at in again:
                flights = _distinct([*flights, Flight(0), Flight(1)])
            i, end = program[at], at + 1
            if i.op == Op.CONTROL and i.control == Control.LOOP:
                end = _loop_end(program, at)
                stalls[at:end], flights = self._loop(program[at:end], i.imm & 0xFF, flights)
            else:
                stalls[at] = max((self._stall(i, at, flight) for flight in flights), default=0)
                flights = [self.after(i, 0, flight, stalls[at]) for flight in flights]
                if i.op == Op.CONTROL and i.control == Control.DECIDE:
                    flights = [Flight(0), Flight(1)]
                if _jumps(i):
                    if i.target > at:
                        ways.setdefault(i.target, []).extend(flights)
                    if i.cond == Cond.ALWAYS:
                        flights = []
            ways.setdefault(end, []).extend(flights)
            at = end
        if max(stalls) > STALL_MAX:
            raise ValueError(f"a stall of {max(stalls)} is longer than {STALL_MAX}, which no hazard asks for")
        return [replace(i, stall=stall) for i, stall in zip(program, stalls, strict=True)]

    def _stall(self, i: Instruction, at: int, flight: Flight) -> int:
        if _jumps(i) and i.target <= at:
            pushed, judged = flight.pushed + self.drain + 1, flight.judged + self.drain + Timing.NORM
            landed = max(flight.snapshot + self.drain, flight.tracked + self.drain + Timing.TRACK, pushed, judged)
            return max(0, landed - 1)  # the target comes a cycle later
        return self.earliest(i, 0, flight)

    def _loop(self, loop: list[Instruction], rows: int, flights: list[Flight]) -> tuple[list[int], list[Flight]]:
        """Stalls of a LOOP and of its body, one an instruction for all rows, and what is under way behind it.

        The body has what its own rows need of one another; what they need of earlier instructions is waited for at the
        LOOP. Each cycle less there would have to be made up for in the body, in every row and so at no gain.
        """
        head, body = loop[0], loop[1:]
        stalls = self._body(body, rows, [Flight(parity) for parity in {flight.parity for flight in flights}])
        wait, ends = 0, []
        for flight in flights:
            now = self.after(head, 0, flight, 0)
            for r in range(rows):
                for i, stall in zip(body, stalls, strict=True):
                    wait = max(wait, self.earliest(i, r, now) - stall)
                    now = self.after(i, r, now, stall)
        for flight in flights:
            now = self.after(head, 0, flight, wait)
            for r in range(rows):
                for i, stall in zip(body, stalls, strict=True):
                    now = self.after(i, r, now, stall)
            ends.append(now)
        return [wait, *stalls], ends

    def _body(self, body: list[Instruction], rows: int, flights: list[Flight]) -> list[int]:
        """The smallest stalls of a loop's body."""
        stalls = [0] * len(body)
        while (shortage := self._shortage(body, rows, flights, stalls)) is not None:
            index, cycles = shortage
            stalls[index] += cycles
        # What one row needs may have been given to more than one instruction.
        for index in range(len(body)):
            while stalls[index]:
                fewer = [stall - (k == index) for k, stall in enumerate(stalls)]
                if self._shortage(body, rows, flights, fewer) is not None:
                    break
                stalls = fewer
        return stalls

    def _shortage(
        self, body: list[Instruction], rows: int, flights: list[Flight], stalls: list[int]
    ) -> tuple[int, int] | None:
        """The first instruction that comes too early, and by how many cycles."""
        for flight in flights:
            for r in range(rows):
                for index, (i, stall) in enumerate(zip(body, stalls, strict=True)):
                    missing = self.earliest(i, r, flight) - stall
                    if missing > 0:
                        return index, missing
                    flight = self.after(i, r, flight, stall)
        return None


def _jumps(i: Instruction) -> bool:
    return i.op == Op.CONTROL and i.control == Control.JUMP


def _distinct(flights: list[Flight]) -> list[Flight]:
    return list({flight.key: flight for flight in flights}.values())


def _loop_end(program: list[Instruction], at: int) -> int:
    """Index behind the last instruction of the loop that begins at `at`."""
    for index in range(at + 1, len(program)):
        if program[index].loop_end:
            return index + 1
    raise ValueError(f"the loop at {at} does not end")
