# SPDX-License-Identifier: BSD-2-Clause
"""JSON values as the types that a dataclass's annotations name; anything else is refused, with the field's name."""

from __future__ import annotations

import json
import math
import reprlib
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn, Union, get_args, get_origin, get_type_hints

INTEGER_BITS = 53  # what a float holds as well, so that arithmetic with it cannot overflow
TEXT_MAX = 1 << 12  # characters of one string

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 40
_short.maxlevel = 2


class Unsound(ValueError):
    """Part of an image that is not as it should be; the message says which, and what was expected."""


def show(value: object) -> str:
    """A value in a message: short whatever it is."""
    return _short.repr(value)


def _refuse(where: str, value: object, expected: str) -> NoReturn:
    raise Unsound(f"{where} is {show(value)}; expected {expected}")


def parse(text: bytes) -> Any:
    """JSON without NaN and infinities. Raises `Unsound`; depth and size of numbers are bounded."""

    def constant(name: str) -> NoReturn:
        raise Unsound(f"the description holds {name}; expected finite numbers")

    try:
        return json.loads(text.decode("ascii"), parse_constant=constant)
    except Unsound:
        raise
    except (ValueError, RecursionError) as error:
        reason = "too deep" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise Unsound(f"the description is not JSON: {reason[:100]}") from None


def typed(value: object, kind: Any, where: str) -> Any:
    """`value` as `kind`: int, float, bool, str, X | None, tuple[X, ...], Mapping[str, X] or a dataclass of those.

    Numbers are finite and stay what they were (an integer may stand for a float), so that writing them gives the same
    text. Raises `Unsound`; a dataclass's own ValueError passes.
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        (inner,) = (part for part in get_args(kind) if part is not types.NoneType)
        return None if value is None else typed(value, inner, where)
    if origin is tuple:
        if not isinstance(value, list):
            _refuse(where, value, "a list")
        return tuple(typed(item, get_args(kind)[0], f"{where}[{at}]") for at, item in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, dict):
            _refuse(where, value, "an object")
        inner = get_args(kind)[1]
        return {typed(key, str, where): typed(item, inner, f"{where}.{key}") for key, item in value.items()}
    if is_dataclass(kind):
        return record(value, kind, where)
    if kind is bool or kind is str:
        return _plain(value, kind, where)
    return _number(value, kind, where)


def record(value: object, kind: Any, where: str, without: tuple[str, ...] = ()) -> Any:
    """A dataclass from an object with exactly its fields; with `without` the other fields, as a dict."""
    if not isinstance(value, dict):
        _refuse(where, value, "an object")
    hints = get_type_hints(kind)
    names = {field.name for field in fields(kind)} - set(without)
    odd = sorted(names ^ (value.keys() - set(without)))
    if odd:
        raise Unsound(f"{where} has a field {show(odd[0])} that is missing or not known")
    found = {name: typed(value[name], hints[name], f"{where}.{name}") for name in names}
    return found if without else kind(**found)


def _plain(value: object, kind: type, where: str) -> object:
    if type(value) is not kind:
        _refuse(where, value, "text" if kind is str else "true or false")
    # It is shown on terminals: nothing that steers them, and nothing that cannot be encoded.
    if isinstance(value, str) and not (value.isprintable() and len(value) <= TEXT_MAX):
        _refuse(where, value, f"at most {TEXT_MAX} printable characters")
    return value


def _number(value: object, kind: type, where: str) -> object:
    if type(value) is int and abs(value) < 1 << INTEGER_BITS:
        return value
    if kind is float and type(value) is float and math.isfinite(value):
        return value
    _refuse(where, value, "a whole number" if kind is int else "a finite number")
