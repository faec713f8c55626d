"""How an array becomes chunks: their shape, the filters, and the rounding of mantissa bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

CHUNK_ROWS = 8
"""Stimuli in a chunk: between "one site of all images" and "all sites of one image"."""
CHUNK_BYTES = 1 << 20
KEEP_BITS: tuple[int | None, ...] = (None, 10, 7)

_MANTISSA = 23
_INFINITY = np.uint32(0x7F800000)
_MAGNITUDE = np.uint32(0x7FFFFFFF)


def chunk_shape(n_stimuli: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Chunk of an array (stimulus, timestep, *shape): 8 stimuli, one timestep, units up to about 1 MiB.

    The innermost dimensions are kept whole, the first that does not fit is cut into equal pieces, those before it
    have size 1.

    Examples
    --------
    >>> chunk_shape(1000, (576, 28, 28))
    (8, 1, 39, 28, 28)
    """
    rows = min(CHUNK_ROWS, n_stimuli)
    left = CHUNK_BYTES // (4 * rows)
    sizes: list[int] = []
    for size in reversed(shape):
        piece = math.ceil(size / math.ceil(size / max(1, min(size, left))))
        sizes.append(piece)
        left = left // piece if piece == size else 1
    return (rows, 1, *reversed(sizes))


def filters(keep_bits: int | None) -> dict[str, Any]:
    """Arguments of ``create_dataset``: a checksum always; shuffle and deflate where rounding made them worth it."""
    if keep_bits is None:
        return {"fletcher32": True}
    return {"fletcher32": True, "shuffle": True, "compression": "gzip", "compression_opts": 1}


def round_mantissa(values: np.ndarray, keep_bits: int | None) -> np.ndarray:
    """Round float32 to ``keep_bits`` mantissa bits (None: all), to nearest, ties to even.

    NaN and the infinities are kept, and a finite value stays finite: what would round up to infinity becomes the largest
    value that has ``keep_bits`` bits.
    """
    if keep_bits is None:
        return values
    drop = _MANTISSA - keep_bits
    bits = np.array(values, dtype=np.float32, order="C").view(np.uint32)  # a copy: the input is never changed
    magnitude = bits & _MAGNITUDE
    special = magnitude >= _INFINITY
    kept = bits[special] if special.any() else None
    # Adding half an ulp less one, plus the last kept bit, carries exactly when "nearest, ties to even" rounds up.
    bits += np.uint32((1 << (drop - 1)) - 1) + ((bits >> np.uint32(drop)) & np.uint32(1))
    bits &= np.uint32(0xFFFFFFFF ^ ((1 << drop) - 1))
    overflow = (bits & _MAGNITUDE) >= _INFINITY
    if overflow.any():
        bits[overflow] -= np.uint32(1 << drop)
    if kept is not None:
        bits[special] = kept
    return bits.view(np.float32)


def round_scratch(values: np.ndarray, keep_bits: int, spare: np.ndarray) -> bool:
    """Round as :func:`round_mantissa`, in place; False, with ``values`` spoilt, where something is or becomes infinite.

    ``spare``, uint32 of the same length, is overwritten.
    """
    drop = np.uint32(_MANTISSA - keep_bits)
    bits = values.view(np.uint32)
    np.right_shift(bits, drop, out=spare)
    spare &= np.uint32(1)
    spare += np.uint32((1 << (int(drop) - 1)) - 1)
    bits += spare
    bits &= np.uint32(0xFFFFFFFF ^ ((1 << int(drop)) - 1))
    return bool(np.isfinite(total_of(values)))


def total_of(values: np.ndarray) -> float:
    """Sum that is finite only if every value is: one pass, far cheaper than ``isfinite``."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(values.sum())
