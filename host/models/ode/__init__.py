# SPDX-License-Identifier: BSD-2-Clause
"""Ordinary differential equations in torch, with the machine's tableaus, for training."""

from liquid_accel.models.ode.layer import NeuralODE
from liquid_accel.models.ode.solve import GRADIENTS, odeint

__all__ = ["GRADIENTS", "NeuralODE", "odeint"]
