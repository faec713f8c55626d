"""Banded (group) ridge: features in bands, such as areas, timesteps or streams, each with its own share per target.

With non-negative shares gamma that sum to one, a banded ridge is a ridge on the Gram ``sum_b gamma_b K_b``: a band's own
penalty is ``alpha / gamma_b``. Shares are searched at random (Dirichlet), all bands, alphas and targets of a candidate in
one decomposition.

References
----------
Nunez-Elizalde, Huth & Gallant (2019), banded ridge, doi:10.1016/j.neuroimage.2019.04.012;
Dupré la Tour, Eickenberg, Nunez-Elizalde & Gallant (2022), random search over Dirichlet shares,
doi:10.1016/j.neuroimage.2022.119728
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ...errors import SpecError
from .backend import Array
from .ridge import Edges, RidgeSearch, batches, check_alphas, count_edges, fit_ridge, warn_edges
from .spectrum import Spectrum, gram_spectrum


class BandedFit(NamedTuple):
    """Banded ridges of many targets."""

    gammas: np.ndarray
    """(g, t) share of each band."""
    alpha: np.ndarray
    """(t,) penalty of the weighted sum; that of a band is ``alpha / gamma``."""
    loss: np.ndarray
    """(t,) the criterion of the chosen candidate."""
    mean: np.ndarray
    """(t,) mean of the training rows."""
    dual: np.ndarray
    """(n, t): a band's part of the prediction is ``gamma * (cross-Gram of the band @ dual)``."""
    edges: Edges = Edges(0, 0)
    """How many targets chose an edge of the grid that binds."""

    def parts(self, crosses: Sequence[np.ndarray]) -> np.ndarray:
        """What each band adds to the prediction, (g, n_test, t); their sum plus ``mean`` predicts.

        ``crosses`` holds one centred cross-Gram (n_test, n) per band.
        """
        return np.stack(
            [
                share * (cross.astype(self.dual.dtype) @ self.dual)
                for share, cross in zip(self.gammas, crosses, strict=True)
            ]
        )


def dirichlet_gammas(
    n_bands: int, n_iter: int = 100, *, concentration: Sequence[float] = (0.1, 1.0), seed: int = 0
) -> np.ndarray:
    """Candidate shares: equal ones, each band alone, then Dirichlet draws.

    Parameters
    ----------
    n_bands : int
    n_iter : int
        Number of candidates in all; at least ``n_bands + 1`` (just 1 for a single band).
    concentration : sequence of float
        Of the Dirichlet distribution, taken in turn: below 1 favours few bands.
    seed : int

    Returns
    -------
    array of shape (n_iter, n_bands)
        Rows sum to one.

    Examples
    --------
    >>> dirichlet_gammas(2, 3).tolist()
    [[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]
    """
    if n_bands < 1:
        raise SpecError("a banded ridge needs at least one band")
    if n_bands == 1:
        return np.ones((1, 1))
    if n_iter < n_bands + 1:
        raise SpecError(
            f"{n_bands} bands need n_iter of at least {n_bands + 1} (equal shares, each alone); got {n_iter}"
        )
    rng = np.random.default_rng(seed)
    draws = [
        rng.dirichlet(np.full(n_bands, concentration[i % len(concentration)])) for i in range(n_iter - n_bands - 1)
    ]
    return np.vstack([np.full((1, n_bands), 1 / n_bands), np.eye(n_bands), *[d[None] for d in draws]])


