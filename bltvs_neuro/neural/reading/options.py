"""Options of readers: what a user gave, as a value or as text of a command, becomes what the reader's signature asks for.

The annotations of a reader are the description of its options. Text is read by them: ``1,2`` where numbers are asked for
is a list, where a text is asked for it stays as it is.
"""

from __future__ import annotations

import inspect
import json
import os
import types
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from ...errors import SpecError, argument, listed
from ...foreign.text import read_json

LONGEST = 80
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Misfit(ValueError):
    """A value is not what an option asks for; the text, if any, says why."""


@dataclass(frozen=True)
class Kind:
    """A kind of option that types alone do not say: its name in messages, and what converts or raises :class:`Misfit`."""

    what: str
    read: Callable[[Any], Any]


def convert(read: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given for the arguments of ``read``, each as its annotation asks for it, else a SpecError that names it."""
    hints = _hints(read)
    out = {}
    for name, value in given.items():
        try:
            out[name] = fit(hints[name], value)
        except Misfit as error:
            shown = repr(value)
            got = f"got {shown if len(shown) <= LONGEST else shown[: LONGEST - 3] + '...'}"
            raise SpecError(f"{argument(name)} should be {describe(hints[name])}; {error.args[0] or got}") from None
    return out


def options_of(read: Callable[..., Any]) -> dict[str, str]:
    """What each option of a reader is, by name."""
    names = [name for name, parameter in inspect.signature(read).parameters.items() if parameter.kind == 3]
    return {name: describe(_hints(read)[name]) for name in names}


@cache
def _hints(read: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(read, include_extras=True)


def fit(hint: Any, value: Any) -> Any:
    """``value`` as ``hint`` asks for it; raises :class:`Misfit`."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return hint.__metadata__[0].read(value)
    if origin in (Union, types.UnionType):
        return _fit_any(parts, value)
    if origin is Literal:
        return _fit_literal(parts, value)
    if origin is not None and issubclass(origin, Mapping):
        pairs = [(fit(parts[0], key), fit(parts[1], item)) for key, item in _pairs(value)]
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        if twice:
            raise Misfit(f"{listed(twice)} stands there more than once")
        return dict(pairs)
    if origin is not None and issubclass(origin, Sequence):
        return [fit(parts[0], item) for item in _items(value)]
    return SIMPLE[hint][1](value)


def describe(hint: Any) -> str:
    """What a hint asks for, in words."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return str(hint.__metadata__[0].what)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(part) for part in parts if part is not types.NoneType)
    if origin is Literal:
        return " or ".join(map(repr, parts))
    if origin is not None and issubclass(origin, Mapping):
        return f"a table, {describe(parts[0])} to {describe(parts[1])} (a dict, JSON, or the path of a .json file)"
    if origin is not None and issubclass(origin, Sequence):
        return f"a list, each {describe(parts[0])}"
    return SIMPLE[hint][0]


def parse_json(value: str) -> Any:
    """JSON from text; raises :class:`Misfit`."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise Misfit(f"{value[:LONGEST]!r} is no JSON ({error})") from None


def as_path(value: Any, *, there: bool = True) -> Path:
    """A path, of something that is there unless not asked for; raises :class:`Misfit`."""
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise Misfit("")
    path = Path(value).expanduser()
    try:
        lost = not path.exists() and there
    except (OSError, ValueError):  # too long, a null byte
        lost = True
    if lost:
        raise Misfit(f"there is no file {str(value)[:LONGEST]!r}")
    return path


def _fit_any(hints: Sequence[Any], value: Any) -> Any:
    if value is None and types.NoneType in hints:
        return None
    rest = [hint for hint in hints if hint is not types.NoneType]
    # a text of several is a list where lists are taken
    if isinstance(value, str) and ("," in value or value.lstrip().startswith("[")):
        rest.sort(key=lambda hint: not _is_list(hint))
    why = ""
    for hint in rest:
        try:
            return fit(hint, value)
        except Misfit as error:
            why = why or error.args[0]
    raise Misfit(why)


def _fit_literal(choices: Sequence[Any], value: Any) -> Any:
    found = [choice for choice in choices if type(value) in (str, type(choice)) and str(choice) == str(value)]
    if not found:
        raise Misfit("")
    return found[0]


def _is_list(hint: Any) -> bool:
    origin = get_origin(hint)
    return isinstance(origin, type) and issubclass(origin, Sequence)


def _items(value: Any) -> list[Any]:
    if isinstance(value, str):
        value = parse_json(value) if value.lstrip().startswith("[") else value.split(",")
        value = [item.strip() if isinstance(item, str) else item for item in value]
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if isinstance(value, int | float | os.PathLike) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list | tuple | range) or not value:
        raise Misfit("")
    return list(value)


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    """Keys and values of a dict, of JSON, of a .json file, or of ``key:value,key:value``."""
    if isinstance(value, os.PathLike) or (isinstance(value, str) and value.lower().endswith(".json")):
        value = read_json(as_path(value))
    elif isinstance(value, str) and value.lstrip().startswith("{"):
        value = parse_json(value)
    elif isinstance(value, str):
        parts = [part.partition(":") for part in value.split(",")]
        if any(not key.strip() or not colon for key, colon, _ in parts):
            raise Misfit("")
        value = [(key.strip(), item.strip()) for key, _, item in parts]
    if isinstance(value, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
        return value
    if not isinstance(value, Mapping):
        raise Misfit("")
    return list(value.items())


def _text(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    elif isinstance(value, list | tuple) and value:
        raise Misfit(f"got {len(value)}: {listed(value)}; choose one"[:200])
    if isinstance(value, bool) or not isinstance(value, str | int | np.integer | os.PathLike):
        raise Misfit("")
    text = os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    if "\0" in text:
        raise Misfit("")
    return text


def _number(value: Any) -> float:
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, str | int | float | np.integer | np.floating):
        raise Misfit("")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise Misfit("") from None


def _whole(value: Any) -> int:
    number = _number(value)
    if not number.is_integer():
        raise Misfit("")
    return int(number)


def _truth(value: Any) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if not isinstance(value, str) or value.lower() not in TRUTH:
        raise Misfit("")
    return TRUTH[value.lower()]


SIMPLE: dict[Any, tuple[str, Callable[[Any], Any]]] = {
    str: ("a text", _text),
    int: ("a whole number", _whole),
    float: ("a number", _number),
    bool: ("true or false", _truth),
    Path: ("the path of a file", as_path),
}
