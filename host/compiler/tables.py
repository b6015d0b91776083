# SPDX-License-Identifier: BSD-2-Clause
"""Contents of the function unit's tables, and what they cost: the worst error over all 65,536 inputs.

A table holds 256 knots of a function; the unit interpolates between them and holds the last one (docs/isa.md, "finish",
step 3). On a curved segment of width d the chord misses the function by up to d^2/8 |f''|, all on one side. Knots moved
by half of that the other way leave errors of half the size on both sides; then they are rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from liquid_accel.image import Bound
from liquid_accel.rtl import formats
from liquid_accel.rtl.isa import Mode

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Function = Callable[[Floats], Floats]

SIZE = 256
LOG_FRAC = formats.LOG2.frac_bits
Q3_12 = 12  # fraction bits of the format in which errors of states are given
MAX_DELTA = formats.SLOPE_LIMIT - 1  # between neighbours
LOWEST = -15.5  # log2 of a gate whose error is still looked at: near the end of Q4.11
FLAT_FROM = 32768 - 256  # inputs from here on lie in the last segment of a DIRECT table
ALL_INPUTS: Integers = np.arange(-(1 << 15), 1 << 15, dtype=np.int64)


@dataclass(frozen=True)
class Table:
    """256 signed words, the mode that they are read with, the formats of input and output, and measured bounds."""

    name: str
    mode: Mode
    words: tuple[int, ...]
    frac_in: int
    frac_out: int
    bounds: tuple[Bound, ...]

    def __post_init__(self) -> None:
        if len(self.words) != SIZE or np.abs(np.diff(self.words)).max() > MAX_DELTA:
            raise ValueError(f"table {self.name}: {SIZE} words that rise by at most {MAX_DELTA} were expected")


def evaluate(table: Table, s: Integers, state_frac_bits: int) -> Integers:
    """What the function unit makes of the words `s`; the arithmetic of docs/isa.md."""
    words = np.array(table.words, np.int64)
    if table.mode == Mode.DIRECT:
        index, fraction = (s + 32768) >> 8, (s + 32768) & 255
    else:
        magnitude = np.minimum(np.abs(s), 32767)
        index, fraction = magnitude >> 7, (magnitude & 127) << 1
    delta = np.append(np.diff(words), 0)[index]
    t = words[index] + ((delta * fraction + 128) >> 8)
    if table.mode == Mode.ODD:
        t = np.where(s < 0, -t, t)
    elif table.mode == Mode.COMPLEMENT:
        t = np.where(s < 0, (1 << state_frac_bits) - t, t)
    elif table.mode == Mode.SOFTPLUS:
        t = t + np.maximum(s, 0)
    result: Integers = np.clip(t, -32768, 32767)
    return result


def exp2_value(f: Integers) -> Floats:
    """The number that the unit's 2**f, a float code, stands for, f in Q4.11."""
    rom = np.array(formats.EXP2_ROM, np.int64)[(f & 2047) >> 3]
    mantissa = np.minimum((rom & 2047) + (((rom >> 11) * (f & 7) + 4) >> 3), 2047)
    result: Floats = (2048 + mantissa) * 2.0 ** ((f >> 11) - 11)
    return result


def _knots(mode: Mode, frac_in: int) -> Floats:
    words = 256 * np.arange(SIZE) - 32768 if mode == Mode.DIRECT else 128 * np.arange(SIZE)
    return words / 2.0**frac_in


def _fit(function: Function, mode: Mode, frac_in: int, frac_out: int) -> Floats:
    """Knots, not rounded yet, that balance the error of the chords."""
    x = _knots(mode, frac_in)
    exact = function(x) * 2.0**frac_out
    middle = function((x[:-1] + x[1:]) / 2) * 2.0**frac_out
    excess = (exact[:-1] + exact[1:]) / 2 - middle
    shift = np.zeros(SIZE)
    shift[1:-1] = (excess[:-1] + excess[1:]) / 4
    fitted: Floats = exact - shift
    return fitted


