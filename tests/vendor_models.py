# SPDX-License-Identifier: BSD-2-Clause
"""Behaviour of the vendors' blocks that yosys has only as black boxes, in Verilog, from the vendors' descriptions.

MULT18X18D and DP16KD: Lattice, ECP5 sysDSP and sysMEM usage guides (FPGA-TN-02205, FPGA-TN-02204). MULT18X18 and SDPB:
Gowin, UG287 and UG285. Each models what the gateware uses, and stops the simulation on a parameter that it does not
model. Words that are read while they are written are undefined.
"""


def _bits(name: str, width: int) -> str:
    """The bits of a bus as single pins, highest first."""
    return ", ".join(f"{name}{k}" for k in reversed(range(width)))


MULT18X18D = f"""
module MULT18X18D(input {_bits("A", 18)}, input {_bits("B", 18)}, input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    input CLK0, CE0, RST0, output {_bits("P", 36)});
  parameter REG_INPUTA_CLK = "NONE", REG_INPUTB_CLK = "NONE", REG_INPUTC_CLK = "NONE";
  parameter REG_PIPELINE_CLK = "NONE", REG_OUTPUT_CLK = "NONE";
  parameter MULT_BYPASS = "DISABLED", RESETMODE = "SYNC", GSR = "ENABLED";
  reg [17:0] ar = 0, br = 0;
  reg [35:0] pipe = 0, out = 0;
  wire [17:0] ai = {{{_bits("A", 18)}}}, bi = {{{_bits("B", 18)}}};
  wire [17:0] a = REG_INPUTA_CLK == "CLK0" ? ar : ai, b = REG_INPUTB_CLK == "CLK0" ? br : bi;
  wire signed [35:0] aw = {{{{18{{SIGNEDA & a[17]}}}}, a}}, bw = {{{{18{{SIGNEDB & b[17]}}}}, b}};
  wire [35:0] p = aw * bw, staged = REG_PIPELINE_CLK == "CLK0" ? pipe : p;
  assign {{{_bits("P", 36)}}} = REG_OUTPUT_CLK == "CLK0" ? out : staged;
  always @(posedge CLK0)
    if (RST0) begin ar <= 0; br <= 0; pipe <= 0; out <= 0; end
    else if (CE0) begin ar <= ai; br <= bi; pipe <= p; out <= staged; end
  initial if (MULT_BYPASS != "DISABLED" || RESETMODE != "SYNC" || SOURCEA === 1'b1 || SOURCEB === 1'b1) $finish(2);
endmodule
"""

DP16KD = f"""
module DP16KD(input {_bits("DIA", 18)}, input {_bits("DIB", 18)}, input {_bits("ADA", 14)}, input {_bits("ADB", 14)},
    input CLKA, CLKB, CEA, CEB, OCEA, OCEB, WEA, WEB, RSTA, RSTB, CSA0, CSA1, CSA2, CSB0, CSB1, CSB2,
    output {_bits("DOA", 18)}, output {_bits("DOB", 18)});
  parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18, REGMODE_A = "NOREG", REGMODE_B = "NOREG";
  parameter RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC", CSDECODE_A = "0b000", CSDECODE_B = "0b000";
  parameter CLKAMUX = "CLKA", CLKBMUX = "CLKB", WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL", GSR = "AUTO";
  // Bit k of a row of 9 bits and more is bit k of its 18-bit words; narrower rows leave the ninth bits out.
  reg [17:0] words [0:1023];
  wire [13:0] ada = {{{_bits("ADA", 14)}}}, adb = {{{_bits("ADB", 14)}}};
  wire [35:0] di = {{{_bits("DIB", 18)}, {_bits("DIA", 18)}}};
  reg [35:0] latched = 0, out = 0;
  integer k, at;
  function integer place(input integer at_bit, input integer width);  // of a bit of all 16,384 and their parities
    place = width >= 9 ? at_bit : at_bit / 8 * 9 + at_bit % 8;
  endfunction
  function integer row(input [13:0] address, input integer width);  // first bit
    row = width == 36 ? address[13:5] * 36 : width == 18 ? address[13:4] * 18 : width == 9 ? address[13:3] * 9 :
          width == 4 ? address[13:2] * 4 : width == 2 ? address[13:1] * 2 : address;
  endfunction
  wire registered = REGMODE_B == "OUTREG";
  wire [35:0] found = registered ? out : latched;
  // 36 bits leave through the pins of both ports, narrower rows through those of B.
  assign {{{_bits("DOA", 18)}}} = DATA_WIDTH_B == 36 ? found[17:0] : 18'bx;
  assign {{{_bits("DOB", 18)}}} = DATA_WIDTH_B == 36 ? found[35:18] : found[17:0];
  always @(posedge CLKA) if (CEA && WEA)
    for (k = 0; k < DATA_WIDTH_A; k = k + 1)
      if (DATA_WIDTH_A < 18 || ada[k / 9]) begin
        at = place(row(ada, DATA_WIDTH_A) + k, DATA_WIDTH_A);
        words[at / 18][at % 18] <= di[k];
      end
  always @(posedge CLKB) begin
    if (CEB) for (k = 0; k < DATA_WIDTH_B; k = k + 1) begin
      at = place(row(adb, DATA_WIDTH_B) + k, DATA_WIDTH_B);
      latched[k] <= words[at / 18][at % 18];
    end
    if (OCEB) out <= latched;
  end
  initial begin
    for (k = 0; k < 1024; k = k + 1) words[k] = 0;
    if (REGMODE_A != REGMODE_B || DATA_WIDTH_A != DATA_WIDTH_B || WEB === 1'b1 || RESETMODE != "SYNC") $finish(2);
  end
endmodule
"""

