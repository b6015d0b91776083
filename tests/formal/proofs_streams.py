# SPDX-License-Identifier: BSD-2-Clause
"""Proofs of FIFOs, of the register bus, and of the bridges to other buses: order, one answer to each request."""

from prover import Proof

from liquid_accel.rtl.config import preset
from liquid_accel.rtl.csr import RegisterBlock
from liquid_accel.rtl.memory import Fifo

FIFO = """
module top(input clk);
  reg start = 1;
  always @(posedge clk) start <= 0;
  (* anyseq *) reg write, read;
  (* anyseq *) reg [15:0] write_data;
  wire [15:0] read_data;
  wire valid;
  wire [{bits}:0] level, room;
  wire [{bits} - 1:0] head, tail;
  wire load, more, push;
  dut dut(.clk(clk), .rst(start), .clear(1'b0), .write(write), .write_data(write_data), .read(read),
    .read_data(read_data), .valid(valid), .level(level), .room(room), .head(head), .tail(tail), .load(load),
    .more(more), .push(push));
  wire pushed = write && level != {depth}, popped = read && valid;
  reg [{bits} + 1:0] written = 0, taken = 0;
  (* anyconst *) reg [{bits} + 1:0] watched;
  reg [15:0] kept;
  reg stood = 0, waits = 0, waits2 = 0;
  reg [15:0] shown;
  always @(posedge clk) if (!start) begin
    written <= written + pushed;
    taken <= taken + popped;
    stood <= valid && !read;
    shown <= read_data;
    waits <= level != 0 && !popped;
    {{checks}}
  end
endmodule
"""
COUNTED = """
    assert(level == ((written - taken) & {mask}));
    assert(room == {depth} - level && level <= {depth});
    assert(level != 0 || !valid);
    assert(((tail - head - level + valid) & ({depth} - 1)) == 0);
    if (stood) assert(valid);
    if (waits) assert(valid);
    if (load && more && push) assert(head != tail);
"""
ORDER = """
    if (pushed && written == watched) kept <= write_data;
    if (popped && taken == watched) assert(read_data == kept);
    if (stood) assert(read_data == shown);
"""


def fifo(name: str, claim: str, checks: str, depth: int, cycles: int, induction: bool) -> Proof:
    bits = depth.bit_length() - 1
    text = FIFO.format(bits=bits, depth=depth).replace("{checks}", checks.format(mask=4 * depth - 1, depth=depth))
    ports = ("head", "tail", "load", "more", "push")
    return Proof(name, f"Fifo({depth})", claim, lambda: Fifo(depth), text, cycles, induction, ports)


BUS = """
module top(input clk);
  reg start = 1;
  always @(posedge clk) start <= 0;
  (* anyseq *) reg valid, ready, idle, starved, illegal, results_valid, frames_ready;
  (* anyseq *) reg [24:0] payload;
  (* anyseq *) reg [{level}:0] in_room, out_level;
  (* anyseq *) reg [15:0] results, host_read;
  wire taken_ready, answer_valid, interrupt, host_write, run, abort, error;
  wire [2:0] waiting;
  wire [15:0] answer;
  dut dut(.clk(clk), .rst(start), .request__valid(valid), .request__payload(payload), .request__ready(taken_ready),
    .response__valid(answer_valid), .response__payload(answer), .response__ready(ready), .interrupt(interrupt),
    .frames__ready(frames_ready), .results__valid(results_valid), .results__payload(results), .idle(idle),
    .starved(starved), .illegal(illegal), .in_room(in_room), .out_level(out_level), .host_read_data(host_read),
    .host_write(host_write), .run(run), .abort(abort), .error(error), .waiting(waiting));
  reg asked = 0, stood = 0, answered = 0, known = 0, was_write = 0, was_idle = 0;
  reg [24:0] held;
  reg [15:0] shown;
  reg [1:0] open = 0;
  reg [3:0] age = 0;
  wire took = valid && taken_ready && !start, gave = answer_valid && ready && !start;
  always @(*) if (asked) assume(valid && payload == held);
  always @(posedge clk) begin
    asked <= valid && !taken_ready && !start;
    held <= payload;
    stood <= answer_valid && !ready && !start;
    shown <= answer;
    open <= start ? 0 : open + took - gave;
    age <= start || gave || open == 0 ? 0 : answer_valid ? age : age + 1;
    if (!start) begin
      // One request at a time, one answer to each, within the time that docs/isa.md gives.
      assert(open <= 1);
      assert(!(took && open == 1));
      assert(!(gave && open == 0));
      assert(age <= {most});
      assert((open == 1) == (answer_valid || waiting != 0));
      assert(!answer_valid || waiting == 0);
      if (waiting != 0) assert(age + waiting <= {most});
      if (stood) assert(answer_valid && answer == shown);
      if (host_write) assert(took && idle);
    end
  end
endmodule
"""

CONFIG = preset("test")
PROOFS = [
    fifo("fifo-level", "level and room are right; a word stays until it is taken and is valid a cycle after it counts; "
         "no row is read while it is written", COUNTED, 4, 4, True),
    fifo("fifo-order", "what goes in comes out, once, in order, and stands until it is taken", ORDER, 4, 9, False),
    Proof(
        "bus", "RegisterBlock", "any address: one answer to each request, within 5 cycles, which stands until it is "
        "taken; memories are written only where the core is idle", lambda: RegisterBlock(CONFIG),
        BUS.format(level=CONFIG.fifo_words.bit_length() - 1, most=5), 3, True, ("waiting",), 12, "*",
    ),
]  # fmt: skip