def _words(knots: Floats) -> tuple[int, ...]:
    return tuple(int(word) for word in np.clip(np.rint(knots), -32768, 32767))


def _state_function(
    name: str, mode: Mode, function: Function, half: Function, frac_in: int, frac_out: int, first: float | None
) -> Table:
    """A table of `half` on |s| for a function whose output is measured in LSB of Q3.12."""
    knots = _fit(half, mode, frac_in, frac_out)
    if first is not None:
        knots[0] = first
    words = _words(knots)
    table = Table(name, mode, words, frac_in, frac_out, ())
    error = evaluate(table, ALL_INPUTS, frac_out) / 2.0**frac_out - np.clip(
        function(ALL_INPUTS / 2.0**frac_in), -(2.0 ** (15 - frac_out)), 32767 / 2.0**frac_out
    )
    text = f"{name} of {formats.Q(formats.WORD - 1 - frac_in, frac_in)}: worst error over all inputs"
    bound = Bound(text, round(float(np.abs(error).max()) * 2**Q3_12, 4), 2.0, "LSB of Q3.12")
    return Table(name, mode, words, frac_in, frac_out, (bound,))


def tanh_table(frac_in: int, state_frac_bits: int) -> Table:
    """tanh, odd: word 0 is 0."""
    return _state_function("tanh", Mode.ODD, np.tanh, np.tanh, frac_in, state_frac_bits, 0.0)


def _sigmoid(x: Floats) -> Floats:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def sigmoid_table(frac_in: int, state_frac_bits: int) -> Table:
    """1 / (1 + exp(-x)); below 0 it is 1 less that of -x, so that word 0 is 1/2."""
    first = 2.0 ** (state_frac_bits - 1)
    return _state_function("sigmoid", Mode.COMPLEMENT, _sigmoid, _sigmoid, frac_in, state_frac_bits, first)


