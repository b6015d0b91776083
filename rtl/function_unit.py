# SPDX-License-Identifier: BSD-2-Clause
"""The function unit: tanh, sigmoid, softplus and logarithms of gates as table contents; 2**x to a float code."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .formats import EXP2_ROM, FLOAT_BIAS, FLOAT_MANTISSA_BITS, WORD
from .isa import Mode
from .memory import Ram
from .multiplier import RowMultiplier, conditional_sum
from .narrow import saturate

SEGMENTS = 256
DELTA = 11  # bits of the rise over a segment, signed


class FunctionUnit(wiring.Component):
    """f(s) = y0 + round((y1 - y0) * u / 256) between two neighbouring table entries, extended by symmetry (isa.Mode);
    then 2**f if `exp2`.

    s, table, mode, exp2     an element a cycle
    f, clamped               `latency` = 5 cycles later, combinational there
    host_*                   a word of the tables, while no element is under way: index = table * 256 + entry
    one_bit                  state_frac_bits: 2**one_bit is the 1 of COMPLEMENT

    Entries of even and odd index lie in two memories, so that both ends of a segment are read at once. Cost: one 11 x 8
    and one 5 x 3 multiplier in fabric, 2 * tables / 4 + 1 block RAMs or more by their depth.
    """

    latency = 5

    def __init__(self, tables: int, one_bit: int, vendor: str = "portable") -> None:
        self.tables, self.one_bit, self.vendor = tables, one_bit, vendor
        index = (tables * SEGMENTS - 1).bit_length()
        super().__init__(
            {
                "s": In(signed(WORD)),
                "table": In(3),
                "mode": In(Mode),
                "exp2": In(1),
                "f": Out(signed(WORD)),
                "clamped": Out(1),
                "host": In(1),
                "host_index": In(index),
                "host_write": In(1),
                "host_write_data": In(WORD),
                "host_read_data": Out(WORD),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.even = even = Ram(self.tables * SEGMENTS // 2)
        m.submodules.odd = odd = Ram(self.tables * SEGMENTS // 2)
        m.submodules.exp2_rom = rom = Ram(len(EXP2_ROM), init=EXP2_ROM)

        # Stage 0: the segment, presented to both memories.
        magnitude = Signal(WORD - 1)
        negative = self.s[-1]
        flipped = Signal(WORD)
        m.d.comb += flipped.eq((self.s ^ negative.replicate(WORD)) + negative)
        m.d.comb += magnitude.eq(Mux(flipped[-1], (1 << WORD - 1) - 1, flipped))
        segment, within = Signal(8), Signal(8)
        with m.If(self.mode == Mode.DIRECT):
            m.d.comb += [segment.eq(Cat(self.s[8:15], ~negative)), within.eq(self.s[:8])]
        with m.Else():
            m.d.comb += [segment.eq(magnitude[7:]), within.eq(Cat(0, magnitude[:7]))]
        index = Signal(len(self.host_index))
        m.d.comb += index.eq(Mux(self.host, self.host_index, Cat(segment, self.table)))
        m.d.comb += [even.read_row.eq((index + 1) >> 1), odd.read_row.eq(index >> 1)]

        # Stage 1: both ends of the segment.
        s1, mode1, within1 = Signal(signed(WORD)), Signal(Mode), Signal(8)
        is_odd1, final1 = Signal(), Signal()
        m.d.sync += [
            s1.eq(self.s),
            mode1.eq(self.mode),
            within1.eq(within),
            is_odd1.eq(index[0]),
            final1.eq(segment == SEGMENTS - 1),
        ]
        y0, y1 = Signal(signed(WORD)), Signal(signed(WORD))
        m.d.comb += [
            y0.eq(Mux(is_odd1, odd.read_data, even.read_data)),
            y1.eq(Mux(is_odd1, even.read_data, odd.read_data)),
            self.host_read_data.eq(y0),
        ]
        identity = Signal()
        m.d.comb += identity.eq(mode1 == Mode.IDENTITY)
        base1, base2 = Signal(signed(WORD + 1)), Signal(signed(WORD + 1))
        delta2, within2 = Signal(signed(DELTA)), Signal(8)
        tail = identity | ((mode1 == Mode.SOFTPLUS) & ~s1[-1])
        conditional_sum(m, "base", Mux(identity, 0, y0), s1, tail, base1, self.vendor)
        m.d.sync += [
            base2.eq(base1),
            delta2.eq(Mux(identity | final1, 0, y1 - y0)),
            within2.eq(within1),
        ]

        # Stages 2 and 3: interpolation.
        product3, base3 = Signal(signed(DELTA + 8)), Signal(signed(WORD + 1))
        m.submodules.multiplier = multiplier = RowMultiplier(DELTA, 8, self.vendor)
        # The product starts from one half, so that cutting it rounds it.
        m.d.comb += [multiplier.a.eq(delta2), multiplier.b.eq(within2), multiplier.start.eq(128)]
        m.d.sync += [product3.eq(multiplier.total), base3.eq(base2)]
        value4 = Signal(signed(WORD + 2))
        m.d.sync += value4.eq(base3 + (product3 >> 8))

        # Stage 4: the other half by symmetry.
        mirror = self._delay(m, (mode1 == Mode.ODD) & s1[-1], 3, "mirror")
        complement = self._delay(m, (mode1 == Mode.COMPLEMENT) & s1[-1], 3, "complement")
        # -x = ~x + 1, and 1 - x = ~x + 1 + one: one adder.
        signed_value = Signal(signed(WORD + 3))
        flip = mirror | complement
        flipped4 = (value4.as_unsigned() ^ flip.replicate(len(value4))).as_signed()
        m.d.comb += signed_value.eq(flipped4 + Cat(flip, Const(0, self.one_bit - 1), complement))
        f4, clamped4 = saturate(m, signed_value, "function")
        f5, clamped5 = Signal(signed(WORD)), Signal()
        m.d.sync += [f5.eq(f4), clamped5.eq(clamped4)]

        # Stages 4 and 5: 2**f.
        m.d.comb += rom.read_row.eq(f4[3:FLOAT_MANTISSA_BITS])
        start, rise = rom.read_data[:FLOAT_MANTISSA_BITS], rom.read_data[FLOAT_MANTISSA_BITS:]
        mantissa = Signal(FLOAT_MANTISSA_BITS)
        m.d.comb += mantissa.eq(start + ((rise * f5[:3] + 4) >> 3))
        exponent = Signal(5)
        m.d.comb += exponent.eq(f5[FLOAT_MANTISSA_BITS:] + FLOAT_BIAS)
        as_power = self._delay(m, self.exp2, self.latency, "exp2")
        m.d.comb += [self.f.eq(Mux(as_power, Cat(mantissa, exponent), f5)), self.clamped.eq(clamped5)]

        m.d.comb += [
            even.write_row.eq(self.host_index >> 1),
            odd.write_row.eq(self.host_index >> 1),
            even.write_data.eq(self.host_write_data),
            odd.write_data.eq(self.host_write_data),
            even.write_parts.eq(self.host_write & ~self.host_index[0]),
            odd.write_parts.eq(self.host_write & self.host_index[0]),
        ]
        return m

    @staticmethod
    def _delay(m: Module, value: object, cycles: int, name: str) -> Signal:
        """`value` (one bit) that many cycles later."""
        for k in range(cycles):
            later = Signal(name=f"{name}_{k + 1}")
            m.d.sync += later.eq(value)
            value = later
        assert isinstance(value, Signal)
        return value
