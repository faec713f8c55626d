"""Decoding against scikit-learn on the features themselves, on data whose answer is known, and against leaks."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.linear_model import LogisticRegression, RidgeClassifier

import bltvs_neuro as bn
from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.features.folds import Fold
from bltvs_neuro.probes import Decoding, decoder
from bltvs_neuro.probes.decoder import balanced, decode, stratified_folds


class FakeStore(dict):
    """As much of a store as decoding reads."""

    def __init__(
        self, sites: dict[str, np.ndarray], table: pd.DataFrame, sha: list[str] | None = None, constant=()
    ) -> None:
        n = len(table)
        self.stimuli = table.assign(stimulus_id=[f"s{i}" for i in range(n)])
        self.stimulus_ids = self.stimuli["stimulus_id"].to_numpy()
        self.stimulus_sha256 = np.array(sha or [f"{i}" for i in range(n)])
        self.provenance, self.sites = {"weights": "untrained"}, tuple(sites)
        self.path = type("P", (), {"name": "fake.h5"})
        for name, values in sites.items():
            steps = np.arange(values.shape[1])
            status = np.where(np.isin(steps, constant), "constant", "active")
            self[name] = xr.DataArray(
                values.astype(np.float32), dims=("stimulus", "timestep", "unit"),
                coords={
                    "stimulus_id": ("stimulus", self.stimulus_ids.astype(str)), "timestep": steps,
                    "status": ("timestep", status),
                },
            )  # fmt: skip


def made(n=60, classes=3, steps=3, units=200, signal=0.0, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    means = rng.standard_normal((classes, units))
    values = rng.standard_normal((n, steps, units)) + signal * means[y][:, None]
    return values, pd.DataFrame({"label": [f"c{k}" for k in y]}), y


def test_equals_scikit_learn_on_the_features_themselves():
    """The space that the training rows span gives the same predictions as all features, at every pair of timesteps."""
    values, table, y = made(signal=0.12)
    values += 5 * np.random.default_rng(1).standard_normal(values.shape[2])  # a large common mean
    result = decode(FakeStore({"V1/bu": values}, table), "label", folds=4, seed=3)
    expected = np.zeros((3, 3, len(y)), dtype=bool)
    for fold in stratified_folds(y, np.arange(len(y)), 4, seed=3, names=["c0", "c1", "c2"]):
        for i in range(3):
            x = values.astype(np.float32)[:, i].astype(float)
            mean = x[fold.train].mean(0)
            centred = x[fold.train] - mean
            dims = len(fold.train) - 1
            scale = np.sqrt((centred**2).sum() / (len(fold.train) * dims))
            fitted = LogisticRegression(C=1.0, max_iter=5000, tol=1e-6).fit(centred / scale, y[fold.train])
            for k in range(3):
                expected[i, k, fold.test] = fitted.predict((values[fold.test, k] - mean) / scale) == y[fold.test]
    np.testing.assert_allclose(result.dataset["accuracy"].values[0], balanced(expected, y), atol=1e-12)
    assert 0.4 < result.dataset["accuracy"].values.mean() < 0.95


def test_noise_is_at_chance_and_a_signal_is_found_when_it_is_there():
    values, table, y = made(n=120, signal=0.0)
    values[:, 1] += 0.6 * np.random.default_rng(5).standard_normal((3, values.shape[2]))[y]
    result = decode(FakeStore({"V4/td": values}, table), "label", n_permutations=19, classifier="ridge")
    course = result.time_course().set_index("timestep")
    assert result.chance == pytest.approx(1 / 3)
    assert course.loc[1, "accuracy"] > 0.9
    assert course.loc[1, "p"] == pytest.approx(1 / 20)
    assert abs(course.loc[[0, 2], "accuracy"] - 1 / 3).max() < 0.15
    # a classifier trained on the signal does not find it where it is not
    assert abs(result.dataset["accuracy"].sel(train_timestep=1, test_timestep=2).item() - 1 / 3) < 0.15


def test_groups_and_equal_pixels_are_never_split():
    """Every object twice, with a pattern of its own and no category: split pairs give it away, kept ones do not."""
    rng = np.random.default_rng(0)
    objects = np.repeat(np.arange(40), 2)
    values = rng.standard_normal((40, 1, 300))[objects] + 0.1 * rng.standard_normal((80, 1, 300))
    label = rng.permutation(np.arange(40) % 2)[objects]
    table = pd.DataFrame({"label": label, "object": objects})
    leaky = decode(FakeStore({"V1/bu": values}, table), "label")
    kept = decode(FakeStore({"V1/bu": values}, table), "label", groups="object")
    same = decode(FakeStore({"V1/bu": values}, table, sha=[str(o) for o in objects]), "label")
    assert leaky.time_course()["accuracy"][0] > 0.85
    assert kept.time_course()["accuracy"][0] < 0.65
    assert same.time_course()["accuracy"][0] == kept.time_course()["accuracy"][0]
    assert kept.provenance["n_groups"] == 40 and leaky.provenance["n_groups"] == 80


def test_balanced_accuracy_does_not_reward_the_commoner_label():
    rng = np.random.default_rng(0)
    y = np.array([0] * 90 + [1] * 10)
    result = decode(FakeStore({"V1/bu": rng.standard_normal((100, 1, 50))}, pd.DataFrame({"label": y})), "label")
    assert result.time_course()["accuracy"][0] < 0.65


def test_constant_timesteps_are_left_out():
    values, table, _ = made(signal=0.5)
    values[:, 0] = 0
    result = decode(FakeStore({"V1/td": values}, table, constant=(0,)), "label")
    assert result.time_course()["timestep"].tolist() == [1, 2]
    assert np.isnan(result.dataset["accuracy"].sel(train_timestep=0)).all()


def test_a_real_store_files_and_figures(tmp_path):
    stimuli = bn.StimulusSet.synthetic(24, size=64)
    model = bn.BLT_VS(timesteps=2, num_classes=5, bio_unroll=False, image_size=128, width=0.1).eval()
    path = bn.extract(model, stimuli, tmp_path / "acts.h5", "V1:V2", reduce="pool:4")
    with bn.open_store(path) as store:
        column = stimuli.metadata["category"].value_counts()
        folds = int(min(3, column.min()))
        result = bn.decode(store, "category", folds=folds, classifier="ridge")
        again = bn.decode(store, stimuli.metadata["category"].tolist(), folds=folds, classifier="ridge")
    xr.testing.assert_equal(result.dataset, again.dataset)
    frame = pd.read_csv(result.to_csv(tmp_path / "d.csv"), comment="#")
    assert len(frame) == 4 * 4
    assert set(frame["site"]) == {"V1/bu", "V1/td", "V2/bu", "V2/td"}
    head = json.loads((tmp_path / "d.csv").read_text().splitlines()[0][2:])
    assert len(head["store"]["weights_sha256"]) == 64 and head["labels"] == "category" and head["seed"] == 0
    loaded = Decoding.load(result.save(tmp_path / "d.nc"))
    xr.testing.assert_identical(loaded.dataset, result.dataset)
    assert loaded.provenance == result.provenance and loaded.chance == result.chance
    course, matrices = result.plot_time_course(), result.plot_generalisation()
    assert [axis.get_title() for axis in course] == ["V1", "V2"]
    assert len(course[0].lines) == 3  # two streams and chance
    assert [axis.get_title() for axis in matrices] == ["V1, bottom-up", "V2, bottom-up", "V1, top-down", "V2, top-down"]
    with pytest.raises(DataError, match="no result"):
        Decoding.load(path)


def test_a_fold_without_a_label_has_no_accuracy_of_its_own(caplog, monkeypatch):
    values, table, _ = made(n=24, classes=2, steps=1, signal=1.0)
    rows = np.arange(24)
    split = [Fold(np.setdiff1d(rows, rows[6 * k : 6 * k + 6]), rows[6 * k : 6 * k + 6]) for k in range(4)]
    split[0] = Fold(rows[8:], rows[:8:2])  # tests one label only
    monkeypatch.setattr(decoder, "stratified_folds", lambda *args, **options: split)
    result = decode(FakeStore({"V1/bu": values}, table), "label", folds=4)
    of_folds, row = result.dataset["fold_accuracy"].values[0, 0, 0], result.time_course().iloc[0]
    assert np.isnan(of_folds[0]) and "folds test no stimulus of some label" in caplog.text
    there = of_folds[np.isfinite(of_folds)]
    np.testing.assert_allclose(row["sem"], there.std(ddof=1) / np.sqrt(len(there)) if len(there) > 1 else np.nan)


def test_one_site_one_timestep_is_drawn_and_a_name_twice_counts_once():
    values, table, _ = made(n=12, steps=1)
    result = decode(FakeStore({"V1/bu": values}, table), "label", sites="V1/bu,V1/bu", folds=3)
    assert result.dataset.sizes["site"] == 1
    assert len(result.plot_time_course()) == len(result.plot_generalisation()) == 1


def test_a_site_without_anything_to_decode_is_refused_by_name():
    store = FakeStore({"V1/bu": VALUES}, TABLE, constant=[0, 1, 2])
    for sites, message in (
        ("V1/bu", "'V1/bu' is the same for every stimulus"),
        ("all", "are the same for every stimulus: choose other"),
    ):
        with pytest.raises((SpecError, DataError), match=message):
            decode(store, "label", sites=sites, folds=3)


VALUES, TABLE, _ = made(n=12)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (dict(labels="labl"), SpecError, r"unknown column of the stimuli 'labl' \(did you mean 'label'"),
        (dict(labels=[1, 2]), SpecError, "one value for each of the store's 12 stimuli"),
        (dict(labels=["a"] * 12), DataError, "at least two labels; all stimuli have a"),
        (dict(sites="V9/bu"), SpecError, "unknown area 'V9'"),
        (dict(sites=[]), SpecError, "no site was chosen"),
        (dict(classifier="svm"), SpecError, "unknown classifier 'svm'"),
        (dict(strength=0), SpecError, "strength must be above 0"),
        (dict(folds=1), SpecError, "at least 2 folds"),
        (dict(folds=5), DataError, r"5 folds need as many groups .*c0 \(4\).*at most 4 folds"),
        (dict(labels="stimulus_id"), DataError, "need as many groups"),
        (
            dict(groups=[i // 3 for i in range(12)], folds=2, n_permutations=2),
            SpecError,
            "labels differ within a group",
        ),
    ],
)
def test_errors(options, error, message):
    with pytest.raises(error, match=message):
        decode(FakeStore({"V1/bu": VALUES}, TABLE), **{"labels": "label", "folds": 3, **options})


def test_p_counts_permutations_that_reach_the_accuracy_and_the_labels_themselves():
    """Against scikit-learn on the features: p is one plus the permutations that reach the accuracy, over all plus one."""
    values, table, y = made(n=18, classes=2, steps=2, units=30, signal=0.15)
    result = decode(FakeStore({"V1/bu": values}, table), "label", folds=3, classifier="ridge", n_permutations=9, seed=7)
    split = stratified_folds(y, np.arange(18), 3, seed=7, names=["c0", "c1"])
    rng = np.random.default_rng(7)
    shuffles = [rng.permutation(y) for _ in range(9)]
    names, rows = ["c0", "c1"], np.arange(18)
    splits = [stratified_folds(now, rows, 3, seed=int(rng.integers(2**31)), names=names) for now in shuffles]
    nulls = []
    for step in range(2):
        x = values.astype(np.float32)[:, step].astype(float)

        def accuracy(labels: np.ndarray, split: list[Fold], x: np.ndarray = x) -> float:
            hits = np.zeros(18, dtype=bool)
            for fold in split:
                centred = x - x[fold.train].mean(0)
                scale = np.sqrt((centred[fold.train] ** 2).sum() / (len(fold.train) * (len(fold.train) - 1)))
                fitted = RidgeClassifier(alpha=1.0).fit(centred[fold.train] / scale, labels[fold.train])
                hits[fold.test] = fitted.predict(centred[fold.test] / scale) == labels[fold.test]
            return float(np.mean([hits[labels == label].mean() for label in (0, 1)]))

        own, null = accuracy(y, split), np.array([accuracy(*pair) for pair in zip(shuffles, splits, strict=True)])
        nulls.append(null)
        assert result.dataset["accuracy"].values[0, step, step] == pytest.approx(own)
        reached = int((null > own - 1e-9).sum())
        assert 0 < reached < 9 and np.isclose(null, own).any()  # ties count, whatever their last digits
        assert result.dataset["p"].values[0, step] == pytest.approx((reached + 1) / 10)
    largest = np.max(nulls, axis=0)
    for step in range(2):
        own = result.dataset["accuracy"].values[0, step, step]
        corrected = (1 + (largest > own - 1e-9).sum()) / 10
        assert result.dataset["p_corrected"].values[0, step] == pytest.approx(corrected)
        assert corrected >= result.dataset["p"].values[0, step]


@pytest.mark.slow
def test_p_values_of_noise_have_their_size():
    """Folds stratified by the labels of the data favour these over shuffled ones: .07 to .08 below .05 before."""
    p = []
    for seed in range(40):
        rng = np.random.default_rng([7, seed])
        table = pd.DataFrame({"label": np.repeat(["a", "b", "c"], 7)})
        store = FakeStore({"V1/bu": rng.standard_normal((21, 12, 15))}, table)
        found = decode(store, "label", folds=3, classifier="ridge", n_permutations=59, seed=seed)
        p.append(found.dataset[["p", "p_corrected"]].to_array().values[:, 0])
    single, corrected = (np.array(p)[:, i] <= 0.05 for i in (0, 1))
    assert abs(single.mean() - 0.05) < 0.03  # 480 tests
    assert corrected.any(axis=1).mean() <= 0.125  # 40 families: three standard errors above
