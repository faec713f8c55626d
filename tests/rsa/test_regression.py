from __future__ import annotations

import numpy as np
import pytest
import rsatoolbox
from rsatoolbox.model import ModelWeighted
from rsatoolbox.model.fitter import fit_regress_nn
from scipy import stats as sps

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural.align import select_stimuli
from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.rsa.comparing.commonality import commonality
from bltvs_neuro.rsa.comparing.regression import PartialCorrelation, fit_weights, partial_correlation, weighted_model
from bltvs_neuro.rsa.comparing.similarity import compare_vectors
from bltvs_neuro.rsa.inference.leave_out import leave_out
from bltvs_neuro.rsa.inference.options import Inference
from bltvs_neuro.stats import bootstrap_counts, corrected_dual_variance, corrected_variance

N, K = 14, 4
P = N * (N - 1) // 2
IDS = [f"s{i}" for i in range(N)]


def parts(seed: int = 0, n: int = 3, noise: float = 1.0):
    rng = np.random.default_rng(seed)
    x = rng.gamma(2, 1, (n, P))
    y = np.array([1.0, 2.0, *[0.0] * (n - 2)]) @ x + rng.normal(0, noise, (K, P))
    return x, y


def labelled(x, **coords):
    return make_rdms(x, IDS, metric="m", **coords)


@pytest.mark.parametrize("similarity", ["cosine", "pearson", "cosine_cov", "corr_cov"])
def test_weights_are_rsatoolboxs(similarity):
    x, y = parts(noise=3.0)
    model = ModelWeighted("w", rsatoolbox.rdm.RDMs(x))
    method = {"pearson": "corr"}.get(similarity, similarity)
    theirs = fit_regress_nn(model, rsatoolbox.rdm.RDMs(y), method=method)
    # theirs solves whitened problems iteratively
    np.testing.assert_allclose(fit_weights(x, y, similarity), theirs, atol=1e-8 if "cov" not in similarity else 1e-6)


@pytest.mark.parametrize("similarity", ["cosine", "pearson", "cosine_cov", "corr_cov"])
def test_fitted_weights_beat_others_on_the_pooled_data(similarity):
    x, y = parts(noise=3.0)
    w = fit_weights(x, y, similarity)
    best = compare_vectors(w @ x, y, similarity).mean()
    rng = np.random.default_rng(0)
    others = [compare_vectors(np.abs(w + rng.normal(0, 0.2, 3)) @ x, y, similarity).mean() for _ in range(30)]
    assert best >= max(others) - 2e-3
    assert (w >= 0).all()


def test_weighted_model_recovers_and_holds_out():
    x, y = parts(noise=0.5)
    found = weighted_model(
        labelled(x, name=["a", "b", "c"]), labelled(y, subject=list("wxyz")), similarity="pearson", stimulus_folds=3
    )
    np.testing.assert_allclose(found.weights / found.weights[0], [1, 2, 0], atol=0.15)
    assert found.fold_scores.shape == (3, 4)
    assert found.score > 0.9
    noise = np.random.default_rng(9)
    null = [
        weighted_model(
            labelled(noise.gamma(2, 1, (5, P))),
            labelled(noise.gamma(2, 1, (K, P))),
            similarity="pearson",
            stimulus_folds=3,
        ).score
        for _ in range(40)
    ]
    assert abs(np.mean(null)) < 3.5 * np.std(null) / np.sqrt(40)
    shuffled = select_stimuli(labelled(y), np.random.default_rng(0).permutation(IDS))
    again = weighted_model(labelled(x), shuffled, similarity="pearson", stimulus_folds=3)
    np.testing.assert_allclose(again.score, found.score)


def test_weighted_model_says_what_is_possible():
    x, y = parts()
    with pytest.raises(SpecError, match="14 stimuli allow 1 to 3 folds of at least 4"):
        weighted_model(labelled(x), labelled(y), stimulus_folds=5)
    with pytest.raises(SpecError, match="4 subjects allow 1 to 4 folds; got 9"):
        weighted_model(labelled(x), labelled(y), stimulus_folds=2, subject_folds=9)
    with pytest.raises(SpecError, match="which depends on ranks"):
        weighted_model(labelled(x), labelled(y), similarity="spearman", stimulus_folds=2)


