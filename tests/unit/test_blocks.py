# SPDX-License-Identifier: BSD-2-Clause
"""Blocks of the gateware in Amaranth's simulator, against the golden model's arithmetic, at the latencies they state.

Those with a cocotb test of their own (tests/cocotb) are not here.
"""

import random
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product, takewhile
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_accel.rtl import registers
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.rtl.csr import RegisterBlock
from liquid_accel.rtl.element_pipeline import ElementPipeline
from liquid_accel.rtl.gate_unit import GateUnit
from liquid_accel.rtl.isa import (
    CONTROL_FIELDS,
    FINISH_FIELDS,
    MARK_DONE,
    AddSource,
    Cond,
    Control,
    Factor,
    Finish,
    Flag,
    Instruction,
    Mode,
    Op,
    Space,
    Timing,
    unpack,
)
from liquid_accel.rtl.memory import Fifo
from liquid_accel.rtl.multiplier import RowMultiplier
from liquid_accel.rtl.narrow import Narrow, SaturatingAdd
from liquid_accel.sim.golden import GoldenTransport, arithmetic
from liquid_accel.sim.golden.memory import SharedMemory
from liquid_accel.sim.golden.rows import RowUnit
from liquid_accel.sim.golden.state import Frames, State
from liquid_accel.sim.pysim import PysimTransport

EDGES = (-32768, -32767, -16384, -1, 0, 1, 2, 16384, 32766, 32767)


def simulate(component: Any, bench: Any, clocked: bool = True) -> None:
    """Run the coroutine function `bench` on `component`."""
    simulator = Simulator(component)
    if clocked:
        simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def words(*values: int) -> arithmetic.Int:
    return np.array(values, np.int64)


def word(rng: random.Random) -> int:
    return rng.choice(EDGES) if rng.random() < 0.3 else rng.randrange(-32768, 32768)


def streamed(component: Any, inputs: Iterable[dict[str, int]], outputs: tuple[str, ...], latency: int) -> list[Any]:
    """The outputs of each element, `latency` cycles after its inputs, elements following each other without a gap."""
    given_inputs, seen = list(inputs), []

    async def bench(ctx: Any) -> None:
        for at in range(len(given_inputs) + latency):
            for name, value in (given_inputs[at] if at < len(given_inputs) else {}).items():
                ctx.set(getattr(component, name), value)
            if at >= latency:
                seen.append(tuple(ctx.get(getattr(component, name)) for name in outputs))
            await ctx.tick()

    simulate(component, bench)
    return seen


# ---- Arithmetic ------------------------------------------------------------------------------------------------


def around_powers(width: int) -> Iterator[int]:
    """Every power of two with its neighbours, halves between them, of both signs."""
    for k in range(width):
        for base in (1 << k, 3 << k >> 1, (1 << k) + 32767, (1 << k) - 32768):
            for x in (base - 1, base, base + 1):
                yield from (v for v in (x, -x) if -(1 << width - 1) <= v < 1 << width - 1)


@pytest.mark.parametrize("latency", [1, 2])
@pytest.mark.parametrize("width", [24, 29, 32])
def test_narrow_shifts_rounds_half_up_and_saturates(width: int, latency: int) -> None:
    rng = random.Random(width)
    values = sorted(set(around_powers(width)))
    cases = [(rng.choice(values), amount) for amount in range(32) for _ in range(60)]
    # Just below, at and above what still fits, and the halves, for every amount.
    for amount, sign, offset in product(range(32), (-1, 1), (-1, 0, 1)):
        for x in (sign * (32768 << amount), (sign * 65535 << amount) >> 1, sign * (1 << amount >> 1)):
            if -(1 << width - 1) <= x + offset < 1 << width - 1:
                cases.append((x + offset, amount))
    inputs = [{"x": x, "amount": amount} for x, amount in cases]
    found = streamed(Narrow(width, latency), inputs, ("q", "clamped"), latency)
    x, amounts = np.array(cases, np.int64).T
    wide = arithmetic.rshift(x, amounts)
    exact = arithmetic.sat16(wide)
    for case, (q, clamped), ours, event in zip(cases, found, exact.tolist(), (exact != wide).tolist()):
        assert (q, bool(clamped)) == (ours, event), case


