"""Chunks and mantissa rounding, against references that work on one number at a time."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bltvs_neuro.store import default_block
from bltvs_neuro.store.format.encode import CHUNK_BYTES, chunk_shape, round_mantissa


def rounded(bits: int, keep: int) -> int:
    """Bit pattern of a float32 rounded to ``keep`` mantissa bits by exact rational arithmetic."""
    sign, magnitude = bits & 0x80000000, bits & 0x7FFFFFFF
    if magnitude >= 0x7F800000:
        return bits
    unit = 1 << (23 - keep)  # patterns of one sign are ordered as their values, in steps that are equal within a binade
    quotient = Fraction(magnitude, unit)
    low = math.floor(quotient)
    rest = quotient - low
    up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and low % 2)
    result = (low + bool(up)) * unit
    return sign | min(result, 0x7F800000 - unit)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50), st.sampled_from([7, 10]))
@example([0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00001, 0x7F800001, 0, 0x80000000, 1, 0x007FFFFF], 10)
@example([0x3F801000, 0x3F803000, 0x3F800FFF, 0x3F801001], 10)  # ties and their neighbours
def test_rounding_is_exact_for_every_bit_pattern(patterns, keep):
    values = np.array(patterns, np.uint32).view(np.float32)
    before = values.tobytes()
    result = round_mantissa(values, keep).view(np.uint32).tolist()
    assert result == [rounded(p, keep) for p in patterns]
    assert values.tobytes() == before


@given(st.integers(0, 0x7C00 - 1))
def test_ten_bits_keep_every_normal_float16(pattern):
    value = np.frombuffer(struct.pack("<H", pattern), np.float16).astype(np.float32)
    np.testing.assert_array_equal(round_mantissa(value, 10), value)


def test_without_keep_bits_the_array_itself_is_stored():
    values = np.ones(3, np.float32)
    assert round_mantissa(values, None) is values


@given(st.integers(1, 100), st.lists(st.integers(1, 5000), min_size=1, max_size=3))
def test_chunks_fit_the_array_and_a_mebibyte(n, shape):
    chunk = chunk_shape(n, tuple(shape))
    assert chunk[:2] == (min(8, n), 1)
    assert all(1 <= c <= s for c, s in zip(chunk[2:], shape, strict=True))
    assert 4 * math.prod(chunk) <= CHUNK_BYTES
    # No dimension is cut before all those inside it are whole.
    cut = [i for i, (c, s) in enumerate(zip(chunk[2:], shape, strict=True)) if c < s]
    assert all(chunk[2 + i] == 1 or i == max(cut) for i in range(max(cut, default=0)))


@given(st.integers(1, 200_000), st.integers(1, 10**9))
def test_default_block(n, size):
    block = default_block(n, size)
    assert block % 8 == 0
    assert block >= 8
    assert math.ceil(n / block) <= 800
    if n <= 800 * 8:
        assert block == 8 or block * size <= (256 << 20) + 8 * size


@pytest.mark.parametrize(("n", "size", "block"), [(92, 4000, 96), (1000, 66_000_000, 8), (73_000, 66_000_000, 96)])
def test_default_block_of_known_runs(n, size, block):
    assert default_block(n, size) == block
