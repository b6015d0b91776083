# SPDX-License-Identifier: BSD-2-Clause
"""The instruction set: fields, encode, decode and the cycle cost of each instruction.

An instruction is a pair of words at one address. The *issue* word steers the lanes and the program; the *finish* word
says what the element pipeline does with a finished row of `lanes` sums: narrow, add, function, gate, add, and where the
result goes, on to memories, the output FIFO, the error norm, a list of what moved. `docs/isa.md` is the specification.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, fields

ISA_VERSION = 3


class Op(enum.IntEnum):
    """What an instruction does with the lanes."""

    CONTROL = 0
    DOT = 1
    TERM = 2
    IN = 3
    SPARSE = 4  # columns that moved, from the list taken last


class Control(enum.IntEnum):
    """What a control instruction does."""

    NOP = 0
    # wait for `imm` input words and more room than `target` * 4 output words; read the header; start counting
    FRAME = 1
    # the following instructions up to `loop_end` run `imm & 0xff` times; with bit 15 of imm, count a right-hand side
    LOOP = 2
    SWAP = 3  # toggle the parity
    JUMP = 4  # to `target` if `cond`
    PLAN = 5  # choose the next step
    DECIDE = 6  # judge the step: accept (toggle parity, advance time) or reject, and choose the next size
    EMIT = 7  # push `imm` to the output FIFO
    DONE = 8  # stop counting, push the trailer
    ROOM = 9  # wait for more room than `target` * 4 output words
    # the entries of `list` are those of the following sparse products; it begins anew, with imm 1 in its other half
    TAKE = 10
    LIST = 11  # `list` is empty and begins at S[imm]
    TRACK = 12  # tracked rows go to `list`, at columns from `target` * lanes on, with the threshold imm
    REPEAT = 13  # the number of jumps that AGAIN will take
    FLAG = 14  # set the bits imm of the status
    JUDGE = 15  # ok = the norm is within LOG_ACCEPT and nothing saturated; clear the norm
    LAG = 16  # push the time left and the norm


class Cond(enum.IntEnum):
    """Conditions of a jump."""

    ALWAYS = 0
    FIRST = 1  # the frame starts a sequence
    NOT_FIRST = 2
    TIME_LEFT = 3  # time remains in the frame
    NO_TIME_LEFT = 4
    TRACE = 5  # the frame asks for step records and states
    NOT_TRACE = 6
    AGAIN = 7  # the count of REPEAT is not used up; uses up one
    OK = 8  # what JUDGE found
    NOT_OK = 9
    LOG_DT = 10  # the header's log2 dt is `imm`: the spacing that a table was made for


class Mode(enum.IntEnum):
    """How the function unit extends a table of 256 segments T to all 16-bit words s.

    The first five index with |s| (segments of 128), DIRECT with s + 2**15 (segments of 256).
    """

    IDENTITY = 0  # s
    ODD = 1  # sign(s) T(|s|): tanh
    COMPLEMENT = 2  # s < 0 ? 1 - T(|s|) : T(|s|): sigmoid; 1 is 2**state_frac_bits
    SOFTPLUS = 3  # T(|s|) + max(s, 0), T(x) = log(1 + exp(-x))
    EVEN = 4  # T(|s|): the error scale
    DIRECT = 5  # T(s): log2 1/softplus, log2 of a gate


class AddSource(enum.IntEnum):
    """What is added before the function."""

    NONE = 0
    MEMORY = 1
    LOG_DT = 2  # log2 of the frame's dt, Q4.11
    LOG_STEP = 3  # log2 of the step, Q4.11


class Keep(enum.IntEnum):
    """What a finished row does with its kept sums M."""

    NONE = 0
    ADD = 1  # sum = acc + M; M = sum
    SET = 2  # sum = acc; M = sum
    READ = 3  # sum = acc + M


class Track(enum.IntEnum):
    """What a finished row does with the operands X that its columns were last computed with."""

    NONE = 0
    MOVED = 1  # where |out - X| > threshold: append {column, out - X} to the list; X = out
    SET = 2  # X = out


class Norm(enum.IntEnum):
    """What goes into the norm."""

    NONE = 0
    OUT = 1  # |out|
    CHANGE = 2  # |v|, v what is added to B
    CHANGE_16 = 3  # |v| >> 4


class Factor(enum.IntEnum):
    """What d is multiplied by."""

    ONE = 0  # mantissa 1, exponent 0
    MEMORY = 1
    STEP = 2  # the mantissa of the step, exponent 0 (its exponent goes into a dynamic narrowing)
    POOL = 3  # the frame's pool weight


class Status(enum.IntFlag):
    """Bits of a frame's status, in the trailer."""

    SATURATED = 1  # some result of the frame was clamped
    STEP_LIMIT = 2  # a step was accepted at the smallest size although it missed the tolerance
    EARLY_HALT = 4  # the rest of the interval was skipped: nothing moves
    NOT_CONVERGED = 8  # an implicit step was accepted after its last iteration although it missed the tolerance
    BUDGET = 16  # the frame ended when its right-hand sides were used up


