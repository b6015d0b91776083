# SPDX-License-Identifier: BSD-2-Clause
"""The element pipeline in Amaranth's simulator, against the golden model's finish, at the stages it states."""

import random
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from blocks import simulate, word, words

from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.rtl.element_pipeline import INPUT, READ_M, SUM, ElementPipeline, low_cycles, start_stage
from liquid_accel.rtl.isa import (
    FINISH_FIELDS_HIGH,
    FINISH_FIELDS_LOW,
    FINISH_HALF_BITS,
    AddSource,
    Factor,
    Finish,
    Keep,
    Mode,
    Norm,
    Space,
    Timing,
    Track,
)
from liquid_accel.sim.golden.memory import SharedMemory
from liquid_accel.sim.golden.rows import RowUnit
from liquid_accel.sim.golden.state import Frames, State

HALF = (1 << FINISH_HALF_BITS) - 1
START = start_stage("portable")


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
        self.offset = rng.randrange(256)
        self.inputs = [word(rng) for _ in range(3 * config.lanes + 1)]
        self.unit = RowUnit(config, shared, self.state)
        self.unit.frames = Frames(np.array(self.inputs)[None, None, :], words(1), words(0))

    def finish(self) -> Finish:
        rng = self.rng
        values = {name: rng.getrandbits(bits) for name, bits in (*FINISH_FIELDS_LOW, *FINISH_FIELDS_HIGH)}
        kinds = (
            ("mode", Mode), ("a_sel", AddSource), ("c_sel", Factor), ("keep", Keep), ("norm", Norm), ("track", Track),
        )  # fmt: skip
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
        everything = replace(f, v_en=1, v_par=0, out=0, norm=0, peak=0, track=Track.NONE)
        index = words(0)
        self.unit.finish(0, everything, index, words(row), np.array(sums)[None, None], np.array(scale)[None, None])
        out = self.state.banks[Space.VECTOR].read(index, words(f.v + (row if f.indexed else 0)))[0, 0]
        for space, bank in self.state.banks.items():
            bank.data[:] = self.before[space]
        rows = self.config.vector_rows
        v_row = (f.v + (row if f.indexed else 0)) % rows ^ (rows // 2 if f.v_par and parity else 0)
        written = {
            "write_data": out.tolist(), "write_v": [f.v_en] * lanes, "write_e": [f.e_mask] * lanes,
            "write_out": [f.out] * lanes, "square": [f.norm > 0] * lanes, "watch": [f.peak] * lanes,
            "track": [f.track] * lanes, "sixteenth": [f.norm == Norm.CHANGE_16] * lanes,
            "write_lane": list(range(lanes)),
        }  # fmt: skip
        if f.norm in (Norm.NONE, Norm.OUT):
            written["measured"] = out.tolist()
        if f.track:
            kept, ri = self.config.rows("K"), row if f.indexed else 0
            written["track_write"] = [(f.t + ri) % kept * lanes + lane for lane in range(lanes)]
            written["track_column"] = [((self.offset + ri) * lanes + lane) % 256 for lane in range(lanes)]
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
@pytest.mark.parametrize("lanes", [4, 8, 16, 32])
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
        driven.setdefault(start + READ_M - START, {}).update(row=row["row"], parity=row["parity"])
        low, high = (row["finish"].encode() >> half * FINISH_HALF_BITS & HALF for half in range(2))
        for lane in range(lanes):
            driven.setdefault(start + READ_M - START + lane, {})["finish"] = low if lane < low_cycles(lanes) else high
            driven.setdefault(start - START + SUM + lane, {}).update(sum=row["sums"][lane], scale=row["scale"][lane])
            wanted[start - START + Timing.WRITE + lane] = {name: w[lane] for name, w in row["written"].items()}
    last = max(wanted) + 3
    quiet = ("write_v", "write_e", "write_out", "square", "watch", "clamped", "track")
    taken_of, events_of = [0] * len(starts), [0] * len(starts)

    def owner(cycle: int, stage: int) -> int:
        """Which row has an element at `stage` in `cycle`."""
        return next(k for k, start in enumerate(starts) if 0 <= cycle - start + START - stage < lanes)

    async def bench(ctx: Any) -> None:
        ctx.set(pipeline.host, 1)
        for index, entry in enumerate(rows.table):
            ctx.set(pipeline.host_index, index)
            ctx.set(pipeline.host_write_data, entry & 0xFFFF)
            ctx.set(pipeline.host_write, 1)
            await ctx.tick()
        ctx.set(pipeline.host_write, 0)
        ctx.set(pipeline.host, 0)
        for name, value in (("log_dt", rows.log_dt), ("step", rows.step), ("pool", rows.pool), ("offset", rows.offset)):
            ctx.set(getattr(pipeline, name), value)
        left = deque(rows.inputs)
        answers: dict[str, int] = {}
        for cycle in range(last):
            now = driven.get(cycle, {})
            ctx.set(pipeline.start, now.get("start", 0))
            ctx.set(pipeline.finish, now.get("finish", rng.getrandbits(FINISH_HALF_BITS)))
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
                taken_of[owner(cycle, INPUT)] += 1
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
