"""What the solvers do in a sweep: fit one training fold of one feature space and predict its test rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...errors import SpecError, argument
from ...features.folds import Fold
from ...features.grams import centre_both, centre_cross, centre_train
from ...options import Dtype
from ..scores.score import Truth, split_r2
from .backend import Backend
from .banded import dirichlet_gammas, fit_banded, fit_banded_hyper_gradient
from .estimators import OLS, PLS, BandedRidge, Ridge, Solver, relative
from .ols import fit_ols
from .pls import fit_pls
from .ridge import By, Edges, RidgeFit, RidgeSearch, fit_ridge
from .spectrum import Spectrum, feature_spectrum, gram_spectrum

FLOAT32_MARGIN = 100.0
"""An alpha below this many roundings of the largest eigenvalue is chosen again in float64."""


@dataclass(frozen=True)
class Settings:
    """What all folds and spaces of a sweep share."""

    solver: Any
    """One of :data:`FITS`."""
    by: By
    """How alpha is chosen, where the solver chooses one."""
    dtype: Dtype
    seed: int
    batch_bytes: int
    backend: Backend

    def searched(self, blocks: list[np.ndarray] | None) -> RidgeSearch:
        """What every ridge is given."""
        return RidgeSearch(self.by, blocks, self.solver.window, "ignore", self.dtype, self.batch_bytes, self.backend)


class RoughGram:
    """A Gram in float32, with what is known of its decompositions.

    Attributes
    ----------
    values : array of shape (n, n), float32
    checked : float
        The smallest alpha, in largest eigenvalues, at which a fold's predictions were found to be those of float64.
    """

    def __init__(self, gram: np.ndarray) -> None:
        self.values, self.checked = gram.astype(np.float32), np.inf


class Features(NamedTuple):
    """One feature space of one fold, over all rows: as Grams, or as features when they are few."""

    grams: Sequence[np.ndarray]
    """(n, n) per band."""
    matrix: np.ndarray | None
    """(n, p), when p is smaller than the number of training rows and there is one band."""
    rough: RoughGram | None = None
    """The Gram of a single band in float32, the same for all folds; None where folds have each their own."""


class FoldTargets(NamedTuple):
    """The targets of one fold."""

    train: np.ndarray
    """(n_train, t), about their mean."""
    mean: np.ndarray
    """(t,), float64."""
    truth: Truth
    """Of the test rows."""


class Outcome(NamedTuple):
    """One fold of one space."""

    prediction: np.ndarray
    """(n_test, t)"""
    alpha: np.ndarray | None = None
    """(t,)"""
    gammas: np.ndarray | None = None
    """(g, t)"""
    shares: np.ndarray | None = None
    """(g, t) product-measure R2 of each band on the test rows."""
    edges: Edges = Edges(0, 0)
    """How many targets chose an edge of the grid that binds."""
    loss: np.ndarray | None = None
    """(t,) squared error of a new row, as the training rows alone estimate it."""


def decompose(features: Features, train: np.ndarray, backend: Backend) -> Spectrum:
    """The spectrum of the training rows, primal when that is smaller."""
    if features.matrix is not None:
        return feature_spectrum(features.matrix[train], backend)
    return gram_spectrum(centre_train(features.grams[0], train), backend)


def grid_for(solver: Ridge, spectrum: Spectrum) -> np.ndarray:
    """The alphas asked for, or the default grid in units of this training fold's variance (that of the spectrum)."""
    return relative(solver.alphas, float(spectrum.values.sum()) / spectrum.n_rows)


def _ridge(
    features: Features, fold: Fold, targets: FoldTargets, blocks: list[np.ndarray] | None, settings: Settings
) -> Outcome:
    backend = settings.backend
    if features.matrix is None:
        if settings.dtype == "float32" and settings.by == "gcv":
            fit = _in_float32(features, fold, targets, settings)
            if fit is not None:
                return fit
        gram, cross = centre_both(features.grams[0], fold.train, fold.test)
        spectrum = gram_spectrum(gram, backend)
        readout = backend.array(cross, "float64") @ spectrum.vectors
        grid = relative(settings.solver.alphas, _variance(features.grams[0], fold.train))
        return _ridge_outcome(_fit_ridge(spectrum, targets, readout, blocks, settings, grid))
    spectrum = decompose(features, fold.train, backend)
    if spectrum.loadings is not None:
        x = features.matrix
        new = x[fold.test] - x[fold.train].mean(axis=0)
        readout = backend.array(new @ spectrum.coefficients(), "float64")
    else:
        readout = backend.array(_cross(features, 0, fold), "float64") @ spectrum.vectors
    return _ridge_outcome(_fit_ridge(spectrum, targets, readout, blocks, settings, grid_for(settings.solver, spectrum)))


