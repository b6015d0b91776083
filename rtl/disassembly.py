# SPDX-License-Identifier: BSD-2-Clause
"""Instructions as lines of text."""

from __future__ import annotations

from .isa import AddSource, Control, Factor, Finish, Instruction, Keep, Mode, Norm, Op, Track


def disassemble(instruction: Instruction) -> str:
    """One line of text."""
    i = instruction
    stall = f" stall={i.stall}" if i.stall else ""
    end = " end" if i.loop_end else ""
    if i.op == Op.CONTROL:
        words = {
            Control.FRAME: f"frame {i.imm} in, {4 * i.target} out",
            Control.LOOP: f"loop {i.imm & 0xFF}" + (" rhs" if i.imm >> 15 else ""),
            Control.JUMP: f"jump {i.target} {i.cond.name.lower()}",
            Control.EMIT: f"emit 0x{i.imm:04x}",
            Control.ROOM: f"room {4 * i.target}",
            Control.PLAN: "plan" + (" jump" if i.imm & 1 else ""),
            Control.TAKE: f"take list {i.list}" + (", other half" if i.imm & 1 else ""),
            Control.LIST: f"list {i.list} at s[{i.imm}]",
            Control.TRACK: f"track list {i.list}, row {i.target}, threshold {i.imm}",
            Control.REPEAT: f"repeat {i.imm}",
            Control.FLAG: f"flag {i.imm:#x}",
        }
        return words.get(i.control, i.control.name.lower()) + stall + end
    row = "+r" if i.indexed else ""
    x = f"v[{i.x}{row}{'^p' if i.x_par else ''}]"
    head = {
        Op.DOT: f"dot {x} w[{i.w if i.w_load else '++'}] cols={i.cols}",
        Op.TERM: f"term {x} s[{i.w}]",
        Op.IN: "in",
        Op.SPARSE: f"sparse w[{i.w if i.w_load else '++'}] cols={i.cols}" + (" uncounted" if i.x & 1 else ""),
    }[i.op]
    return head + (" -> " + _finish_text(i.finish) if i.last else "") + stall + end


def _finish_text(f: Finish) -> str:
    r = "+r" if f.indexed else ""
    text = "fifo" if f.source else f"acc>>{'row' if f.row_scaled else f.narrow}{'-e' if f.dynamic else ''}"
    if f.keep:
        kept = f"m[{f.m}{r}]"
        sums = {Keep.ADD: f"({kept} += acc)", Keep.SET: f"({kept} = acc)", Keep.READ: f"({kept} + acc)"}
        text = sums[f.keep] + text.removeprefix("acc")
    if f.a_sel:
        sources = {AddSource.MEMORY: f"a[{f.a}{r}]", AddSource.LOG_DT: "log2(dt)", AddSource.LOG_STEP: "log2(T)"}
        text += f" + {sources[f.a_sel]}"
    if f.mode != Mode.IDENTITY:
        text = f"t{f.table}.{f.mode.name.lower()}({text})"
    if f.exp2:
        text = f"exp2({text})"
    b = f"b[{f.b}{r}{'^p' if f.b_par else ''}]"
    if f.sub:
        text = f"({text} - {b})"
    if f.c_sel:
        factor = {Factor.MEMORY: f"c[{f.c}{r}]", Factor.STEP: "step", Factor.POOL: "pool"}[f.c_sel]
        text = f"{text}*{factor}>>{f.c_shift}"
    if f.add:
        text += f" + {b}"
    to = [f"v[{f.v}{r}{'^p' if f.v_par else ''}]"] if f.v_en else []
    to += [f"{m}[{f.e}{r}{'^p' if f.e_par else ''}]" for k, m in enumerate("abcs") if f.e_mask >> k & 1]
    to += [name for name, on in (("out", f.out), ("peak", f.peak)) if on]
    to += [{Norm.OUT: "norm", Norm.CHANGE: "norm(change)", Norm.CHANGE_16: "norm(change>>4)"}[f.norm]] if f.norm else []
    to += [{Track.MOVED: f"track x[{f.t}{r}]", Track.SET: f"x[{f.t}{r}]"}[f.track]] if f.track else []
    return f"{text} -> {', '.join(to) or 'nothing'}"
