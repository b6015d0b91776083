# SPDX-License-Identifier: BSD-2-Clause
"""Recurrent cells in torch, liquid and other. The only package that imports torch, besides the training code."""

from liquid_accel.models.classifier import LiquidClassifier
from liquid_accel.models.ctrnn import CTRNN, NeuralODE
from liquid_accel.models.gated import CfC, GatedRNN
from liquid_accel.models.ltc import LTC
from liquid_accel.models.network import CellClassifier
from liquid_accel.models.synaptic import SynapticLTC

__all__ = ["CTRNN", "LTC", "CellClassifier", "CfC", "GatedRNN", "LiquidClassifier", "NeuralODE", "SynapticLTC"]
