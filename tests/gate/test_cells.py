# SPDX-License-Identifier: BSD-2-Clause
"""The models of ECP5 blocks in tests/vendor_models.py on their own, against Python's integers and lists."""

import random
import subprocess
from pathlib import Path

import pytest
from simulators import need
from vendor_models import DP16KD, MULT18X18D

SEED, STEPS = 7, 200


def run(folder: Path, model: str, bench: str) -> list[str]:
    """What a bench prints."""
    need("icarus")
    (folder / "bench.v").write_text(model + bench)
    subprocess.run(["iverilog", "-g2005", "-o", "bench.vvp", "-s", "bench", "bench.v"], cwd=folder, check=True)
    return subprocess.run(
        ["vvp", "-N", "bench.vvp"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.split()


def pins(port: str, bus: str, width: int) -> str:
    """Connections of single pins to the bits of a bus."""
    return ", ".join(f".{port}{k}({bus}[{k}])" for k in range(width))


def number(bits: int, signed: bool) -> int:
    """What 18 bits stand for."""
    return bits - (1 << 18) if signed and bits >> 17 else bits


@pytest.mark.parametrize("registers", [(0, 0, 0), (1, 0, 1), (1, 1, 1), (0, 1, 0)])  # input, pipeline, output
@pytest.mark.parametrize("signs", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_multiplier(registers: tuple[int, int, int], signs: tuple[int, int], tmp_path: Path) -> None:
    """The product of every pair of operands leaves as many cycles later as registers are used."""
    rng = random.Random(SEED)
    corners = [0, 1, (1 << 17) - 1, 1 << 17, (1 << 18) - 1]
    pairs = [(a, b) for a in corners for b in corners]
    pairs += [(rng.getrandbits(18), rng.getrandbits(18)) for _ in range(STEPS)]
    clocks = ["CLK0" if used else "NONE" for used in registers]
    steps = "\n".join(f'a = {a}; b = {b}; #4 $display("%h", p); #1 clk = 1; #5 clk = 0;' for a, b in pairs)
    bench = f"""
module bench;
  reg [17:0] a, b;
  reg clk = 0;
  wire [35:0] p;
  MULT18X18D #(.REG_INPUTA_CLK("{clocks[0]}"), .REG_INPUTB_CLK("{clocks[0]}"), .REG_PIPELINE_CLK("{clocks[1]}"),
    .REG_OUTPUT_CLK("{clocks[2]}")) dut({pins("A", "a", 18)}, {pins("B", "b", 18)}, {pins("P", "p", 36)},
    .SIGNEDA(1'b{signs[0]}), .SIGNEDB(1'b{signs[1]}), .SOURCEA(1'b0), .SOURCEB(1'b0), .CLK0(clk), .CE0(1'b1),
    .RST0(1'b0));
  initial begin
    {steps}
  end
endmodule
"""
    found, late = [int(word, 16) for word in run(tmp_path, MULT18X18D, bench)], sum(registers)
    wanted = [number(a, bool(signs[0])) * number(b, bool(signs[1])) % (1 << 36) for a, b in pairs]
    assert found[late:] == wanted[: len(wanted) - late]


@pytest.mark.parametrize("mode", ["NOREG", "OUTREG"])
@pytest.mark.parametrize("width", [1, 2, 4, 9, 18, 36])
def test_block_ram(width: int, mode: str, tmp_path: Path) -> None:
    """Rows of every width, with their bytes enabled alone, read one cycle after their address, or two with OUTREG."""
    rng = random.Random(SEED)
    low = {1: 0, 2: 1, 4: 2, 9: 3, 18: 4, 36: 5}[width]  # address bits within a row
    depth = 1 << 14 - low
    rows = [rng.randrange(depth) for _ in range(12)] + [0, depth - 1]
    held: dict[int, int] = {}
    steps, wanted = [], []
    for _ in range(STEPS):
        write, read, data = rng.choice(rows), rng.choice(rows), rng.getrandbits(width)
        enables = rng.getrandbits(width // 9) if width >= 18 else 0
        mask = sum(0x1FF << 9 * k for k in range(4) if enables >> k & 1) if width >= 18 else (1 << width) - 1
        if read == write:
            read = rows[rows.index(write) - 1]
        collides = read == write  # what is read then is undefined
        wanted.append(None if collides else held.get(read, 0))
        held[write] = held.get(write, 0) & ~mask | data & mask
        # Up to 18 bits enter through the pins of A and leave through those of B.
        steps.append(f"ada = {write << low | enables}; adb = {read << low}; di = 36'd{data}; #5 clk = 1; "
                     "#4 $display(\"%h\", q); #1 clk = 0;")  # fmt: skip
    bench = f"""
module bench;
  reg [13:0] ada, adb;
  reg [35:0] di;
  reg clk = 0;
  wire [17:0] doa, dob;
  wire [35:0] q = {"{dob, doa}" if width == 36 else "dob"};
  DP16KD #(.DATA_WIDTH_A({width}), .DATA_WIDTH_B({width}), .REGMODE_A("{mode}"), .REGMODE_B("{mode}")) dut(
    {", ".join(f".DIA{k}(di[{k}]), .DIB{k}(di[{k + 18}])" for k in range(18))},
    {pins("ADA", "ada", 14)}, {pins("ADB", "adb", 14)}, {pins("DOA", "doa", 18)}, {pins("DOB", "dob", 18)},
    .CLKA(clk), .CLKB(clk), .CEA(1'b1), .CEB(1'b1), .OCEA(1'b1), .OCEB(1'b1), .WEA(1'b1), .WEB(1'b0), .RSTA(1'b0),
    .RSTB(1'b0), .CSA0(1'b0), .CSA1(1'b0), .CSA2(1'b0), .CSB0(1'b0), .CSB1(1'b0), .CSB2(1'b0));
  initial begin
    {chr(10).join(steps)}
  end
endmodule
"""
    words, late = [int(word, 16) for word in run(tmp_path, DP16KD, bench)], int(mode == "OUTREG")
    compared = [(got % (1 << width), want) for got, want in zip(words[late:], wanted) if want is not None]
    assert len(compared) > STEPS / 2
    assert [got for got, _ in compared] == [want for _, want in compared]