class Flag(enum.IntFlag):
    """Bits of a frame's header word."""

    FIRST = 1
    TRACE = 2


class Space(enum.IntEnum):
    """Memories as the host sees them: 16-bit words, row-major; a row takes a power of two of words."""

    ISSUE = 0  # 4 words a row, 3 used
    FINISH = 1  # 4 words a row, 3 used; two rows a finish word, shared by the instructions 2k and 2k + 1
    WEIGHT = 2  # lanes * weight_bits / 16 words a row
    VECTOR = 3  # lanes words a row
    A = 4
    B = 5
    C = 6
    S = 7
    TABLE = 8  # 256 words a table


HEADER_WORDS = 5  # flags, dt ticks low, dt ticks high, log2 dt, pool weight; then the inputs
# marker | status, cycles low, high, rhs_evals, accepted, rejected, mac cycles low, high, saturations, skipped low, high
TRAILER_WORDS = 11
LAG_WORDS = 5  # marker, time left low, high, norm low, high
STEP_RECORD_WORDS = 4  # marker | StepFlag, step code, norm low, norm high
MARK_STEP = 0xA000
MARK_VECTOR = 0xB000  # | number of words that follow
MARK_LAG = 0xC000
MARK_DONE = 0xD000
MARK_MASK = 0xF000


class StepFlag(enum.IntFlag):
    """Bits of a step record."""

    ACCEPTED = 1
    LIMITED = 2  # accepted at the smallest step although it missed the tolerance
    SATURATED = 4
    CLIPPED = 8  # shortened to (half of) what was left of the frame


class Param(enum.IntEnum):
    """Controller constants in the S memory. Logarithms are pseudo-logarithms: exponent and linear mantissa, Q5.11."""

    LOG_START = 240  # log2 of the first step of a sequence, in ticks
    LOG_MIN = 241
    LOG_MAX = 242
    SAFETY = 243  # log2, signed Q4.11, below 0
    BETA1 = 244  # Q0.7 signed: weights of the last errors and of the last change
    BETA2 = 245
    ALPHA2 = 246
    CHANGE_MIN = 247  # log2 of the smallest and largest factor, signed Q4.11
    CHANGE_MAX = 248
    CHANGE_REJECT = 249  # largest after a reject
    LOG_ACCEPT = 250  # pseudo-logarithm of the largest norm that is accepted
    HALT = 251  # skip the rest if bits(time left) + bits(peak) <= this; 0: never
    # Words that the controller itself writes.
    ERROR_0 = 236  # this and the last scaled error, in turn
    ERROR_1 = 237
    CHANGE_LAST = 238
    SIZE = 239  # pseudo-logarithm of the next step
    STEP = 235  # float code of the step under way
    JUMP_SIZE = 234  # pseudo-logarithm of the first step of the next frame


