# SPDX-License-Identifier: BSD-2-Clause
"""The element pipeline's arithmetic, over int64 arrays of any shape: every narrowing names its rounding and overflow.

Rounding is half up, overflow saturates (docs/isa.md, "State"). Words are kept as signed integers in int64.
"""

import numpy as np
import numpy.typing as npt

from liquid_accel.rtl.formats import EXP2_ROM, FLOAT_MANTISSA_BITS, LOG2, LOG2_CORRECTION, TICK_BITS, WORD
from liquid_accel.rtl.isa import Mode

Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

LOW, HIGH = -(1 << (WORD - 1)), (1 << (WORD - 1)) - 1
SIGN = 1 << (WORD - 1)
SHIFT_MAX = 31  # a row shift and a narrowing have five bits
MANTISSA_ONE = 1 << FLOAT_MANTISSA_BITS  # the hidden bit of a float code
MANTISSA_MASK = MANTISSA_ONE - 1
TABLE_ENTRIES = 256

_PRODUCT_BITS = WORD - 1 + 7  # of a word and a weight
_ONE_THREAD = 1 << 18  # multiplications

_CORRECTION = np.array(LOG2_CORRECTION, dtype=np.int64)
_ROM = np.array(EXP2_ROM, dtype=np.int64)
_ROM_MANTISSA, _ROM_RISE = _ROM & MANTISSA_MASK, _ROM >> FLOAT_MANTISSA_BITS


def sat16(x: Int) -> Int:
    """Clamp to [-2**15, 2**15 - 1]. A clamp event is an element that this changes."""
    return np.minimum(np.maximum(x, LOW), HIGH)


def signed16(x: Int) -> Int:
    """The low 16 bits as a two's complement word."""
    return ((x + SIGN) & 0xFFFF) - SIGN


def rshift(x: Int, n: Int | int) -> Int:
    """floor(x / 2**n + 1/2), `n` a number or an array that broadcasts; n = 0 is x itself."""
    half = np.left_shift(np.int64(1), n) >> 1
    result: Int = (x + half) >> n
    return result


def shift_count(shift: int, exponent: Int | int) -> tuple[Int, Bool]:
    """(clamp(shift - exponent, 0, 31), whether shift - exponent is below 0 and so counts as an event)."""
    wanted = np.asarray(shift - exponent, dtype=np.int64)
    return np.minimum(np.maximum(wanted, 0), SHIFT_MAX), wanted < 0


def matrix_product(x: npt.NDArray[np.float64], w: npt.NDArray[np.float64]) -> Int:
    """x @ w for integers whose sums stay below 2**53, so that float64, whose matrix product is the fast one, is exact.

    Products small enough that BLAS keeps to one thread: on a busy machine its threads wait for each other a hundred
    times longer than they work.
    """
    assert x.shape[1] << _PRODUCT_BITS < 1 << 53, "sums of products may not be exact"
    rows = max(1, _ONE_THREAD // w.size)
    result = np.empty((x.shape[0], w.shape[1]), np.int64)
    for at in range(0, x.shape[0], rows):
        result[at : at + rows] = x[at : at + rows] @ w
    return result


def rises(table: Int) -> Int:
    """(..., 256) entries -> (..., 256) differences to the next entry; the last segment is flat."""
    return np.diff(table, axis=-1, append=table[..., -1:])


def _interpolate(table: Int, rise: Int, i: Int, u: Int) -> Int:
    """y0 + rise * u / 256, rounded half up: u is in 1/256 of a segment."""
    return table[i] + ((rise[i] * u + 128) >> 8)


def function_unit(s: Int, mode: Mode, table: Int, rise: Int, state_frac_bits: int) -> tuple[Int, Bool | None]:
    """f = function(s) of docs/isa.md, finish step 3, without exp2.

    `table` and `rise` are one table's 256 entries and `rises` of it. Returns (f, clamp events), None for a mode
    that has none. Latency and cost: none of its own, the pipeline takes an element a cycle.
    """
    if mode == Mode.IDENTITY:
        return s, None
    if mode == Mode.DIRECT:
        biased = s - LOW
        return sat16(_interpolate(table, rise, biased >> 8, biased & 255)), None
    magnitude = np.minimum(np.abs(s), HIGH)
    t = _interpolate(table, rise, magnitude >> 7, (magnitude & 127) << 1)
    if mode == Mode.EVEN:
        return sat16(t), None
    if mode == Mode.ODD:
        wide = np.where(s < 0, -t, t)
    elif mode == Mode.COMPLEMENT:
        wide = np.where(s < 0, (1 << state_frac_bits) - t, t)
    else:
        wide = t + np.maximum(s, 0)
    f = sat16(wide)
    return f, f != wide


def exp2(f: Int) -> Int:
    """2**(f / 2**11) as a float code of bias 16, itself taken as a signed word: 256 chords of 2**x, M.11 mantissas."""
    j = f & ((1 << LOG2.frac_bits) - 1)
    mantissa = _ROM_MANTISSA[j >> 3] + ((_ROM_RISE[j >> 3] * (j & 7) + 4) >> 3)
    exponent = (f >> LOG2.frac_bits) + 16
    return signed16(exponent << FLOAT_MANTISSA_BITS | np.minimum(mantissa, MANTISSA_MASK))


def split_code(code: Int) -> tuple[Int, Int]:
    """A float code, as a word of either sign, to (exponent, mantissa with its hidden bit)."""
    return code >> FLOAT_MANTISSA_BITS & 31, MANTISSA_ONE + (code & MANTISSA_MASK)


def log2_step(code: Int) -> Int:
    """log2 of a step in machine time units of 2**TICK_BITS ticks, Q4.11, of its float code in ticks."""
    exponent, mantissa = code >> FLOAT_MANTISSA_BITS, code & MANTISSA_MASK
    return sat16(((exponent - TICK_BITS) << FLOAT_MANTISSA_BITS) + mantissa + _CORRECTION[mantissa >> 5])


def signed32(x: Int) -> Int:
    """The low 32 bits as a two's complement word."""
    return ((x + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


def multiply(d: Int, mantissa: Int | int, n: Int | int) -> Int:
    """rshift(d * mantissa, n), not yet saturated: d has 17 bits, the mantissa 12."""
    return rshift(d * mantissa, n)
