"""Scores over subjects: by hand, against scipy, and their sizes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from bltvs_neuro.encoding import Ridge, fit_encoding, over_subjects
from bltvs_neuro.encoding.group import SubjectsResult, random_effects
from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.features.folds import Folds
from tests.calibration.encoding_families import GROUPS, group_rejections

from .reference import make_store, simulate_responses


@pytest.fixture(scope="module")
def results():
    acts = {name: data for name, data in make_store(40, p=20, n_steps=2).items() if name.startswith("V1")}
    out = []
    for k in range(4):
        responses = simulate_responses(acts, [("V1/bu", 1), None], per_source=3, repetitions=2, seed=k + 1, r2=0.7)
        responses = responses.assign_coords(
            roi=("neuroid", ["A"] * 3 + ["B"] * 3),
            subject=("neuroid", [f"S{k}"] * 6),
            i=("neuroid", np.arange(6)[::-1]),
        )
        options = {"solver": Ridge(on_edge="ignore"), "cv": Folds(4), "ceiling": "repetition_variance"}
        out.append(fit_encoding(acts, responses, **options))
    return out


def test_tests_are_those_of_scipy_and_of_all_sign_flips() -> None:
    values = np.random.default_rng(0).normal(0.5, 1, (6, 3)) * [1, 10, 0.1]
    found = random_effects(values)
    known = stats.ttest_1samp(values, 0, alternative="greater")
    np.testing.assert_allclose(found["t"], known.statistic)
    np.testing.assert_allclose(found["p_t"], known.pvalue)
    interval = stats.ttest_1samp(values, 0).confidence_interval()
    np.testing.assert_allclose([found["ci_low"], found["ci_high"]], interval)
    every = np.array(
        [stats.ttest_1samp(values * np.array(s)[:, None], 0).statistic for s in product((1, -1), repeat=6)]
    )
    np.testing.assert_allclose(found["p_sign_flip"], (every >= found["t"] - 1e-9).mean(axis=0))
    np.testing.assert_allclose(
        found["p_sign_flip_fwer"], (every.max(axis=1)[:, None] >= found["t"] - 1e-9).mean(axis=0)
    )


def test_a_place_that_a_subject_lacks_is_not_tested() -> None:
    values = np.random.default_rng(0).normal(1, 1, (5, 2))
    values[2, 1] = np.nan
    found = random_effects(values)
    assert found["n_subjects"].tolist() == [5, 4]
    for key in ("mean", "t", "p_t", "p_t_fdr", "p_sign_flip", "p_sign_flip_fwer"):
        assert np.isfinite(found[key]).tolist() == [True, False]


def test_regions_over_subjects(results, tmp_path) -> None:
    found = over_subjects(results)
    frame = found.to_frame()
    assert frame["roi"].unique().tolist() == ["all", "A", "B"] and found["subject"].values.tolist() == [
        "S0",
        "S1",
        "S2",
        "S3",
    ]
    row = frame[(frame["roi"] == "A") & (frame["name"] == "V1/bu@1")].iloc[0]
    at = results[0]["name"].values.tolist().index("V1/bu@1")
    means = np.array([one["r2"].values[at, :3].mean() for one in results])
    assert row["mean"] == pytest.approx(means.mean()) and row["se"] == pytest.approx(means.std(ddof=1) / 2)
    assert row["ci_low"] > 0 and row["p_sign_flip"] == 1 / 16
    assert row["family"] == "12 feature spaces x places" and "p_t_fdr: fdr" in row["correction"]
    again = SubjectsResult.load(found.save(tmp_path / "subjects.h5"))
    assert again.to_frame().equals(frame)
    assert found.provenance["by"] == ["roi"] and list(found.provenance["subjects"]) == ["S0", "S1", "S2", "S3"]


def test_normalised_and_against_another_space(results) -> None:
    frame = over_subjects(results, score="r2_normalised").to_frame()
    row = frame[(frame["roi"] == "A") & (frame["name"] == "V1/bu@1")].iloc[0]
    at = results[0]["name"].values.tolist().index("V1/bu@1")
    ratios = [one["r2"].values[at, :3].mean() / one["ceiling"].values[:3].mean() for one in results]
    assert row["mean"] == pytest.approx(np.mean(ratios))
    ahead = over_subjects(results, versus="V1/td@1").to_frame()
    assert ahead["score"].unique().tolist() == ["r2 minus that of V1/td@1"]
    assert (ahead[ahead["name"] == "V1/td@1"]["mean"] == 0).all()
    assert ahead[(ahead["roi"] == "A") & (ahead["name"] == "V1/bu@1")]["ci_low"].item() > 0


def test_voxels_of_a_shared_space_are_matched_by_their_coordinates(results) -> None:
    turned = [*results[:3], type(results[3])(results[3].dataset.isel(neuroid=[5, 3, 1, 0, 2, 4]))]
    first, second = (over_subjects(some, by=["i"]).to_frame().sort_values(["i", "name"]) for some in (results, turned))
    np.testing.assert_allclose(first["mean"], second["mean"])
    assert sorted(first["i"].unique()) == list(range(6))


def test_what_is_refused(results) -> None:
    with pytest.raises(DataError, match="at least 3 of them; got 2"):
        over_subjects(results[:2])
    with pytest.raises(DataError, match="the 2. is of S0: pass a mapping"):
        over_subjects([results[0], results[0], results[1]])
    with pytest.raises(SpecError, match="unknown score 'q'"):
        over_subjects(results, score="q")
    with pytest.raises(SpecError, match="by= names coordinates of the neuroids; got 'nowhere'"):
        over_subjects(results, by="nowhere")
    with pytest.raises(SpecError, match="unknown feature space 'V9/bu@1'"):
        over_subjects(results, versus="V9/bu@1")
    other = type(results[0])(results[0].dataset.isel(space=[0]))
    with pytest.raises(DataError, match="results of S0 and x are of other feature spaces"):
        over_subjects({"S0": results[0], "S1": results[1], "x": other})


@pytest.mark.parametrize("group", GROUPS[:3], ids=lambda group: group.name)
def test_sizes_over_subjects(group) -> None:
    """200 held-out data sets of 12 regions: .05 and three standard errors, of regions as if half of them were independent."""
    every = [group_rejections(group, seed) for seed in range(61_000, 61_200)]
    for key, n in (("t", 1200), ("flip", 1200), ("family", 200)):
        assert np.mean([one[key] for one in every]) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / n)
