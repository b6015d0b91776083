# SPDX-License-Identifier: BSD-2-Clause
"""What the golden model says about programs that the machine cannot run, or that break a promise of the compiler."""


class GoldenError(Exception):
    """A program asks for what docs/isa.md leaves to the compiler to avoid: there is no one right answer to predict."""


class IllegalInstruction(GoldenError):
    """An instruction that does not exist was executed; the machine stops with ILLEGAL in its status."""
