"""HDF5's Fletcher-32, in numpy and without holding the interpreter's lock, so that chunks are made beside computing."""

from __future__ import annotations

import numpy as np

_COLUMNS = 512
_TILE = 64  # rows whose halves stay in the cache: four times faster than whole chunks
_MOST = 8 * _COLUMNS * (1 << 16)
_EVEN_WORDS = np.uint64(0x0000FFFF0000FFFF)
_LOW_HALF = np.uint64(0xFFFFFFFF)


def fletcher32(data: np.ndarray) -> int:
    """Checksum of a chunk (uint8, contiguous, at most 256 MiB) as HDF5's filter computes it: ``sum2 << 16 | sum1``.

    Notes
    -----
    With 16-bit words w_0 .. w_{n-1}, sum1 is the sum of w_i and sum2 the sum of (n - i) w_i, both modulo 65535. As
    2^16 = 1 modulo 65535, words of the other byte order only multiply both by 256, and four neighbouring words can be added
    as the halves of one 64-bit number. What is left are sums over rows and columns of the numbers arranged as a matrix. Zeros
    at the end change neither sum if n counts the words without them.

    References
    ----------
    J. G. Fletcher (1982), An arithmetic checksum for serial transmissions, doi:10.1109/TCOM.1982.1095369
    """
    n_words = (data.size + 1) // 2
    row_bytes = 8 * _COLUMNS
    if data.size > _MOST:
        raise ValueError(f"a chunk has at most {_MOST} bytes here; got {data.size}")
    if data.size % row_bytes:
        padded = np.zeros(-(-data.size // row_bytes) * row_bytes, np.uint8)
        padded[: data.size] = data
        data = padded
    numbers = data.view("<u8").reshape(-1, _COLUMNS)
    even_sums, odd_sums = np.zeros(_COLUMNS, np.uint64), np.zeros(_COLUMNS, np.uint64)
    row_sums = np.empty(len(numbers), np.uint64)
    for start in range(0, len(numbers), _TILE):
        tile = numbers[start : start + _TILE]
        even = tile & _EVEN_WORDS  # words 0 and 2 of each number, in halves that have room for 65536 of them
        odd = tile >> np.uint64(16)
        odd &= _EVEN_WORDS
        even_sums += even.sum(axis=0)
        odd_sums += odd.sum(axis=0)
        even += odd
        row_sums[start : start + _TILE] = even.sum(axis=1)
    even_columns, odd_columns = _halves(even_sums), _halves(odd_sums)
    rows, columns = np.add(*_halves(row_sums)), np.sum([*even_columns, *odd_columns], axis=0)
    first, third = (int(half.sum()) for half in even_columns)
    second, fourth = (int(half.sum()) for half in odd_columns)
    total = first + second + third + fourth
    # the position of word k of the number at (row, column) is 4 (row * columns + column) + k
    position = 4 * (_COLUMNS * _weighted(rows) + _weighted(columns)) + second + 2 * third + 3 * fourth
    return _reduced(n_words * total - position, total) << 16 | _reduced(total, total)


def _halves(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return numbers & _LOW_HALF, numbers >> np.uint64(32)


def _weighted(sums: np.ndarray) -> int:
    return int((sums * np.arange(len(sums), dtype=np.uint64)).sum())


def _reduced(value: int, total: int) -> int:
    """Modulo 65535 in the other byte order; HDF5 has 65535 for 0 except where every word is 0."""
    return (value * 256 - 1) % 65535 + 1 if total else 0
