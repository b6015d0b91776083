# SPDX-License-Identifier: BSD-2-Clause
"""The names of ncps.torch."""

from liquid_accel.ncps.cfc import CfC
from liquid_accel.ncps.cfc_cell import CfCCell
from liquid_accel.ncps.ltc import LTC
from liquid_accel.ncps.ltc_cell import LTCCell
from liquid_accel.ncps.wired_cfc_cell import WiredCfCCell

__all__ = ["LTC", "CfC", "CfCCell", "LTCCell", "WiredCfCCell"]