# ---- Fields

# (name, width), least significant first.
_COMMON = (("op", 3), ("loop_end", 1), ("stall", 6))
MAC_FIELDS = (*_COMMON, ("last", 1), ("indexed", 1), ("x_par", 1), ("w_load", 1), ("cols", 8), ("x", 8), ("w", 14))
CONTROL_FIELDS = (*_COMMON, ("control", 5), ("cond", 4), ("target", 8), ("imm", 16), ("list", 2))
# The two halves are fetched one after the other: what the first stages of the pipeline need comes first.
FINISH_FIELDS_LOW = (
    ("keep", 2), ("m", 6),
    ("narrow", 6), ("row_scaled", 1), ("dynamic", 1),
    ("a", 7), ("a_sel", 2),
    ("table", 3), ("mode", 3), ("exp2", 1),
    ("source", 1), ("indexed", 1), ("quiet_pre", 1), ("quiet_post", 1),
    ("b", 7), ("sub", 1), ("add", 1), ("b_par", 1),
    ("out", 1), ("peak", 1),
)  # fmt: skip
FINISH_FIELDS_HIGH = (
    ("c", 7), ("c_sel", 2), ("c_shift", 6),
    ("v", 8), ("v_en", 1), ("v_par", 1),
    ("e", 7), ("e_mask", 4), ("e_par", 1),
    ("norm", 2), ("track", 2), ("t", 6),
)  # fmt: skip
ISSUE_BITS = 48
LISTS = 1 << dict(CONTROL_FIELDS)["list"]
FINISH_HALF_BITS = 48
STALL_MAX = 63
E_A, E_B, E_C, E_S = 1, 2, 4, 8  # bits of e_mask


def pack(layout: tuple[tuple[str, int], ...], values: dict[str, int]) -> int:
    """Fields to a word; ValueError if one does not fit."""
    word, at = 0, 0
    for name, width in layout:
        value = int(values.get(name, 0))
        if not 0 <= value < 1 << width:
            raise ValueError(f"instruction field {name} is {value}: 0 to {(1 << width) - 1} was expected")
        word |= value << at
        at += width
    return word


def unpack(layout: tuple[tuple[str, int], ...], word: int) -> dict[str, int]:
    """A word to its fields."""
    values, at = {}, 0
    for name, width in layout:
        values[name] = word >> at & (1 << width) - 1
        at += width
    return values


