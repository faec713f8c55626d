"""MATLAB 5 files (.mat before v7.3), read element by element.

scipy.io.loadmat would do, but its compiled code believes the tags of a file: one changed byte ends the interpreter. Here
every size is compared with the bytes that are there. The tests hold both to the same values.

References
----------
MathWorks, MAT-File Format, version 5 (the layout of elements, tags and array classes)
"""

from __future__ import annotations

import math
import mmap
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, listed
from .bounds import RATIO, check_unfolded, unfold_limit

VALUES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
TEXTS = {1: "latin1", 2: "latin1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
MATRIX, COMPRESSED = 14, 15
CLASSES = {
    1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single", 8: "int8", 9: "uint8",
    10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64", 15: "uint64", 16: "function", 17: "opaque",
}  # fmt: skip
COMPLEX, LOGICAL = 0x0800, 0x0200
MOST_DEPTH = 32
MOST_AXES = 32
HEADER_BYTES = 4096
"""Of a compressed variable, enough to hold its class, shape and name."""


class _Damage(ValueError):
    """What is wrong, as the end of a sentence."""


class _Head(NamedTuple):
    """How a matrix begins, and the elements behind that."""

    name: str
    kind: str
    shape: tuple[int, ...]
    flags: int
    rest: _Elements


class _Elements:
    """Elements one after the other in a piece of memory; the sum of what is made of them is kept within ``budget``."""

    def __init__(self, data: memoryview, order: str, budget: list[int]) -> None:
        self.data, self.order, self.budget, self.at = data, order, budget, 0

    def __bool__(self) -> bool:
        return self.at < len(self.data)

    def next(self) -> tuple[int, memoryview]:
        """Type and bytes of the next element."""
        data, order = self.data, "little" if self.order == "<" else "big"
        if self.at + 8 > len(data):
            raise _Damage("it ends within an element")
        word = int.from_bytes(data[self.at : self.at + 4], order)  # type: ignore[arg-type]
        if word >> 16:  # a small element: its bytes stand within the tag
            size, start, step = word >> 16, self.at + 4, 8
            if size > 4:
                raise _Damage(f"a small element declares {size} bytes")
        else:
            size = int.from_bytes(data[self.at + 4 : self.at + 8], order)  # type: ignore[arg-type]
            # the only kind of element that is not filled up to 8 bytes
            start, step = self.at + 8, 8 + size + (0 if word == COMPRESSED else -size % 8)
        if start + size > len(data):
            raise _Damage(f"an element declares {size} bytes where {len(data) - start} are left")
        self.at += step
        return word & 0xFFFF, data[start : start + size]

    def numbers(self, dtype: str | None = None, count: int | None = None) -> NDArray[Any]:
        """Numbers of the next element, converted to ``dtype``."""
        kind, data = self.next()
        if kind not in VALUES:
            raise _Damage(f"an element of type {kind} stands where numbers are expected")
        stored = np.dtype(self.order + VALUES[kind])
        if count is not None and len(data) != count * stored.itemsize:
            raise _Damage(f"{len(data)} bytes stand where {count} numbers of {stored.itemsize} bytes are declared")
        if len(data) % stored.itemsize:
            raise _Damage(f"{len(data)} bytes are no whole number of {stored}")
        wanted = np.dtype(dtype) if dtype is not None else stored.newbyteorder("=")
        self.spend(len(data) // stored.itemsize * wanted.itemsize)
        with np.errstate(invalid="ignore"):
            return np.frombuffer(data, stored).astype(wanted)

    def text(self) -> str:
        """A name."""
        _, data = self.next()
        return bytes(data).decode("utf-8", "replace").rstrip("\0")

    def spend(self, size: int) -> None:
        """Count what is allocated."""
        self.budget[0] -= size
        if self.budget[0] < 0:
            raise _Damage("it declares far more than is stored")

    def inside(self, data: memoryview) -> _Elements:
        return _Elements(data, self.order, self.budget)


def matlab5_headers(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and class ("double", "struct", ...) of every variable."""

    def shape(head: _Head) -> tuple[int, ...]:
        return head.shape[:-1] if head.kind == "char" else head.shape

    return _guarded(path, lambda: {h.name: (shape(h), _class(h)) for h in _variables(path, HEADER_BYTES)})


def load_matlab5(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """Load variables as scipy.io.loadmat returns them, or refuse a damaged file with a DataError.

    At least two axes, text as an array of str without its last axis, cells as object arrays, structs as structured arrays of
    objects. Otherwise than there, numbers have the class they have in MATLAB (doubles that were stored as bytes are doubles),
    and sparse matrices are filled up.
    """
    wanted = set(names)

    def load() -> dict[str, Any]:
        found: dict[str, Any] = {}
        for head in _variables(path, None, wanted):
            if head.kind in ("function", "opaque"):
                raise DataError(f"{path}: {head.name} is a {head.kind} of MATLAB, which only MATLAB can read")
            found[head.name] = _array(head, 0)
        return found

    found = _guarded(path, load)
    return {name: found[name] for name in names if name in found}


def _guarded(path: Path, action: Callable[[], Any]) -> Any:
    try:
        return action()
    except (_Damage, zlib.error, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise DataError(f"{path} is damaged or truncated (matlab5): {' '.join(str(error).split())}") from None


def _variables(path: Path, most: int | None, wanted: set[str] | None = None) -> Iterator[_Head]:
    """The heads of all variables, or of those wanted; ``most`` is how much of a compressed one is unfolded."""
    size = Path(path).stat().st_size
    with Path(path).open("rb") as stream:
        data = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if size else b"")
    if size < 128 or bytes(data[126:128]) not in (b"IM", b"MI"):
        raise _Damage("its header is not that of MATLAB 5")
    top = _Elements(data[128:], "<" if bytes(data[126:128]) == b"IM" else ">", [max(unfold_limit(), RATIO * size)])
    while top:
        if not any(data[128 + top.at :][:8]) and not any(bytes(data[128 + top.at :])):
            return  # filled up with zeros
        kind, content = top.next()
        short = top.inside(content)
        if kind == COMPRESSED:
            short = top.inside(_unfold(content, HEADER_BYTES, path))
            kind, piece = _first(short)
            if most is None:
                head = _head(short.inside(piece))
                if wanted is not None and head.name not in wanted:
                    continue
                whole = top.inside(_unfold(content, None, path))
                kind, piece = whole.next()
            short = top.inside(piece)
        if kind != MATRIX:
            raise _Damage(f"an element of type {kind} stands where a variable is expected")
        head = _head(short)
        if head.name and (wanted is None or head.name in wanted):
            yield head


def _first(elements: _Elements) -> tuple[int, memoryview]:
    """The first element as far as it has been unfolded."""
    if len(elements.data) < 8:
        raise _Damage("it ends within an element")
    kind = int.from_bytes(elements.data[:4], "little" if elements.order == "<" else "big")
    return kind, elements.data[8:]


def _unfold(data: memoryview, most: int | None, path: Path) -> memoryview:
    limit = max(unfold_limit(), RATIO * len(data))
    unfolder = zlib.decompressobj()
    out = unfolder.decompress(data, most or limit + 1)
    if most is None:
        check_unfolded(f"{path}: a compressed variable", len(out), len(data))
        if not unfolder.eof:
            raise _Damage("a compressed variable is cut off")
    return memoryview(out)


def _head(elements: _Elements) -> _Head:
    if not elements:
        return _Head("", "double", (0, 0), 0, elements)
    flags = elements.numbers("i8", 2)
    kind = int(flags[0]) & 0xFF
    if kind not in CLASSES:
        raise _Damage(f"class {kind} of arrays is not known")
    if CLASSES[kind] == "opaque":
        name = elements.text()
        return _Head(name, "opaque", (), 0, elements)
    shape = tuple(int(n) for n in elements.numbers("i8"))
    if min(shape, default=-1) < 0 or len(shape) > MOST_AXES:
        raise _Damage(f"the shape of an array is {shape[:4]}")
    return _Head(elements.text(), CLASSES[kind], shape, int(flags[0]), elements)


def _class(head: _Head) -> str:
    return "logical" if head.flags & LOGICAL and head.kind not in ("cell", "struct", "sparse") else head.kind


def _array(head: _Head, depth: int) -> Any:
    if depth > MOST_DEPTH:
        raise _Damage(f"cells are nested more than {MOST_DEPTH} deep")
    if not head.rest and head.shape == (0, 0):
        return np.empty((0, 0))
    if head.kind == "char":
        return _chars(head)
    if head.kind == "cell":
        return _cells(head, math.prod(head.shape), depth).reshape(head.shape, order="F")
    if head.kind in ("struct", "object"):
        return _structs(head, depth)
    if head.kind == "sparse":
        return _sparse(head)
    if head.kind in ("function", "opaque"):
        return np.array(None, dtype=object)
    dtype = {"double": "float64", "single": "float32"}.get(head.kind, head.kind)
    count = math.prod(head.shape)
    values = head.rest.numbers(dtype, count)
    if head.flags & COMPLEX:
        values = values + 1j * head.rest.numbers(dtype, count)
    return (values.astype(bool) if head.flags & LOGICAL else values).reshape(head.shape, order="F")


def _chars(head: _Head) -> NDArray[np.str_]:
    rows, columns = math.prod(head.shape[:-1]), head.shape[-1]
    if not head.rest:
        if rows * columns:
            raise _Damage("an array of text has no text")
        return np.empty(head.shape[:-1], dtype="U1")
    kind, data = head.rest.next()
    if kind not in TEXTS:
        raise _Damage(f"an element of type {kind} stands where text is expected")
    encoding = TEXTS[kind]
    if encoding in ("utf-16", "utf-32"):
        encoding += "-le" if head.rest.order == "<" else "-be"
    text = bytes(data).decode(encoding, "strict")
    count = rows * columns
    # numbers of 16 bits count the halves of signs beyond the basic plane, too
    if len(text) != count and not (len(text) < count <= len(data)):
        raise _Damage(f"{len(text)} signs stand where {count} are declared")
    if not count:
        return np.empty(head.shape[:-1], dtype="U1")
    if rows == 1:
        return np.array([text]).reshape(head.shape[:-1])
    if len(text) != count:
        raise _Damage(f"{len(text)} signs stand where {count} are declared")
    head.rest.spend(4 * count)
    table = np.array(list(text)).reshape(head.shape, order="F")  # (..., columns)
    return np.array(["".join(row) for row in table.reshape(rows, columns)]).reshape(head.shape[:-1])


def _cells(head: _Head, count: int, depth: int) -> NDArray[np.object_]:
    rest = head.rest
    if 8 * count > len(rest.data) - rest.at:
        raise _Damage(f"{count} cells are declared where {len(rest.data) - rest.at} bytes are left")
    out = np.empty(count, dtype=object)
    for index in range(count):
        kind, data = rest.next()
        if kind != MATRIX:
            raise _Damage(f"an element of type {kind} stands where a cell is expected")
        out[index] = _array(_head(rest.inside(data)), depth + 1)
    return out


def _structs(head: _Head, depth: int) -> NDArray[np.void]:
    if head.kind == "object":
        head.rest.text()  # its class
    width = head.rest.numbers("i8", 1)[0]
    _, raw = head.rest.next()
    if width < 1 or len(raw) % width:
        raise _Damage(f"names of fields of {width} bytes each stand in {len(raw)} bytes")
    names = [
        bytes(raw[start : start + width]).split(b"\0")[0].decode("utf-8", "replace")
        for start in range(0, len(raw), int(width))
    ]
    if len(set(names)) != len(names) or not all(names):
        raise _Damage(f"the fields of a struct are called {listed(map(repr, names))}")
    count = math.prod(head.shape)
    values = _cells(head, count * len(names), depth).reshape(count, len(names))
    if not names:
        return np.empty((0, 0), dtype=[])
    out = np.empty(count, dtype=[(name, object) for name in names])
    for index, name in enumerate(names):
        out[name] = values[:, index]
    return out.reshape(head.shape, order="F")


def _sparse(head: _Head) -> NDArray[Any]:
    if len(head.shape) != 2:
        raise _Damage(f"a sparse matrix has the shape {head.shape}")
    rows, columns = head.shape
    inner, starts = head.rest.numbers("i8"), head.rest.numbers("i8", columns + 1)
    number = int(starts[-1])
    if (np.diff(starts) < 0).any() or starts[0] != 0 or number > len(inner):
        raise _Damage("the columns of a sparse matrix are out of order")
    inner = inner[:number]
    if number and (inner.min() < 0 or inner.max() >= rows):
        raise _Damage("a sparse matrix has values outside of its rows")
    kind = "f8" if not head.flags & LOGICAL else "u1"
    values = head.rest.numbers(kind)[:number]
    if head.flags & COMPLEX:
        values = values + 1j * head.rest.numbers(kind)[:number]
    if len(values) != number:
        raise _Damage(f"a sparse matrix has {len(values)} values where {number} are declared")
    head.rest.spend(rows * columns * values.itemsize)
    out = np.zeros((rows, columns), values.dtype)
    out[inner, np.repeat(np.arange(columns), np.diff(starts))] = values
    return out.astype(bool) if head.flags & LOGICAL else out
