# SPDX-License-Identifier: BSD-2-Clause
"""The Wishbone bridge: one access, one request, one acknowledgement; and the Verilog that goes out with it."""

import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from amaranth import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator
from simulators import need
from standin import CLEAR, FIFO, IDENTITY, IDENTITY_WORD, LEVEL, SCRATCH, StandIn

from liquid_accel.rtl.wishbone import WishboneBridge, wishbone_signature
from liquid_accel.sim.verilog import export_verilog


class System:
    """A bridge in front of the stand-in, and a Wishbone master in the simulator."""

    def __init__(self, data_width: int) -> None:
        self.top = Module()
        self.top.submodules.bridge = self.bridge = WishboneBridge(data_width)
        self.top.submodules.device = device = StandIn(16)
        wiring.connect(self.top, self.bridge.request, device.request)
        wiring.connect(self.top, device.response, self.bridge.response)
        self.full = (1 << data_width // 8) - 1

    async def access(self, ctx: Any, address: int, data: int | None = None, sel: int | None = None) -> tuple[int, int]:
        """One access; returns the word read and the cycles that it took."""
        bus = self.bridge.bus
        ctx.set(bus.cyc, 1)
        ctx.set(bus.stb, 1)
        ctx.set(bus.we, data is not None)
        ctx.set(bus.adr, address)
        ctx.set(bus.dat_w, data or 0)
        ctx.set(bus.sel, self.full if sel is None else sel)
        for cycle in range(1, 100):
            _, _, ack, word = await ctx.tick().sample(bus.ack, bus.dat_r)
            if ack:
                ctx.set(bus.cyc, 0)
                ctx.set(bus.stb, 0)
                return word, cycle
        raise AssertionError(f"no acknowledgement at address {address}")

    def run(self, script: Any) -> None:
        simulator = Simulator(self.top)
        simulator.add_clock(1e-6)
        simulator.add_testbench(script)
        simulator.run()


@pytest.fixture(params=[16, 32])
def system(request: pytest.FixtureRequest) -> System:
    return System(request.param)


def test_words_go_through_in_order(system: System) -> None:
    async def script(ctx: Any) -> None:
        assert await system.access(ctx, IDENTITY) == (IDENTITY_WORD, 4)
        words = [random.Random(1).randrange(1 << 16) for _ in range(10)]
        for word in words:
            await system.access(ctx, FIFO, word)
        for word in words:
            assert (await system.access(ctx, FIFO))[0] == word
        assert (await system.access(ctx, CLEAR))[0] == 21, "one request for each access"

    system.run(script)


def test_an_acknowledgement_lasts_one_cycle_and_idle_gives_none(system: System) -> None:
    async def script(ctx: Any) -> None:
        await system.access(ctx, IDENTITY)
        for _ in range(10):
            _, _, ack = await ctx.tick().sample(system.bridge.bus.ack)
            assert not ack

    system.run(script)


@pytest.mark.parametrize("sel", [0b00, 0b01, 0b10])
def test_a_write_of_half_a_word_changes_nothing_and_is_acknowledged(system: System, sel: int) -> None:
    async def script(ctx: Any) -> None:
        await system.access(ctx, SCRATCH, 0x1234)
        await system.access(ctx, SCRATCH, 0xFFFF, sel=sel)
        assert (await system.access(ctx, SCRATCH))[0] == 0x1234

    system.run(script)


def test_an_upper_half_is_ignored_on_a_write_and_zero_on_a_read() -> None:
    system = System(32)

    async def script(ctx: Any) -> None:
        await system.access(ctx, SCRATCH, 0xABCD1234)
        assert (await system.access(ctx, SCRATCH))[0] == 0x1234

    system.run(script)


@pytest.mark.parametrize("held", [1, 2, 3])
def test_a_master_that_lets_go_gets_no_answer_to_its_next_access(system: System, held: int) -> None:
    async def script(ctx: Any) -> None:
        bus = system.bridge.bus
        await system.access(ctx, SCRATCH, 0x5555)
        ctx.set(bus.cyc, 1)
        ctx.set(bus.stb, 1)
        ctx.set(bus.we, 0)
        ctx.set(bus.adr, IDENTITY)
        await ctx.tick().repeat(held)
        ctx.set(bus.cyc, 0)
        await ctx.tick()
        assert (await system.access(ctx, SCRATCH))[0] == 0x5555
        assert (await system.access(ctx, LEVEL))[0] == 0

    system.run(script)


def test_a_width_that_is_no_bus_is_refused() -> None:
    with pytest.raises(ValueError, match="data_width is 24"):
        wishbone_signature(24)


@pytest.mark.parametrize("bus", ["wishbone", "axi_lite"])
def test_the_exported_files_are_one_design(bus: str, tmp_path: Path) -> None:
    need("icarus")
    paths = export_verilog(None, tmp_path / "new", device=StandIn(16))
    assert [path.name for path in paths] == ["accelerator.v", "accelerator_wishbone.v", "accelerator_axi_lite.v"]
    assert sorted(paths) == sorted((tmp_path / "new").iterdir())
    core, wrapper = paths[0], next(path for path in paths if bus in path.name)
    iverilog = shutil.which("iverilog")
    assert iverilog is not None
    command = [iverilog, "-g2005", "-Wall", "-s", f"accelerator_{bus}", "-o", str(tmp_path / "out"), core, wrapper]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if "port" in line.lower()], done.stderr