def test_partial_correlation_is_the_correlation_of_residuals():
    x, y = parts(noise=3.0)
    models, brain, control = labelled(x[:2], name=["a", "b"]), labelled(y, subject=list("wxyz")), labelled(x[2:])
    design = np.column_stack([np.ones(P), x[2]])
    residual = lambda v: v - design @ np.linalg.lstsq(design, v, rcond=None)[0]  # noqa: E731
    both, semi = (
        partial_correlation(models, brain, control)["r_subject"],
        partial_correlation(models, brain, control, kind="semipartial")["r_subject"],
    )
    for i in range(2):
        for j in range(K):
            np.testing.assert_allclose(both[i, j], sps.pearsonr(residual(x[i]), residual(y[j])).statistic, atol=1e-12)
            np.testing.assert_allclose(semi[i, j], sps.pearsonr(residual(x[i]), y[j]).statistic, atol=1e-12)
    assert both.sel(model="a", subject="w").shape == ()
    ranked = partial_correlation(models, brain, control, ranks="yes")["r_subject"]
    by_formula = [[sps.spearmanr(a, b).statistic for b in (x[0], y[0], x[2])] for a in (x[0], y[0], x[2])]
    (_, r_xy, r_xz), (_, _, r_yz), _ = by_formula
    np.testing.assert_allclose(ranked[0, 0], (r_xy - r_xz * r_yz) / np.sqrt((1 - r_xz**2) * (1 - r_yz**2)), atol=1e-12)


def test_a_model_among_its_controls_is_undefined():
    x, y = parts()
    assert np.isnan(partial_correlation(labelled(x[:1]), labelled(y), labelled(x))["r"]).all()
    with pytest.raises(DataError, match="are in the models but not in"):
        partial_correlation(labelled(x), select_stimuli(labelled(y), IDS[:9]), labelled(x))


