# SPDX-License-Identifier: BSD-2-Clause
"""Proofs of the narrowing functions against their definition (docs/isa.md), for all inputs.

A pipeline without feedback is proved for ever by as many cycles as it is long: each value passes it alone.
"""

from prover import Proof

from liquid_accel.rtl.formats import WORD
from liquid_accel.rtl.gate_unit import PRODUCT
from liquid_accel.rtl.narrow import Narrow, SaturatingAdd

NARROW = """
module top(input clk);
  (* anyseq *) reg signed [{high}:0] x;
  (* anyseq *) reg [4:0] amount;
  wire signed [15:0] q;
  wire clamped;
  dut dut(.clk(clk), .rst(1'b0), .x(x), .amount(amount), .q(q), .clamped(clamped));
  wire signed [{high} + 34:0] wide = x;
  wire signed [{high} + 34:0] half = amount == 0 ? 0 : 1 <<< (amount - 1);
  wire signed [{high} + 34:0] shifted = (wide + half) >>> amount;
  wire signed [15:0] wanted = shifted > 32767 ? 32767 : shifted < -32768 ? -32768 : shifted;
  reg signed [15:0] q_later [0:{latency} - 1];
  reg clamped_later [0:{latency} - 1];
  reg [2:0] cycle = 0;
  integer k;
  always @(posedge clk) begin
    q_later[0] <= wanted;
    clamped_later[0] <= shifted != wanted;
    for (k = 1; k < {latency}; k = k + 1) begin
      q_later[k] <= q_later[k - 1];
      clamped_later[k] <= clamped_later[k - 1];
    end
    if (cycle != 7) cycle <= cycle + 1;
    if (cycle >= {latency}) begin
      assert(q == q_later[{latency} - 1]);
      assert(clamped == clamped_later[{latency} - 1]);
    end
  end
endmodule
"""

ADD = """
module top(input clk);
  (* anyseq *) reg signed [15:0] a;
  (* anyseq *) reg signed [15:0] b;
  wire signed [15:0] s;
  wire clamped;
  dut dut({clock}.a(a), .b(b), .s(s), .clamped(clamped));
  wire signed [17:0] total = a + b;
  reg signed [17:0] was;
  reg started = 0;
  wire signed [17:0] judged = {latency} ? was : total;
  always @(posedge clk) begin
    started <= 1;
    was <= total;
    if (started) begin
      assert(s == (judged > 32767 ? 32767 : judged < -32768 ? -32768 : judged));
      assert(clamped == (judged > 32767 || judged < -32768));
    end
  end
endmodule
"""

PROOFS = [
    *(
        Proof(
            f"narrow-{width}-{latency}", f"Narrow({width}, latency={latency})",
            "shift right, round half up, saturate, and the clamp flag, for every value and amount",
            lambda width=width, latency=latency: Narrow(width, latency),  # type: ignore[misc]
            NARROW.format(high=width - 1, latency=latency), latency + 2,
        )
        for width, latency in ((32, 2), (32, 3), (PRODUCT, 1))
    ),
    *(
        Proof(
            f"add-{latency}", f"SaturatingAdd(latency={latency})", f"sums of {WORD} bits saturate, and say so",
            lambda latency=latency: SaturatingAdd(latency),  # type: ignore[misc]
            ADD.format(latency=latency, clock=".clk(clk), .rst(1'b0), " if latency else ""), 3,
        )
        for latency in (0, 1)
    ),
]  # fmt: skip