@dataclass(frozen=True)
class Finish:
    """The finish word; see the module's text. `narrow` is a right shift, `c_shift` too."""

    keep: Keep = Keep.NONE
    m: int = 0
    narrow: int = 0
    row_scaled: int = 0
    dynamic: int = 0
    a: int = 0
    a_sel: AddSource = AddSource.NONE
    table: int = 0
    mode: Mode = Mode.IDENTITY
    exp2: int = 0
    b: int = 0
    sub: int = 0
    add: int = 0
    b_par: int = 0
    c: int = 0
    c_sel: Factor = Factor.ONE
    c_shift: int = 11
    v: int = 0
    v_en: int = 0
    v_par: int = 0
    e: int = 0
    e_mask: int = 0
    e_par: int = 0
    out: int = 0
    norm: Norm = Norm.NONE
    peak: int = 0
    quiet_pre: int = 0
    quiet_post: int = 0
    indexed: int = 1
    source: int = 0
    track: Track = Track.NONE
    t: int = 0

    def encode(self) -> int:
        values = {f.name: int(getattr(self, f.name)) for f in fields(self)}
        low, high = ({name: values[name] for name, _ in half} for half in (FINISH_FIELDS_LOW, FINISH_FIELDS_HIGH))
        return pack(FINISH_FIELDS_LOW, low) | pack(FINISH_FIELDS_HIGH, high) << FINISH_HALF_BITS

    @classmethod
    def decode(cls, word: int) -> Finish:
        """The inverse of `encode`; ValueError for a selection that does not exist."""
        parts = unpack(FINISH_FIELDS_LOW, word) | unpack(FINISH_FIELDS_HIGH, word >> FINISH_HALF_BITS)
        for name, kind in (("a_sel", AddSource), ("c_sel", Factor), ("mode", Mode), ("keep", Keep), ("norm", Norm),
                           ("track", Track)):  # fmt: skip
            parts[name] = kind(parts[name])
        return cls(**parts)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Instruction:
    """One instruction. `cols` is the number of columns (1 to 256); it is stored less one."""

    op: Op = Op.CONTROL
    loop_end: int = 0
    stall: int = 0
    # dot, term, in
    last: int = 0
    indexed: int = 0
    x_par: int = 0
    w_load: int = 0
    cols: int = 1
    x: int = 0
    w: int = 0
    # control
    control: Control = Control.NOP
    cond: Cond = Cond.ALWAYS
    target: int = 0
    imm: int = 0
    list: int = 0
    finish: Finish = field(default_factory=Finish)
    comment: str = field(default="", compare=False)

    def encode(self) -> tuple[int, int]:
        """(issue word, finish word); the finish word of an instruction without `last` is 0."""
        layout = CONTROL_FIELDS if self.op == Op.CONTROL else MAC_FIELDS
        values = {name: int(getattr(self, name)) for name, _ in layout}
        if self.op != Op.CONTROL:
            values["cols"] -= 1
        return pack(layout, values), self.finish.encode() if self.last else 0

    @classmethod
    def decode(cls, issue: int, finish: int) -> Instruction:
        """The inverse of `encode`; ValueError for an opcode, condition or mode that does not exist."""
        op = Op(issue & 7)
        values = unpack(CONTROL_FIELDS if op == Op.CONTROL else MAC_FIELDS, issue)
        if op == Op.CONTROL:
            values["control"], values["cond"] = Control(values["control"]), Cond(values["cond"])
            return cls(**(values | {"op": op}))  # type: ignore[arg-type]
        values["cols"] += 1
        done = Finish.decode(finish) if values["last"] else Finish()
        return cls(**(values | {"op": op, "finish": done}))  # type: ignore[arg-type]

    def slots(self, lanes: int) -> int:
        """Fewest cycles that the instruction itself takes, after its stall: its columns and, if `last`, the snapshot.

        A sparse product takes more than these where more columns moved.
        """
        if self.op == Op.CONTROL:
            return Timing.JUMP if self.control == Control.JUMP else 1
        return (sparse_slots(lanes) if self.op == Op.SPARSE else self.cols) + self.last


class Timing:
    """Fixed latencies in cycles. A *slot* is the cycle in which an instruction presents an address to the memories."""

    # The snapshot of a row loads as the sums of the slot before it are complete: element 0 is at stage 0 this many
    # cycles after the snapshot's slot, element l is l cycles behind it.
    SNAPSHOT_TO_STAGE0 = 7
    # Stages of the element pipeline at which a memory's address is presented, and at which the result is written.
    READ_A = 1
    READ_B = 10
    READ_C = 11
    WRITE = 18
    # Instructions that wait for the controller, without its data-dependent part (docs/isa.md).
    FRAME = 6
    JUMP = 2
    PLAN = 5
    DECIDE = 48
    HALT_CHECK = 2
    JUDGE = 5
    LAG = 6
    # After the last element's write until the norm and the peak are settled.
    NORM = 3
    # The same until a tracked element's list entry is written.
    TRACK = 3


def drain(lanes: int) -> int:
    """Slots after a snapshot's slot until everything of that row is written and readable."""
    return Timing.SNAPSHOT_TO_STAGE0 + Timing.WRITE + lanes


def sparse_slots(lanes: int) -> int:
    """Fewest columns that a sparse product takes the time of: with its snapshot, the distance of two rows."""
    return lanes - 1
