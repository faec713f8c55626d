"""MATLAB 5 files: the same values as scipy, and no damage that ends the interpreter."""

from __future__ import annotations

import random
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from bltvs_neuro.errors import DataError
from bltvs_neuro.foreign.matlab5 import load_matlab5, matlab5_headers

from ..neural.conftest import shared_data  # noqa: F401


def same(ours, theirs):
    """Equal in shape, kind and every value; numbers may have MATLAB's class where scipy has that of the file."""
    if scipy.sparse.issparse(theirs):
        theirs = theirs.toarray()
    theirs = np.asarray(theirs)
    assert ours.shape == theirs.shape
    if theirs.dtype.names:
        assert ours.dtype.names == theirs.dtype.names
        for name in theirs.dtype.names:
            same(ours[name], theirs[name])
    elif theirs.dtype.kind == "O":
        for one, other in zip(ours.ravel(), theirs.ravel(), strict=True):
            same(one, other)
    else:
        assert (ours.dtype.kind == "U") == (theirs.dtype.kind == "U")
        np.testing.assert_array_equal(ours, theirs)


def everything():
    text = np.empty((2, 2), dtype=object)
    text[:] = [["größe", "b"], ["", "猫"]]
    record = np.zeros((1, 2), dtype=[("RDM", object), ("name", object)])
    record["RDM"][0, 0], record["RDM"][0, 1] = np.eye(3), np.zeros((0, 0))
    record["name"][0, 0], record["name"][0, 1] = "first", {"deep": np.arange(3), "list": [1, "two"]}
    return {
        "f8": np.arange(6.0).reshape(2, 3), "f4": np.float32([[1.5]]), "i2": np.int16([[1, -2]]), "u8": np.uint64([[2**63]]),
        "c": np.array([[1 + 2j, 3]]), "b": np.array([[True, False]]), "cube": np.arange(24).reshape(2, 3, 4),
        "word": "hello", "words": np.array(["one", "three"]), "empty": np.zeros((0, 4)), "none": "", "cells": text,
        "record": record, "sparse": scipy.sparse.csc_matrix(np.array([[0, 2.5, 0], [1, 0, 0]])),
    }  # fmt: skip


@pytest.mark.parametrize("compressed", [False, True])
def test_everything_scipy_writes(tmp_path, compressed):
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, everything(), do_compression=compressed)
    theirs = scipy.io.loadmat(path)
    headers = matlab5_headers(path)
    assert headers == {name: (tuple(shape), kind) for name, shape, kind in scipy.io.whosmat(path)}
    ours = load_matlab5(path, list(headers))
    for name in headers:
        same(ours[name], theirs[name])
    assert ours["b"].dtype == bool and ours["i2"].dtype == np.int16 and ours["f4"].dtype == np.float32
    assert list(load_matlab5(path, ["words", "nothing"])) == ["words"]


@pytest.mark.parametrize(
    "name",
    [
        "kriegeskorte92/92_brainRDMs.mat",
        "kriegeskorte92/92_modelRDMs.mat",
        "kriegeskorte92/92_behavRDMs.mat",
        "kriegeskorte92/rdm92_V1model.mat",
        "kriegeskorte92/Kriegeskorte_Neuron2008_supplementalData.mat",
        "formats/meadows118/Meadows_myExp_v_v1_arrangement_1D.mat",
        "formats/meadows118/Meadows_myExp_v_v1_cuddly-bunny_3_1D.mat",
    ],
)
def test_published_files(shared_data, name):  # noqa: F811
    theirs = scipy.io.loadmat(shared_data / name)
    ours = load_matlab5(shared_data / name, list(matlab5_headers(shared_data / name)))
    assert list(ours) == [key for key in theirs if not key.startswith("__")]
    for key, value in ours.items():
        same(value, theirs[key])


def test_doubles_stored_as_bytes_are_doubles(tmp_path):
    """MATLAB stores whole numbers as bytes; scipy then returns uint8, and differences of them wrap round."""
    path = tmp_path / "x.mat"
    write(path, matrix(6, (1, 3), element(2, bytes([1, 2, 3]))))
    assert scipy.io.loadmat(path)["x"].dtype == np.uint8
    assert load_matlab5(path, ["x"])["x"].dtype == np.float64
    np.testing.assert_array_equal(load_matlab5(path, ["x"])["x"], [[1, 2, 3]])


