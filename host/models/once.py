# SPDX-License-Identifier: BSD-2-Clause
"""Backward passes that have no derivative of their own, and say so."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch


def first_derivative_only(backward: Callable[..., Any]) -> Callable[..., Any]:
    """A `backward` of an autograd function that raises `RuntimeError` where a graph of it is asked for.

    torch's own `once_differentiable` is silent where what comes in is constant, and then the second derivative lacks
    what would have gone through here.
    """

    @wraps(backward)
    def checked(ctx: Any, *given: Any) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError("there is no second derivative of this solver: create_graph=True cannot go through it")
        return backward(ctx, *given)

    return checked
