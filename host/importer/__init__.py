# SPDX-License-Identifier: BSD-2-Clause
"""Models of other libraries as checkpoints: ncps, recurrent layers of torch, neural ODEs (docs/import.md)."""

from liquid_accel.importer.checkpoint import import_model
from liquid_accel.importer.locate import locate

__all__ = ["import_model", "locate"]
