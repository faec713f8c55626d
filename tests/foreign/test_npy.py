"""Headers of .npy files and archives of them: any damage is one sentence, and nothing is allocated on a claim."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from bltvs_neuro.errors import DataError
from bltvs_neuro.foreign.npy import load_npz, npy_header, npz_headers, open_npy


def header(text, version=(1, 0), size=None):
    raw = text.encode("latin1")
    size = len(raw) if size is None else size
    return b"\x93NUMPY" + bytes(version) + size.to_bytes(2 if version[0] == 1 else 4, "little") + raw


def described(descr="'<f8'", shape="(2,)", order="False"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


@pytest.mark.parametrize("dtype", ["f8", ">i2", "c8", "?", "U3", "S2", [("a", "f4"), ("b", "i2", (2,))]])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_numpy_writes(tmp_path, dtype, order):
    array = np.zeros((2, 3), dtype, order=order)
    array.flat[1] = np.ones((), dtype)
    np.save(tmp_path / "x.npy", array)
    found = open_npy(tmp_path / "x.npy")
    assert found.dtype == array.dtype and found.flags.f_contiguous == (order == "F")
    np.testing.assert_array_equal(found, array)
    np.savez_compressed(tmp_path / "x.npz", x=array, y=np.arange(3))
    assert npz_headers(tmp_path / "x.npz") == {"x": ((2, 3), array.dtype), "y": ((3,), np.arange(3).dtype)}
    np.testing.assert_array_equal(load_npz(tmp_path / "x.npz", ["x"])["x"], array)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,)])
def test_shapes_with_little_in_them(tmp_path, shape):
    np.save(tmp_path / "x.npy", np.ones(shape))
    np.savez(tmp_path / "x.npz", x=np.ones(shape))
    assert open_npy(tmp_path / "x.npy").shape == shape
    assert load_npz(tmp_path / "x.npz", ["x"])["x"].shape == shape


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not begin as a .npy file"),
        (header(described(), (9, 0)), "version 9.0 of the format is not known"),
        (header(described(), size=5000), "ends within the header"),
        (header(described(), (2, 0), size=2**31), "a header of 2147483648 bytes"),
        (header("[1, 2]"), "does not hold descr, fortran_order and shape"),
        (header("(" * 5000), "nested too deeply"),
        (header("-" * 9000 + "1"), "no plain description"),
        (header("9**9**9**9"), "no plain description"),
        (header("__import__('os').system('x')"), "damaged"),
        (header(described(shape="(-1,)")), r"declares the shape \(-1,\)"),
        (header(described(shape="(True,)")), "declares the shape"),
        (header(described(shape="(2.0,)")), "declares the shape"),
        (header(described(shape="2")), "declares the shape"),
        (header(described(shape="(" + "1," * 60 + ")")), "declares the shape"),
        (header(described(shape="(99999999999, 99999999999)")), "more than any memory"),
        (header(described(shape="(0, 9999999999, 9999999999)")), "more than any memory"),
        (header(described("'<f8'", "(1000000,)", "1")), "fortran_order is 1"),
        (header(described("'<q9'")), "damaged"),
        (header(described("'|V0'")), "holds nothing"),
        (header(described("'<U0'", "(99999999,)")), "declares 99999999 empty texts"),
        (header(described("('<f8', (1099511627776, 1099511627776))")), "damaged"),
        (header("\xff\xfe" + described(), (3, 0)), "damaged"),
    ],
)  # fmt: skip
def test_damaged_headers(data, message):
    with pytest.raises(DataError, match=message) as caught:
        npy_header(io.BytesIO(data), "x.npy")
    assert "\n" not in str(caught.value) and str(caught.value).startswith("x.npy is damaged or truncated (npy)")


def bomb(path, size, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("x.npy", header(described("'|u1'", f"({size},)")) + bytes(size))
    return path


def test_an_archive_that_unfolds_to_far_more(tmp_path, monkeypatch):
    path = bomb(tmp_path / "x.npz", 16 * 2**20)
    assert load_npz(path, ["x"])["x"].size == 16 * 2**20  # zeros are data, too, while they are few
    monkeypatch.setenv("BLTVS_UNFOLD_GIB", "0.01")
    with pytest.raises(DataError, match=r"x declares 16777216 bytes .* only \d+ are stored.*BLTVS_UNFOLD_GIB=1"):
        load_npz(path, ["x"])
    monkeypatch.setenv("BLTVS_UNFOLD_GIB", "much")
    with pytest.raises(DataError, match="BLTVS_UNFOLD_GIB should be a number of GiB, such as 4; it is 'much'"):
        load_npz(path, ["x"])


def test_the_parts_of_an_archive_count_together(tmp_path, monkeypatch):
    monkeypatch.setenv("BLTVS_UNFOLD_GIB", "0.01")
    np.savez_compressed(tmp_path / "x.npz", **{f"a{n}": np.zeros(2**20) for n in range(3)})
    load_npz(tmp_path / "x.npz", ["a0"])
    with pytest.raises(DataError, match="a1 declares 16777216 bytes"):
        load_npz(tmp_path / "x.npz", ["a0", "a1"])


def test_archives_that_numpy_does_not_write(tmp_path):
    bomb(tmp_path / "x.npz", 2**20, zipfile.ZIP_BZIP2)
    with pytest.raises(DataError, match="compressed in a way that numpy does not write"):
        load_npz(tmp_path / "x.npz", ["x"])
    with zipfile.ZipFile(tmp_path / "y.npz", "w") as archive:
        archive.writestr("x.npy", header(described(shape="(100,)")) + bytes(8))
    with pytest.raises(DataError, match=r"declares 800 bytes \(100,\), it has 8"):
        load_npz(tmp_path / "y.npz", ["x"])
