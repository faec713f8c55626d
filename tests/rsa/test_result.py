from __future__ import annotations

import logging

import numpy as np
import pytest
import xarray as xr

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural.align import select_stimuli
from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.options import Run
from bltvs_neuro.rsa.inference.bootstrap import bootstrap_rsa
from bltvs_neuro.rsa.inference.jackknife import jackknife_rsa
from bltvs_neuro.rsa.inference.options import Inference
from bltvs_neuro.rsa.inference.tests import model_tests
from bltvs_neuro.rsa.rdms.convert import to_rsatoolbox
from bltvs_neuro.rsa.result import RsaResult, compare_rdms
from bltvs_neuro.stats import adjust_p_values

N = 12
P = N * (N - 1) // 2
IDS = [f"s{i}" for i in range(N)]


def models(seed: int = 0) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    return make_rdms(
        rng.gamma(2, 1, (4, P)),
        IDS,
        metric="correlation",
        name=["V1/bu@0", "V1/bu@1", "IT/bu@0", "IT/bu@1"],
        area=["V1", "V1", "IT", "IT"],
        stream="bu",
        timestep=[0, 1, 0, 1],
        attrs={"sha256": "abc"},
    )


def brain(seed: int = 1, subjects=("a", "b", "c", "d"), rois=("EVC", "IT"), sessions=(1, 2)) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    base = {"EVC": models().values[1], "IT": models().values[3]}
    rows = [(s, r, k) for r in rois for s in subjects for k in sessions]
    values = np.stack([base[r] + rng.gamma(1, 1, P) for _, r, _ in rows])
    s, r, k = zip(*rows, strict=True)
    return make_rdms(values, IDS, metric="correlation", subject=list(s), roi=list(r), session=list(k))


@pytest.fixture(scope="module")
def result():
    return compare_rdms(models(), brain(), similarity="corr_cov", inference=Inference(bootstrap=60), run=Run(seed=2))


@pytest.mark.parametrize("variance", ["jackknife", "bootstrap"])
def test_scores_are_those_of_subject_means_per_roi(variance):
    result = compare_rdms(
        models(), brain(), similarity="corr_cov", inference=Inference(bootstrap=60, variance=variance), run=Run(seed=2)
    )
    b = brain()
    for t, roi in enumerate(("EVC", "IT")):
        data = np.stack([b.values[(b["roi"].values == roi) & (b["subject"].values == s)].mean(axis=0) for s in "abcd"])
        boot = bootstrap_rsa(models().values, data, "corr_cov", n_samples=60, seed=2)
        found = boot if variance == "bootstrap" else jackknife_rsa(models().values, data, "corr_cov")
        row = result.dataset.isel(target=t)
        np.testing.assert_allclose(row["score"], found.mean, rtol=1e-12)
        np.testing.assert_allclose(row["se"], np.sqrt(found.variance), rtol=1e-12)
        np.testing.assert_allclose(row["p_zero"], model_tests(found).zero, rtol=1e-12)
        np.testing.assert_allclose(row["ceiling_lower"], found.ceiling.lower, rtol=1e-12)
        np.testing.assert_allclose(row["score_subject"].transpose("model", "subject"), found.scores, rtol=1e-12)
        np.testing.assert_allclose(row["dof"], found.dof)
        wins = np.bincount(boot.samples["both"][:, :4].argmax(axis=1), minlength=4) / 60
        np.testing.assert_allclose(row["best_share"], wins)
    assert result.dataset["roi"].values.tolist() == ["EVC", "IT"]
    assert result.best()["model"].tolist() == ["V1/bu@1", "IT/bu@1"]


def test_correction_is_over_all_models_and_targets(result):
    np.testing.assert_allclose(
        result.dataset["p_zero_corrected"].values.ravel(),
        adjust_p_values(result.dataset["p_zero"].values.ravel(), "fdr"),
    )
    frame = result.pairs_frame()
    assert len(frame) == 2 * 6
    np.testing.assert_allclose(frame["p_corrected"], adjust_p_values(frame["p"], "fdr"))


def test_order_of_stimuli_does_not_matter(result):
    order = np.random.default_rng(0).permutation(IDS)
    again = compare_rdms(
        models(),
        select_stimuli(brain(), order),
        similarity="corr_cov",
        inference=Inference(bootstrap=60),
        run=Run(seed=2),
    )
    np.testing.assert_allclose(again.dataset["se"], result.dataset["se"], rtol=1e-10)


