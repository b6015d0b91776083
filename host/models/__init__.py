# SPDX-License-Identifier: BSD-2-Clause
"""Liquid layers in torch. The only package that imports torch, besides the training code."""

from liquid_accel.models.classifier import LiquidClassifier
from liquid_accel.models.ltc import LTC

__all__ = ["LTC", "LiquidClassifier"]