def _ols_r2(x, y):
    design = np.column_stack([np.ones(x.shape[1]), x.T])
    return 1 - np.sum((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2) / np.sum((y - y.mean()) ** 2)


def test_commonality_of_two_groups_by_hand():
    x, y = parts(noise=3.0)
    found = commonality({"bu": labelled(x[:2]), "td": labelled(x[1:])}, labelled(y), inference=Inference(bootstrap=50))
    a, b, ab = (np.mean([_ols_r2(g, s) for s in y]) for g in (x[:2], x[1:], x))
    table = found.table.set_index("part")["r2"]
    np.testing.assert_allclose(table["bu"], ab - b, atol=1e-10)
    np.testing.assert_allclose(table["td"], ab - a, atol=1e-10)
    np.testing.assert_allclose(table["bu & td"], a + b - ab, atol=1e-10)
    np.testing.assert_allclose(found.total, ab, atol=1e-10)
    assert found.r2[("bu",)] == pytest.approx(a)


def test_commonality_parts_sum_to_the_whole_and_three_groups_follow_the_formula():
    x, y = parts(n=4, noise=3.0)
    found = commonality(
        {"a": labelled(x[:1]), "b": labelled(x[1:3]), "c": labelled(x[3:])},
        labelled(y),
        inference=Inference(bootstrap=20),
        ranks="yes",
    )
    np.testing.assert_allclose(found.table["r2"].sum(), found.total, atol=1e-12)
    r, t = found.r2, found.table.set_index("part")["r2"]
    np.testing.assert_allclose(t["a & b"], -r["c",] + r["a", "c"] + r["b", "c"] - r["a", "b", "c"], atol=1e-12)
    expected = r["a",] + r["b",] + r["c",] - r["a", "b"] - r["a", "c"] - r["b", "c"] + r["a", "b", "c"]
    np.testing.assert_allclose(t["a & b & c"], expected, atol=1e-12)


def test_commonality_samples_are_least_squares_with_repeated_stimuli():
    from bltvs_neuro.rsa.comparing.commonality import _r2
    from bltvs_neuro.stats import bootstrap_counts

    x, y = parts(noise=3.0)
    counts = bootstrap_counts(N, 3, np.random.default_rng(0))
    ours = _r2(x, y, np.array([0, 0, 1]), [(0,), (0, 1)], counts)
    i, j = np.triu_indices(N, 1)
    for s, c in enumerate(counts):
        rows = np.repeat(np.arange(P), c[i] * c[j])
        for k in range(K):
            np.testing.assert_allclose(ours[s, k, 0], _ols_r2(x[:2, rows], y[k, rows]), atol=1e-10)
            np.testing.assert_allclose(ours[s, k, 1], _ols_r2(x[:, rows], y[k, rows]), atol=1e-10)


def test_commonality_refuses_what_it_cannot_do():
    x, y = parts()
    with pytest.raises(SpecError, match="2 to 6 groups; got 1: bu"):
        commonality({"bu": labelled(x)}, labelled(y))
    with pytest.raises(SpecError, match="one subject cannot be resampled"):
        commonality({"a": labelled(x[:1]), "b": labelled(x[1:])}, labelled(y[:1]), inference=Inference(over="both"))
    one = commonality({"a": labelled(x[:1]), "b": labelled(x[1:])}, labelled(y[:1]), inference=Inference(bootstrap=20))
    assert one.over == "stimuli"
    with pytest.raises(DataError, match="an RDM is constant"):
        commonality({"a": labelled(x[:1] * 0 + 1), "b": labelled(x[1:])}, labelled(y))


@pytest.mark.parametrize(("over", "dof"), [("both", 3), ("stimuli", 13), ("subjects", 3)])
def test_commonality_errors_are_those_of_a_plain_bootstrap(over, dof):
    """Six models need nine different stimuli in a sample; about half of the samples have fewer and are left out."""
    x, y = parts(n=6, noise=3.0)
    y += np.array([[0.0], [4], [8], [12]]) * x[4]  # subjects differ, so that both factors count in the combination
    groups = {"bu": labelled(x[:2]), "td": labelled(x[2:])}
    found = commonality(groups, labelled(y), inference=Inference(over=over, bootstrap=24, confidence=0.9), seed=5)
    rng = np.random.default_rng(5)
    w, v = bootstrap_counts(N, 24, rng), bootstrap_counts(K, 24, rng)
    w = w[(w > 0).sum(axis=1) >= 9]
    assert 4 < len(w) < 24
    i, j = np.triu_indices(N, 1)

    def divided(counts: np.ndarray) -> np.ndarray:
        rows = np.repeat(np.arange(P), counts[i] * counts[j])
        r2 = [[_ols_r2(g[:, rows], s[rows]) for g in (x[:2], x[2:], x)] for s in y]
        return np.array([(ab - b, ab - a, a + b - ab) for a, b, ab in r2])  # (subjects, parts)

    sampled, whole = np.stack([divided(c) for c in w]), divided(np.ones(N, dtype=int))
    stimuli = sampled.mean(axis=1).var(axis=0, ddof=1)
    subjects = (v @ whole / K).var(axis=0, ddof=1)
    both = np.array([s.T @ c / K for s, c in zip(sampled, v, strict=False)]).var(axis=0, ddof=1)
    variance = {
        "stimuli": corrected_variance(stimuli, N),
        "subjects": corrected_variance(subjects, K),
        "both": corrected_dual_variance(both, subjects, stimuli, n_subjects=K, n_stimuli=N),
    }[over]
    se, mean = np.sqrt(variance), whole.mean(axis=0)
    if over == "both":
        assert not np.allclose(variance, np.maximum(stimuli * 14 / 13, subjects * 4 / 3), rtol=0.01)
    assert (found.dof == dof).all()
    np.testing.assert_allclose(found.table["se"], se)
    np.testing.assert_allclose(found.table["ci_low"], np.maximum(mean - sps.t.ppf(0.95, dof) * se, -1))
    np.testing.assert_allclose(found.table["ci_high"], np.minimum(mean + sps.t.ppf(0.95, dof) * se, 1))
    np.testing.assert_allclose(found.table["p_zero"], sps.t.sf(mean / se, dof))
    assert found.table["kind"].tolist() == ["unique", "unique", "shared"]


def test_commonality_needs_two_subjects_two_samples_and_rdms_that_vary():
    x, y = parts()
    groups = {"bu": labelled(x[:1]), "td": labelled(x[1:])}
    found = commonality(groups, labelled(y[:2]), inference=Inference(bootstrap=2))
    assert (found.over, found.dof[0]) == ("both", 1)
    assert commonality(groups, labelled(y[:1]), inference=Inference(bootstrap=2)).over == "stimuli"
    flat = np.ones((1, P))
    with pytest.raises(DataError, match="an RDM is constant"):
        commonality({**groups, "flat": labelled(flat)}, labelled(y))
    with pytest.raises(DataError, match="an RDM is constant"):
        commonality(groups, labelled(np.concatenate([y, flat])))


def test_held_out_commonality_is_least_squares_on_other_stimuli():
    from bltvs_neuro.rsa.comparing.commonality import _held_out_r2

    x, y = parts(noise=3.0)
    fold, kept = np.arange(N) % 3, np.delete(np.arange(N), 5)
    found = _held_out_r2(x, y, np.array([0, 0, 1]), [(0,), (0, 1)], fold, kept)
    i, j = np.triu_indices(N, 1)
    there = (i != 5) & (j != 5)
    for column, rows in ((0, [0, 1]), (1, [0, 1, 2])):
        errors, spread = np.zeros(K), np.zeros(K)
        for f in range(3):
            train, test = there & (fold[i] != f) & (fold[j] != f), there & (fold[i] == f) & (fold[j] == f)
            design = lambda pairs, rows=rows: np.column_stack([np.ones(pairs.sum()), x[rows][:, pairs].T])  # noqa: E731
            weights = np.linalg.lstsq(design(train), y[:, train].T, rcond=None)[0]
            errors += ((y[:, test].T - design(test) @ weights) ** 2).sum(axis=0)
            spread += ((y[:, test].T - y[:, train].mean(axis=1)) ** 2).sum(axis=0)
        np.testing.assert_allclose(found[:, column], 1 - errors / spread, atol=1e-10)


def test_held_out_parts_of_noise_are_not_above_zero():
    rng = np.random.default_rng(0)
    plain, held = [], []
    for seed in range(12):
        groups = {name: labelled(rng.gamma(2, 1, (3, P))) for name in "ab"}
        brain = labelled(rng.gamma(2, 1, (K, P)))
        plain.append(commonality(groups, brain, inference=Inference(bootstrap=50)).table["r2"][0])
        found = commonality(groups, brain, stimulus_folds=3, seed=seed)
        held.append(found.table["r2"][0])
        np.testing.assert_allclose(found.table["r2"].sum(), found.total)
        assert found.table["generalises_to"][0] == "new subjects, new stimuli of the same categories"
    assert np.min(plain) > 0
    assert np.mean(held) < 0


def test_what_a_group_adds_is_found_on_held_out_stimuli():
    x, y = parts(noise=1.0)
    found = commonality(
        {"bu": labelled(x[:1]), "td": labelled(x[1:2]), "no": labelled(x[2:])}, labelled(y), stimulus_folds=3
    )
    table = found.table.set_index("part")
    assert table.loc["td", "p_zero_corrected"] < 0.05 < table.loc["no", "p_zero"]
    assert table.loc["td", "ci_low"] > 0


def test_leaving_out_is_the_jackknife_of_a_mean_and_of_two_factors():
    values = np.random.default_rng(0).normal(size=(9, 5)) + np.arange(5)
    mean = lambda s, v: np.array([values[s][:, v].mean()])  # noqa: E731
    over = {name: leave_out(mean, 9, 5, Inference(over=name)) for name in ("stimuli", "subjects", "both")}
    np.testing.assert_allclose(over["stimuli"].se, values.mean(axis=1).std(ddof=1) / 3)
    np.testing.assert_allclose(over["subjects"].se, values.mean(axis=0).std(ddof=1) / np.sqrt(5))
    np.testing.assert_allclose(over["both"].se ** 2, over["stimuli"].se ** 2 + over["subjects"].se ** 2)
    np.testing.assert_allclose((over["stimuli"].dof, over["subjects"].dof), ([8], [4]))
    assert 4 < over["both"].dof < 12
    by_category = leave_out(mean, 9, 5, Inference(over="stimuli"), clusters=np.arange(9) % 5)
    assert by_category.dof == pytest.approx(4)
    with pytest.raises(SpecError, match="leaving subjects out needs at least 3; got 2"):
        leave_out(mean, 9, 2, Inference(over="both"))
    with pytest.raises(SpecError, match="leaving categories out needs at least 5; got 4"):
        leave_out(mean, 9, 5, Inference(), clusters=np.arange(9) % 4)


def test_partial_correlations_have_intervals_and_tests(tmp_path):
    x, y = parts(noise=2.0)
    models = labelled(x, name=["a", "b", "c"])
    control = labelled(np.random.default_rng(5).gamma(2, 1, (1, P)))
    found = partial_correlation(models, labelled(y, subject=list("wxyz")), control)
    frame = PartialCorrelation.load(found.save(tmp_path / "p.nc")).to_frame().set_index("model")
    np.testing.assert_allclose(frame["r"], found["r_subject"].mean("subject"))
    assert frame.loc["b", "p_zero_corrected"] < 0.05 < frame.loc["c", "p_zero"]
    assert ((frame["ci_low"] < frame["r"]) & (frame["r"] < frame["ci_high"])).all()
    assert set(frame["family"]) == {"all 3 in the table"}
    i, j = np.triu_indices(N, 1)
    left = [
        partial_correlation(*(select_stimuli(r, np.delete(IDS, s)) for r in (models, labelled(y), control)))["r"].values
        for s in range(N)
    ]
    stimuli = (N - 1) ** 2 / N * np.var(left, axis=0, ddof=1)
    subjects = found["r_subject"].var("subject", ddof=1).values / K
    np.testing.assert_allclose(frame["se"] ** 2, stimuli + subjects)


def test_weighted_models_have_intervals(monkeypatch):
    x, y = parts(noise=0.5)
    found = weighted_model(labelled(x), labelled(y), similarity="pearson", stimulus_folds=3)
    assert found.ci_low < found.score < found.ci_high
    assert found.p_zero < 0.01
    categories = {name: f"c{i // 2}" for i, name in enumerate(IDS)}
    by_category = weighted_model(
        labelled(x), labelled(y), similarity="pearson", stimulus_folds=3, inference=Inference(clusters=categories)
    )
    assert by_category.generalises_to == "new subjects, new categories of stimuli"