def test_file_keeps_everything(result, tmp_path):
    path = result.save(tmp_path / "r.nc")
    again = RsaResult.load(path)
    assert again.provenance == result.provenance
    for name in result.dataset.variables:
        np.testing.assert_array_equal(again.dataset[name].values, result.dataset[name].values, err_msg=name)
    assert again.provenance["inputs"]["models"]["attrs"]["sha256"] == "abc"
    assert again.provenance["options"]["seed"] == 2
    assert {"numpy", "python", "bltvs_neuro"} <= set(again.provenance["versions"])
    assert list(tmp_path.iterdir()) == [path]


def test_csv_is_tidy(result, tmp_path):
    import pandas as pd

    frame = pd.read_csv(result.to_csv(tmp_path / "r.csv"))
    assert len(frame) == 8
    assert list(frame.columns[:6]) == ["target", "roi", "model", "area", "stream", "timestep"]
    np.testing.assert_allclose(frame["score"], result.to_frame()["score"])
    assert {"ci_low", "ci_high", "p_zero_corrected", "ceiling_lower", "dof"} <= set(frame.columns)


def test_other_files_are_refused(tmp_path):
    xr.Dataset({"x": ("y", [1.0])}).to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with pytest.raises(DataError, match="holds no result, or one of an older version"):
        RsaResult.load(tmp_path / "x.nc")
    (tmp_path / "t.nc").write_text("text")
    with pytest.raises(DataError, match="cannot be opened as HDF5"):
        RsaResult.load(tmp_path / "t.nc")


def test_one_subject_is_bootstrapped_over_stimuli(caplog):
    with caplog.at_level(logging.WARNING):
        result = compare_rdms(models(), brain(subjects=("a",)), inference=Inference(bootstrap=20))
    assert "1 subject: inference is over stimuli only" in caplog.text
    assert np.isnan(result.dataset["ceiling_lower"]).all()
    assert (result.dataset["dof"] <= 2 * (N - 1)).all()
    assert np.isfinite(result.dataset["ci_low"]).all()
    for variance in ("bootstrap", "jackknife"):
        with pytest.raises(SpecError, match=r"at least 3 subjects and 8 stimuli; got 1 and 12: take over='auto'"):
            compare_rdms(
                models(), brain(subjects=("a",)), inference=Inference(bootstrap=20, variance=variance, over="both")
            )


def test_nan_rows_raise_or_are_dropped(caplog):
    b = brain().copy(deep=True)
    i, j = np.triu_indices(N, 1)
    b.values[2, (i == 4) | (j == 4)] = np.nan
    b.values[3, (i == 4) | (j == 4)] = np.nan
    with pytest.raises(DataError, match=r"22 dissimilarities are missing \(NaN\).*s4.*missing=.drop."):
        compare_rdms(models(), b, inference=Inference(bootstrap=5))
    with caplog.at_level(logging.WARNING):
        dropped = compare_rdms(models(), b, missing="drop", inference=Inference(bootstrap=5))
    assert "1 of 12 stimuli have missing dissimilarities and are dropped: s4" in caplog.text
    rest = [s for s in IDS if s != "s4"]
    expected = compare_rdms(
        select_stimuli(models(), rest), select_stimuli(brain(), rest), inference=Inference(bootstrap=5)
    )
    np.testing.assert_allclose(dropped.dataset["se"], expected.dataset["se"])
    assert dropped.provenance["n_stimuli"] == 11


def test_unequal_sets_and_wrong_choices_raise():
    with pytest.raises(DataError, match="2 stimuli are in the models but not in the neural data: s10, s11"):
        compare_rdms(models(), select_stimuli(brain(), IDS[:10]), inference=Inference(bootstrap=5))
    for options, text in (
        ({"over": "stimulus"}, "unknown over 'stimulus'"),
        ({"test": "z"}, "unknown test"),
        ({"correction": "bh"}, "unknown correction"),
        ({"bootstrap": -1}, "bootstrap= is at least 0; got -1"),
        ({"variance": "dual"}, "unknown variance 'dual'"),
        ({"confidence": 1.0}, "confidence= lies between 0 and 1; got 1.0"),
        ({"n_permutations": 0}, "n_permutations= is at least 1; got 0"),
    ):
        with pytest.raises(SpecError, match=text):
            Inference(**options)
    for options, text in (({"similarity": "r"}, "unknown similarity"), ({"missing": "skip"}, "unknown missing")):
        with pytest.raises(SpecError, match=text):
            compare_rdms(models(), brain(), **options)
    with pytest.raises(SpecError, match="bootstrap= is at least 2 for variance='bootstrap'; got 1"):
        compare_rdms(models(), brain(), inference=Inference(bootstrap=1))
    twice = models().assign_coords(name=("rdm", ["m", "m", "n", "o"]))
    with pytest.raises(DataError, match="the models' names repeat: m"):
        compare_rdms(twice, brain(), inference=Inference(bootstrap=5))