def test_the_saturating_adder_clamps_and_says_so() -> None:
    adder, rng = SaturatingAdd(), random.Random(1)

    async def bench(ctx: Any) -> None:
        pairs = [*product(EDGES, EDGES), *((word(rng), word(rng)) for _ in range(1000))]
        for a, b in pairs:
            ctx.set(adder.a, a)
            ctx.set(adder.b, b)
            exact = int(arithmetic.sat16(words(a + b))[0])
            assert (ctx.get(adder.s), ctx.get(adder.clamped)) == (exact, exact != a + b), (a, b)

    simulate(adder, bench, clocked=False)


@pytest.mark.parametrize(("width", "rows"), [(4, 3), (17, 6), (11, 8)])
def test_a_row_multiplier_adds_its_product_to_the_start(width: int, rows: int) -> None:
    multiplier, rng = RowMultiplier(width, rows), random.Random(1)
    a, b = range(-(1 << width - 1), 1 << width - 1), range(1 << rows)

    async def bench(ctx: Any) -> None:
        every = product(a, b, a) if width == 4 else ((rng.choice(a), rng.choice(b), rng.choice(a)) for _ in range(2000))
        for x, y, start in every:
            ctx.set(multiplier.a, x)
            ctx.set(multiplier.b, y)
            ctx.set(multiplier.start, start)
            assert ctx.get(multiplier.total) == start + x * y

    simulate(multiplier, bench, clocked=False)


def gated(element: dict[str, int], step: int, pool: int) -> tuple[int, bool]:
    """Steps 4 to 6 of docs/isa.md, "finish", by the golden model's arithmetic: out, and whether something clamped."""
    d = element["f"] - (element["base"] if element["subtract"] else 0)
    exponent, mantissa = words(0), words(arithmetic.MANTISSA_ONE)
    if element["factor"] == Factor.STEP:
        mantissa = arithmetic.split_code(words(step))[1]
    elif element["factor"] != Factor.ONE:
        code = element["code"] if element["factor"] == Factor.MEMORY else pool
        exponent, mantissa = arithmetic.split_code(words(code))
    n, negative = arithmetic.shift_count(element["shift"], exponent)
    wide = arithmetic.multiply(words(d), mantissa, n)
    v = arithmetic.sat16(wide)
    total = v + (element["base"] if element["add"] else 0)
    out = arithmetic.sat16(total)
    return int(out[0]), bool(negative[0] or v[0] != wide[0] or out[0] != total[0])


@pytest.mark.parametrize("seed", [1, 2])
def test_the_gate_is_the_golden_models(seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    step, pool = rng.getrandbits(16), rng.getrandbits(16)
    elements = []
    for _ in range(1500):
        element = {"f": word(rng), "base": word(rng), "subtract": rng.getrandbits(1), "add": rng.getrandbits(1)}
        element |= {"factor": rng.choice(tuple(Factor)), "code": rng.getrandbits(16), "shift": rng.randrange(64)}
        if rng.random() < 0.7:  # a shift after which something is left
            exponent = {Factor.MEMORY: element["code"] >> 11, Factor.POOL: pool >> 11}.get(element["factor"], 0)
            element["shift"] = min(exponent + rng.randrange(8, 14), 63)
        elements.append(element)
    late = ("factor", "shift", "code")  # come a cycle later
    inputs = []
    for at in range(len(elements) + 1):
        now, before = elements[min(at, len(elements) - 1)], elements[max(at - 1, 0)]
        inputs.append({**{n: v for n, v in now.items() if n not in late}, **{n: before[n] for n in late}})
    inputs[0] |= {"step": step, "pool": pool}
    found = streamed(GateUnit(), inputs, ("out", "clamped"), GateUnit.latency)
    for element, (out, clamped) in zip(elements, found):
        assert (out, bool(clamped)) == gated(element, step, pool), (seed, element)
    assert len({clamped for _, clamped in found}) == 2


# ---- FIFO ------------------------------------------------------------------------------------------------------

DEPTH = 8


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from((0.1, 0.5, 0.9)), st.sampled_from((0.1, 0.5, 0.9))), min_size=1, max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_a_fifo_keeps_order_and_loses_nothing(phases: list[tuple[float, float]], seed: int) -> None:
    """A word is valid two cycles after it was written; full and empty ends are safe to push at."""
    fifo, rng = Fifo(DEPTH), random.Random(seed)
    held: deque[tuple[int, int]] = deque()  # word, cycle in which it was written

    async def bench(ctx: Any) -> None:
        cycle = 0
        for writing, reading in phases:
            for _ in range(40):
                write, read, clear = rng.random() < writing, rng.random() < reading, rng.random() < 0.01
                data = rng.getrandbits(16)
                for name, value in (("write", write), ("write_data", data), ("read", read), ("clear", clear)):
                    ctx.set(getattr(fifo, name), value)
                valid = bool(held) and held[0][1] <= cycle - 2
                assert ctx.get(fifo.level) == len(held)
                assert ctx.get(fifo.room) == DEPTH - len(held)
                assert ctx.get(fifo.valid) == valid
                room = len(held) < DEPTH
                if valid:
                    assert ctx.get(fifo.read_data) == held[0][0]
                    if read:
                        held.popleft()
                if write and room:
                    held.append((data, cycle))
                if clear:
                    held.clear()
                await ctx.tick()
                cycle += 1

    simulate(fifo, bench)


