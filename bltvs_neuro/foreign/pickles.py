"""Pickles of others: containers, text, numbers and arrays, and nothing that runs or points anywhere.

Python's own unpicklers call what a pickle names. Even one that names nothing but numpy can be made to build arrays of
forged pointers. Here the instructions of a pickle are carried out one by one: those in the tables below exist, and the
few functions a pickle may call are written here and look at what they are given.
"""

from __future__ import annotations

import logging
import math
import mmap
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError

log = logging.getLogger(__name__)

MOST_DEPTH = 64
MOST_VALUES = 10**8
"""Values that lists within lists may spell out: each may stand in many places of a small file."""

MOST_AXES = 32
_DTYPE = re.compile(r"[<>|=]?([biufc][0-9]{1,2}|[SU][0-9]{1,9}|O8?|b|\?)")
_KEYS = (str, int, float, bool, bytes, np.generic, type(None))
_CORE = r"numpy\._?core\.multiarray"


class _Refused(ValueError):
    """Why a pickle is not loaded."""


class _Dtype:
    def __init__(self, code: str) -> None:
        if not isinstance(code, str) or not _DTYPE.fullmatch(code):
            raise _Refused(f"it describes the type {code!r:.40}")
        self.dtype = np.dtype(code)
        if self.dtype.itemsize == 0 and self.dtype.kind not in "SU":
            raise _Refused(f"it describes the type {code!r:.40}")

    def build(self, state: Any) -> None:
        """Byte order; types with fields, subarrays or metadata are refused."""
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise _Refused("it describes an array with fields")
        if state[1] not in ("<", ">", "|", "="):
            raise _Refused(f"it describes the byte order {state[1]!r:.20}")
        if state[1] in "<>":
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """An array that is being described; what it becomes stands in ``value``."""

    value: Any = None

    def build(self, state: Any) -> None:
        # version, shape, type, Fortran order, bytes or a list of objects
        if self.value is not None or not isinstance(state, tuple) or len(state) != 5:
            raise _Refused("it describes an array in an unknown way")
        _, shape, dtype, fortran, raw = state
        self.value = _array(raw, dtype, shape, "F" if fortran else "C")


