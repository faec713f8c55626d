from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from bltvs_neuro.encoding.scores.score import pearson
from bltvs_neuro.encoding.solvers.estimators import PLS, BandedRidge, Ridge
from bltvs_neuro.encoding.solvers.saved_estimators import load_estimator, save_estimator
from bltvs_neuro.errors import DataError, SpecError

from .reference import simulate_regression

SHAPES = [(60, 200), (60, 20)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "estimator",
    [Ridge(on_edge="ignore"), BandedRidge(candidates=3, on_edge="ignore"), PLS(n_components=1)],
    ids=lambda e: type(e).__name__,
)
def test_scikit_learns_own_checks_pass(estimator) -> None:
    check_estimator(estimator)


@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_ridge_equals_ridgecv(n: int, p: int) -> None:
    x, y, x_test = simulate_regression(n, p, 6, shift=2.0)
    grid = np.logspace(-1, 4, 11)
    theirs = RidgeCV(grid, alpha_per_target=True).fit(x, y)
    ours = Ridge(grid, by="loo", on_edge="ignore").fit(x, y)
    np.testing.assert_allclose(ours.predict(x_test), theirs.predict(x_test), atol=1e-10)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-10)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-10)
    one = clone(ours).fit(x, y[:, 0])
    np.testing.assert_allclose(one.predict(x_test), ours.predict(x_test)[:, 0], atol=1e-12)
    assert one.coef_.shape == (p,)


@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_pls_equals_scikit_learn(n: int, p: int) -> None:
    x, y, x_test = simulate_regression(n, p, 6, shift=2.0)
    theirs = PLSRegression(8, scale=False, tol=1e-15, max_iter=20000).fit(x, y)
    ours = PLS(8).fit(x, y)
    np.testing.assert_allclose(ours.predict(x_test), theirs.predict(x_test), atol=1e-5)
    np.testing.assert_allclose(ours.coef_, theirs.coef_.reshape(ours.coef_.shape), atol=1e-5)


def test_a_single_band_is_ridge_and_scaling_makes_bands_comparable() -> None:
    x, y, x_test = simulate_regression(60, 30, 6)
    grid = np.logspace(-1, 4, 11)
    ridge = Ridge(grid, on_edge="ignore").fit(x, y)
    variance = ((x - x.mean(axis=0)) ** 2).sum() / len(x)  # in whose units the alphas of bands are
    band = BandedRidge(grid / variance, bands=np.zeros(30), on_edge="ignore").fit(x, y)
    np.testing.assert_allclose(band.predict(x_test), ridge.predict(x_test), atol=1e-9)
    bands = np.repeat(["a", "b"], [10, 20])
    wide = x * np.where(bands == "a", 1.0, 1e3)
    options = {"alphas": grid, "candidates": 10, "on_edge": "ignore"}
    one = BandedRidge(bands=bands, **options).fit(x, y)
    other = BandedRidge(bands=bands, **options).fit(wide, y)
    assert one.bands_.tolist() == ["a", "b"]
    np.testing.assert_allclose(one.gammas_, other.gammas_)
    np.testing.assert_allclose(one.predict(x_test), other.predict(x_test * np.where(bands == "a", 1.0, 1e3)), atol=1e-6)
    np.testing.assert_allclose(x_test @ one.coef_.T + one.intercept_, one.predict(x_test), atol=1e-10)


def test_groups_reach_the_inner_folds() -> None:
    # 12 stimuli x 5 repeats, features unique to the stimulus, pure noise shared by repeats
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 5)
    x = rng.standard_normal((12, 40))[groups]
    y = rng.standard_normal((12, 50))[groups] + 0.3 * rng.standard_normal((60, 50))
    grid = np.logspace(-2, 5, 15)
    ignorant = Ridge(grid, by="kfold", on_edge="ignore").fit(x, y)
    grouped = Ridge(grid, by="kfold", on_edge="ignore").fit(x, y, groups=groups)
    assert np.median(np.log10(grouped.alpha_)) > np.median(np.log10(ignorant.alpha_)) + 1
    assert np.array_equal(Ridge(grid, on_edge="ignore").fit(x, y, groups=groups).alpha_, grouped.alpha_)
    with pytest.raises(SpecError, match="groups need by='kfold'; 'gcv'"):
        Ridge(by="gcv").fit(x, y, groups=groups)