MULT18X18 = """
module MULT18X18(input [17:0] A, B, SIA, SIB, input ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET, output [35:0] DOUT,
    output [17:0] SOA, SOB);
  parameter AREG = 1'b0, BREG = 1'b0, OUT_REG = 1'b0, PIPE_REG = 1'b0, ASIGN_REG = 1'b0, BSIGN_REG = 1'b0;
  parameter SOA_REG = 1'b0, MULT_RESET_MODE = "SYNC";
  reg [17:0] ar = 0, br = 0;
  reg [35:0] pipe = 0, out = 0;
  wire [17:0] a = AREG ? ar : A, b = BREG ? br : B;
  wire signed [35:0] aw = {{18{ASIGN & a[17]}}, a}, bw = {{18{BSIGN & b[17]}}, b};
  wire [35:0] p = aw * bw, staged = PIPE_REG ? pipe : p;
  assign DOUT = OUT_REG ? out : staged;
  always @(posedge CLK)
    if (RESET) begin ar <= 0; br <= 0; pipe <= 0; out <= 0; end
    else if (CE) begin ar <= A; br <= B; pipe <= p; out <= staged; end
  initial if (ASIGN_REG || BSIGN_REG || MULT_RESET_MODE != "SYNC" || ASEL === 1'b1 || BSEL === 1'b1) $finish(2);
endmodule
"""

SDPB = """
module SDPB(input CLKA, CEA, CLKB, CEB, OCE, RESETA, RESETB, input [13:0] ADA, ADB, input [31:0] DI,
    input [2:0] BLKSELA, BLKSELB, output [31:0] DO);
  parameter READ_MODE = 1'b0, BIT_WIDTH_0 = 32, BIT_WIDTH_1 = 32, BLK_SEL_0 = 3'b000, BLK_SEL_1 = 3'b000;
  parameter RESET_MODE = "SYNC";
  reg words [0:16383];
  reg [31:0] latched = 0, out = 0;
  integer k;
  function [13:0] row(input [13:0] address, input integer width);  // first bit: the low address bits are enables
    row = address & ~(width - 1);
  endfunction
  assign DO = READ_MODE ? out : latched;
  always @(posedge CLKA) if (CEA && BLKSELA == BLK_SEL_0)
    for (k = 0; k < BIT_WIDTH_0; k = k + 1)
      if (BIT_WIDTH_0 < 16 || ADA[k / 8]) words[row(ADA, BIT_WIDTH_0) + k] <= DI[k];
  always @(posedge CLKB) begin
    if (CEB) for (k = 0; k < BIT_WIDTH_1; k = k + 1) latched[k] <= words[row(ADB, BIT_WIDTH_1) + k];
    if (OCE) out <= latched;
  end
  initial begin
    for (k = 0; k < 16384; k = k + 1) words[k] = 0;
    if (BIT_WIDTH_0 != BIT_WIDTH_1 || RESET_MODE != "SYNC") $finish(2);
  end
endmodule
"""

MODELS = {"MULT18X18D": MULT18X18D, "DP16KD": DP16KD, "MULT18X18": MULT18X18, "SDPB": SDPB}