def _array(raw: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    if not isinstance(dtype, _Dtype):
        raise _Refused("it describes an array without its type")
    if not isinstance(shape, tuple) or len(shape) > MOST_AXES or any(type(n) is not int or n < 0 for n in shape):
        raise _Refused(f"it describes an array of shape {shape!r:.60}")
    count = math.prod(shape)
    if dtype.dtype.hasobject:
        if not isinstance(raw, list) or len(raw) != count:
            raise _Refused("it describes an array of objects without the objects")
        values = np.empty(count, dtype=object)
        for index, item in enumerate(raw):
            values[index] = item
        return values.reshape(shape, order=order)  # type: ignore[call-overload,no-any-return]
    data = _bytes(raw)
    if len(data) != count * dtype.dtype.itemsize:
        raise _Refused(f"it declares an array of {count * dtype.dtype.itemsize} bytes, and gives {len(data)}")
    if dtype.dtype.itemsize == 0 or count == 0:
        if count > MOST_VALUES:
            raise _Refused(f"it declares {count} empty texts")
        return np.empty(shape, dtype.dtype)
    return np.frombuffer(bytearray(data), dtype.dtype).reshape(shape, order=order)  # type: ignore[call-overload,no-any-return]


def _bytes(raw: Any) -> bytes | bytearray:
    if isinstance(raw, str):  # Python 2 wrote bytes as text
        return raw.encode("latin1")
    if not isinstance(raw, bytes | bytearray):
        raise _Refused(f"it gives a {type(raw).__name__} where bytes are expected")
    return raw


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    if kind is not _NDARRAY:
        raise _Refused("it would create a subclass of numpy.ndarray")
    return _Array()


def _scalar(dtype: Any, raw: Any = b"") -> Any:
    if not isinstance(dtype, _Dtype) or dtype.dtype.hasobject:
        raise _Refused("it describes a number without its type")
    return _array(raw, dtype, (), "C")[()]


def _frombuffer(raw: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> np.ndarray:
    return _array(raw, dtype, shape, "F" if order == "F" else "C")


def _encode(text: Any, encoding: Any = "utf-8") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf-8"):
        raise _Refused("it encodes something in an unknown way")
    return text.encode(encoding)


def _set(items: Any = ()) -> set[Any]:
    if not isinstance(items, list | tuple):
        raise _Refused("it makes a set of no list")
    return set(map(_key, items))


def _ordered(items: Any = ()) -> dict[Any, Any]:
    if not isinstance(items, list | tuple) or not all(
        isinstance(item, list | tuple) and len(item) == 2 for item in items
    ):
        raise _Refused("it makes a dict of no pairs")
    return {_key(key): value for key, value in items}


def _complex(real: Any = 0.0, imaginary: Any = 0.0) -> complex:
    if not isinstance(real, float | int) or not isinstance(imaginary, float | int):
        raise _Refused("it makes a complex number of something else")
    return complex(real, imaginary)


def _key(value: Any) -> Any:
    if not isinstance(value, _KEYS):  # Python hashes tuples in tuples without looking at how deep they are
        raise _Refused(f"it uses a {type(value).__name__} as a key")
    return value


_NDARRAY = "the class numpy.ndarray"
_FUNCTIONS: tuple[tuple[str, Any], ...] = (
    (rf"{_CORE} _reconstruct", _reconstruct),
    (rf"{_CORE} scalar", _scalar),
    (r"numpy\._?core\.numeric _frombuffer", _frombuffer),
    (r"numpy dtype", lambda code, *_: _Dtype(code)),
    (r"numpy ndarray", _NDARRAY),
    (r"_codecs encode", _encode),
    (r"collections OrderedDict", _ordered),
    (r"(builtins|__builtin__) (set|frozenset)", _set),
    (r"(builtins|__builtin__) complex", _complex),
    (r"(builtins|__builtin__) bytes", lambda: b""),  # which the older protocols spell as a call
)
"""What a pickle may name; numpy 2 renamed numpy.core, and Python 3 __builtin__."""


class _Machine:
    """The stack and the memory of a pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise _Refused("its instructions are out of order")
        return self.stack.pop()

    def items(self) -> list[Any]:
        """What stands above the last mark."""
        start = self.marks.pop()
        found, self.stack[start:] = self.stack[start:], []
        return found

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def top(self, kind: type) -> Any:
        if not self.stack or type(self.stack[-1]) is not kind:
            raise _Refused(f"it adds to something that is no {kind.__name__}")
        return self.stack[-1]

    def dict_of(self, pairs: list[Any]) -> None:
        self.push({})
        self.set_items(pairs)

    def tuple_of(self, number: int) -> None:
        self.push(tuple(reversed([self.pop() for _ in range(number)])))

    def set_items(self, pairs: list[Any]) -> None:
        if len(pairs) % 2:
            raise _Refused("it gives a key without its value")
        self.top(dict).update((_key(key), value) for key, value in zip(pairs[::2], pairs[1::2], strict=True))

    def name(self, module: Any, name: Any) -> None:
        for pattern, function in _FUNCTIONS:
            if re.fullmatch(pattern, f"{module} {name}"):
                return self.push(function)
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("what it would create has no name")
        raise _Refused(f"it would create {module[:60]}.{name[:60]}")

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        if (
            not isinstance(arguments, tuple)
            or not any(function is known for _, known in _FUNCTIONS)
            or function is _NDARRAY
        ):
            raise _Refused("it calls something that is no function")
        self.push(function(*arguments))

    def build(self) -> None:
        state = self.pop()
        if not self.stack or not isinstance(self.stack[-1], _Array | _Dtype):
            raise _Refused("it changes the inside of something that is no array")
        self.stack[-1].build(state)


_CONSTANTS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "UNICODE", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8",
}  # fmt: skip
_ACTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    **{name: lambda m, value: m.push(value) for name in _CONSTANTS},
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "EMPTY_SET": lambda m, _: m.push(set()),
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "LIST": lambda m, _: m.push(m.items()),
    "TUPLE": lambda m, _: m.push(tuple(m.items())),
    "TUPLE1": lambda m, _: m.tuple_of(1),
    "TUPLE2": lambda m, _: m.tuple_of(2),
    "TUPLE3": lambda m, _: m.tuple_of(3),
    "DICT": lambda m, _: m.dict_of(m.items()),
    "FROZENSET": lambda m, _: m.push(_set(m.items())),
    "APPEND": lambda m, _: (lambda item: m.top(list).append(item))(m.pop()),
    "APPENDS": lambda m, _: (lambda items: m.top(list).extend(items))(m.items()),
    "SETITEM": lambda m, _: (lambda value, key: m.set_items([key, value]))(m.pop(), m.pop()),
    "SETITEMS": lambda m, _: m.set_items(m.items()),
    "ADDITEMS": lambda m, _: (lambda items: m.top(set).update(map(_key, items)))(m.items()),
    "POP": lambda m, _: m.pop() if len(m.stack) > (m.marks[-1] if m.marks else 0) else m.items(),
    "POP_MARK": lambda m, _: m.items(),
    "DUP": lambda m, _: m.push(m.stack[-1]),
    **{name: lambda m, at: m.memo.__setitem__(at, m.stack[-1]) for name in ("PUT", "BINPUT", "LONG_BINPUT")},
    **{name: lambda m, at: m.push(m.memo[at]) for name in ("GET", "BINGET", "LONG_BINGET")},
    "MEMOIZE": lambda m, _: m.memo.__setitem__(len(m.memo), m.stack[-1]),
    "GLOBAL": lambda m, names: m.name(*str(names).split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: (lambda name, module: m.name(module, name))(m.pop(), m.pop()),
    "REDUCE": lambda m, _: m.call(),
    "BUILD": lambda m, _: m.build(),
    "PROTO": lambda m, _: None,
    "FRAME": lambda m, _: None,
}
"""What each instruction does. One that is not here (new objects, extensions, persistent ids) is refused by its name."""


def load_pickle(path: Path, start: int = 0) -> Any:
    """Load a pickle of plain containers and arrays that begins at byte ``start``; a DataError refuses any other."""
    try:
        # not the stream itself, which would make room for as many bytes as the file declares
        with Path(path).open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            data.seek(start)
            return loads_pickle(data, str(path))
    except ValueError:  # an empty file cannot be mapped
        raise DataError(f"{path} is damaged or truncated (pickle): it is empty") from None


def loads_pickle(data: Any, what: str) -> Any:
    """Load a pickle of bytes, or of a map that stands where it begins; ``what`` names it in errors."""
    try:
        return _finished(_run(data))
    except _Refused as error:
        raise DataError(f"{what} is not a pickle of plain arrays: {error}; it was not loaded") from None
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, MemoryError, RecursionError) as error:
        log.debug("%s: %s", what, error)  # an inner word of the reader, which says nothing to people
        raise DataError(f"{what} is damaged or truncated (pickle); copy it again") from None


def _run(data: Any) -> Any:
    machine = _Machine()
    for instruction, argument, _ in pickletools.genops(data):
        if instruction.name == "STOP":
            return machine.pop()
        if instruction.name not in _ACTIONS:
            raise _Refused(f"it would create an object ({instruction.name})")
        _ACTIONS[instruction.name](machine, argument)
    raise ValueError("it has no end")


def _finished(value: Any) -> Any:
    """The value with arrays in place of their descriptions, each container once however often it stands there."""
    done: dict[int, Any] = {}
    sizes: dict[int, int] = {}

    def finish(item: Any, depth: int) -> tuple[Any, int]:
        if isinstance(item, _Array):
            if item.value is None:
                raise _Refused("it describes an array without its values")
            if item.value.dtype.kind != "O":
                return item.value, item.value.size
            if id(item) not in done:
                check_depth(item, depth)
                pairs = [finish(part, depth + 1) for part in item.value.ravel().tolist()]
                out = np.empty(len(pairs), dtype=object)
                for index, (part, _) in enumerate(pairs):
                    out[index] = part
                close(item, out.reshape(item.value.shape), [size for _, size in pairs])
        elif isinstance(item, _Dtype):
            return item.dtype, 1
        elif callable(item) or item is _NDARRAY:
            raise _Refused("it holds a function")
        elif not isinstance(item, dict | list | tuple):
            return item, 1
        elif id(item) not in done:
            check_depth(item, depth)
            pairs = [finish(part, depth + 1) for part in (item.values() if isinstance(item, dict) else item)]
            parts = [part for part, _ in pairs]
            made = dict(zip(item, parts, strict=True)) if isinstance(item, dict) else type(item)(parts)
            close(item, made, [size for _, size in pairs])
        return done[id(item)], sizes[id(item)]

    def check_depth(item: Any, depth: int) -> None:
        if depth > MOST_DEPTH:
            raise _Refused(f"it is nested more than {MOST_DEPTH} deep, or holds itself")

    def close(item: Any, made: Any, parts: list[int]) -> None:
        done[id(item)], sizes[id(item)] = made, 1 + sum(parts)
        if sizes[id(item)] > MOST_VALUES:
            raise _Refused(f"its lists spell out more than {MOST_VALUES} values")

    return finish(value, 0)[0]
