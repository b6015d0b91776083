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
  // Bytes of 9 bits, the ninth being parity, which rows of 4 bits and fewer leave out.
  reg [8:0] bytes [0:2047];
  wire [13:0] ada = {{{_bits("ADA", 14)}}}, adb = {{{_bits("ADB", 14)}}};
  wire [35:0] di = {{{_bits("DIB", 18)}, {_bits("DIA", 18)}}};
  reg [35:0] latched = 0, out = 0;
  wire registered = REGMODE_B == "OUTREG";
  wire [35:0] found = registered ? out : latched;
  // 36 bits leave through the pins of both ports, narrower rows through those of B.
  assign {{{_bits("DOA", 18)}}} = DATA_WIDTH_B == 36 ? found[17:0] : 18'bx;
  assign {{{_bits("DOB", 18)}}} = DATA_WIDTH_B == 36 ? found[35:18] : found[17:0];
  // From 18 bits on the low bits of the writing address enable bytes.
  always @(posedge CLKA) if (CEA && WEA) case (DATA_WIDTH_A)
    36: begin
      if (ada[0]) bytes[{{ada[13:5], 2'd0}}] <= di[8:0];
      if (ada[1]) bytes[{{ada[13:5], 2'd1}}] <= di[17:9];
      if (ada[2]) bytes[{{ada[13:5], 2'd2}}] <= di[26:18];
      if (ada[3]) bytes[{{ada[13:5], 2'd3}}] <= di[35:27];
    end
    18: begin
      if (ada[0]) bytes[{{ada[13:4], 1'd0}}] <= di[8:0];
      if (ada[1]) bytes[{{ada[13:4], 1'd1}}] <= di[17:9];
    end
    9: bytes[ada[13:3]] <= di[8:0];
    4: bytes[ada[13:3]][4 * ada[2] +: 4] <= di[3:0];
    2: bytes[ada[13:3]][2 * ada[2:1] +: 2] <= di[1:0];
    default: bytes[ada[13:3]][ada[2:0]] <= di[0];
  endcase
  wire [8:0] row = bytes[adb[13:3]];
  always @(posedge CLKB) begin
    if (CEB) case (DATA_WIDTH_B)
      36: latched <= {{bytes[{{adb[13:5], 2'd3}}], bytes[{{adb[13:5], 2'd2}}], bytes[{{adb[13:5], 2'd1}}],
        bytes[{{adb[13:5], 2'd0}}]}};
      18: latched <= {{bytes[{{adb[13:4], 1'd1}}], bytes[{{adb[13:4], 1'd0}}]}};
      9: latched <= row;
      4: latched <= row[4 * adb[2] +: 4];
      2: latched <= row[2 * adb[2:1] +: 2];
      default: latched <= row[adb[2:0]];
    endcase
    if (OCEB) out <= latched;
  end
  integer k;
  initial begin
    for (k = 0; k < 2048; k = k + 1) bytes[k] = 0;
    if (REGMODE_A != REGMODE_B || DATA_WIDTH_A != DATA_WIDTH_B || WEB === 1'b1 || RESETMODE != "SYNC" ||
      RSTA === 1'b1 || RSTB === 1'b1 || (CSA0 | CSA1 | CSA2 | CSB0 | CSB1 | CSB2) === 1'b1) $finish(2);
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
