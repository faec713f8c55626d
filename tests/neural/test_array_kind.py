"""RDMs and responses as plain arrays: which of them a file holds, in every container."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import scipy.io
from scipy.spatial.distance import squareform

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural import kind_of, load_rdms, load_responses, to_square
from bltvs_neuro.neural.reading import array_kind, peek
from tests.running import bltvs as run_bltvs

from .conftest import random_rdms, write_matlab73

rng = np.random.default_rng(0)
IDS = [f"s{i}" for i in range(10)]
STACK = random_rdms(20, 10)
SQUARE = STACK[0]
ROWS = np.stack([squareform(m) for m in STACK])  # (20, 45)
CONTAINERS = ["x.npy", "x.npz", "x5.mat", "x73.mat", "x.h5"]
TEXTS = ["x.csv", "x.tsv", "x.txt"]


def save(path, **arrays):
    first = next(iter(arrays.values()))
    if path.suffix == ".npy":
        np.save(path, first)
    elif path.suffix == ".npz":
        np.savez_compressed(path, **arrays)
    elif path.name.endswith("73.mat"):
        write_matlab73(path, **arrays)
    elif path.suffix == ".mat":
        scipy.io.savemat(path, arrays)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    else:
        np.savetxt(path, np.asarray(first), delimiter={".csv": ",", ".tsv": "\t", ".txt": " "}[path.suffix])
    return path


@pytest.mark.parametrize("file", CONTAINERS + TEXTS)
@pytest.mark.parametrize("dtype", ["f8", "f4", ">f8", "i4", "u2"])
def test_square_arrays(tmp_path, file, dtype):
    square = (SQUARE * 100).astype(dtype)
    path = save(tmp_path / file, rdm=square)
    assert kind_of(path) == "rdms"
    np.testing.assert_allclose(to_square(load_rdms(path, stimuli=IDS)).values[0], square.astype(float), rtol=1e-6)
    with pytest.raises(DataError, match="holds RDMs, not responses.*format='response_array'"):
        load_responses(path, stimuli=IDS)
    path = save(tmp_path / file, betas=(1000 * rng.random((10, 10))).astype(dtype))
    assert kind_of(path) == "responses"
    assert load_responses(path, stimuli=IDS).shape == (10, 10)
    with pytest.raises(DataError, match="holds responses, not RDMs.*bltvs rsa.*format='rdm_array'"):
        load_rdms(path, stimuli=IDS)


@pytest.mark.parametrize("file", CONTAINERS)
@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("order", ["C", "F"])
def test_stacks(tmp_path, file, axis, order):
    path = save(tmp_path / file, rdms=np.asarray(np.moveaxis(STACK, 0, axis), order=order))
    assert kind_of(path) == "rdms"
    np.testing.assert_array_equal(to_square(load_rdms(path, stimuli=IDS)).values, STACK)
    time = np.arange(10) / 10
    if file != "x.npy":
        values = rng.normal(size=(20, 10, 10))
        path = save(tmp_path / file, betas=np.asarray(values, order=order), time=time)
        assert kind_of(path) == "responses"
        np.testing.assert_array_equal(load_responses(path, stimuli=[str(i) for i in range(20)]).values, values)


@pytest.mark.parametrize("file", CONTAINERS + TEXTS)
def test_condensed_rows_or_presentations(tmp_path, file):
    path = save(tmp_path / file, values=ROWS)
    with pytest.raises(DataError, match=r"format='rdm_array' or format='response_array'"):
        kind_of(path)
    twenty = [f"p{i}" for i in range(20)]
    assert kind_of(path, stimuli=IDS) == "rdms"
    assert kind_of(path, stimuli=twenty) == "responses"
    assert kind_of(path, "rdm_array") == "rdms"
    assert kind_of(path, "response_array") == "responses"
    beside = path.with_name(f"{path.stem}.stimuli.txt")
    for ids, kind in ((IDS, "rdms"), (twenty, "responses")):
        beside.write_text("\n".join(ids))
        assert kind_of(path) == kind
        loaded = load_rdms(path) if kind == "rdms" else load_responses(path)
        np.testing.assert_allclose(loaded.values, ROWS, rtol=1e-15)
    assert kind_of(path, stimuli=IDS) == "rdms"  # what is given goes before what lies beside
    np.testing.assert_allclose(load_rdms(path, stimuli=IDS).values, ROWS, rtol=1e-15)
    beside.write_text("a\nb\nc\n")
    with pytest.raises(DataError, match="lists 3 stimuli, but .* has 20 presentations"):
        load_responses(path)
    with pytest.raises(DataError, match="lists 3 stimuli, but .* has 10 stimuli"):
        load_rdms(path, format="rdm_array")


def test_as_many_presentations_as_stimuli(tmp_path):
    path = save(tmp_path / "x.npy", data=ROWS[:10])
    with pytest.raises(DataError, match=r"10 rows of 45 may be RDMs of 10 stimuli or presentations of neuroids"):
        kind_of(path, stimuli=IDS)
    assert load_rdms(path, stimuli=IDS).shape == (10, 45)
    assert load_responses(path, stimuli=IDS).shape == (10, 45)


def test_ids_within_the_file_tell(tmp_path):
    for n, kind in ((10, "rdms"), (20, "responses")):
        path = save(tmp_path / f"{n}.npz", data=ROWS, stimulus_id=[f"s{i}" for i in range(n)])
        assert kind_of(path) == kind


@pytest.mark.parametrize("shape", [(45,), (1, 45), (45, 1)])
@pytest.mark.parametrize("file", CONTAINERS)
def test_one_condensed_rdm(tmp_path, file, shape):
    path = save(tmp_path / file, rdm=ROWS[0].reshape(shape))
    assert kind_of(path, stimuli=IDS) == "rdms"
    np.testing.assert_array_equal(load_rdms(path, stimuli=IDS).values, ROWS[:1])


@pytest.mark.parametrize("change", ["rounding", "nan diagonal", "nan stimulus", "boolean", "asymmetric"])
def test_what_is_still_an_rdm(tmp_path, change):
    square = SQUARE.copy()
    if change == "rounding":
        square[1, 0] *= 1 + 1e-8
    elif change == "nan diagonal":
        np.fill_diagonal(square, np.nan)
    elif change == "nan stimulus":
        square[3], square[:, 3] = np.nan, np.nan
    elif change == "boolean":
        square = square > 0.5
    else:
        square[1, 0] += 1
    path = save(tmp_path / "x.npy", rdm=square)
    assert kind_of(path) == "rdms"
    options = {"asymmetric": "mean"} if change == "asymmetric" else {"missing": "keep"}
    got = to_square(load_rdms(path, stimuli=IDS, **options)).values[0]
    off = ~np.eye(10, dtype=bool)
    np.testing.assert_allclose(got[off], ((square.astype(float) + square.T) / 2)[off])
    if change == "asymmetric":
        with pytest.raises(DataError, match=r"not symmetric.*asymmetric='mean'"):
            load_rdms(path, stimuli=IDS)


@pytest.mark.parametrize("n", [3, 10])
@pytest.mark.parametrize("stack", [False, True])
def test_similarities_are_refused_by_name(tmp_path, n, stack):
    similarity = np.corrcoef(rng.normal(size=(n, 50)))
    path = save(tmp_path / "x.npy", r=np.stack([similarity] * 4) if stack else similarity)
    assert kind_of(path) == "rdms"
    with pytest.raises(DataError, match="diagonal of .* should be 0.*a similarity matrix.*1 - r"):
        load_rdms(path, stimuli=IDS[:n])


def test_labels_of_presentations_in_containers(tmp_path):
    values, run = rng.normal(size=(6, 4)), [1, 1, 1, 2, 2, 2]
    for file in ("x.npz", "x5.mat", "x73.mat", "x.h5"):
        path = save(tmp_path / file, betas=values, run=np.array(run)[:, None], subject=np.array([1, 1, 1, 1]))
        responses = load_responses(path, stimuli=list("abcabc"))
        np.testing.assert_array_equal(responses.values, values)
        assert responses.run.values.tolist() == run
        assert responses.subject.dims == ("neuroid",)


def test_rdms_beside_responses(tmp_path):
    path = save(tmp_path / "x.npz", rdm=SQUARE, betas=rng.normal(size=(10, 33)), stimulus_id=IDS, noise=rng.random(45))
    np.testing.assert_array_equal(to_square(load_rdms(path)).values[0], SQUARE)
    assert load_responses(path).shape == (10, 33)
    with pytest.raises(DataError, match="rdm_array.*response_array"):
        kind_of(path)
    assert kind_of(path, key="rdm") == "rdms"
    assert kind_of(path, key="betas") == "responses"


@pytest.mark.parametrize("file", ["x.npy", "x.csv"])
def test_an_array_without_a_name_is_not_chosen_by_one(tmp_path, file):
    path = save(tmp_path / file, rdm=SQUARE)
    for read, format in ((load_rdms, "rdm_array"), (load_responses, "response_array")):
        with pytest.raises(SpecError, match="holds one array, which has no name: leave key= out"):
            read(path, stimuli=IDS, key="rdm", format=format)


def test_formats_have_one_name_for_one_thing(tmp_path):
    path = save(tmp_path / "x.npy", rdm=SQUARE)
    with pytest.raises(SpecError, match="'response_array' reads responses, not RDMs"):
        load_rdms(path, stimuli=IDS, format="response_array")
    with pytest.raises(SpecError, match="'rdm_array' reads RDMs, not responses"):
        load_responses(path, stimuli=IDS, format="rdm_array")
    with pytest.raises(SpecError, match=r"unknown format 'array' .did you mean"):
        kind_of(path, "array")
    assert load_responses(path, stimuli=IDS, format="response_array").shape == (10, 10)


@pytest.mark.parametrize("file", CONTAINERS)
def test_only_corners_are_read(tmp_path, file, monkeypatch):
    """A stack is recognised without loading it, in any order of axes and memory."""
    stack = random_rdms(50, 40).astype(np.float32)
    monkeypatch.setattr(peek, "BYTES", 40 * 50 * 4 * 3)
    monkeypatch.setattr(peek, "SIDE", 16)
    monkeypatch.setattr(peek, "WHOLE_BYTES", 10)
    if file != "x5.mat":  # judged by its shape alone
        monkeypatch.setattr(array_kind, "load_arrays", None)
        monkeypatch.setattr(peek, "load_arrays", None)
    for order in "CF":
        for values in (stack, np.moveaxis(stack, 0, -1)):
            path = save(tmp_path / file, rdms=np.asarray(values, order=order))
            assert kind_of(path) == "rdms"
    if file != "x5.mat":
        assert kind_of(save(tmp_path / file, betas=rng.normal(size=(50, 40, 40)))) == "responses"


def test_first_stimuli_without_values(tmp_path):
    square = random_rdms(1, 300)[0]
    square[:140], square[:, :140] = np.nan, np.nan
    assert kind_of(save(tmp_path / "x.npy", rdm=square)) == "rdms"
    responses = rng.normal(size=(300, 300))
    responses[:140] = np.nan
    assert kind_of(save(tmp_path / "x.npy", betas=responses)) == "responses"


def test_commands(tmp_path):
    path, ids = save(tmp_path / "it.npy", rdm=STACK), tmp_path / "it.stimuli.txt"
    ids.write_text("\n".join(IDS))
    out = run_bltvs("neural", str(path))
    assert out.exit_code == 0, out.output
    assert "RDMs, 20 rdm x 45 pair" in out.output
    save(path, rows=ROWS)
    assert "RDMs, 20 rdm" in run_bltvs("neural", str(path)).output
    ids.unlink()
    out = " ".join(run_bltvs("neural", str(path)).output.split())
    assert "Say which by --format rdm_array or --format response_array" in out
    ids = tmp_path / "list.txt"
    ids.write_text("\n".join(f"p{i}" for i in range(20)))
    out = run_bltvs("neural", str(path), "--stimuli", str(ids))
    assert "responses, 20 presentation x 45 neuroid" in out.output
    (tmp_path / "t.csv").write_text("image,label,v1,v2\na,1,1,2\nb,2,3,4\n")
    out = " ".join(run_bltvs("neural", str(tmp_path / "t.csv")).output.split())
    assert "choose one with --option id_column=image" in out
    out = run_bltvs("neural", str(tmp_path / "t.csv"), "--option", "id_column=label", "--option", "columns=v2")
    assert "responses, 2 presentation x 1 neuroid" in out.output


def test_an_array_of_one_number_is_neither(tmp_path):
    np.save(tmp_path / "x.npy", np.array(3.0))
    (tmp_path / "x.stimuli.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match=r"shape \(\)"):
        load_rdms(tmp_path / "x.npy", format="rdm_array")


def test_an_array_called_response_is_data(tmp_path):
    np.savez(tmp_path / "x.npz", response=np.arange(8.0).reshape(4, 2), stimulus_id=list("abab"), trial=np.arange(4))
    responses = load_responses(tmp_path / "x.npz")
    assert responses.shape == (4, 2) and responses.trial.values.tolist() == [0, 1, 2, 3]
