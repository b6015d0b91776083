# SPDX-License-Identifier: BSD-2-Clause
"""The adaptive step controller: chooses each step, judges it, and keeps the frame's time (docs/isa.md, PLAN and DECIDE)."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .formats import FLOAT_MANTISSA_BITS, TIME_WIDTH, WORD
from .isa import Param, StepFlag
from .norm import NORM_BITS

COEFFICIENT = 8  # bits of BETA1, BETA2, ALPHA2, Q0.7
SUM = WORD + COEFFICIENT + 2  # three products and the safety


class StepController(wiring.Component):
    """A serial machine beside the datapath: no multiplier, no divider, one 32-bit subtractor, one 32-bit shifter by one.

    Sizes are pseudo-logarithms {exponent, mantissa}, which are at once the float code of the step: log2 up to a linear mantissa, within 0.09. Raising the
    time left, errors or steps to logarithms is counting leading zeros.

    plan, decide          start; `done` in the last cycle. Cycles: docs/isa.md less the one in which the instruction loads
    fresh, load_time, dt  a frame's start: forget the last sequence; time left = dt
    norm, peak, clamped   of the step, from the element pipeline
    s_address, s_data     the controller's constants, in the S memory
    step                  float code of the planned step (bias 0, ticks)
    time_left             time remains in the frame
    accepted, rejected, limited, halted   one cycle each
    record_flags          StepFlag bits of the step judged last
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "plan": In(1),
                "decide": In(1),
                "done": Out(1),
                "fresh": In(1),
                "load_time": In(1),
                "dt": In(TIME_WIDTH),
                "norm": In(NORM_BITS),
                "peak": In(WORD - 1),
                "clamped": In(1),
                "clear": Out(1),
                "s_address": Out(8),
                "s_data": In(signed(WORD)),
                "step": Out(WORD),
                "time_left": Out(1),
                "accepted": Out(1),
                "rejected": Out(1),
                "limited": Out(1),
                "halted": Out(1),
                "record_flags": Out(4),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left, ticks, shifter = Signal(TIME_WIDTH), Signal(TIME_WIDTH), Signal(TIME_WIDTH)
        count = Signal(6)
        log_next, step = Signal(WORD), Signal(WORD)
        error, error1, change1 = Signal(signed(WORD)), Signal(signed(WORD)), Signal(signed(WORD))
        fresh, clipped, shorter, accept, ok, saturated = Signal(), Signal(), Signal(), Signal(), Signal(), Signal()
        low = Signal(WORD)
        total = Signal(signed(SUM))
        change = Signal(signed(WORD + 2))
        coefficient, operand, bit, factor = Signal(COEFFICIENT), Signal(signed(SUM)), Signal(range(COEFFICIENT)), Signal(2)
        unsigned_data = self.s_data.as_unsigned()

        # One subtractor: time left - step, step - half, each with its borrow.
        minuend, subtrahend = Signal(TIME_WIDTH), Signal(TIME_WIDTH)
        difference = Signal(TIME_WIDTH + 1)
        m.d.comb += [minuend.eq(left), subtrahend.eq(shifter), difference.eq(minuend - subtrahend)]
        borrow = difference[-1]

        half = (left + 1) >> 1
        code = Cat(shifter[TIME_WIDTH - 1 - FLOAT_MANTISSA_BITS : TIME_WIDTH - 1], count[:5])
        m.d.comb += [self.step.eq(step), self.time_left.eq(left != 0)]
        m.d.comb += self.record_flags.eq(
            Mux(accept, StepFlag.ACCEPTED, 0)
            | Mux(accept & ~ok, StepFlag.LIMITED, 0)
            | Mux(saturated, StepFlag.SATURATED, 0)
            | Mux(clipped, StepFlag.CLIPPED, 0)
        )
        with m.If(self.clamped):
            m.d.sync += saturated.eq(1)
        with m.If(self.fresh):
            m.d.sync += fresh.eq(1)
        with m.If(self.load_time):
            m.d.sync += left.eq(self.dt)

        with m.FSM(name="controller"):
            with m.State("IDLE"):
                with m.If(self.plan):
                    m.d.comb += self.clear.eq(1)
                    m.d.sync += saturated.eq(0)
                    m.next = "PLAN_ADDRESS"
                with m.If(self.decide):
                    m.next = "LOW"

            # ---- PLAN -----------------------------------------------------------------------------------------------------
            with m.State("PLAN_ADDRESS"):
                m.d.comb += self.s_address.eq(Param.LOG_START)
                m.next = "PLAN_START"
            with m.State("PLAN_START"):
                with m.If(fresh):
                    m.d.sync += [log_next.eq(unsigned_data), error1.eq(0), change1.eq(0), fresh.eq(0)]
                m.next = "PLAN_LOAD"
            with m.State("PLAN_LOAD"):
                mantissa = Cat(log_next[:FLOAT_MANTISSA_BITS], 1)
                m.d.sync += [
                    shifter.eq(mantissa << TIME_WIDTH - 1 - FLOAT_MANTISSA_BITS),
                    count.eq(log_next[FLOAT_MANTISSA_BITS:]),
                ]
                m.next = "PLAN_SHIFT"
            with m.State("PLAN_SHIFT"):
                with m.If(count == TIME_WIDTH - 1):
                    m.next = "PLAN_COMPARE"
                with m.Else():
                    m.d.sync += [shifter.eq(shifter >> 1), count.eq(count + 1)]
            with m.State("PLAN_COMPARE"):
                m.d.sync += [ticks.eq(difference), shorter.eq(borrow | (difference == 0))]
                m.next = "PLAN_CHOOSE"
            with m.State("PLAN_CHOOSE"):
                # `ticks` holds what would be left after the step.
                m.d.comb += minuend.eq(ticks)
                m.d.sync += [ticks.eq(shifter), clipped.eq(shorter | borrow), count.eq(TIME_WIDTH - 1)]
                with m.If(shorter):
                    m.d.sync += [ticks.eq(left), shifter.eq(left)]
                    m.next = "PLAN_NORMALISE"
                with m.Elif(borrow):
                    m.d.sync += [ticks.eq(half), shifter.eq(half)]
                    m.next = "PLAN_NORMALISE"
                with m.Else():
                    m.next = "PLAN_DONE"
            with m.State("PLAN_NORMALISE"):
                self._normalise(m, shifter, count, "PLAN_DONE")
            with m.State("PLAN_DONE"):
                m.d.sync += step.eq(Mux(clipped, code, log_next))
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"

            # ---- DECIDE ---------------------------------------------------------------------------------------------------
            with m.State("LOW"):
                m.d.comb += self.s_address.eq(Param.ACCEPT_LOW)
                m.next = "HIGH"
            with m.State("HIGH"):
                m.d.comb += self.s_address.eq(Param.ACCEPT_HIGH)
                m.d.sync += low.eq(unsigned_data)
                m.next = "COMPARE"
            with m.State("COMPARE"):
                m.d.comb += self.s_address.eq(Param.LOG_MIN)
                m.d.comb += [minuend.eq(Cat(low, unsigned_data[: NORM_BITS - WORD])), subtrahend.eq(self.norm)]
                m.d.sync += ok.eq(~borrow & ~saturated)
                m.next = "LIMIT"
            with m.State("LIMIT"):
                m.d.sync += [accept.eq(ok | (step <= unsigned_data)), shifter.eq(ticks)]
                m.next = "ADVANCE"
            with m.State("ADVANCE"):
                m.d.comb += [
                    self.s_address.eq(Param.LOG_ACCEPT),
                    self.accepted.eq(accept),
                    self.rejected.eq(~accept),
                    self.limited.eq(accept & ~ok),
                ]
                with m.If(accept):
                    m.d.sync += left.eq(difference)
                m.d.sync += [shifter.eq(Cat(Const(0, TIME_WIDTH - NORM_BITS), self.norm | 1)), count.eq(NORM_BITS - 1)]
                m.next = "LOG_NORM"
            with m.State("LOG_NORM"):
                m.d.comb += self.s_address.eq(Param.LOG_ACCEPT)
                self._normalise(m, shifter, count, "ERROR")
            with m.State("ERROR"):
                m.d.comb += self.s_address.eq(Param.SAFETY)
                m.d.sync += error.eq((code - unsigned_data) >> 1)
                m.next = "SAFETY"
            with m.State("SAFETY"):
                m.d.comb += self.s_address.eq(Param.BETA1)
                m.d.sync += [total.eq(self.s_data << COEFFICIENT - 1), factor.eq(0)]
                m.next = "COEFFICIENT"
            with m.State("COEFFICIENT"):
                m.d.sync += [coefficient.eq(self.s_data), bit.eq(0)]
                with m.Switch(factor):
                    with m.Case(0):
                        m.d.sync += operand.eq(error)
                    with m.Case(1):
                        m.d.sync += operand.eq(error1)
                    with m.Default():
                        m.d.sync += operand.eq(change1)
                m.next = "MULTIPLY"
            with m.State("MULTIPLY"):
                # The next coefficient is addressed until this product is done.
                m.d.comb += self.s_address.eq(Mux(factor == 0, Param.BETA2, Mux(factor == 1, Param.ALPHA2, Param.CHANGE_MIN)))
                negate = bit == COEFFICIENT - 1
                with m.If(coefficient[0]):
                    m.d.sync += total.eq(Mux(negate, total + operand, total - operand))
                m.d.sync += [operand.eq(operand << 1), coefficient.eq(coefficient >> 1), bit.eq(bit + 1)]
                with m.If(bit == COEFFICIENT - 1):
                    m.d.sync += factor.eq(factor + 1)
                    m.next = "COEFFICIENT"
                    with m.If(factor == 2):
                        m.next = "CHANGE"
            with m.State("CHANGE"):
                m.d.comb += self.s_address.eq(Param.CHANGE_MIN)
                scaled = total >> COEFFICIENT - 1
                high, bottom = (1 << WORD - 1) - 1, -(1 << WORD - 1)
                m.d.sync += change.eq(Mux(scaled > high, high, Mux(scaled < bottom, bottom, scaled)))
                m.next = "CHANGE_LOW"
            with m.State("CHANGE_LOW"):
                m.d.comb += self.s_address.eq(Mux(accept, Param.CHANGE_MAX, Param.CHANGE_REJECT))
                with m.If(change < self.s_data):
                    m.d.sync += change.eq(self.s_data)
                m.next = "CHANGE_HIGH"
            with m.State("CHANGE_HIGH"):
                with m.If(change > self.s_data):
                    m.d.sync += change.eq(self.s_data)
                m.next = "ADD"
            with m.State("ADD"):
                with m.If(accept):
                    m.d.sync += [error1.eq(error), change1.eq(change)]
                m.d.sync += change.eq(step + change)
                m.next = "KEEP"
            with m.State("KEEP"):
                m.d.comb += self.s_address.eq(Param.LOG_MIN)
                with m.If(accept & clipped & (change < log_next)):
                    m.d.sync += change.eq(log_next)
                m.next = "FLOOR"
            with m.State("FLOOR"):
                m.d.comb += self.s_address.eq(Param.LOG_MAX)
                with m.If(change < unsigned_data):
                    m.d.sync += change.eq(unsigned_data)
                m.next = "CEILING"
            with m.State("CEILING"):
                m.d.comb += self.s_address.eq(Param.HALT)
                m.d.sync += log_next.eq(Mux(change > unsigned_data, unsigned_data, change))
                m.next = "HALT"
            with m.State("HALT"):
                m.d.comb += self.s_address.eq(Param.HALT)
                with m.If(accept & self.time_left & (self.s_data != 0)):
                    m.next = "HALT_TIME"
                with m.Else():
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
            with m.State("HALT_TIME"):
                m.d.sync += [shifter.eq(left), count.eq(TIME_WIDTH)]
                m.next = "HALT_TIME_BITS"
            with m.State("HALT_TIME_BITS"):
                self._normalise(m, shifter, count, "HALT_PEAK")
            with m.State("HALT_PEAK"):
                # A one below the last bit ends the count for a peak of zero.
                m.d.sync += [low.eq(count), shifter.eq(Cat(Const(1 << TIME_WIDTH - WORD - 1, TIME_WIDTH - WORD), self.peak, 0)), count.eq(WORD)]
                m.next = "HALT_PEAK_BITS"
            with m.State("HALT_PEAK_BITS"):
                m.d.comb += self.s_address.eq(Param.HALT)
                self._normalise(m, shifter, count, "HALT_JUDGE")
            with m.State("HALT_JUDGE"):
                with m.If((low[:6] + count) <= self.s_data):
                    m.d.sync += left.eq(0)
                    m.d.comb += self.halted.eq(1)
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"
        return m

    @staticmethod
    def _normalise(m: Module, shifter: Signal, count: Signal, then: str) -> None:
        """Shift left until the top bit is one, counting down: leading zeros + 1 cycles."""
        with m.If(shifter[-1]):
            m.next = then
        with m.Else():
            m.d.sync += [shifter.eq(shifter << 1), count.eq(count - 1)]