def _in_float32(features: Features, fold: Fold, targets: FoldTargets, settings: Settings) -> Outcome | None:
    """A ridge by generalised cross-validation, decomposed in float32; None where that is not enough.

    The Gram is not centred over the training rows: eigenvectors are orthogonal to the constant, which does it.
    Eigenvalues are off by some 1e-7 of the largest: an alpha that is not far above that is not to be trusted. How far
    predictions are off grows as the smallest alpha falls, so a fold is compared with float64 unless another fold of the
    space was, at an alpha no more than twice as large.
    """
    backend, gram = settings.backend, features.grams[0]
    known = features.rough or RoughGram(gram)
    rough = known.values
    block = rough[fold.train].take(fold.train, axis=1)
    spectrum = gram_spectrum(block, backend, dtype="float32")
    cross = rough[fold.test].take(fold.train, axis=1) - block.mean(axis=0)
    readout = backend.array(cross, "float32") @ spectrum.vectors
    grid = relative(settings.solver.alphas, _variance(gram, fold.train))
    fit = _fit_ridge(spectrum, targets, readout, None, settings, grid)
    smallest = float(fit.alpha.min(initial=np.inf) / spectrum.values.max(initial=np.finfo(np.float32).tiny))
    if smallest < FLOAT32_MARGIN * np.finfo(np.float32).eps:
        return None
    if smallest < known.checked / 2:
        if not _exact_enough(gram, fold, targets.train, spectrum, fit, backend):
            return None
        known.checked = smallest
    return _ridge_outcome(fit)


def _variance(gram: np.ndarray, train: np.ndarray) -> float:
    """Of the features over the training rows, per row: the mean of the centred Gram's diagonal."""
    chosen = np.zeros(len(gram))
    chosen[train] = 1 / len(train)
    return float(np.diagonal(gram) @ chosen - chosen @ gram @ chosen)


