# SPDX-License-Identifier: BSD-2-Clause
"""The accelerator as a Verilog module of its own, which a bus wrapper names and does not contain."""

from amaranth.hdl import ClockSignal, Instance, ResetSignal, Signal, Value


def named_accelerator(request: Value, response: Value, interrupt: Value) -> Instance:
    """The Verilog module `accelerator`, a file of its own, behind a bridge's two streams."""
    return Instance(
        "accelerator",
        i_clk=ClockSignal(),
        i_rst=ResetSignal(),
        i_request__valid=request.valid,
        i_request__payload=request.payload,
        o_request__ready=request.ready,
        o_response__valid=response.valid,
        o_response__payload=response.payload,
        i_response__ready=response.ready,
        o_interrupt=interrupt,
        # A bus reads STATUS, and its interrupt can tell; left open, the pin would be missed by linters.
        o_error=Signal(name="error"),
    )
