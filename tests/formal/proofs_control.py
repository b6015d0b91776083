# SPDX-License-Identifier: BSD-2-Clause
"""Proofs of the sequencer and the step controller: states, orders, and time."""

from amaranth.hdl import Fragment, Signal, Value
from amaranth.lib.wiring import In
from prover import Proof

from liquid_accel.rtl.config import preset
from liquid_accel.rtl.isa import ISSUE_BITS
from liquid_accel.rtl.sequencer import Sequencer
from liquid_accel.rtl.step_controller import StepController

CONFIG = preset("test")
START = """
  reg start = 1;
  always @(posedge clk) start <= 0;
"""


def free(widths: dict[str, int]) -> str:
    """Inputs that may be anything in every cycle."""
    return "\n".join(f"  (* anyseq *) reg [{bits - 1}:0] {name};" for name, bits in widths.items())


def tied(names: object) -> str:
    return "".join(f", .{name}({name})" for name in names)  # type: ignore[attr-defined]


def inputs(component: object) -> dict[str, int]:
    """Names and widths of a component's inputs, streams flattened."""
    flat = component.signature.flatten(component)  # type: ignore[attr-defined]
    ports = (("__".join(path), Value.cast(value)) for path, member, value in flat if member.flow == In)
    return {name: len(value) for name, value in ports if isinstance(value, Signal)}


SEQUENCER = """
module top(input clk);{start}{free}
  wire [3:0] sequencer_state;
  wire idle, illegal, stopped, plan, decide, judge, frame_start, frame_done, jumping, fetch;
  dut dut(.clk(clk), .rst(start){tied}, .sequencer_state(sequencer_state), .idle(idle), .illegal(illegal),
    .stopped(stopped), .plan(plan), .decide(decide), .judge(judge), .frame_start(frame_start),
    .frame_done(frame_done), .jumping(jumping), .fetch(fetch));
  reg ended = 0, jumped = 0, fetched = 1;
  reg [{issue}:0] before;
  // The issue word stays until another is fetched (rtl/fetch.py).
  always @(*) if (!fetched) assume(issue == before);
  always @(posedge clk) if (!start) begin
    fetched <= fetch;
    before <= issue;
    ended <= illegal;
    jumped <= jumping;
    assert(sequencer_state <= {last});
    // What stops it, stops it until a reset; a JUMP takes one cycle after its load, and goes on by a fetch.
    if (ended) assert(illegal && !fetch && !frame_start && !plan && !decide && !judge && !frame_done);
    if (jumped) assert(!jumping);
    if (jumping) assert(fetch);
    // One order at a time, and none while it stands still.
    assert(plan + decide + judge + frame_done + frame_start <= 1);
    if (stopped) assert(!plan && !decide && !judge && !frame_done && !frame_start);
  end
endmodule
"""

CONTROLLER = """
module top(input clk);{start}{free}
  wire [{bits}:0] state;
  wire done, accepted, rejected, limited, halted, time_left, short, accept, checked;
  wire [31:0] left, spent_after, shifter;
  dut dut(.clk(clk), .rst(start){tied}, .controller_state(state), .done(done), .accepted(accepted),
    .rejected(rejected), .limited(limited), .halted(halted), .time_left(time_left), .left(left),
    .spent_after(spent_after), .shifter(shifter), .short(short), .accept(accept), .checked(checked));
  wire [31:0] spent = ~left;
  reg [31:0] before;
  reg loaded = 1, planned = 0;
  wire at_rest = state == {IDLE};
  // Orders come one at a time, to a controller at rest, and a step is judged after it was planned in the same frame: so
  // the sequencer gives them, to a program that keeps docs/isa.md.
  always @(*) begin
    assume(plan + decide + judge <= 1);
    if (!at_rest) assume(!plan && !decide && !judge && load_time == 0);
    if (load_time != 0) assume(!plan && !decide && !judge);
    if (!planned) assume(!decide && !judge);
  end
  always @(posedge clk) if (!start) begin
    before <= left;
    loaded <= load_time != 0;
    planned <= load_time == 0 && (planned && !accepted || plan);
    assert(state <= {last});
    assert(accepted + rejected <= 1);
    if (limited) assert(accepted);
    // Time only passes. It does, as what a step leaves is never more than what there is: by state,
    if (!loaded) assert(left <= before);
    if (planned && state != {PLAN_ADDRESS} && state != {PLAN_LOAD} && state != {PLAN_SHIFT} &&
        state != {PLAN_COMPARE} && state != {PLAN_HALVE} && state != {PLAN_AFTER}) assert(spent_after >= spent);
    if (state == {PLAN_COMPARE}) assert(short || spent_after >= spent);
    if (state == {PLAN_HALVE}) assert(shifter == left);
    if (state == {PLAN_AFTER}) assert(shifter <= left);
    if (!at_rest && !({after_advance})) assert(planned);
    if ({after_advance}) assert(planned == !accept);
    if (state == {SIZE} && checked || state == {HALT_BITS} || state == {HALT_JUDGE}) assert(accept);
  end
endmodule
"""


def proof(
    name: str, claim: str, make: object, text: str, depth: int, ports: tuple[str, ...], **fields: object
) -> Proof:
    component = make()  # type: ignore[operator]
    given = inputs(component)
    text = text.format(start=START, free=free(given), tied=tied(given), **fields)
    return Proof(name, type(component).__name__, claim, make, text, depth, True, ports)  # type: ignore[arg-type]


def encoding(component: object, machine: str) -> dict[str, int]:
    """Numbers of a state machine's states."""
    return dict(Fragment.get(component, None).generated[machine].encoding)


SEEN = ("controller_state", "spent_after", "shifter", "short", "accept", "checked")
STATES = encoding(StepController(), "controller")
# From here on the step was judged, and counts.
AFTER_ADVANCE = (
    "SAFETY_ADDRESS", "SAFETY", "COEFFICIENT", "MULTIPLY", "SUBTRACT", "CHANGE_LOW", "CHANGE_HIGH", "REMEMBER",
    "ADD_ADDRESS", "ADD", "KEEP", "FLOOR", "CEILING", "JUMP_SIZE", "SIZE", "HALT_BITS", "HALT_JUDGE",
)  # fmt: skip
PROOFS = [
    proof("sequencer", "it never leaves its states; an illegal instruction stops it for good; one order at a time",
          lambda: Sequencer(CONFIG), SEQUENCER, 4, ("sequencer_state",), issue=ISSUE_BITS - 1,
          last=len(encoding(Sequencer(CONFIG), "sequencer")) - 1),
    proof("controller", "it never leaves its states; a frame's time only passes: no step goes past its end",
          StepController, CONTROLLER, 2, SEEN, **STATES,
          last=len(STATES) - 1, bits=(len(STATES) - 1).bit_length() - 1,
          after_advance=" || ".join(f"state == {STATES[name]}" for name in AFTER_ADVANCE)),
]  # fmt: skip