# ---- The element pipeline ----------------------------------------------------------------------------------------


class Rows:
    """Random rows for an element pipeline, and what the golden model's finish makes of each."""

    def __init__(self, config: LiquidConfig, seed: int) -> None:
        self.config, self.rng = config, random.Random(seed)
        rng = self.rng
        self.state = State(config, 1)
        shared = SharedMemory(config)
        table = [0]
        for _ in range(256 * config.tables - 1):
            table.append(min(max(table[-1] + rng.randrange(-600, 601), -20000), 20000))
        self.table = table
        shared.write(Space.TABLE, np.arange(len(table)), np.array(table, np.int64).astype(np.uint16))
        self.memory = {}
        for space in (Space.A, Space.B, Space.C):
            data = self.state.banks[space].data
            data[:] = np.array([word(rng) for _ in range(data.size)]).reshape(data.shape)
            self.memory[space] = data.reshape(-1).tolist()
        self.before = {space: bank.data.copy() for space, bank in self.state.banks.items()}
        self.log_dt, self.step, self.pool = word(rng), rng.getrandbits(16), rng.getrandbits(16)
        self.state.log2_dt[:], self.state.pool[:] = self.log_dt, self.pool
        self.state.controller.step_code[:] = self.step
        self.inputs = [word(rng) for _ in range(3 * config.lanes + 1)]
        self.unit = RowUnit(config, shared, self.state)
        self.unit.frames = Frames(np.array(self.inputs)[None, None, :], words(1), words(0))

    def finish(self) -> Finish:
        rng = self.rng
        values = unpack(FINISH_FIELDS, rng.getrandbits(80))
        kinds = (("mode", Mode), ("a_sel", AddSource), ("c_sel", Factor))
        values |= {name: rng.choice(tuple(kind)) for name, kind in kinds}
        values |= {"table": rng.randrange(self.config.tables), "source": rng.random() < 0.2}
        if rng.random() < 0.7:
            values |= {"c_shift": rng.randrange(8, 30), "narrow": rng.randrange(8, 24)}
        return Finish(**values)

    def row(self) -> dict[str, Any]:
        """A row: its finish word, sums and so on, and what is written in which lane."""
        rng, lanes = self.rng, self.config.lanes
        f, row, parity = self.finish(), rng.randrange(1 << 7), rng.getrandbits(1)
        sums = [rng.getrandbits(32) - (1 << 31) >> rng.randrange(32) for _ in range(lanes)]
        scale = [rng.randrange(32) for _ in range(lanes)]
        self.state.parity[:], self.state.saturations[:] = parity, 0
        taken = int(self.state.taken[0])
        everything = replace(f, v_en=1, v_par=0, out=0, norm=0, peak=0)
        index = words(0)
        self.unit.finish(0, everything, index, words(row), np.array(sums)[None, None], np.array(scale)[None, None])
        out = self.state.banks[Space.VECTOR].read(index, words(f.v + (row if f.indexed else 0)))[0, 0]
        for space, bank in self.state.banks.items():
            bank.data[:] = self.before[space]
        rows = self.config.vector_rows
        v_row = (f.v + (row if f.indexed else 0)) % rows ^ (rows // 2 if f.v_par and parity else 0)
        written = {
            "write_data": out.tolist(), "write_v": [f.v_en] * lanes, "write_e": [f.e_mask] * lanes,
            "write_out": [f.out] * lanes, "square": [f.norm] * lanes, "watch": [f.peak] * lanes,
            "write_lane": list(range(lanes)),
        }  # fmt: skip
        if f.v_en:
            written["write_v_row"] = [v_row] * lanes
        if f.e_mask:
            written["write_e_row"] = [(f.e + (row if f.indexed else 0)) & 127] * lanes
            written["write_e_parity"] = [f.e_par & parity] * lanes
        return {
            "finish": f, "row": row, "parity": parity, "sums": sums, "scale": scale, "written": written,
            "events": int(self.state.saturations[0]), "taken": int(self.state.taken[0]) - taken,
        }  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("lanes", [4, 8])
def test_rows_pass_the_element_pipeline_at_its_stages(lanes: int, seed: int) -> None:
    """Several rows are under way at once; what is said about each stands no longer than it has to."""
    print(f"seed {seed}")
    config = preset("test", lanes=lanes)
    pipeline, rows, rng = ElementPipeline(config), Rows(config, seed), random.Random(seed)
    starts, at = [], 2
    for _ in range(60):
        starts.append(at)
        at += lanes + rng.choice((0, 0, 0, 1, rng.randrange(20)))
    made = [rows.row() for _ in starts]
    driven: dict[int, dict[str, Any]] = {}
    wanted: dict[int, dict[str, int]] = {}
    for start, row in zip(starts, made):
        driven.setdefault(start, {})["start"] = 1
        for lane in range(lanes):
            now = driven.setdefault(start + lane, {})
            now |= {"row": row["row"], "parity": row["parity"]}
            now = driven.setdefault(start + 1 + lane, {})
            now |= {"finish": row["finish"].encode(), "sum": row["sums"][lane], "scale": row["scale"][lane]}
            # Stage 0 is the cycle after `start`.
            wanted[start + 1 + Timing.WRITE + lane] = {name: w[lane] for name, w in row["written"].items()}
    last = max(wanted) + 3
    quiet = ("write_v", "write_e", "write_out", "square", "watch", "clamped")
    taken_of, events_of = [0] * len(starts), [0] * len(starts)

    def owner(cycle: int, stage: int) -> int:
        """Which row has an element at `stage` in `cycle`."""
        return next(k for k, start in enumerate(starts) if 0 <= cycle - start - 1 - stage < lanes)

    async def bench(ctx: Any) -> None:
        ctx.set(pipeline.host, 1)
        for index, entry in enumerate(rows.table):
            ctx.set(pipeline.host_index, index)
            ctx.set(pipeline.host_write_data, entry & 0xFFFF)
            ctx.set(pipeline.host_write, 1)
            await ctx.tick()
        ctx.set(pipeline.host_write, 0)
        ctx.set(pipeline.host, 0)
        for name, value in (("log_dt", rows.log_dt), ("step", rows.step), ("pool", rows.pool)):
            ctx.set(getattr(pipeline, name), value)
        left = deque(rows.inputs)
        answers: dict[str, int] = {}
        for cycle in range(last):
            now = driven.get(cycle, {})
            ctx.set(pipeline.start, now.get("start", 0))
            ctx.set(pipeline.finish.as_value(), now.get("finish", rng.getrandbits(80)))
            ctx.set(pipeline.sum, now.get("sum", rng.getrandbits(32) - (1 << 31)))
            ctx.set(pipeline.scale, now.get("scale", rng.randrange(32)))
            ctx.set(pipeline.row, now.get("row", rng.getrandbits(8)))
            ctx.set(pipeline.parity, now.get("parity", rng.getrandbits(1)))
            ctx.set(pipeline.input_left, bool(left))
            ctx.set(pipeline.input_data, left[0] if left else rng.randrange(-32768, 32768))
            for name, value in answers.items():
                ctx.set(getattr(pipeline, name), value)
            if cycle in wanted:
                for name, value in wanted[cycle].items():
                    what = (seed, cycle, name, made[owner(cycle, Timing.WRITE)])
                    assert ctx.get(getattr(pipeline, name)) == value, what
                events_of[owner(cycle, Timing.WRITE)] += ctx.get(pipeline.clamped)
            else:
                assert not any(ctx.get(getattr(pipeline, name)) for name in quiet), cycle
            if ctx.get(pipeline.input_take):
                left.popleft()
                taken_of[owner(cycle, Timing.READ_A)] += 1
            answers = {
                "a_data": rows.memory[Space.A][ctx.get(pipeline.a_address)],
                "b_data": rows.memory[Space.B][ctx.get(pipeline.b_address)],
                "c_data": rows.memory[Space.C][ctx.get(pipeline.c_address)] & 0xFFFF,
            }
            await ctx.tick()

    simulate(pipeline, bench)
    assert taken_of == [row["taken"] for row in made]
    assert events_of == [row["events"] for row in made]
    assert any(taken_of)
    assert any(events_of)


# ---- Registers ---------------------------------------------------------------------------------------------------


class Registers:
    """A register block with a core that the test plays."""

    def __init__(self) -> None:
        self.config = preset("test")
        self.block = RegisterBlock(self.config)
        self.written: list[tuple[int, int, int]] = []  # space, address, word
        self.answers = 0
        self.ctx: Any = None

    async def cycle(self) -> int | None:
        """A clock cycle; the response taken in it, if there was one. Counts responses, notes writes to memories."""
        ctx, block = self.ctx, self.block
        if ctx.get(block.host_write):
            written = (block.host_space, block.host_address, block.host_write_data)
            self.written.append(tuple(ctx.get(value) for value in written))
        taken = ctx.get(block.response.valid) and ctx.get(block.response.ready)
        answer = ctx.get(block.response.payload) if taken else None
        self.answers += taken
        await ctx.tick()
        return answer

    async def access(self, address: int, data: int | None = None, stall: int = 0) -> tuple[int, int]:
        """One request; (response, cycles from the request to the response). The response is not taken for `stall`."""
        ctx, block = self.ctx, self.block
        ctx.set(block.response.ready, 0)
        ctx.set(block.request.valid, 1)
        ctx.set(block.request.payload, {"write": data is not None, "address": address, "data": data or 0})
        while not ctx.get(block.request.ready):
            await self.cycle()
        await self.cycle()
        ctx.set(block.request.valid, 0)
        latency = 1
        while not ctx.get(block.response.valid):
            await self.cycle()
            latency += 1
            assert latency < 20, f"address {address:#x} does not answer"
        word = ctx.get(block.response.payload)
        for _ in range(stall):
            await self.cycle()
            assert ctx.get(block.response.valid)
            assert ctx.get(block.response.payload) == word
        ctx.set(block.response.ready, 1)
        assert await self.cycle() == word
        return word, latency

    async def read(self, name: str) -> int:
        return (await self.access(registers.address(name)))[0]

    async def write(self, name: str, word: int) -> None:
        assert (await self.access(registers.address(name), word))[0] == 0

    def run(self, script: Any) -> None:
        async def bench(ctx: Any) -> None:
            self.ctx = ctx
            ctx.set(self.block.idle, 1)
            ctx.set(self.block.host_read_data, 0x5A5A)
            await script(self, ctx)

        simulate(self.block, bench)


def test_every_address_answers_each_request_exactly_once() -> None:
    rng = random.Random(1)
    known = {register.address: register for register in registers.REGISTERS}

    async def script(bench: Registers, ctx: Any) -> None:
        ctx.set(bench.block.frames.ready, 1)
        for count, (address, write) in enumerate(product(range(256), (False, True)), 1):
            data = rng.getrandbits(16) if write else None
            word, latency = await bench.access(address, data, stall=rng.choice((0, 0, 3)))
            if write or address not in known or known[address].access == registers.Access.WRITE:
                assert word == 0, hex(address)
            if write or known.get(address) is not registers.BY_NAME["MEM_DATA"]:
                assert latency == 1, hex(address)
            assert bench.answers == count
            for _ in range(rng.choice((0, 6))):
                assert await bench.cycle() is None

    Registers().run(script)


def test_registers_without_a_gap_answer_in_order() -> None:
    """With a request in every cycle and a response taken in every cycle, both sides move in every cycle."""

    async def script(bench: Registers, ctx: Any) -> None:
        block, found = bench.block, []
        ctx.set(block.response.ready, 1)
        ctx.set(block.request.valid, 1)
        names = ["ID", "VERSION", "CONFIG_HASH_LOW", "CONFIG_HASH_HIGH"] * 4
        for name in names:
            ctx.set(block.request.payload, {"write": 0, "address": registers.address(name), "data": 0})
            assert ctx.get(block.request.ready)
            found.append(await bench.cycle())
        ctx.set(block.request.valid, 0)
        found.append(await bench.cycle())
        one = [registers.PRODUCT_ID, 1, bench.config.config_hash & 0xFFFF, bench.config.config_hash >> 16]
        assert found == [None, *one * 4]

    Registers().run(script)


def test_what_may_only_be_read_ignores_writes_and_the_others_keep_their_bits() -> None:
    async def script(bench: Registers, ctx: Any) -> None:
        ctx.set(bench.block.in_room, 200)
        ctx.set(bench.block.out_level, 7)
        mark = (1 << bench.config.fifo_words.bit_length()) - 1
        bits = {"CONTROL": 1, "OUT_MARK": mark, "IRQ_ENABLE": 7, "MEM_SPACE": 0x0F0F, "MEM_ADDRESS": 0xFFFF}
        only_read = [r.name for r in registers.REGISTERS if r.access == registers.Access.READ and r.name != "OUT_DATA"]
        before = {name: await bench.read(name) for name in only_read}
        assert (before["IN_ROOM"], before["OUT_LEVEL"]) == (200, 7)
        for name in only_read:
            await bench.write(name, 0xFFFF)
        for word in (0xFFFF, 0x5555, 0xAAAA, 0):
            for name, mask in bits.items():
                value = word & ~registers.mask("CONTROL", "ABORT") if name == "CONTROL" else word
                await bench.write(name, value)
                assert await bench.read(name) == value & mask, name
        assert {name: await bench.read(name) for name in only_read} == before

    Registers().run(script)


def test_errors_stay_until_abort_which_also_clears_run() -> None:
    async def script(bench: Registers, ctx: Any) -> None:
        block = bench.block
        status = {name: registers.mask("STATUS", name) for name, _, _ in registers.BY_NAME["STATUS"].fields}
        assert await bench.read("STATUS") == status["IDLE"]
        ctx.set(block.frames.ready, 1)
        await bench.write("IN_DATA", 1)
        ctx.set(block.results.valid, 1)
        ctx.set(block.results.payload, 0x1234)
        assert await bench.read("OUT_DATA") == 0x1234
        assert await bench.read("STATUS") == status["IDLE"], "no error so far"
        ctx.set(block.frames.ready, 0)
        await bench.write("IN_DATA", 2)
        assert await bench.read("STATUS") == status["IDLE"] | status["IN_OVERFLOW"]
        ctx.set(block.results.valid, 0)
        assert await bench.read("OUT_DATA") == 0
        assert await bench.read("STATUS") == status["IDLE"] | status["IN_OVERFLOW"] | status["OUT_UNDERFLOW"]
        ctx.set(block.idle, 0)
        address = await bench.read("MEM_ADDRESS")
        await bench.write("MEM_DATA", 3)
        assert await bench.read("MEM_DATA") == 0
        assert await bench.read("MEM_ADDRESS") == address
        assert not bench.written, "a memory was written while a frame was under way"
        assert await bench.read("STATUS") == sum(status.values()) - status["IDLE"] - status["ILLEGAL"]
        ctx.set(block.illegal, 1)
        await bench.write("CONTROL", registers.mask("CONTROL", "RUN"))
        assert await bench.read("STATUS") & status["ILLEGAL"]
        ctx.set(block.illegal, 0)
        await bench.write("CONTROL", registers.mask("CONTROL", "RUN") | registers.mask("CONTROL", "ABORT"))
        assert await bench.read("STATUS") == 0
        assert await bench.read("CONTROL") == 0

    Registers().run(script)


def test_memory_accesses_move_the_address_on_and_carry() -> None:
    async def script(bench: Registers, ctx: Any) -> None:
        await bench.write("MEM_SPACE", int(Space.C) | 0x300)
        await bench.write("MEM_ADDRESS", 0xFFFE)
        for word in (11, 22, 33):
            await bench.write("MEM_DATA", word)
        assert bench.written == [(Space.C, 0x3FFFE, 11), (Space.C, 0x3FFFF, 22), (Space.C, 0x40000, 33)]
        assert await bench.read("MEM_ADDRESS") == 1
        assert await bench.read("MEM_SPACE") == int(Space.C) | 0x400
        assert await bench.read("MEM_DATA") == 0x5A5A
        assert await bench.read("MEM_ADDRESS") == 2

    Registers().run(script)


def test_the_interrupt_is_what_was_asked_for() -> None:
    enabled = {name: registers.mask("IRQ_ENABLE", name) for name in ("OUT_READY", "STARVED", "ERROR")}

    async def script(bench: Registers, ctx: Any) -> None:
        block = bench.block
        for enable, level, mark, starved, illegal in product(range(8), (0, 1, 4, 5), (0, 1, 5), (0, 1), (0, 1)):
            await bench.write("OUT_MARK", mark)
            await bench.write("IRQ_ENABLE", enable)
            for name, value in (("out_level", level), ("starved", starved), ("illegal", illegal)):
                ctx.set(getattr(block, name), value)
            high = bool(enable & enabled["OUT_READY"] and level >= max(mark, 1))
            high |= bool(enable & enabled["STARVED"] and starved) or bool(enable & enabled["ERROR"] and illegal)
            assert ctx.get(block.interrupt) == high

    Registers().run(script)


# ---- Instructions that do not exist --------------------------------------------------------------------------------


def test_an_instruction_that_does_not_exist_stops_the_program_until_abort() -> None:
    config = preset("test")
    frame = Instruction(control=Control.FRAME, imm=5, target=3)
    done, again = Instruction(control=Control.DONE), Instruction(control=Control.JUMP, cond=Cond.ALWAYS, target=0)
    low = sum(width for _, width in takewhile(lambda field: field[0] != "control", CONTROL_FIELDS))
    wrong = [op for op in range(8) if op not in set(Op)]
    wrong += [code << low for code in range(16) if code not in set(Control)]
    run, abort = (registers.mask("CONTROL", name) for name in ("RUN", "ABORT"))
    idle, illegal = (registers.mask("STATUS", name) for name in ("IDLE", "ILLEGAL"))
    words_in = [int(Flag.FIRST), 0, 0, 0x8000, 0]

    with PysimTransport(config) as device, GoldenTransport(config, sequential=True) as golden:
        for second in (*wrong, None):
            program = [frame.encode()[0], done.encode()[0] if second is None else second, again.encode()[0]]
            issue = [word >> 16 * part & 0xFFFF for word in program for part in range(4)]
            outcomes = []
            for transport in (device, golden):

                def write(name: str, *values: int, to: Any = transport) -> None:
                    to.write(registers.address(name), list(values))

                def read(name: str, count: int = 1, of: Any = transport) -> list[int]:
                    return [int(word) for word in of.read(registers.address(name), count)]

                write("MEM_SPACE", Space.ISSUE)
                write("MEM_ADDRESS", 0)
                write("MEM_DATA", *issue)
                write("OUT_MARK", 9)
                write("IRQ_ENABLE", registers.mask("IRQ_ENABLE", "ERROR") | registers.mask("IRQ_ENABLE", "OUT_READY"))
                write("CONTROL", run)
                write("IN_DATA", *words_in)
                assert transport.wait(10.0)
                level = read("OUT_LEVEL")[0]
                found = [read("STATUS")[0] & illegal, level, *read("OUT_DATA", level)]
                write("CONTROL", abort)
                assert read("STATUS") == [idle]
                outcomes.append(found)
            assert outcomes[0] == outcomes[1]
            if second is None:
                assert outcomes[0][:3] == [0, 9, MARK_DONE]
            else:
                assert outcomes[0] == [illegal, 0], hex(second)
