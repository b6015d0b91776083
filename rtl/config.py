# SPDX-License-Identifier: BSD-2-Clause
"""LiquidConfig: the one place where sizes of the machine are chosen, checked and derived."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace

LANES = (4, 8, 16, 32)


def _power_of_two(n: int) -> bool:
    return n > 0 and n & (n - 1) == 0


@dataclass(frozen=True)
class LiquidConfig:
    """Sizes of one machine. Frozen and hashable; equal hashes mean that an image runs on it.

    lanes               multiply-accumulate lanes, also the banks of the vector memory
    weight_bits         bits of a weight
    state_frac_bits     fraction bits of the state format: 12 is Q3.12
    vector_rows         depth of the vector memory in rows of `lanes` words
    weight_words        depth of the weight memory in words of `lanes` weights
    add_elements        depth of the A memory (biases, input terms), in words
    base_elements       depth of the B memory (the states that a gate moves), in words
    gate_elements       depth of the C memory (gates, 1/tau, error scales), in words
    scalar_elements     depth of the S memory (coefficients, controller constants), in words
    tables              function tables of 256 entries
    program_words       instructions
    fifo_words          depth of the input and of the output FIFO, in words
    kept_elements       depth of the M memory (sums of products that are kept, 32-bit words) and of the X memory (the
                        operands that they were computed with), for column skipping; 0 leaves it out
    """

    lanes: int = 8
    weight_bits: int = 8
    state_frac_bits: int = 12
    vector_rows: int = 256
    weight_words: int = 16384
    add_elements: int = 512
    base_elements: int = 256
    gate_elements: int = 256
    scalar_elements: int = 256
    tables: int = 4
    program_words: int = 256
    fifo_words: int = 256
    kept_elements: int = 256

    def __post_init__(self) -> None:
        if self.lanes not in LANES:
            raise ValueError(f"lanes is {self.lanes}: one of {LANES} was expected")
        if self.weight_bits != 8:
            raise ValueError(f"weight_bits is {self.weight_bits}: 8 was expected")
        if not 8 <= self.state_frac_bits <= 14:
            raise ValueError(f"state_frac_bits is {self.state_frac_bits}: 8 to 14 were expected")
        # The upper limits are the widths of the instruction's fields.
        limits = {
            "vector_rows": (4, 256),
            "weight_words": (16, 16384),
            "add_elements": (4 * self.lanes, 128 * self.lanes),
            "base_elements": (4 * self.lanes, 128 * self.lanes),
            "gate_elements": (4 * self.lanes, 128 * self.lanes),
            "scalar_elements": (256, 256),
            "tables": (2, 8),
            "program_words": (16, 256),
            "fifo_words": (64, 4096),
            "kept_elements": (4 * self.lanes, 64 * self.lanes),
        }
        if self.kept_elements == 0:
            del limits["kept_elements"]
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high or not _power_of_two(value):
                raise ValueError(f"{name} is {value}: a power of two from {low} to {high} was expected")

    @property
    def weight_part_words(self) -> int:
        """16-bit bus words in one weight word."""
        return self.lanes * self.weight_bits // 16

    @property
    def column_skip(self) -> bool:
        """Whether sums of products are kept, and columns that did not move are skipped."""
        return self.kept_elements > 0

    def rows(self, memory: str) -> int:
        """Rows of `lanes` words in an element memory, by its letter A, B, C or S, or K for kept sums and operands."""
        elements = {
            "A": self.add_elements, "B": self.base_elements, "C": self.gate_elements, "S": self.scalar_elements,
            "K": self.kept_elements,
        }  # fmt: skip
        return elements[memory] // self.lanes

    @property
    def config_hash(self) -> int:
        """32 bits that tell one configuration from another; read-only register CONFIG_HASH."""
        text = json.dumps(asdict(self), sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


_ECP5 = LiquidConfig(
    lanes=16, weight_words=4096, add_elements=1024, base_elements=512, gate_elements=512, tables=8, kept_elements=0
)
PRESETS: dict[str, LiquidConfig] = {
    # Smallest that elaborates everything.
    "test": LiquidConfig(
        lanes=4, vector_rows=64, weight_words=1024, add_elements=128, base_elements=64, gate_elements=64
    ),
    # iCE40UP5K: 8 DSPs, 30 block RAMs, weights in the four SPRAMs. With its link it fills the part, so that boards
    # carry no kept sums; with them it is past the part (boards/synth_check.py), and for larger ones.
    "up5k": LiquidConfig(base_elements=512, kept_elements=0),
    "up5k-skip": LiquidConfig(),
    # ECP5: 65,536 weights. With kept sums the mapper of yosys ends on the whole chip without a word.
    "ecp5": _ECP5,
    "ecp5-skip": replace(_ECP5, kept_elements=512),
    "gowin": LiquidConfig(weight_words=4096, tables=8),
    "max": LiquidConfig(
        lanes=32,
        weight_words=8192,
        add_elements=2048,
        base_elements=1024,
        gate_elements=1024,
        tables=8,
        kept_elements=1024,
    ),
}


# The preset with kept sums that stands for one without them where columns are to be skipped.
SKIPPING = {"up5k": "up5k-skip", "ecp5": "ecp5-skip"}


def preset(name: str, **changes: int) -> LiquidConfig:
    """A preset by name, with fields replaced; ValueError names what is unknown or out of range.

    The element memories are given in words and addressed in rows of `lanes`; where other lanes are asked for, a depth
    that the instruction's fields cannot address is cut to what they can.
    """
    if name not in PRESETS:
        raise ValueError(f"preset {name!r} is unknown: one of {', '.join(PRESETS)} was expected")
    base = PRESETS[name]
    lanes = changes.get("lanes", base.lanes)
    for field, most in (("add_elements", 128), ("base_elements", 128), ("gate_elements", 128), ("kept_elements", 64)):
        if field not in changes and getattr(base, field):
            changes[field] = min(max(getattr(base, field), 4 * lanes), most * lanes)
    return replace(base, **changes)
