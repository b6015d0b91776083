# SPDX-License-Identifier: BSD-2-Clause
"""A save file for GTKWave: which variables of a waveform file it shows at first, and how."""

from __future__ import annotations

import math

from liquid_accel.waves.layout import Layout

# Flags of a trace in a save file, hexadecimal: justified to the right as decimal, bits, text, or a curve of steps.
DECIMAL, BINARY, TEXT, NUMBER, CURVE, BLANK, STRETCH = "24", "28", "820", "20", "88020", "200", "20000"
FEW = 4  # elements of the first vector, and outputs, that are shown
HEIGHT = 2  # lines of a curve, beside its own
VIEW = 0.19  # of the time that is shown at first; measured: what fills a window of that size


def save_file(layout: Layout, name: str, end: int) -> str:
    """The text of a save file for the waveforms in the file `name`, which end at the time `end` in picoseconds."""
    lines = [f'[dumpfile] "{name}"', "[timestart] 0", "[size] 1600 1000", "[pos] -1 -1"]
    lines += [f"*-{math.log2(max(1, VIEW * end)):.3f} 0", "[sst_width] 160", "[signals_width] 240"]

    def show(flag: str, *signals: str) -> None:
        lines.extend((f"@{flag}", *(f"liquid.{signal}" for signal in signals)))

    def curve(signal: str) -> None:
        show(CURVE, signal)
        lines.extend((f"@{STRETCH}", *["-"] * HEIGHT))

    show(DECIMAL, "sequence", "frame", "step", "cycle")
    show(TEXT, "stage", "instruction", "decision")
    show(NUMBER, "step_size", "time_left")
    for path in layout.paths[:FEW]:
        curve(path)
    show(NUMBER, *(f"output.y_{k}" for k in range(len(layout.outputs[:FEW]))))
    show(BINARY, "lanes.product", "elements.write_vector", "controller.accepted", "controller.rejected")
    show(TEXT, "bus.request")
    return "\n".join(lines) + "\n"
