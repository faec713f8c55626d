"""Walk through an HDF5 file in a process of its own: ``python hdf5_walk.py FILE SECONDS BYTES`` prints JSON.

One changed byte can make the HDF5 library crash, or run for ever. What happens here happens to nobody else. The walk
touches all that a reader touches later: links, headers, attributes, chunk indices, and every value that is more than
plain numbers. This file imports nothing of the package, so that it starts quickly.
"""

from __future__ import annotations

import json
import math
import sys
from contextlib import suppress
from typing import Any

import h5py
import numpy as np

MOST_LINKS = 500_000
MOST_DEPTH = 64
MOST_ATTRIBUTES = 10_000
ATTRIBUTE_BYTES = 16 * 2**20
SAMPLE_BYTES = 2**20
PLAIN_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
"""Filters whose code stands up to any bytes; data behind others are decoded here first."""


class Refusal(Exception):
    """Why the file is not read, as the end of a sentence that begins with its name."""


def walk(file: h5py.File, most_bytes: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type of every dataset, by its name; hard links only, each group once."""
    found: dict[str, tuple[tuple[int, ...], str]] = {}
    seen, stack, links = {_address(file.id)}, [(file.id, "", 0)], 0
    _attributes(file, "the file")
    while stack:
        group, prefix, depth = stack.pop()
        names: list[tuple[bytes, int]] = []
        group.links.iterate(lambda name, info, names=names: names.append((name, info.type)), info=True)
        links += len(names)
        if links > MOST_LINKS:
            raise Refusal(f"holds more than {MOST_LINKS} links")
        for raw, kind in names:
            name = prefix + raw.decode("utf-8", "surrogateescape")
            if kind == h5py.h5l.TYPE_SOFT:
                continue  # leads to what is found under another name, or to nothing
            if kind != h5py.h5l.TYPE_HARD:
                raise Refusal(
                    f"is not one file: {name!r} leads to {_target(group, raw, kind)}; copy what it holds into one"
                )
            node = h5py.h5o.open(group, raw)
            if isinstance(node, h5py.h5g.GroupID):
                if depth == MOST_DEPTH:
                    raise Refusal(f"holds groups in groups, more than {MOST_DEPTH} deep")
                if _address(node) not in seen:
                    seen.add(_address(node))
                    stack.append((node, f"{name}/", depth + 1))
                    _attributes(h5py.Group(node), name)
            elif isinstance(node, h5py.h5d.DatasetID):
                dataset = h5py.Dataset(node)
                if not h5py.h5ds.is_scale(node) or _BARE not in (h5py.h5ds.get_scale_name(node) or b""):
                    found[name] = describe(dataset, most_bytes)
                _attributes(dataset, name)
    return dict(sorted(found.items()))


_BARE = b"This is a netCDF dimension but not a netCDF variable"
"""How netCDF labels a dataset that stands for a dimension alone and has no values."""


def describe(dataset: h5py.Dataset, most_bytes: int) -> tuple[tuple[int, ...], str]:
    """Shape and type of a dataset, whose values are touched if they can be decoded."""
    shape = dataset.shape or ()
    try:
        dtype = dataset.dtype
    except (TypeError, ValueError, RuntimeError, NotImplementedError):  # it has no counterpart in numpy
        return shape, "unknown"
    if dataset.shape is not None and refusal(dataset) is None:
        _touch(dataset, most_bytes)
    return shape, _class(dataset) or str(dtype)


def _class(dataset: h5py.Dataset) -> str | None:
    """MATLAB's class where that of the numbers stored tells less."""
    with suppress(TypeError, ValueError, OSError, RuntimeError, UnicodeDecodeError):
        name = bytes(dataset.attrs.get("MATLAB_class", b"")).decode("ascii")
        return name if name in ("char", "cell", "logical") else None
    return None


def refusal(dataset: h5py.Dataset) -> str | None:
    """Why the values are not taken from this file alone, or cannot be decoded; None when they can."""
    plist = dataset.id.get_create_plist()
    if plist.get_external_count():
        names = ", ".join(
            repr(plist.get_external(i)[0].decode("utf-8", "replace")) for i in range(min(3, plist.get_external_count()))
        )
        return f"its values lie in another file ({names}); copy them into one file"
    if dataset.is_virtual:
        return "it is a view of datasets of other files; copy it into one file"
    for i in range(plist.get_nfilters()):
        code, _, _, label = plist.get_filter(i)
        if not h5py.h5z.filter_avail(code):
            return (
                f"it is compressed by filter {code} ({label.decode('utf-8', 'replace') or 'unnamed'}), which is not "
                f"installed; write it again with gzip (h5repack -f GZIP=1), or import hdf5plugin before"
            )
    return None


def _touch(dataset: h5py.Dataset, most_bytes: int) -> None:
    """Read what could crash: chunk indices, text and compounds, and a few values of plain numbers."""
    if dataset.chunks is not None:
        dataset.id.get_num_chunks()
    plist = dataset.id.get_create_plist()
    plain = dataset.dtype.kind in "biufcSV" and dataset.dtype.names is None
    plain &= {plist.get_filter(i)[0] for i in range(plist.get_nfilters())} <= PLAIN_FILTERS
    if 0 in dataset.shape or (
        dataset.chunks is not None and math.prod(dataset.chunks) * dataset.dtype.itemsize > most_bytes
    ):
        return  # refused when it is read
    if dataset.shape == () or dataset.nbytes <= SAMPLE_BYTES:
        values = dataset[()]
        if h5py.check_ref_dtype(dataset.dtype) is h5py.Reference:
            for reference in filter(None, np.ravel(values)):
                dataset.file[reference]
        return
    rows = range(dataset.shape[0]) if not plain and dataset.nbytes <= most_bytes else (0, dataset.shape[0] - 1)
    step = max(1, SAMPLE_BYTES * dataset.shape[0] // dataset.nbytes) if len(rows) > 2 else 1
    for row in rows[::step]:
        inner = tuple(slice(0, 1) for _ in dataset.shape[1:]) if plain else ()
        dataset[(slice(row, row + step), *inner)]


def _attributes(node: Any, name: str) -> None:
    number = h5py.h5a.get_num_attrs(node.id)
    if number > MOST_ATTRIBUTES:
        raise Refusal(f"has {number} attributes at {name!r}")
    for index in range(number):
        attribute = h5py.h5a.open(node.id, index=index)
        size = attribute.get_space().get_simple_extent_npoints() * attribute.get_type().get_size()
        if size > ATTRIBUTE_BYTES:
            raise Refusal(f"declares an attribute of {size} bytes at {name!r}")
        # a type that h5py does not know is told to whoever asks for it
        with suppress(TypeError, ValueError, KeyError, OSError, RuntimeError, NotImplementedError):
            node.attrs[attribute.name]


def _target(group: Any, raw: bytes, kind: int) -> str:
    if kind != h5py.h5l.TYPE_EXTERNAL:
        return "something only another program can open"
    file, inside = group.links.get_val(raw)
    return f"{inside.decode('utf-8', 'replace')!r} in another file, {file.decode('utf-8', 'replace')!r}"


def _address(node: Any) -> tuple[int, int]:
    info = h5py.h5o.get_info(node)
    return info.fileno, info.addr


def main(path: str, seconds: str, most_bytes: str) -> None:
    """Print the datasets of a file, or why it is refused."""
    _limit(int(seconds), int(most_bytes))
    answer: dict[str, Any]
    try:
        with h5py.File(path, "r") as file:
            answer = {"datasets": walk(file, int(most_bytes))}
    except Refusal as error:
        answer = {"refused": str(error)}
    except Exception as error:  # whatever h5py makes of a damaged file
        answer = {"damaged": " ".join(str(error).split())[:300] or type(error).__name__}
    print(json.dumps(answer), flush=True)  # noqa: T201


def _limit(seconds: int, most_bytes: int) -> None:
    """No more time and memory than a sound file needs, where the system can limit them."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        memory = 2**32 + 4 * most_bytes
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


if __name__ == "__main__":
    main(*sys.argv[1:])
