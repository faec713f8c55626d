"""Plain data against the types of a function's or a dataclass's arguments: nothing is turned into something else."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from .errors import SpecError, unknown


def checked(hint: Any, value: Any, name: str) -> Any:
    """``value`` if it is of the type ``hint``, an int made a float where one is wanted.

    Raises
    ------
    SpecError
        Another type (True is no number), a float that is not finite, or none of a Literal's choices.
    """
    if get_origin(hint) is Literal:
        if value not in get_args(hint) or isinstance(value, bool):
            raise unknown(name, value, get_args(hint))
        return value
    if hint is float and type(value) is int:
        try:
            value = float(value)
        except OverflowError:
            raise SpecError(f"{name} must be finite; got an integer of {value.bit_length()} bits") from None
    if type(value) is not hint:
        raise SpecError(f"{name} must be of type {hint.__name__}; got {value!r:.100}")
    if hint is float and not math.isfinite(value):
        raise SpecError(f"{name} must be finite; got {value!r}")
    return value


def checked_arguments(function: Callable[..., Any], given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Keyword arguments of ``function``, each of the type that it says.

    Parameters
    ----------
    function : callable
        All of whose parameters have a type.
    given : mapping
    where : str
        What comes before a name in errors, such as ``"model."``.
    """
    hints = get_type_hints(function.__init__ if inspect.isclass(function) else function)  # type: ignore[misc]
    names = [name for name in inspect.signature(function).parameters]
    for key in given:
        if key not in names:
            raise unknown(f"key {where.rstrip('.')}".strip(), key, names)
    return {key: checked(hints[key], value, f"{where}{key}") for key, value in given.items()}


def strict_json(text: str) -> Any:
    """Read JSON that says everything once and in finite numbers; ValueError for any other."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(items)) != len(items):
            raise ValueError(f"a key repeats among {', '.join(key for key, _ in items[:8])}")
        return dict(items)

    def finite(number: str) -> float:
        if not math.isfinite(value := float(number)):
            raise ValueError(f"{number[:20]} is not a finite number")
        return value

    return json.loads(text, object_pairs_hook=pairs, parse_constant=finite, parse_float=finite)
