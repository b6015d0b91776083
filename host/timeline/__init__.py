# SPDX-License-Identifier: BSD-2-Clause
"""What each unit of the machine does in every cycle of a frame, on the golden model, as numbers, text and picture."""

from liquid_accel.timeline.trace import median_frame, stand_in, trace_sequence
from liquid_accel.timeline.units import Phase, Timeline, timeline

__all__ = ["Phase", "Timeline", "median_frame", "stand_in", "timeline", "trace_sequence"]
