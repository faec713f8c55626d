"""RDMs in MATLAB's structs, plain arrays and tables."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import scipy.io
from scipy.spatial.distance import squareform

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural import load_rdms, rdm_stimulus_ids, select_stimuli, to_square

from .conftest import random_rdms, write_matlab73

IDS = ["d", "a", "c", "b", "e"]
SQUARE = random_rdms(1, 5)[0]
STACK = random_rdms(3, 5, seed=1)


# MATLAB structs and plain arrays


def test_rdm_struct(tmp_path):
    records = np.zeros((2,), dtype=[("RDM", object), ("name", object), ("color", object)])
    records[0] = (STACK[0], "first", [1, 0, 0])
    records[1] = (squareform(STACK[1])[None], "second", [1, 0, 0])
    path = tmp_path / "s.mat"
    scipy.io.savemat(path, {"RDMs": records})
    rdms = load_rdms(path, stimuli=IDS)
    np.testing.assert_allclose(to_square(rdms).values, STACK[:2])
    assert list(rdms["name"].values) == ["first", "second"]
    with pytest.raises(DataError, match=r"does not say which stimuli its 5 stimuli are"):
        load_rdms(path)
    with pytest.raises(SpecError, match=r"unknown key 'other'"):
        load_rdms(path, stimuli=IDS, key="other")


LAYOUTS = {
    "square": SQUARE,
    "condensed": squareform(SQUARE),
    "row": squareform(SQUARE)[None],
    "column": squareform(SQUARE)[:, None],
    "stack": STACK,
    "stack last": np.moveaxis(STACK, 0, -1),
    "rows": np.stack([squareform(m) for m in STACK]),
    "single precision": SQUARE.astype(np.float32),
}


def save(path, array):
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez_compressed(path, rdm=array, stimuli=np.array(IDS))
    elif path.name.endswith("73.mat"):
        write_matlab73(path, rdm=array)
    elif path.suffix == ".mat":
        cells = np.empty(len(IDS), dtype=object)
        cells[:] = IDS
        scipy.io.savemat(path, {"rdm": array, "labels": cells})
    else:
        with h5py.File(path, "w") as file:
            file["rdm"] = array
            file["stimulus_id"] = [i.encode() for i in IDS]


@pytest.mark.parametrize("file", ["x.npy", "x.npz", "x5.mat", "x73.mat", "x.h5"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_plain_arrays(tmp_path, file, layout):
    path = tmp_path / file
    save(path, LAYOUTS[layout])
    stimuli = IDS if file in ("x.npy", "x73.mat") else None
    rdms = load_rdms(path, stimuli=stimuli, metric="euclidean")
    expected = STACK if layout in ("stack", "stack last", "rows") else SQUARE[None]
    np.testing.assert_allclose(to_square(rdms).values, expected, rtol=1e-6)
    assert rdm_stimulus_ids(rdms) == tuple(IDS)
    assert rdms.attrs["metric"] == "euclidean"
    assert len(rdms.attrs["sha256"]) == 64


def test_as_many_rdms_as_stimuli_are_told_apart_by_their_diagonals(tmp_path):
    stack = random_rdms(5, 5, seed=3)
    for name, array in (("a", stack), ("b", np.moveaxis(stack, 0, -1))):
        np.save(tmp_path / f"{name}.npy", array)
        np.testing.assert_allclose(to_square(load_rdms(tmp_path / f"{name}.npy", stimuli=IDS)).values, stack)


def test_three_stimuli_square_or_rows(tmp_path):
    square, rows = random_rdms(1, 3)[0], np.arange(9.0).reshape(3, 3)
    np.save(tmp_path / "x.npy", square)
    np.testing.assert_allclose(to_square(load_rdms(tmp_path / "x.npy", stimuli=list("abc"))).values[0], square)
    np.save(tmp_path / "x.npy", rows)
    np.testing.assert_allclose(load_rdms(tmp_path / "x.npy", stimuli=list("abc")).values, rows)


@pytest.mark.parametrize("suffix", ["txt", "json", "csv", "tsv"])
def test_list_beside_the_file(tmp_path, suffix):
    np.save(tmp_path / "sub.1.npy", SQUARE)
    text = {"json": json.dumps(IDS), "csv": "n,stimulus_id\n" + "".join(f"0,{i}\n" for i in IDS)}
    text |= {"tsv": text["csv"].replace(",", "\t"), "txt": "\n".join(IDS) + "\n"}
    (tmp_path / f"sub.1.stimuli.{suffix}").write_text(text[suffix])
    assert rdm_stimulus_ids(load_rdms(tmp_path / "sub.1.npy")) == tuple(IDS)
    (tmp_path / f"sub.1.stimuli.{suffix}").rename(tmp_path / f"list.{suffix}")
    assert rdm_stimulus_ids(load_rdms(tmp_path / "sub.1.npy", stimuli=tmp_path / f"list.{suffix}")) == tuple(IDS)


def test_wrong_list(tmp_path):
    np.save(tmp_path / "x.npy", SQUARE)
    with pytest.raises(DataError, match=r"does not say which stimuli its 5 stimuli are.*x\.stimuli\.txt"):
        load_rdms(tmp_path / "x.npy")
    with pytest.raises(DataError, match=r"4 stimulus ids were given, but .* has 5 stimuli"):
        load_rdms(tmp_path / "x.npy", stimuli=IDS[:4])
    with pytest.raises(DataError, match=r"these repeat: d \(2 times\)"):
        load_rdms(tmp_path / "x.npy", stimuli=[*IDS[:4], "d"])
    with pytest.raises(DataError, match=r"list of stimuli cannot be read: there is no file"):
        load_rdms(tmp_path / "x.npy", stimuli=tmp_path / "none.txt")
    (tmp_path / "x.stimuli.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match=r"lists 2 stimuli, but .* has 5"):
        load_rdms(tmp_path / "x.npy")


CELLS = [[f"{v:.17g}" for v in row] for row in SQUARE]


@pytest.mark.parametrize(
    ("rows", "labelled"),
    [
        (CELLS, False),
        ([IDS, *CELLS], True),
        ([["", *IDS], *([i, *row] for i, row in zip(IDS, CELLS, strict=True))], True),
        ([["name", *IDS], *([i, *row] for i, row in zip(IDS, CELLS, strict=True))], True),
        ([[i, *row] for i, row in zip(IDS, CELLS, strict=True)], True),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_tables(tmp_path, rows, labelled, suffix):
    path = tmp_path / f"x.{suffix}"
    path.write_text("\n".join((", " if suffix == "csv" else "\t").join(row) for row in rows))
    rdms = load_rdms(path, stimuli=None if labelled else IDS)
    np.testing.assert_allclose(to_square(rdms).values[0], SQUARE, rtol=1e-15)
    assert rdm_stimulus_ids(rdms) == tuple(IDS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3\n4,5\n", "rows .* have different lengths: 2, 3"),
        ("0,1,2\n1,0,x\n2,1,0\n", "holds text among its numbers"),
        (",a,b,c\nb,0,1,2\na,1,0,3\nc,2,3,0\n", "row labels .* differ from its column labels"),
        ("", "is empty"),
        ("a,b,c\n", "has a header but no rows"),
    ],
)
def test_bad_tables(tmp_path, text, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        load_rdms(tmp_path / "x.csv", stimuli=["a", "b", "c"])


def test_nan_rows_raise_or_are_kept(tmp_path):
    square = SQUARE.copy()
    square[1], square[:, 1] = np.nan, np.nan
    np.save(tmp_path / "x.npy", square)
    with pytest.raises(DataError, match=r"4 of 10 dissimilarities are missing .* without any value: a\."):
        load_rdms(tmp_path / "x.npy", stimuli=IDS)
    kept = load_rdms(tmp_path / "x.npy", stimuli=IDS, missing="keep")
    assert int(kept.isnull().sum()) == 4
    assert not select_stimuli(kept, ["b", "c", "d", "e"]).isnull().any()


def test_asymmetric_file(tmp_path):
    square = SQUARE.copy()
    square[0, 4] += 1
    np.save(tmp_path / "x.npy", square)
    with pytest.raises(DataError, match=r"x.npy is not symmetric.*asymmetric=\'mean\'"):
        load_rdms(tmp_path / "x.npy", stimuli=IDS)
    mean = load_rdms(tmp_path / "x.npy", stimuli=IDS, asymmetric="mean")
    np.testing.assert_allclose(to_square(mean).values[0], (square + square.T) / 2)


def test_several_arrays_are_ambiguous(tmp_path):
    np.savez(tmp_path / "x.npz", a=SQUARE, b=2 * SQUARE, stimuli=IDS, note=np.arange(2))
    with pytest.raises(DataError, match=r"a \(5×5 float64\).*several could be RDMs \(a, b\): choose with key="):
        load_rdms(tmp_path / "x.npz")
    np.testing.assert_allclose(to_square(load_rdms(tmp_path / "x.npz", key="b")).values[0], 2 * SQUARE)


@pytest.mark.parametrize("shape", [(4, 7), (2, 3, 5), (2, 2, 2, 2)])
def test_other_shapes_are_no_rdms(tmp_path, shape):
    np.save(tmp_path / "x.npy", np.zeros(shape))
    with pytest.raises(DataError, match=r"holds responses, not RDMs|no reader recognises it"):
        load_rdms(tmp_path / "x.npy", stimuli=IDS)
    with pytest.raises(DataError, match=r"which is neither square"):
        load_rdms(tmp_path / "x.npy", stimuli=IDS, format="rdm_array")