def softplus_table(frac_bits: int) -> Table:
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)); input and output have the same format."""
    return _state_function(
        "softplus", Mode.SOFTPLUS, lambda x: np.logaddexp(0.0, x), lambda x: np.log1p(np.exp(-x)), frac_bits, frac_bits,
        None,
    )  # fmt: skip


def relu_table(frac_in: int, frac_out: int) -> Table:
    """max(x, 0), as softplus with nothing added; input and output have the same format."""
    if frac_in != frac_out:
        raise ValueError(f"relu takes {frac_in} fraction bits to {frac_out}: the same were expected")
    return Table("relu", Mode.SOFTPLUS, (0,) * SIZE, frac_in, frac_out, ())


def _lecun_tanh(x: Floats) -> Floats:
    return 1.7159 * np.tanh(0.666 * x)


def lecun_tanh_table(frac_in: int, state_frac_bits: int) -> Table:
    """1.7159 tanh(0.666 x), odd."""
    return _state_function("lecun_tanh", Mode.ODD, _lecun_tanh, _lecun_tanh, frac_in, state_frac_bits, 0.0)


def _log_table(
    name: str,
    mode: Mode,
    words: tuple[int, ...],
    frac_in: int,
    function: Function,
    inside: Integers,
    text: str,
    limit: float = 0.2,
) -> Table:
    """A table of log2 in Q4.11 whose output goes through exp2: `text` names the worst relative error of 2**f over the
    words `inside`, in per cent, `function` being the logarithm that was meant."""
    table = Table(name, mode, words, frac_in, LOG_FRAC, ())
    value = exp2_value(evaluate(table, inside, 0))
    error = float(np.abs(value / 2.0 ** function(inside / 2.0**frac_in) - 1.0).max()) * 100.0
    return replace(table, bounds=(Bound(text, round(error, 5), limit, "%"),))


def _at_most_0(function: Function, frac_in: int) -> tuple[int, ...]:
    """Words of a logarithm of something that never passes 1."""
    return _words(np.minimum(_fit(function, Mode.DIRECT, frac_in, LOG_FRAC), 0.0))


def log_sigmoid_table(frac_in: int, mirrored: bool = False) -> Table:
    """log2 of 1 / (1 + e^-x), or `mirrored` of 1 / (1 + e^x), in Q4.11: a gate as a float code, once 2**f is taken. No
    word is above 0: a gate never passes 1."""
    sign, name = (1.0, "log2 1 - sigmoid") if mirrored else (-1.0, "log2 sigmoid")

    def function(x: Floats) -> Floats:
        result: Floats = -np.logaddexp(0.0, sign * x) / np.log(2.0)
        return result

    inside = ALL_INPUTS[function(ALL_INPUTS / 2.0**frac_in) > LOWEST]
    text = f"{name}: worst relative error of the gate"
    return _log_table(name, Mode.DIRECT, _at_most_0(function, frac_in), frac_in, function, inside, text)


def activation_table(name: str, frac_in: int, frac_out: int) -> Table:
    """The table of an activation by name, softplus and relu with one format for both."""
    if name == "softplus":
        return softplus_table(frac_in)
    return ACTIVATION_TABLES[name](frac_in, frac_out)


ACTIVATION_TABLES: dict[str, Callable[[int, int], Table]] = {
    "tanh": tanh_table, "sigmoid": sigmoid_table, "relu": relu_table, "lecun_tanh": lecun_tanh_table,
}  # fmt: skip


def _log2_softplus(x: Floats) -> Floats:
    """log2 of softplus(x), which keeps its digits far below 0, where softplus is exp(x)."""
    result: Floats = np.where(x < -30.0, x, np.log(np.logaddexp(0.0, np.maximum(x, -30.0)))) / np.log(2.0)
    return result


def rate_table(frac_in: int, offset: float, fastest: float) -> Table:
    """log2 1/tau + offset of tau = softplus(x), in Q4.11, held constant where it would pass `fastest`.

    It is held from a knot on, so that no segment has a kink: the floor of tau. The last segment is flat, which sets a
    ceiling. Between the two the error of 1/tau, through exp2, is measured.
    """

    def rate(x: Floats) -> Floats:
        return offset - _log2_softplus(x)

    knots = _fit(rate, Mode.DIRECT, frac_in, LOG_FRAC)
    floor = int(np.argmax(_words(knots) <= np.floor(fastest * 2**LOG_FRAC)))
    knots[:floor] = knots[floor]
    words = _words(knots)
    inside = ALL_INPUTS[(ALL_INPUTS >= 256 * floor - 32768) & (ALL_INPUTS < FLAT_FROM)]
    text = "1/tau: worst relative error between floor and ceiling"
    table = _log_table("rate", Mode.DIRECT, words, frac_in, rate, inside, text)
    x_floor, x_ceiling = _knots(Mode.DIRECT, frac_in)[[floor, SIZE - 1]]
    ends = (
        Bound("tau: floor", float(np.logaddexp(0.0, x_floor)), 0.0, "time units of the model"),
        Bound("tau: ceiling", float(np.logaddexp(0.0, x_ceiling)), 0.0, "time units of the model"),
    )
    return replace(table, bounds=table.bounds + ends)


def _log2_fused(q: Floats) -> Floats:
    result: Floats = -np.log1p(2.0**-q) / np.log(2.0)
    return result


def _log2_expeuler(q: Floats) -> Floats:
    result: Floats = np.log(-np.expm1(-(2.0**q))) / np.log(2.0)
    return result


def _log2_correction(q: Floats) -> Floats:
    """log2 of (z - 1 + e^-z) / z at z = 2**q; a series where the difference would cancel."""
    z = 2.0**q
    with np.errstate(over="ignore"):
        value = (z - 1.0 + np.exp(-z)) / z
    series = z / 2.0 * (1.0 - z / 3.0 * (1.0 - z / 4.0 * (1.0 - z / 5.0)))
    result: Floats = np.log(np.where(z < 2.0**-6, series, value)) / np.log(2.0)
    return result


# log2 g(2**q) of the gates of rtl/tableaus.py.
LOG_GATES: dict[str, Function] = {"fused": _log2_fused, "expeuler": _log2_expeuler}


def gate_table(name: str) -> Table:
    """log2 of the gate over q = log2 dt/tau, both in Q4.11. No word is above 0: a gate never passes 1."""
    function, text = LOG_GATES[name], f"gate {name}: worst relative error over all inputs"
    return _log_table("gate", Mode.DIRECT, _at_most_0(function, LOG_FRAC), LOG_FRAC, function, ALL_INPUTS, text)


def regular_gate_table(name: str, frac_in: int, log_time: float) -> Table:
    """log2 g(z), z = 2**log_time / softplus(x), in Q4.11, over x: the gate of one known step in a single function. No
    word is above 0."""

    def function(x: Floats) -> Floats:
        return LOG_GATES[name](log_time - _log2_softplus(x))

    # The last segment is flat: there tau is held at its ceiling, as in the table of rates.
    inside = ALL_INPUTS[(function(ALL_INPUTS / 2.0**frac_in) > LOWEST) & (ALL_INPUTS < FLAT_FROM)]
    text = f"gate {name} at regular frames: worst relative error"
    return _log_table("regular gate", Mode.DIRECT, _at_most_0(function, frac_in), frac_in, function, inside, text)


def log2_table(frac_in: int) -> Table:
    """log2 |x| in Q4.11. Near 0, where it would fall faster than the interpolator can follow, it falls more slowly."""

    def function(x: Floats) -> Floats:
        result: Floats = np.log2(np.maximum(x, 2.0 ** -(frac_in + 1)))
        return result

    words = list(_words(_fit(function, Mode.EVEN, frac_in, LOG_FRAC)))
    for index in reversed(range(SIZE - 1)):
        words[index] = max(words[index], words[index + 1] - MAX_DELTA)
    inside = np.arange(128 * 8, 32768 - 128)  # behind the eighth knot
    text = f"log2 of {8 * 128 / 2.0**frac_in:g} and more: worst relative error"
    return _log_table("log2", Mode.EVEN, tuple(words), frac_in, function, inside, text)


def correction_table() -> Table:
    """log2 of the exponential pair's correction (z - 1 + e^-z) / z over q = log2 z, both in Q4.11; never above 0."""
    words = _at_most_0(_log2_correction, LOG_FRAC)
    inside = ALL_INPUTS[ALL_INPUTS >= -(15 << LOG_FRAC)]  # below it the correction is less than 2**-16
    text = "correction: worst relative error"
    return _log_table("correction", Mode.DIRECT, words, LOG_FRAC, _log2_correction, inside, text)


def error_table(rtol: float, atol: float, state_frac_bits: int) -> Table:
    """log2 of 1 / (atol + rtol |h|) in Q4.11. Where it would fall faster than the interpolator can follow it falls more
    slowly: the tolerance is then tighter than asked for, never wider."""

    def scale(h: Floats) -> Floats:
        return -np.log2(atol + rtol * np.abs(h))

    words = list(_words(_fit(scale, Mode.EVEN, state_frac_bits, LOG_FRAC)))
    for index in range(1, SIZE):
        words[index] = max(words[index], words[index - 1] - MAX_DELTA)
    inside = ALL_INPUTS[np.abs(ALL_INPUTS) < 32768 - 128]
    limit = 0.0 if np.abs(np.diff(words)).max() == MAX_DELTA else 0.2
    text = "error scale: worst relative error"
    return _log_table("error scale", Mode.EVEN, tuple(words), state_frac_bits, scale, inside, text, limit)
