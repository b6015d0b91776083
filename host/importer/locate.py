# SPDX-License-Identifier: BSD-2-Clause
"""`package.module:object` on a command line: the one place where a user's own code is run, as it was written."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from liquid_accel.errors import UserError


def is_object(text: str) -> bool:
    """Whether a MODEL of the command line is package.module:object and no file."""
    return ":" in text and not Path(text).exists()


def locate(text: str) -> Any:
    """The object that `package.module:object` names, with the working folder on the path; a function is called for it.

    Raises UserError where there is no such module or object, or where the module fails.
    """
    module_name, _, name = text.partition(":")
    if not module_name or not name or not all(part.isidentifier() for part in (*module_name.split("."), name)):
        raise UserError(f"{text}: is no model; expected a file, or package.module:object")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise UserError(f"{text}: {module_name} cannot be imported ({_said(error)})") from error
    if not hasattr(module, name):
        raise UserError(f"{text}: {module_name} has no '{name}'; expected the name of a model in it")
    found = getattr(module, name)
    if hasattr(found, "state_dict") and not isinstance(found, type):
        return found
    if not callable(found):
        kind = type(found).__name__
        raise UserError(f"{text}: is of type {kind}; expected a torch module, or a function that gives one")
    try:
        return found()
    except Exception as error:
        raise UserError(f"{text}: {name}() fails ({_said(error)}); expected a torch module from it") from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
