# SPDX-License-Identifier: BSD-2-Clause
"""Waveforms that a person can read: what the simulated machine does, in the words of the image that it runs."""

from liquid_accel.waves.run import DEFAULT_FRAMES, Traced, run_traced

__all__ = ["DEFAULT_FRAMES", "Traced", "run_traced"]