def fit_banded(
    grams: Sequence[np.ndarray],
    targets: np.ndarray,
    alphas: Sequence[float] | np.ndarray,
    search: RidgeSearch = RidgeSearch(),
    *,
    gammas: np.ndarray,
) -> BandedFit:
    """Choose shares and alpha of every target by random search.

    Parameters
    ----------
    grams : sequence of arrays of shape (n, n)
        One Gram of the training rows per band.
    targets : array of shape (n, t)
    alphas : sequence of positive floats, ascending
    search : RidgeSearch
    gammas : array of shape (candidates, g)
        Shares to try, such as :func:`dirichlet_gammas`.

    Returns
    -------
    BandedFit

    Raises
    ------
    SpecError
        Bands or shares do not fit.
    """
    grid = check_alphas(alphas)
    if not len(grams) or any(k.shape != grams[0].shape for k in grams):
        raise SpecError(f"bands need Grams of one shape; got {[k.shape for k in grams]}")
    shares = np.asarray(gammas, np.float64)
    valid = shares.ndim == 2 and shares.shape[1] == len(grams) and (shares >= 0).all()
    if not valid or not np.allclose(shares.sum(axis=1), 1):
        raise SpecError(f"gammas have shape (candidates, {len(grams)}), are not negative and sum to one in each row")
    n, t = targets.shape
    quiet = replace(search, on_edge="ignore")
    loss = np.full(t, np.inf)
    chosen, position = np.zeros(t, np.intp), np.zeros(t, np.intp)
    dual = np.zeros((n, t), search.dtype)
    mean = np.zeros(t)
    total = np.empty(grams[0].shape)
    values = np.zeros(0)
    for i, share in enumerate(shares):
        total[:] = 0
        for weight, k in zip(share, grams, strict=True):
            if weight:
                total += weight * k
        spectrum = gram_spectrum(total, search.backend)
        fit = fit_ridge(spectrum, targets, grid, quiet)
        mean = fit.mean
        better = np.flatnonzero(fit.loss < loss)
        loss[better], chosen[better], position[better] = fit.loss[better], i, fit.position[better]
        # a target improves a handful of times in a hundred candidates: cheaper than decomposing the winners again
        for columns in batches(n, len(better), search.batch_bytes):
            some = better[columns]
            dual[:, some] = _dual(spectrum, targets[:, some], mean[some], grid[fit.position[some]], search)
        values = spectrum.values if spectrum.values.sum() > values.sum() else values
    edges = count_edges(position, grid, values)
    if search.on_edge == "warn":
        warn_edges(edges, f"{t} targets", f"alpha ({grid[0]:.3g})", f"alpha ({grid[-1]:.3g})")
    return BandedFit(shares[chosen].T, grid[position], loss, mean, dual, edges)


def _dual(
    spectrum: Spectrum, targets: np.ndarray, mean: np.ndarray, alpha: np.ndarray, search: RidgeSearch
) -> np.ndarray:
    backend, dtype = search.backend, search.dtype
    vectors: Array = backend.array(spectrum.vectors, dtype)
    z = vectors.T @ backend.array(targets - mean, dtype)
    z *= backend.array(1 / (spectrum.values[:, None] + alpha), dtype)
    return backend.numpy(vectors @ z)


def fit_banded_hyper_gradient(
    grams: Sequence[np.ndarray],
    targets: np.ndarray,
    *,
    folds: Sequence[np.ndarray],
    max_iter: int = 100,
    seed: int = 0,
) -> BandedFit:
    """Choose shares by gradient descent on the k-fold loss, with himalaya (optional; numpy backend).

    Better than a random search beyond about ten bands.

    Parameters
    ----------
    grams, targets
        As :func:`fit_banded`.
    folds : sequence of arrays of row positions
        Held-out blocks; each row in exactly one.
    max_iter : int
    seed : int

    Returns
    -------
    BandedFit

    Raises
    ------
    SpecError
        himalaya is not installed.
    """
    try:
        from himalaya.backend import set_backend
        from himalaya.kernel_ridge import solve_multiple_kernel_ridge_hyper_gradient
    except ImportError:
        raise SpecError("the hyper-gradient solver needs himalaya: pip install himalaya") from None
    set_backend("numpy")  # himalaya keeps one for the process
    n = len(targets)
    mean = targets.mean(axis=0, dtype=np.float64)
    splits = [(np.setdiff1d(np.arange(n), block), np.asarray(block)) for block in folds]
    deltas, dual, scores = solve_multiple_kernel_ridge_hyper_gradient(
        np.stack(grams),
        targets - mean,
        cv=_Splits(splits),
        max_iter=max_iter,
        random_state=seed,
        return_weights="dual",
        progress_bar=False,
    )
    weights = np.exp(np.asarray(deltas, np.float64))  # prediction: sum_b weight_b cross_b dual, with alpha 1
    total = weights.sum(axis=0)
    steps = np.asarray(scores)  # (max_iter, t), zeros after an early stop
    last = np.flatnonzero(steps.any(axis=1))[-1]
    return BandedFit(weights / total, 1 / total, -steps[last], mean, np.asarray(dual) * total)


class _Splits:
    """A fixed list of splits in the form scikit-learn's ``check_cv`` accepts."""

    def __init__(self, splits: list[tuple[np.ndarray, np.ndarray]]) -> None:
        self.splits = splits

    def split(self, X: object = None, y: object = None, groups: object = None) -> list[tuple[np.ndarray, np.ndarray]]:
        return self.splits

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        return len(self.splits)
