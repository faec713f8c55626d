from __future__ import annotations

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import LinearRegression

from bltvs_neuro.encoding.solvers.ols import fit_ols
from bltvs_neuro.encoding.solvers.pls import fit_pls
from bltvs_neuro.encoding.solvers.spectrum import feature_spectrum, gram_spectrum
from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.features.grams import centre_cross, centre_train, gram

from .reference import simulate_regression


@pytest.mark.parametrize(("n", "p", "t"), [(60, 300, 8), (60, 20, 100), (60, 60, 1), (260, 800, 30)])
@pytest.mark.parametrize("k", [1, 5, 15])
def test_pls_equals_scikit_learn(n: int, p: int, t: int, k: int) -> None:
    x, y, x_test = simulate_regression(n, p, t, shift=2.0)
    x, x_test = x * np.linspace(1, 3, p), x_test * np.linspace(1, 3, p)
    theirs = PLSRegression(n_components=k, scale=False, tol=1e-15, max_iter=20000).fit(x, y)
    ks = gram(np.vstack([x, x_test]))
    train, test = np.arange(n), np.arange(n, n + 15)
    cross = centre_cross(ks, test, train)
    fit = fit_pls(gram_spectrum(centre_train(ks, train)), y, k)
    expected = theirs.predict(x_test).reshape(15, t)
    np.testing.assert_allclose(fit.predict(cross), expected, rtol=0, atol=2e-6 * np.abs(expected).max())
    if p < n:
        primal = fit_pls(feature_spectrum(x), y, k)
        np.testing.assert_allclose(
            (x_test - x.mean(axis=0)) @ primal.rotations @ primal.loadings.T + primal.mean,
            fit.predict(cross),
            atol=1e-9,
        )


def test_pls_says_how_many_components_there_can_be() -> None:
    x, y, _ = simulate_regression(20, 6, 3)
    with pytest.raises(SpecError, match="between 1 and the rank of the training features, 6; got 25"):
        fit_pls(feature_spectrum(x), y)
    y[0, 0] = np.nan
    with pytest.raises(DataError, match="1 target is NaN"):
        fit_pls(feature_spectrum(x), y, 2)


def test_ols_equals_scikit_learn_and_ignores_constant_features() -> None:
    x, y, x_test = simulate_regression(40, 6, 5, shift=1.0)
    fit = fit_ols(x, y)
    model = LinearRegression().fit(x, y)
    np.testing.assert_allclose(fit.weights, model.coef_.T, atol=1e-12)
    np.testing.assert_allclose(fit.predict(x_test), model.predict(x_test), atol=1e-11)
    wider = fit_ols(np.column_stack([x, np.full(40, 0.1)]), y)
    np.testing.assert_allclose(wider.weights[:6], fit.weights, atol=1e-12)
    np.testing.assert_array_equal(wider.weights[6], 0)


def test_ols_refuses_many_features_and_nan() -> None:
    x, y, _ = simulate_regression(20, 18, 3)
    with pytest.raises(SpecError, match=r"fewer features than rows - 2 \(18\); got 18: use solver='ridge'"):
        fit_ols(x, y)
    x[0, 0] = np.nan
    with pytest.raises(DataError, match="NaN or infinite"):
        fit_ols(x[:, :5], y)
