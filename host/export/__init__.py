# SPDX-License-Identifier: BSD-2-Clause
"""Images as C99 for processors: see `liquid_accel.export.source`."""
