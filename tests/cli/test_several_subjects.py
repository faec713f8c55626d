"""A file for each subject in one command: betas to RSA with a ceiling and to encoding, epochs to RSA over time."""

from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.encoding import EncodingResult
from bltvs_neuro.rsa import RsaResult
from bltvs_neuro.rsa.time import TimeMatrix
from bltvs_neuro.store import open_store
from tests.running import bltvs

from . import layouts
from .test_encode import ids, store  # noqa: F401  (fixtures)

TRUE = [("V4/td", 2)]


@pytest.fixture(scope="module")
def folder(store, ids, tmp_path_factory):  # noqa: F811
    """Betas of two subjects with V4/td at timestep 2 in their voxels, under file names without ending, in an order each."""
    path = tmp_path_factory.mktemp("betas")
    with open_store(store) as acts:
        for k in (1, 2):
            rows = np.random.default_rng(k).permutation(np.repeat(np.arange(len(ids)), 2))
            signal = layouts.simulate(acts, TRUE, 40, seed=k)
            np.save(path / f"sub-0{k}_betas.npy", layouts.noisy(signal, rows, seed=10 + k).astype(np.float32))
            (path / f"sub-0{k}_betas.stimuli.txt").write_text("\n".join(ids[row] for row in rows))
    return path


@pytest.mark.parametrize("how", ["folder", "files", "options"])
def test_two_subjects_betas_become_one_rsa_with_a_ceiling(how, store, folder, tmp_path):  # noqa: F811
    files = [folder] if how == "folder" else sorted(folder.glob("*.npy"))
    neural = ["--neural", *files] if how == "files" else [word for file in files for word in ("--neural", file)]
    done = bltvs("rsa", store, *neural, "--bootstrap", 20, "--figures", "none", "-o", tmp_path)
    assert done.exit_code == 0, done.output
    result = RsaResult.load(tmp_path / "rsa.nc")
    assert result.dataset["subject"].values.tolist() == ["sub-01", "sub-02"]
    assert result.best()["model"].tolist() == ["V4/td@2"]
    assert 0.2 < float(result.dataset["ceiling_lower"].values[0]) < float(result.dataset["ceiling_upper"].values[0]) < 1


def test_two_subjects_betas_become_one_encoding(store, folder, tmp_path):  # noqa: F811
    done = bltvs("encode", store, "--neural", folder, "--no-figures", "--ceiling", "split_half", "-o", tmp_path)
    assert done.exit_code == 0, done.output
    result = EncodingResult.load(tmp_path / "result.h5")
    assert result["neuroid_id"].values[[0, 40]].tolist() == ["sub-01/0", "sub-02/0"]
    best = result["name"].values[result["r2"].values.argmax(axis=0)]
    for subject in ("sub-01", "sub-02"):
        assert (best[result["subject"].values == subject] == "V4/td@2").mean() > 0.9
    alone = bltvs("encode", store, "--neural", folder / "sub-01_betas.npy", "--no-figures", "-o", tmp_path / "alone")
    assert alone.exit_code == 0, alone.output
    one = EncodingResult.load(tmp_path / "alone" / "result.h5")
    np.testing.assert_allclose(one["r2"].values, result["r2"].values[:, :40], atol=1e-5)


def test_three_subjects_epochs_become_one_rsa_over_time(store, ids, tmp_path):  # noqa: F811
    pytest.importorskip("mne")
    with open_store(store) as acts:
        for k in (1, 2, 3):
            layouts.write_mne(tmp_path / f"sub-0{k}-epo.fif", layouts.simulate(acts, TRUE, 30, seed=k), ids)
    done = bltvs(
        "rsa", store, "--neural", tmp_path, "--areas", "V1,V4", "--n-permutations", 20, "--figures", "none",
        "-o", tmp_path / "out",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    matrix = TimeMatrix.load(tmp_path / "out" / "rsa_time.nc")
    assert matrix.values["subject"].values.tolist() == ["sub-01", "sub-02", "sub-03"]
    peak = matrix.mean.isel(time=slice(-2, None)).mean("time").sel(timestep=2)
    assert str(peak["site"].values[int(peak.argmax("site"))]) == "V4/td"
    early = matrix.mean.sel(time=slice(None, 0.05)).mean(("time", "timestep"))
    assert float(abs(early).max()) < 0.1 < float(peak.max())
    assert "3 subjects" in done.stdout
    one = bltvs(
        "rsa", store, "--neural", tmp_path / "sub-01-epo.fif", "--areas", "V4", "--n-permutations", 20, "--figures", "none",
        "-o", tmp_path / "one",
    )  # fmt: skip
    assert one.exit_code == 0 and "1 subject" in one.stdout
    for word in ("nan", "None", "1 subjects"):
        assert word not in one.stdout


def test_names_that_differ_in_writing_are_matched_when_asked(store, ids, folder, tmp_path):  # noqa: F811
    (tmp_path / "other.txt").write_text(
        "\n".join(f"Pictures/NSD-{int(i.removeprefix('nsd-'))}.PNG" for i in
                  (folder / "sub-01_betas.stimuli.txt").read_text().split())
    )  # fmt: skip
    np.save(tmp_path / "betas.npy", np.load(folder / "sub-01_betas.npy"))
    asked = ["--neural", tmp_path / "betas.npy", "--stimuli", tmp_path / "other.txt", "-o", tmp_path / "out"]
    for command, quick in (
        ("rsa", ["--bootstrap", 20, "--figures", "none"]),
        ("encode", ["--no-figures", "--folds", 2]),
    ):
        refused = bltvs(command, store, *asked, *quick)
        assert refused.exit_code == 1
        assert "would match 60 by name, such as Pictures/NSD-" in refused.stderr and "--match stem" in refused.stderr
        assert "intersect" not in refused.stderr
        done = bltvs(command, store, *asked, *quick, "--match", "stem", "--overwrite")
        assert done.exit_code == 0, done.output
        assert "matched by name: 60 of 60 stimuli by stem" in done.stderr
