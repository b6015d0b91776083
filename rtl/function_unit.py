# SPDX-License-Identifier: BSD-2-Clause
"""The function unit: tanh, sigmoid, softplus and logarithms of gates as table contents; 2**x to a float code."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .formats import EXP2_ROM, FLOAT_BIAS, FLOAT_MANTISSA_BITS, WORD
from .isa import Mode
from .memory import Ram, read_cycles
from .multiplier import Multiplier, conditional_sum
from .narrow import saturate

SEGMENTS = 256
DELTA = 11  # bits of the rise over a segment, signed


class FunctionUnit(wiring.Component):
    """f(s) = y0 + round((y1 - y0) * u / 256) between two neighbouring table entries, extended by symmetry (isa.Mode);
    then 2**f if `exp2`.

    s, table, mode, exp2     an element a cycle
    f, clamped               `latency` = 6 + `read_cycles` of the vendor later
    host_*                   a word of the tables, while no element is under way: index = table * 256 + entry; read in
                             1 + `read_cycles`
    one_bit                  state_frac_bits: 2**one_bit is the 1 of COMPLEMENT

    Entries of even and odd index lie in two memories, so that both ends of a segment are read at once. Cost: an 11 x 8
    Multiplier, a 5 x 3 one in fabric, 2 * tables / 4 + 1 block RAMs or more by their depth.
    """

    def __init__(self, tables: int, one_bit: int, vendor: str = "portable") -> None:
        self.tables, self.one_bit, self.vendor = tables, one_bit, vendor
        self.latency = 6 + read_cycles(vendor)
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
        depth = self.tables * SEGMENTS // 2
        m.submodules.even = even = Ram(depth, vendor=self.vendor, registered=True)
        m.submodules.odd = odd = Ram(depth, vendor=self.vendor, registered=True)
        m.submodules.exp2_rom = rom = Ram(len(EXP2_ROM), init=EXP2_ROM, vendor=self.vendor)

        # Stage 0: the segment.
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
        s1, index1, within1 = Signal(signed(WORD)), Signal(len(self.host_index)), Signal(8)
        identity1, tail1, complement1, flip1 = Signal(), Signal(), Signal(), Signal()
        m.d.sync += [
            s1.eq(self.s),
            index1.eq(Mux(self.host, self.host_index, Cat(segment, self.table))),
            within1.eq(within),
            identity1.eq(self.mode == Mode.IDENTITY),
            tail1.eq((self.mode == Mode.IDENTITY) | ((self.mode == Mode.SOFTPLUS) & ~negative)),
            complement1.eq((self.mode == Mode.COMPLEMENT) & negative),
            flip1.eq(((self.mode == Mode.COMPLEMENT) | (self.mode == Mode.ODD)) & negative),
        ]

        # Stage 1: presented to both memories.
        m.d.comb += [even.read_row.eq((index1 + 1) >> 1), odd.read_row.eq(index1 >> 1)]

        # Stage 3, or 2 where the memories have no register: both ends of the segment. Stages below are for a register.
        reading = even.latency
        is_odd = self._delay(m, index1[0], reading, "is_odd")
        y0, y1 = Signal(signed(WORD)), Signal(signed(WORD))
        m.d.comb += [
            y0.eq(Mux(is_odd, odd.read_data, even.read_data)),
            y1.eq(Mux(is_odd, even.read_data, odd.read_data)),
        ]
        m.d.comb += self.host_read_data.eq(y0)
        s3, within3 = self._delay(m, s1, reading, "s"), self._delay(m, within1, reading, "within")
        identity3, tail3 = self._delay(m, identity1, reading, "identity"), self._delay(m, tail1, reading, "tail")
        flat3 = identity3 | self._delay(m, index1[:8] == SEGMENTS - 1, reading, "final")
        base3, base4 = Signal(signed(WORD + 1)), Signal(signed(WORD + 1))
        conditional_sum(m, "base", Mux(identity3, 0, y0), s3.as_signed(), tail3, base3, self.vendor)
        m.d.sync += base4.eq(base3)
        m.submodules.multiplier = multiplier = Multiplier(DELTA, 8, self.vendor, first=2)
        m.d.comb += [multiplier.a.eq(Mux(flat3, 0, y1 - y0)), multiplier.b.eq(within3)]

        # Stage 4: the other half by symmetry, -x or 1 - x, of base and product each by itself: -x = ~x + 1.
        flip4 = self._delay(m, flip1, reading + 1, "flip")
        complement4 = self._delay(m, complement1, reading + 1, "complement")
        base5, flip5 = Signal(signed(WORD + 2)), Signal()
        mirrored = (base4.as_unsigned() ^ flip4.replicate(len(base4))).as_signed()
        m.d.sync += [base5.eq(mirrored + Cat(flip4, Const(0, self.one_bit - 1), complement4)), flip5.eq(flip4)]

        # Stage 5: interpolation. Half a unit rounds: base + (p >> 8) + p[7], or base + ~(p >> 8) + ~p[7].
        product = multiplier.product
        rise = (product[8:] ^ flip5.replicate(len(product) - 8)).as_signed()
        value6 = Signal(signed(WORD + 3))
        m.d.sync += value6.eq((Cat(1, base5).as_signed() + Cat(product[7] ^ flip5, rise).as_signed())[1:].as_signed())

        # Stages 6 and 7: 2**f.
        f6, clamped6 = saturate(m, value6, "function")
        f7, clamped7 = Signal(signed(WORD)), Signal()
        m.d.sync += [f7.eq(f6), clamped7.eq(clamped6)]
        m.d.comb += rom.read_row.eq(f6[3:FLOAT_MANTISSA_BITS])
        start, growth = rom.read_data[:FLOAT_MANTISSA_BITS], rom.read_data[FLOAT_MANTISSA_BITS:]
        shares = [Mux(f7[k], growth << k, 0) for k in range(3)]
        mantissa, exponent = Signal(FLOAT_MANTISSA_BITS), Signal(5)
        m.d.comb += [
            mantissa.eq(start + ((shares[0] + shares[1] + shares[2] + 4) >> 3)),
            exponent.eq(f7[FLOAT_MANTISSA_BITS:] + FLOAT_BIAS),
        ]
        as_power = self._delay(m, self.exp2, self.latency - 1, "exp2")
        m.d.sync += [self.f.eq(Mux(as_power, Cat(mantissa, exponent), f7)), self.clamped.eq(clamped7)]

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
    def _delay(m: Module, value: Value, cycles: int, name: str) -> Value:
        """`value` that many cycles later."""
        for k in range(cycles):
            later = Signal(len(value), name=f"{name}_{k + 1}")
            m.d.sync += later.eq(value)
            value = later
        return value