def test_big_endian(tmp_path):
    path = tmp_path / "x.mat"
    values = np.array([[1.0, 256.0]], ">f8")
    parts = [(6, np.array([6, 0], ">u4")), (5, np.array([1, 2], ">i4")), (1, np.frombuffer(b"x", "i1")), (9, values)]
    body = b""
    for kind, array in parts:
        raw = array.tobytes()
        body += kind.to_bytes(4, "big") + len(raw).to_bytes(4, "big") + raw + bytes(-len(raw) % 8)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI"
    path.write_bytes(head + (14).to_bytes(4, "big") + len(body).to_bytes(4, "big") + body)
    np.testing.assert_array_equal(load_matlab5(path, ["x"])["x"], values)


def mutate(path, data, number, seed, scratch):
    """Change single bytes; either something is read, or a DataError says why not."""
    rng, raised = random.Random(seed), 0
    for _ in range(number):
        changed = bytearray(data)
        at = rng.randrange(124, len(data))
        changed[at] ^= rng.randrange(1, 256)
        scratch.write_bytes(changed)
        try:
            load_matlab5(scratch, list(matlab5_headers(scratch)))
        except DataError:
            raised += 1
    return raised


@pytest.mark.parametrize("compressed", [False, True])
def test_changed_bytes(tmp_path, compressed):
    """Among 20 of them scipy's reader crashes more than once."""
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, everything(), do_compression=compressed)
    assert mutate(path, path.read_bytes(), 600, 0, tmp_path / "y.mat") > 50


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["kriegeskorte92/92_brainRDMs.mat", "formats/meadows118/Meadows_myExp_v_v1_arrangement_1D.mat"]
)
def test_changed_bytes_of_published_files(shared_data, tmp_path, name):  # noqa: F811
    path = shared_data / name
    assert mutate(path, path.read_bytes(), 2000, 1, tmp_path / "y.mat") > 0


@pytest.mark.parametrize("keep", [0, 50, 127, 128, 135, 150, 300, 0.5, 0.99])
def test_cut_off(tmp_path, keep):
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, everything())
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    if keep == 128:
        assert matlab5_headers(path) == {}
    else:
        with pytest.raises(DataError, match=r"is damaged or truncated \(matlab5\)"):
            load_matlab5(path, list(matlab5_headers(path)))


def element(kind, data):
    return kind.to_bytes(4, "little") + len(data).to_bytes(4, "little") + data + bytes(-len(data) % 8)


def matrix(kind, shape, *parts, name=b"x"):
    flags = element(6, kind.to_bytes(4, "little") + bytes(4))
    dims = element(5, np.array(shape, "<i4").tobytes())
    return element(14, b"".join([flags, dims, element(1, name), *parts]))


def write(path, *elements):
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"".join(elements))


def nested(depth):
    inner = matrix(6, (1, 1), element(9, bytes(8)), name=b"")
    for _ in range(depth):
        inner = matrix(1, (1, 1), inner, name=b"")
    return matrix(1, (1, 1), inner)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (matrix(1, (2**30, 2**30)), "cells are declared where 0 bytes are left"),
        (matrix(2, (2**20, 2**20), element(5, (32).to_bytes(4, "little")), element(1, b"a".ljust(32, b"\0"))), "cells are decl"),
        (matrix(6, (2**30, 4), element(9, bytes(8))), "8 bytes stand where 4294967296 numbers"),
        (matrix(6, (-1, 4), element(9, bytes(8))), "the shape of an array is"),
        (matrix(99, (1, 1), element(9, bytes(8))), "class 99 of arrays is not known"),
        (matrix(6, (1, 1), element(77, bytes(8))), "an element of type 77 stands where numbers"),
        (matrix(4, (1, 2), element(16, b"\xff\xfe")), "codec can't decode"),
        (matrix(5, (2**20, 2**20), element(5, b""), element(5, bytes(4 * 2**20 + 4)), element(9, b"")), "far more than"),
        (matrix(5, (2, 1), element(5, np.int32([7]).tobytes()), element(5, np.int32([0, 1]).tobytes()), element(9, bytes(8))),
         "outside of its rows"),
        (nested(40), "nested more than 32 deep"),
        (element(15, zlib.compress(matrix(6, (1, 2**29), element(2, bytes(2**29))), 9)), "declares .* bytes but only .* are st"),
    ],
)  # fmt: skip
def test_hostile_files(tmp_path, content, message):
    write(tmp_path / "x.mat", content)
    with pytest.raises(DataError, match=message):
        load_matlab5(tmp_path / "x.mat", ["x"])
