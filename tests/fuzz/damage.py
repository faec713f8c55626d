"""Changes of bytes, whatever they mean: one change of a file, drawn from a random generator."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

SIGNPOSTS = re.compile(
    rb"TREE|HEAP|SNOD|OHDR|OCHK|FRHP|FHDB|GCOL|BTHD|BTLF|FSHD|PK\x01\x02|PK\x03\x04|PK\x05\x06|IHDR|IDAT|NUMPY|IM\x00\x00"
)
"""What stands before the metadata of HDF5, zip, png and npy files."""


def place(rng: np.random.Generator, data: bytes, length: int = 1) -> int:
    """Where to change something: half the time in what looks like metadata, else anywhere."""
    last = max(0, len(data) - length)
    if rng.random() < 0.5:
        return int(rng.integers(last + 1))
    posts = [0, max(0, len(data) - 64), *(match.start() for match in SIGNPOSTS.finditer(data))]
    return min(last, posts[int(rng.integers(len(posts)))] + int(rng.integers(96)))


def _run(rng: np.random.Generator, data: bytes) -> tuple[int, int]:
    """Start and end of a run of bytes, short more often than long."""
    length = min(len(data), int(2 ** rng.uniform(0, np.log2(max(2, len(data) / 2)))))
    start = place(rng, data, length)
    return start, start + length


def flip_bits(rng: np.random.Generator, data: bytes) -> bytes:
    """Flip one to eight bits, each at a place of its own."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        out[place(rng, data)] ^= 1 << int(rng.integers(8))
    return bytes(out)


def set_bytes(rng: np.random.Generator, data: bytes) -> bytes:
    """Set up to eight neighbours to 0 or 255."""
    start = place(rng, data, 8)
    length = int(rng.integers(1, 9))
    return data[:start] + rng.choice([b"\x00", b"\xff"]) * len(data[start : start + length]) + data[start + length :]


def zero_run(rng: np.random.Generator, data: bytes) -> bytes:
    """Zeros, as a disk or a broken copy leaves them."""
    start, stop = _run(rng, data)
    return data[:start] + bytes(stop - start) + data[stop:]


def truncate(rng: np.random.Generator, data: bytes) -> bytes:
    """Cut the end off."""
    return data[: int(rng.integers(len(data)))]


def repeat_run(rng: np.random.Generator, data: bytes) -> bytes:
    """A run of bytes twice."""
    start, stop = _run(rng, data)
    return data[:stop] + data[start:stop] + data[stop:]


def remove_run(rng: np.random.Generator, data: bytes) -> bytes:
    """Bytes left out."""
    start, stop = _run(rng, data)
    return data[:start] + data[stop:]


def insert_junk(rng: np.random.Generator, data: bytes) -> bytes:
    """Random bytes in between."""
    start, junk = place(rng, data), rng.bytes(int(rng.integers(1, 64)))
    return data[:start] + junk + data[start:]


def append_junk(rng: np.random.Generator, data: bytes) -> bytes:
    """Random bytes at the end."""
    return data + rng.bytes(int(rng.integers(1, 600)))


def swap_runs(rng: np.random.Generator, data: bytes) -> bytes:
    """Two blocks of the same size exchanged."""
    size = int(rng.integers(1, 1 + max(1, len(data) // 4)))
    first, second = sorted(place(rng, data, size) for _ in range(2))
    if second < first + size:
        return flip_bits(rng, data)
    middle = data[first + size : second]
    return data[:first] + data[second : second + size] + middle + data[first : first + size] + data[second + size :]


def npy_header(rng: np.random.Generator, data: bytes) -> bytes:
    """Another shape, type or order than what follows; the length of the header stays right."""
    if not data.startswith(b"\x93NUMPY"):
        return flip_bits(rng, data)
    size = int.from_bytes(data[8:10], "little")
    header = data[10 : 10 + size].decode("latin1")
    shape = rng.choice(
        [
            "()",
            "(0,)",
            "(-1, 3)",
            "(4611686018427387905, 2)",
            "(99999999, 99999999)",
            "(1.5,)",
            "'x'",
            "(True,)",
            "None",
        ]
    )
    descr = rng.choice(["|O", "<f2", ">f8", "<U999999999", "|V8", "<M8[ns]", "nonsense", "|S0", "<c16", "|b1"])
    changes: list[tuple[str, str]] = [
        (r"'shape': \([^)]*\)", f"'shape': {shape}"), (r"'descr': '[^']*'", f"'descr': '{descr}'"),
        (r"'fortran_order': \w+", f"'fortran_order': {rng.choice(['True', '1', 'None'])}"),
        (r"'fortran_order': \w+, ", ""), (r"}", "'more': 1}"), (r"\{", "{" * 300),
    ]  # fmt: skip
    pattern, new = changes[int(rng.integers(len(changes)))]
    text = re.sub(pattern, new, header, count=1).rstrip().encode("latin1") + b"\n"
    return data[:8] + len(text).to_bytes(2, "little") + text + data[10 + size :]


DAMAGE: dict[str, Callable[[np.random.Generator, bytes], bytes]] = {
    change.__name__: change
    for change in (
        flip_bits, set_bytes, zero_run, truncate, repeat_run, remove_run, insert_junk, append_junk, swap_runs, npy_header
    )
}  # fmt: skip
"""Name -> change of the bytes of a file, which holds at least one."""
