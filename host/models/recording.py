# SPDX-License-Identifier: BSD-2-Clause
"""Whether operations are carried out here and now, or recorded for another machine: TorchScript, traces, exports.

A script takes `# type:` for a signature of its own, so that nothing in it may carry such a comment.
"""

import torch
from torch.jit import is_scripting  # type: ignore[attr-defined]

__all__ = ["is_scripting", "recorded"]


def recorded() -> bool:
    """Whether a trace or an export is being made: what is asked of values now would stay in it as a constant."""
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return tracing or torch.compiler.is_compiling()
