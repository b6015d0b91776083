// SPDX-License-Identifier: BSD-2-Clause
// A host of the accelerator's bus, for netlists: carries out the list of orders in +script, a 32-bit word each, and
// writes every answer to +answers, x where a bit is undefined. With +expected, a list of answers, it ends at the first
// that is another.
//   00 and a request in bits 24..0       the next request; up to one a cycle
//   01 and cycles in bits 23..0          waits until the interrupt is high, that long at most
//   10 and cycles in bits 23..0          waits for so many cycles
//   11                                   the end
// Requests and answers are under way at the same time; a wait begins where every request is answered.
`timescale 1ns / 1ps
module bench;
  parameter ORDERS = 1 << 18, STALLS = 16'h0;
  reg clk = 0, rst = 1;
  reg [31:0] orders [0:ORDERS-1];
  reg [15:0] expected [0:ORDERS-1];
  reg [8*256-1:0] script, answers, wanted;
  reg compare;
  reg valid = 0, ready = 0;
  reg [24:0] payload = 0;
  wire taken, came, interrupt;
  wire [15:0] word;
  reg [15:0] noise = 16'hACE1;
  integer at = 0, asked = 0, answered = 0, waited = 0, cycles = 0, quiet = 0, file;

  top dut(.clk(clk), .rst(rst), .request__valid(valid), .request__payload(payload), .request__ready(taken),
    .response__valid(came), .response__payload(word), .response__ready(ready), .interrupt(interrupt));

  initial begin
    if (!$value$plusargs("script=%s", script) || !$value$plusargs("answers=%s", answers)) begin
      $display("bench: +script and +answers are missing");
      $finish;
    end
    $readmemh(script, orders);
    compare = $value$plusargs("expected=%s", wanted);
    if (compare) $readmemh(wanted, expected);
    file = $fopen(answers, "w");
    repeat (16) begin #5 clk = 1; #5 clk = 0; end
    rst = 0;
    forever begin
      // Inputs change while the clock is low, and outputs are looked at just before it rises.
      if (!valid && orders[at][31:30] == 2'b00) begin
        payload = orders[at][24:0];
        valid = 1;
        at = at + 1;
      end
      // A host that stalls, by STALLS of 65,536 cycles; its answers are not lost.
      noise = {noise[14:0], noise[15] ^ noise[13] ^ noise[12] ^ noise[10]};
      ready = noise >= STALLS;
      #5;
      if (^{taken, came, interrupt} === 1'bx) fail("a control output is undefined");
      quiet = quiet + 1;
      if (came && ready) begin
        $fdisplay(file, "%h", word);
        if (compare && word !== expected[answered]) fail("an answer is wrong");
        answered = answered + 1;
        quiet = 0;
      end
      if (valid && taken) begin
        asked = asked + 1;
        quiet = 0;
      end
      if (!valid && asked == answered)
        case (orders[at][31:30])
          2'b01: begin
            if (waited == orders[at][23:0]) fail("no interrupt came");
            waited = interrupt ? 0 : waited + 1;
            if (interrupt) at = at + 1;
            quiet = 0;
          end
          2'b10: begin
            waited = waited + 1;
            if (waited > orders[at][23:0]) begin
              at = at + 1;
              waited = 0;
            end
            quiet = 0;
          end
          2'b11: begin
            $fclose(file);
            $display("bench: %0d answers, %0d cycles", answered, cycles);
            $finish;
          end
          default: ;
        endcase
      if (quiet > 1000) fail("nothing moves");
      if (valid && taken) valid <= 0;
      clk = 1;
      cycles = cycles + 1;
      #5 clk = 0;
    end
  end

  task fail(input [8*40-1:0] what);
    begin
      $display("bench: %0s, at order %0d, cycle %0d", what, at, cycles);
      $fclose(file);
      $finish;
    end
  endtask
endmodule