def test_repeats_on_both_sides_score_on_noise_and_grouped_folds_do_not() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 4)
    x = rng.standard_normal((40, 80))[groups]
    y = rng.standard_normal((40, 100))[groups] + rng.standard_normal((160, 100))
    model = Ridge(on_edge="ignore")
    leaky = cross_val_predict(model, x, y, cv=5)
    shuffled = rng.permutation(160)
    leaky[shuffled] = cross_val_predict(model, x[shuffled], y[shuffled], cv=5)
    honest = cross_val_predict(model, x, y, cv=GroupKFold(5), groups=groups)
    assert pearson(y, leaky).mean() > 0.3
    assert pearson(y, honest).mean() < 0.05


def test_selecting_features_on_all_data_scores_on_noise_and_a_pipeline_does_not() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((80, 3000)), rng.standard_normal(80)
    model = Ridge(on_edge="ignore")
    leaky = cross_val_predict(model, SelectKBest(f_regression, k=20).fit_transform(x, y), y, cv=5)
    honest = cross_val_predict(make_pipeline(StandardScaler(), SelectKBest(f_regression, k=20), model), x, y, cv=5)
    assert np.corrcoef(leaky, y)[0, 1] > 0.5
    assert abs(np.corrcoef(honest, y)[0, 1]) < 0.25


@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_saved_and_loaded_estimators_predict_the_same_without_pickle(n: int, p: int, tmp_path) -> None:
    x, y, x_test = simulate_regression(n, p, 4)
    for estimator in (
        Ridge(np.logspace(-1, 3, 5), on_edge="ignore"),
        BandedRidge(bands=np.repeat(["td", "bu"], p // 2), candidates=5, on_edge="ignore"),
        PLS(3),
    ):
        estimator.fit(x, y)
        path = save_estimator(estimator, tmp_path / type(estimator).__name__, provenance={"features": "V4/td"})
        with np.load(path, allow_pickle=False) as file:
            assert all(file[k].dtype.kind != "O" for k in file.files)
        loaded = load_estimator(path)
        np.testing.assert_array_equal(loaded.predict(x_test), estimator.predict(x_test))
        np.testing.assert_array_equal(loaded.coef_, estimator.coef_)
        assert loaded.provenance_["features"] == "V4/td"
        clone(loaded).fit(x, y)
        assert [f.name for f in tmp_path.iterdir() if f.name.startswith(".")] == []


def test_files_that_are_not_ours_are_refused(tmp_path) -> None:
    x, y, _ = simulate_regression(20, 5, 2)
    with pytest.raises(SpecError, match="is not fitted"):
        save_estimator(PLS(2), tmp_path / "a.npz")
    with pytest.raises(SpecError, match="only Ridge, BandedRidge, PLS, OLS can be saved; got RidgeCV"):
        save_estimator(RidgeCV().fit(x, y), tmp_path / "a.npz")
    (tmp_path / "text.npz").write_text("no")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    np.savez_compressed(tmp_path / "packed.npz", a=np.ones(3))
    np.savez(tmp_path / "pickle.npz", bltvs_neuro=np.array([{}], dtype=object))
    for name, text in (
        ("text", "cannot be read"),
        ("other", "holds no estimator"),
        ("packed", "is compressed"),
        ("pickle", "holds pickled Python objects"),
    ):
        with pytest.raises(DataError, match=text):
            load_estimator(tmp_path / f"{name}.npz")


def test_bands_must_fit_the_features() -> None:
    x, y, _ = simulate_regression(20, 5, 2)
    with pytest.raises(SpecError, match=r"one label per feature \(5\); got \['a'"):
        BandedRidge(bands=["a", "a", "b", "b"]).fit(x, y)
    with pytest.raises(SpecError, match="pass by='kfold'"):
        BandedRidge(bands=["a", "a", "b", "b", "b"], search="hyper_gradient").fit(x, y)
    with pytest.raises(SpecError, match="unknown search 'grid'"):
        BandedRidge(bands=[0] * 5, search="grid").fit(x, y)  # type: ignore[arg-type]
