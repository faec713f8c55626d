"""Chunks that are made here are the ones that HDF5's own filters make and accept."""

from __future__ import annotations

import zlib

import h5py
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bltvs_neuro.store.format.checksum import fletcher32
from bltvs_neuro.store.format.chunks import ChunkWriter, Target, decoded
from bltvs_neuro.store.format.encode import chunk_shape, filters, round_mantissa


def plain_fletcher32(data: bytes) -> int:
    """The definition, word by word; sums are kept in 1 to 65535 once they have left 0."""
    words = [int.from_bytes(data[i : i + 2].ljust(2, b"\0"), "big") for i in range(0, len(data), 2)]
    sum1 = sum2 = 0
    for word in words:
        sum1 += word
        sum2 += sum1
    low, high = ((s - 1) % 65535 + 1 if s else 0 for s in (sum1, sum2))
    return high << 16 | low


@given(st.binary(max_size=300) | st.binary(min_size=4090, max_size=9000))
@example(b"")
@example(b"\0" * 5000)
@example(b"\xff" * 5000)
@example(b"\xff\xff" + b"\0" * 10)
@example(b"\x01")
def test_the_checksum_is_the_defined_one(data):
    assert fletcher32(np.frombuffer(data, np.uint8)) == plain_fletcher32(data)


@pytest.mark.parametrize("fill", [0, 255, None])
def test_no_sum_overflows_in_the_largest_chunk(fill):
    size = 1 << 21
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, size, np.uint8) if fill is None else np.full(size, fill, np.uint8)
    words = data.view(">u2").astype(object) if fill is None else None
    if words is None:
        word = fill * 257
        sum1, sum2 = word * (size // 2), word * (size // 2) * (size // 2 + 1) // 2
    else:
        sum1, sum2 = words.sum(), (words * np.arange(size // 2, 0, -1).astype(object)).sum()
    low, high = ((s - 1) % 65535 + 1 if s else 0 for s in (sum1, sum2))
    assert fletcher32(data) == high << 16 | low


@pytest.mark.parametrize("keep_bits", [None, 10, 7])
@pytest.mark.parametrize("encoders", [1, 3])
@pytest.mark.parametrize("shape", [(100, 28, 28), (37, 5, 5), (1000,), (1,)])
def test_hdf5_reads_what_was_written_past_its_filters(tmp_path, keep_bits, encoders, shape):
    n = 21  # the last chunk is not full, and 100 channels are not a multiple of a chunk's 34
    values = np.random.default_rng(0).standard_normal((n, 2, *shape)).astype(np.float32)
    values[3, 1].flat[0], values[9, 0].flat[0] = np.inf, np.nan
    values[2, 0].flat[0] = np.float32(3.4028235e38)
    with h5py.File(tmp_path / "x.h5", "w") as file, ChunkWriter(keep_bits, encoders) as chunks:
        own, theirs = (
            file.create_dataset(
                name, (n, 2, *shape), "<f4", chunks=chunk_shape(n, shape), fillvalue=0, **filters(keep_bits)
            )
            for name in ("own", "theirs")
        )
        target = Target(own)
        for t in (1, 0):
            for row in range(0, n, 8):
                chunks.put(target, row, t, values[row : row + 8, t])
        chunks.drain()
        theirs[()] = round_mantissa(values, keep_bits)
        table = target.table()
    raw = (tmp_path / "x.h5").read_bytes()
    assert [zlib.crc32(raw[at : at + size]) for at, size, _ in table.tolist()] == table["crc"].tolist()
    with h5py.File(tmp_path / "x.h5") as file:
        np.testing.assert_array_equal(file["own"][()], round_mantissa(values, keep_bits))
        for name in ("own", "theirs"):  # what HDF5 has encoded is decoded as well
            _, encoded = file[name].id.read_direct_chunk((8, 1, *[0] * len(shape)))
            first = decoded(memoryview(encoded), file[name].chunks, keep_bits)
            want = round_mantissa(values, keep_bits)[8:16, 1:2][tuple(slice(s) for s in first.shape)]
            np.testing.assert_array_equal(first[tuple(slice(s) for s in want.shape)], want)
        if keep_bits is None:  # the same bytes, padding and checksum included
            for i in range(file["own"].id.get_num_chunks()):
                at = file["own"].id.get_chunk_info(i).chunk_offset
                assert file["own"].id.read_direct_chunk(at) == file["theirs"].id.read_direct_chunk(at)


def test_a_strided_array_is_stored_by_value(tmp_path):
    values = np.random.default_rng(0).standard_normal((8, 6, 5, 4)).astype(np.float32).transpose(0, 3, 1, 2)
    with h5py.File(tmp_path / "x.h5", "w") as file, ChunkWriter(None) as chunks:
        dataset = file.create_dataset("x", (8, 1, 4, 6, 5), "<f4", chunks=(8, 1, 4, 6, 5), **filters(None))
        chunks.put(Target(dataset), 0, 0, values)
        np.testing.assert_array_equal(dataset[:, 0], values)