def test_rsatoolbox_objects_are_accepted():
    a = compare_rdms(models(), brain(), inference=Inference(bootstrap=5))
    b = compare_rdms(to_rsatoolbox(models()), to_rsatoolbox(brain()), inference=Inference(bootstrap=5))
    np.testing.assert_array_equal(a.dataset["se"].values, b.dataset["se"].values)


def test_subjects_that_lack_a_roi_are_nan_there():
    b = brain()
    part = b[~((b["roi"].values == "IT") & (b["subject"].values == "d"))]
    result = compare_rdms(models(), part, inference=Inference(bootstrap=5))
    assert result.dataset["n_subjects"].values.tolist() == [4, 3]
    missing = np.isnan(result.dataset["score_subject"].sel(subject="d").transpose("target", "model").values)
    np.testing.assert_array_equal(missing.all(axis=1), [False, True])


def test_the_92_objects_compared_with_their_models(human_it, models92):
    result = compare_rdms(models92, human_it, similarity="corr_cov", inference=Inference(bootstrap=200))
    np.testing.assert_allclose(result.dataset["ceiling_lower"], 0.4298, atol=5e-5)
    np.testing.assert_allclose(result.dataset["ceiling_upper"], 0.6958, atol=5e-5)
    assert len(result.dataset["subject"]) == 4


def categories(n: int = 6) -> dict[str, str]:
    return {name: f"c{i * n // N}" for i, name in enumerate(IDS)}


@pytest.mark.parametrize("variance", ["jackknife", "bootstrap"])
def test_categories_are_resampled_whole_and_results_say_so(variance, caplog):
    options = dict(bootstrap=40, variance=variance)
    with caplog.at_level(logging.WARNING):
        result = compare_rdms(models(), brain(), inference=Inference(clusters=categories(), **options), run=Run(seed=2))
    assert "4 subjects and 6 categories: intervals and p values are rough" in caplog.text
    unit, data = np.arange(N) // 2, brain(rois=("EVC",)).values.reshape(4, 2, P).mean(axis=1)
    found = {
        "bootstrap": lambda: bootstrap_rsa(models().values, data, "corr_cov", n_samples=40, seed=2, clusters=unit),
        "jackknife": lambda: jackknife_rsa(models().values, data, "corr_cov", clusters=unit),
    }[variance]()
    np.testing.assert_allclose(result["se"].values[0], np.sqrt(found.variance))
    frame = result.to_frame()
    assert set(frame["generalises_to"]) == {"new subjects, new categories of stimuli"}
    assert result.provenance["options"]["clusters"] == 6
    plain = compare_rdms(models(), brain(), inference=Inference(**options)).to_frame()
    assert set(plain["generalises_to"]) == {"new subjects, new stimuli of the same categories"}
    np.testing.assert_allclose(plain["score"], frame["score"])


def test_what_is_no_category_is_refused():
    with pytest.raises(DataError, match="results for new categories need at least 6; got 4: c0, c1, c2, c3. Without"):
        compare_rdms(models(), brain(), inference=Inference(clusters=categories(4)))
    with pytest.raises(DataError, match="stimuli without category: s3"):
        compare_rdms(
            models(), brain(), inference=Inference(clusters={k: v for k, v in categories().items() if k != "s3"})
        )
    with pytest.raises(SpecError, match="is the category of each stimulus, .*; got 'category'"):
        compare_rdms(models(), brain(), inference=Inference(clusters="category"))
    with pytest.raises(SpecError, match="says nothing where stimuli stay the same"):
        Inference(clusters=categories(), over="subjects")


def test_no_p_value_stands_without_its_test_family_and_correction(result):
    for frame, tests in ((result.to_frame(), 8), (result.pairs_frame(), 12)):
        assert set(frame["correction"]) == {"fdr"}
        assert set(frame["test"]) == {"t"}
        assert frame["family"].str.endswith(f": {tests} tests").all()
