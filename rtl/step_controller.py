# SPDX-License-Identifier: BSD-2-Clause
"""The adaptive step controller: chooses each step, judges it, keeps the frame's time (docs/isa.md, PLAN)."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .formats import FLOAT_MANTISSA_BITS, NORM_BITS, TIME_WIDTH, WORD
from .isa import Param, StepFlag

COEFFICIENT = 8  # bits of BETA1, BETA2, ALPHA2, Q0.7
FULL = (1 << TIME_WIDTH) - 1
CHANGE = WORD + 2  # a size plus a change, or the safety less three products, does not overflow


def add_or_subtract(a: Value, b: Value, subtract: Value) -> Value:
    """a + b or a - b, signed, with one adder: the extra low bits bring in the carry."""
    width = max(len(a), len(b)) + 1
    left, right = a.as_signed(), b.as_signed()
    inverted = Cat(right, right[-1].replicate(width - len(right))) ^ subtract.replicate(width)
    extended = Cat(left, left[-1].replicate(width - len(left)))
    return (Cat(subtract, extended) + Cat(subtract, inverted))[1 : width + 1].as_signed()


class StepController(wiring.Component):
    """A serial machine beside the datapath: one accumulator fed from the S memory, one 32-bit subtractor of times, one
    shifter by one bit.

    Sizes are pseudo-logarithms {exponent, mantissa}, which are at once the float code of the step: log2 up to a linear
    mantissa, within 0.09. Raising an error or a time to its logarithm is counting leading zeros. What it remembers of
    earlier steps lives in the S memory too (isa.Param).

    plan, decide, judge   start; `done` in the last cycle. Cycles: docs/isa.md less the one in which the instruction
                          loads. `jump` goes with plan, and stands in the cycle after it
    frame_start           norm, peak and clamp events start anew
    fresh                 a sequence starts: forget the one before
    load_time, dt         time left = dt, its low and its high word in a cycle each
    norm, peak, clamped   of the step, from the element pipeline
    s_address, s_data     a word of the S memory, one cycle later; with s_write the accumulator goes there instead
    step                  float code of the planned step (bias 0, ticks)
    time_left, left       whether time remains in the frame, and how much, in ticks
    within                what the last judge found
    accepted, rejected, limited, halted   one cycle each
    record_flags          StepFlag bits of the step judged last
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "plan": In(1),
                "jump": In(1),
                "decide": In(1),
                "judge": In(1),
                "frame_start": In(1),
                "done": Out(1),
                "fresh": In(1),
                "load_time": In(2),
                "dt": In(WORD),
                "norm": In(NORM_BITS),
                "peak": In(WORD - 1),
                "clamped": In(1),
                "clear": Out(1),
                "s_address": Out(8),
                "s_data": In(signed(WORD)),
                "s_write": Out(1),
                "s_write_data": Out(signed(WORD)),
                "step": Out(WORD),
                "time_left": Out(1),
                "left": Out(TIME_WIDTH),
                "within": Out(1),
                "accepted": Out(1),
                "rejected": Out(1),
                "limited": Out(1),
                "halted": Out(1),
                "record_flags": Out(4),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Time left, now and after the step, is kept complemented: a subtraction is then an addition without inverters.
        spent = Signal(TIME_WIDTH, init=FULL)
        spent_after = Signal(TIME_WIDTH, init=FULL)
        left = self.left
        m.d.comb += left.eq(~spent)
        shifter = Signal(TIME_WIDTH)
        count = Signal(6)
        names = ("fresh", "clipped", "above", "accept", "ok", "saturated")
        fresh, clipped, above, accept, ok, saturated = (Signal(name=name) for name in names)
        time_left = Signal()  # of the time as it stood a cycle earlier; a halt says so at once
        history = Signal()  # a step of this sequence was accepted: the last error and change mean something
        at_limit = Signal()  # the size came out below the smallest and was raised to it
        newest = Signal()  # which of the two error words is the newest
        opening = Signal()  # no step was accepted since the last jump
        judging = Signal()
        checked = Signal()

        # The one subtractor of times: left - shifter = ~(~left + shifter). Its result is a register's.
        spending = Signal(TIME_WIDTH + 1)
        short = Signal()  # less was left than the shifter held
        planning = Signal()
        m.d.comb += spending.eq(spent + shifter)
        with m.If(planning):
            m.d.sync += Cat(spent_after, short).eq(spending)
        code = Cat(shifter[TIME_WIDTH - 1 - FLOAT_MANTISSA_BITS : TIME_WIDTH - 1], count[:5])
        m.d.comb += [
            self.time_left.eq(time_left),
            self.record_flags.eq(
                Mux(accept, StepFlag.ACCEPTED, 0)
                | Mux(accept & ~ok, StepFlag.LIMITED, 0)
                | Mux(saturated, StepFlag.SATURATED, 0)
                | Mux(clipped, StepFlag.CLIPPED, 0)
            ),
        ]
        m.d.sync += time_left.eq(~spent.all())
        # The peak is settled long before its bits are asked for.
        peak_bits = Signal(range(WORD))
        m.d.sync += peak_bits.eq(0)
        for k in range(WORD - 1):
            with m.If(self.peak[k]):
                m.d.sync += peak_bits.eq(k + 1)
        with m.If(self.clamped):
            m.d.sync += saturated.eq(1)
        with m.If(self.frame_start):
            m.d.comb += self.clear.eq(1)
            m.d.sync += saturated.eq(0)
        with m.If(self.fresh):
            m.d.sync += [fresh.eq(1), history.eq(0), at_limit.eq(0), newest.eq(0)]
        for half in range(2):
            with m.If(self.load_time[half]):
                m.d.sync += spent.word_select(half, WORD).eq(~self.dt)

        # `done` and `s_write`, each set in the cycle before.
        ending, writing = Signal(), Signal()
        m.d.comb += [self.done.eq(ending), self.s_write.eq(writing)]
        m.d.sync += [ending.eq(0), writing.eq(0)]

        def normalise(then: str, ends: bool = False) -> None:
            """Shift left until the top bit is one, counting down: leading zeros + 1 cycles. `ends`: one more is all."""
            with m.If(shifter[-1]):
                m.d.sync += ending.eq(ends)
                m.next = then
            with m.Else():
                m.d.sync += [shifter.eq(shifter << 1), count.eq(count - 1)]

        # The accumulator: total = total +- operand, the operand a word of S, signed or not, or a product.
        total, result, operand = Signal(signed(CHANGE)), Signal(signed(CHANGE)), Signal(signed(CHANGE))
        # How the operand is taken; each is set in the cycle before.
        unsigned_word, adding, with_product = Signal(), Signal(), Signal()
        m.d.sync += [unsigned_word.eq(0), adding.eq(0), with_product.eq(0)]
        product, coefficient = Signal(signed(WORD + 1)), Signal(COEFFICIENT)
        bit, which = Signal(range(COEFFICIENT)), Signal(2)
        word = Cat(self.s_data, (self.s_data[-1] & ~unsigned_word).replicate(CHANGE - WORD)).as_signed()
        m.d.comb += [
            operand.eq(Mux(with_product, product, word)),
            result.eq(add_or_subtract(total, operand, ~adding)),
            self.s_write_data.eq(total),
        ]
        below = result[-1]  # with the operand subtracted: total < operand
        # A bound: the operand takes the place of the total if the total is below it, or not; set in the cycle before.
        raises, lowers = Signal(), Signal()
        m.d.sync += [raises.eq(0), lowers.eq(0)]
        with m.If(Mux(below, raises, lowers)):
            m.d.sync += total.eq(operand)

        def address(value: Value | int) -> None:
            m.d.comb += self.s_address.eq(value)

        with m.FSM(name="controller"):
            with m.State("IDLE"):
                with m.If(self.plan):
                    m.next = "PLAN_ADDRESS"
                with m.If(self.decide | self.judge):
                    m.d.sync += judging.eq(self.judge)
                    m.next = "LOAD_NORM"

            # ---- PLAN
            with m.State("PLAN_ADDRESS"):
                # A jump that follows a frame without a step keeps what that frame's jump began with.
                address(Mux(fresh, Param.LOG_START, Mux(self.jump & ~opening, Param.JUMP_SIZE, Param.SIZE)))
                m.d.sync += [fresh.eq(0), opening.eq(opening | self.jump), unsigned_word.eq(1)]
                m.next = "PLAN_LOAD"
            with m.State("PLAN_LOAD"):
                mantissa = Cat(self.s_data[:FLOAT_MANTISSA_BITS], Const(1, 1))
                # Rows are written by now, but their norm is not settled when the instruction loads.
                m.d.comb += self.clear.eq(1)
                m.d.sync += [
                    saturated.eq(0),
                    total.eq(operand),
                    shifter.eq(mantissa << TIME_WIDTH - 1 - FLOAT_MANTISSA_BITS),
                    count.eq(self.s_data[FLOAT_MANTISSA_BITS:]),
                    above.eq(0),
                ]
                m.next = "PLAN_SHIFT"
            with m.State("PLAN_SHIFT"):
                m.d.comb += planning.eq(1)
                with m.If(count == TIME_WIDTH - 1):
                    # Whether twice the step is within the time left, if it was shifted at all.
                    m.d.sync += [above.eq(above & ~short), writing.eq(1)]
                    m.next = "PLAN_COMPARE"
                with m.Else():
                    m.d.sync += [shifter.eq(shifter >> 1), count.eq(count + 1), above.eq(1)]
            with m.State("PLAN_COMPARE"):
                address(Param.SIZE)
                m.d.sync += [shifter.eq(left), count.eq(TIME_WIDTH - 1), clipped.eq(1)]
                with m.If(short | spent_after.all()):
                    m.d.sync += spent_after.eq(FULL)
                    m.next = "PLAN_NORMALISE"
                with m.Elif(~above):
                    m.next = "PLAN_HALVE"
                with m.Else():
                    m.d.sync += [clipped.eq(0), ending.eq(1), writing.eq(1)]
                    m.next = "PLAN_DONE"
            with m.State("PLAN_HALVE"):
                m.d.sync += shifter.eq(shifter >> 1)
                m.next = "PLAN_AFTER"
            with m.State("PLAN_AFTER"):
                m.d.comb += planning.eq(1)
                m.next = "PLAN_NORMALISE"
            with m.State("PLAN_NORMALISE"):
                normalise("PLAN_CODE")
            with m.State("PLAN_CODE"):
                m.d.sync += [total.eq(code), ending.eq(1), writing.eq(1)]
                m.next = "PLAN_DONE"
            with m.State("PLAN_DONE"):
                address(Param.STEP)
                m.d.sync += self.step.eq(total)
                m.next = "IDLE"

            # ---- DECIDE
            with m.State("LOAD_NORM"):
                m.d.sync += [shifter.eq(Cat(Const(0, TIME_WIDTH - NORM_BITS), self.norm | 1)), count.eq(NORM_BITS - 1)]
                m.next = "LOG_NORM"
            with m.State("LOG_NORM"):
                normalise("LOG")
            with m.State("LOG"):
                address(Param.LOG_ACCEPT)
                m.d.sync += [total.eq(code), unsigned_word.eq(1), ending.eq(judging)]
                m.next = "ERROR"
            with m.State("ERROR"):
                # A comparison of its own is ready long before the difference is known to be 0.
                within = (total[:WORD] <= self.s_data.as_unsigned()) & ~saturated
                with m.If(judging):
                    m.d.comb += self.clear.eq(1)
                    m.d.sync += [self.within.eq(within), saturated.eq(0)]
                    m.next = "IDLE"
                with m.Else():
                    m.d.sync += [total.eq(result >> 1), ok.eq(within), accept.eq(within | at_limit), writing.eq(1)]
                    m.next = "ADVANCE"
            with m.State("ADVANCE"):
                address(Param.ERROR_0 | ~newest)
                m.d.comb += [
                    self.accepted.eq(accept),
                    self.rejected.eq(~accept),
                    self.limited.eq(accept & ~ok),
                ]
                with m.If(accept):
                    m.d.sync += spent.eq(spent_after)
                m.next = "SAFETY_ADDRESS"
            with m.State("SAFETY_ADDRESS"):
                address(Param.SAFETY)
                m.next = "SAFETY"
            with m.State("SAFETY"):
                address(Param.BETA1)
                m.d.sync += [total.eq(operand), which.eq(0)]
                m.next = "COEFFICIENT"
            with m.State("COEFFICIENT"):
                self._history_address(m, which, newest)
                m.d.sync += [coefficient.eq(self.s_data), bit.eq(0), product.eq(0)]
                m.next = "MULTIPLY"
            with m.State("MULTIPLY"):
                # From the lowest bit up, halving; the highest bit is the negative one, and is not halved.
                self._history_address(m, which, newest)
                is_last = bit == COEFFICIENT - 1
                chosen = Mux(coefficient[0] & (history | (which == 0)), self.s_data, 0)
                added = add_or_subtract(product, chosen, is_last)
                m.d.sync += [
                    product.eq(Mux(is_last, added, added >> 1)),
                    coefficient.eq(coefficient >> 1),
                    bit.eq(bit + 1),
                ]
                with m.If(is_last):
                    m.d.sync += with_product.eq(1)
                    m.next = "SUBTRACT"
            with m.State("SUBTRACT"):
                address(Mux(which == 0, Param.BETA2, Mux(which == 1, Param.ALPHA2, Param.CHANGE_MIN)))
                m.d.sync += [total.eq(result), which.eq(which + 1)]
                m.next = "COEFFICIENT"
                with m.If(which == 2):
                    m.d.sync += raises.eq(1)
                    m.next = "CHANGE_LOW"
            with m.State("CHANGE_LOW"):
                address(Mux(accept, Param.CHANGE_MAX, Param.CHANGE_REJECT))
                m.d.sync += lowers.eq(1)
                m.next = "CHANGE_HIGH"
            with m.State("CHANGE_HIGH"):
                m.d.sync += writing.eq(accept)
                m.next = "REMEMBER"
            with m.State("REMEMBER"):
                address(Param.CHANGE_LAST)
                with m.If(accept):
                    m.d.sync += [newest.eq(~newest), history.eq(1)]
                m.next = "ADD_ADDRESS"
            with m.State("ADD_ADDRESS"):
                address(Param.STEP)
                m.d.sync += [unsigned_word.eq(1), adding.eq(1)]
                m.next = "ADD"
            with m.State("ADD"):
                address(Param.SIZE)
                # A step that the frame's end cut short says little about longer ones: it never lowers the size.
                m.d.sync += [total.eq(result), unsigned_word.eq(1), raises.eq(accept & clipped)]
                m.next = "KEEP"
            with m.State("KEEP"):
                address(Param.LOG_MIN)
                m.d.sync += [unsigned_word.eq(1), raises.eq(1)]
                m.next = "FLOOR"
            with m.State("FLOOR"):
                address(Param.LOG_MAX)
                m.d.sync += [at_limit.eq(below), unsigned_word.eq(1), lowers.eq(1)]
                m.next = "CEILING"
            with m.State("CEILING"):
                address(Param.HALT)
                m.d.sync += writing.eq(accept & opening)
                m.next = "JUMP_SIZE"
            with m.State("JUMP_SIZE"):
                address(Param.JUMP_SIZE)
                check = accept & self.time_left & (self.s_data != 0)
                m.d.sync += [checked.eq(check), ending.eq(~check), writing.eq(1)]
                with m.If(accept & opening):
                    m.d.sync += opening.eq(0)
                m.next = "SIZE"
            with m.State("SIZE"):
                address(Param.SIZE)
                m.d.sync += [shifter.eq(left), count.eq(TIME_WIDTH)]
                with m.If(checked):
                    m.next = "HALT_BITS"
                with m.Else():
                    m.next = "IDLE"
            with m.State("HALT_BITS"):
                address(Param.HALT)
                normalise("HALT_JUDGE", ends=True)
            with m.State("HALT_JUDGE"):
                with m.If((count + peak_bits) <= self.s_data):
                    m.d.sync += [spent.eq(FULL), time_left.eq(0)]
                    m.d.comb += self.halted.eq(1)
                m.next = "IDLE"
        return m

    def _history_address(self, m: Module, which: Signal, newest: Signal) -> None:
        """The factor of a coefficient: this error, the last one, the last change."""
        with m.Switch(which):
            with m.Case(0):
                m.d.comb += self.s_address.eq(Param.ERROR_0 | ~newest)
            with m.Case(1):
                m.d.comb += self.s_address.eq(Param.ERROR_0 | newest)
            with m.Default():
                m.d.comb += self.s_address.eq(Param.CHANGE_LAST)