def _exact_enough(
    gram: np.ndarray, fold: Fold, centred: np.ndarray, spectrum: Spectrum, fit: RidgeFit, backend: Backend
) -> bool:
    """Whether a float32 decomposition predicts as float64 does.

    Up to 8 targets, those of the smallest alpha among them, are refined in float64 against the Gram itself; predictions
    must be the same to 1e-4 of the largest.
    """
    order = np.argsort(fit.alpha, kind="stable")
    some = np.unique(np.concatenate([order[:4], order[:: max(1, len(order) // 4)][:4]]))
    target = centred[:, some].astype(np.float64)
    vectors, shrunk = backend.numpy(spectrum.vectors), (spectrum.values[:, None] + fit.alpha[some]).astype(np.float32)

    def approximately(rest: np.ndarray) -> np.ndarray:
        return (vectors @ ((vectors.T @ rest.astype(np.float32)) / shrunk)).astype(np.float64)

    def apply(dual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        every = np.zeros((len(gram), dual.shape[1]))
        every[fold.train] = dual - dual.mean(axis=0)
        every = gram @ every
        middle = every[fold.train].mean(axis=0)  # features centred over the training rows
        return every[fold.train] - middle, every[fold.test] - middle

    dual = approximately(target)
    for _ in range(4):  # each step takes off two digits or more, at the alphas let through above
        inside, exact = apply(dual)
        rest = target - inside - fit.alpha[some] * dual
        if np.abs(rest).max() <= 2e-5 * np.abs(exact).max(initial=np.finfo(np.float32).tiny):
            break
        dual += approximately(rest)
    off = np.abs(exact - fit.outputs["prediction"][:, some]).max(initial=0.0)
    return bool(off <= 1e-4 * np.abs(exact).max(initial=np.finfo(np.float32).tiny))


def _fit_ridge(
    spectrum: Spectrum,
    targets: FoldTargets,
    readout: Any,
    blocks: list[np.ndarray] | None,
    settings: Settings,
    grid: np.ndarray,
) -> RidgeFit:
    search = settings.searched(blocks)
    return fit_ridge(spectrum, targets.train, grid, search, readouts={"prediction": readout}, mean=targets.mean)


def _ridge_outcome(fit: RidgeFit) -> Outcome:
    prediction = fit.outputs["prediction"]
    prediction += fit.mean.astype(prediction.dtype)
    return Outcome(prediction, fit.alpha, edges=fit.edges, loss=fit.loss)


def _banded(
    features: Features, fold: Fold, targets: FoldTargets, blocks: list[np.ndarray] | None, settings: Settings
) -> Outcome:
    grams, crosses = scaled_bands(features, fold)
    return _banded_outcome(fit_bands(grams, targets.train, blocks, settings), crosses, targets)


def fit_bands(
    grams: Sequence[np.ndarray], targets: np.ndarray, blocks: list[np.ndarray] | None, settings: Settings
) -> Any:
    """Banded ridge as the settings have it, of bands of comparable size."""
    solver = settings.solver
    if solver.search == "hyper_gradient":
        assert blocks is not None  # the plan sees to it
        return fit_banded_hyper_gradient(grams, targets, folds=blocks, seed=settings.seed)
    gammas = dirichlet_gammas(len(grams), max(solver.candidates, len(grams) + 1), seed=settings.seed)
    return fit_banded(grams, targets, relative(solver.alphas, 1.0), settings.searched(blocks), gammas=gammas)


def _pls(
    features: Features, fold: Fold, targets: FoldTargets, blocks: list[np.ndarray] | None, settings: Settings
) -> Outcome:
    fit = fit_pls(
        gram_spectrum(centre_train(features.grams[0], fold.train)), targets.train, settings.solver.n_components
    )
    return Outcome(fit.predict(_cross(features, 0, fold)) + targets.mean)


def _ols(
    features: Features, fold: Fold, targets: FoldTargets, blocks: list[np.ndarray] | None, settings: Settings
) -> Outcome:
    if features.matrix is None:
        raise SpecError(
            f"solver 'ols' is for fewer features than training rows; reduce them (with {argument('transform')} a PCA) or "
            f"use {argument('solver', 'ridge')}"
        )
    x = features.matrix[fold.train]
    fit, (n, p) = fit_ols(x, targets.train), x.shape
    loss = n * ((targets.train - fit.predict(x)) ** 2).sum(axis=0) / (n - p - 1) ** 2  # generalised cross-validation
    return Outcome(fit.predict(features.matrix[fold.test]) + targets.mean, loss=loss)


FITS: dict[type[Solver], Callable[[Features, Fold, FoldTargets, list[np.ndarray] | None, Settings], Outcome]] = {
    Ridge: _ridge,
    BandedRidge: _banded,
    PLS: _pls,
    OLS: _ols,
}
"""How each solver fits one training fold of one feature space and predicts its test rows."""


def _cross(features: Features, band: int, fold: Fold) -> np.ndarray:
    return centre_cross(features.grams[band], fold.test, fold.train)


def scaled_bands(features: Features, fold: Fold) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Training and cross-Grams of each band over its variance per training row: shares then mean the same for all."""
    grams, crosses = [], []
    for band, k in enumerate(features.grams):
        train = centre_train(k, fold.train)
        scale = float(np.trace(train)) / len(train)
        scale = scale if scale > 0 else 1.0
        grams.append(train / scale)
        crosses.append(_cross(features, band, fold) / scale)
    return grams, crosses


def _banded_outcome(fit: Any, crosses: list[np.ndarray], targets: FoldTargets) -> Outcome:
    truth = targets.truth.values
    prediction = np.empty(truth.shape, fit.dual.dtype)
    shares = np.empty((len(crosses), truth.shape[1]))
    for at in range(0, truth.shape[1], 1024):  # the parts of all bands at once would be several times the targets
        columns = slice(at, at + 1024)
        some = fit._replace(gammas=fit.gammas[:, columns], dual=fit.dual[:, columns])
        parts, mean = some.parts(crosses).astype(np.float64), targets.mean[columns]
        prediction[:, columns] = parts.sum(axis=0) + mean
        # the training mean is in no band; it is shared out evenly, as the mean of the truth is
        shares[:, columns] = split_r2(truth[:, columns], parts + mean / len(crosses))
    return Outcome(prediction, fit.alpha, fit.gammas, shares, fit.edges, fit.loss)
