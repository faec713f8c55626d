"""The solvers a sweep can use, by name: each fits one training fold of one feature space and predicts its test rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import SpecError
from .backend import Backend
from .banded import fit_banded, fit_banded_hyper_gradient
from .folds import Fold
from .gram import centre_both, centre_cross, centre_train
from .ols import fit_ols
from .pls import fit_pls
from .ridge import By, Dtype, Edges, RidgeFit, fit_ridge
from .score import split_r2
from .spectrum import Spectrum, feature_spectrum, gram_spectrum

RELATIVE_ALPHAS = np.logspace(-4, 6, 21)
"""The default grid, times the mean of the training Gram's diagonal (the features' variance per row).

It ends at 1e-4: with about as many features as training rows, GCV has a minimum near alpha zero that fits noise: with 80
of both, the mean R2 of pure noise is -0.11 with this grid and -1.03 with one down to 1e-7.
"""

FLOAT32_MARGIN = 100.0
"""An alpha below this many roundings of the largest eigenvalue is chosen again in float64."""


@dataclass(frozen=True)
class Options:
    """What all folds and spaces of a sweep share."""

    alphas: np.ndarray | None
    by: By
    window: int | None
    n_components: int
    n_iter: int
    dtype: Dtype
    seed: int
    batch_bytes: int
    backend: Backend


class Features(NamedTuple):
    """One feature space of one fold, over all rows: as Grams, or as features when they are few."""

    grams: Sequence[np.ndarray]
    """(n, n) per band."""
    matrix: np.ndarray | None
    """(n, p), when p is smaller than the number of training rows and there is one band."""


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


def decompose(features: Features, train: np.ndarray, backend: Backend) -> Spectrum:
    """The spectrum of the training rows, primal when that is smaller."""
    if features.matrix is not None:
        return feature_spectrum(features.matrix[train], backend)
    return gram_spectrum(centre_train(features.grams[0], train), backend)


def grid_for(options: Options, spectrum: Spectrum, variance: float | None = None) -> np.ndarray:
    """The alphas asked for, or the default grid in units of this training fold's variance (that of the spectrum)."""
    if options.alphas is not None:
        return options.alphas
    variance = float(spectrum.values.sum()) / spectrum.n_rows if variance is None else variance
    return RELATIVE_ALPHAS * (variance if variance > 0 else 1.0)


def _ridge(
    features: Features, fold: Fold, targets: np.ndarray, blocks: list[np.ndarray] | None, options: Options
) -> Outcome:
    backend, y = options.backend, targets[fold.train]
    if features.matrix is None:
        gram, cross = centre_both(features.grams[0], fold.train, fold.test)
        if options.dtype == "float32" and options.by == "gcv":
            fit = _fit_gram(gram, cross, y, blocks, options, "float32")
            if fit is not None:
                return fit
        exact = _fit_gram(gram, cross, y, blocks, options, "float64")
        assert exact is not None
        return exact
    spectrum = decompose(features, fold.train, backend)
    if spectrum.loadings is not None:
        x = features.matrix
        new = x[fold.test] - x[fold.train].mean(axis=0)
        readout = backend.array(new @ spectrum.coefficients(), "float64")
    else:
        readout = backend.array(_cross(features, 0, fold), "float64") @ spectrum.vectors
    return _ridge_outcome(_fit_ridge(spectrum, y, readout, blocks, options))


def _fit_gram(
    gram: np.ndarray,
    cross: np.ndarray,
    y: np.ndarray,
    blocks: list[np.ndarray] | None,
    options: Options,
    dtype: str,
) -> Outcome | None:
    """A ridge on a Gram; None where float32 is not enough for the decomposition."""
    backend = options.backend
    spectrum = gram_spectrum(gram, backend, dtype=dtype)
    readout = backend.array(cross, dtype) @ spectrum.vectors
    fit = _fit_ridge(spectrum, y, readout, blocks, options, variance=float(np.trace(gram)) / len(gram))
    if dtype == "float32" and not _exact_enough(gram, cross, y, spectrum, fit, backend):
        return None
    return _ridge_outcome(fit)


def _exact_enough(
    gram: np.ndarray, cross: np.ndarray, y: np.ndarray, spectrum: Spectrum, fit: RidgeFit, backend: Backend
) -> bool:
    """Whether a float32 decomposition chose and predicted as float64 does.

    Eigenvalues are off by some 1e-7 of the largest: an alpha that is not far above that is not to be trusted. Where all
    are, up to 8 targets, those of the smallest alpha among them, are refined in float64 against the Gram itself, and the
    predictions must be the same to 1e-4 of the largest.
    """
    if fit.alpha.min(initial=np.inf) < FLOAT32_MARGIN * np.finfo(np.float32).eps * spectrum.values.max(initial=0.0):
        return False
    order = np.argsort(fit.alpha, kind="stable")
    some = np.unique(np.concatenate([order[:4], order[:: max(1, len(order) // 4)][:4]]))
    target = y[:, some].astype(np.float64)
    target -= target.mean(axis=0)
    vectors, shrunk = backend.numpy(spectrum.vectors), (spectrum.values[:, None] + fit.alpha[some]).astype(np.float32)

    def approximately(rest: np.ndarray) -> np.ndarray:
        return (vectors @ ((vectors.T @ rest.astype(np.float32)) / shrunk)).astype(np.float64)

    dual = approximately(target)
    for _ in range(2):
        dual += approximately(target - gram @ dual - fit.alpha[some] * dual)
    exact = cross @ dual
    off = np.abs(exact - fit.outputs["prediction"][:, some]).max(initial=0.0)
    return bool(off <= 1e-4 * np.abs(exact).max(initial=np.finfo(np.float32).tiny))


def _fit_ridge(
    spectrum: Spectrum,
    y: np.ndarray,
    readout: Any,
    blocks: list[np.ndarray] | None,
    options: Options,
    variance: float | None = None,
) -> RidgeFit:
    return fit_ridge(
        spectrum,
        y,
        grid_for(options, spectrum, variance),
        by=options.by,
        window=options.window,
        folds=blocks,
        readouts={"prediction": readout},
        dtype=options.dtype,
        batch_bytes=options.batch_bytes,
        on_edge="ignore",
        backend=options.backend,
    )


def _ridge_outcome(fit: RidgeFit) -> Outcome:
    prediction = fit.outputs["prediction"]
    prediction += fit.mean.astype(prediction.dtype)
    return Outcome(prediction, fit.alpha, edges=fit.edges)


def _banded(
    features: Features, fold: Fold, targets: np.ndarray, blocks: list[np.ndarray] | None, options: Options
) -> Outcome:
    grams, crosses = scaled_bands(features, fold)
    fit = fit_banded(
        grams,
        targets[fold.train],
        RELATIVE_ALPHAS if options.alphas is None else options.alphas,
        n_iter=max(options.n_iter, len(grams) + 1),
        seed=options.seed,
        by=options.by,
        window=options.window,
        folds=blocks,
        dtype=options.dtype,
        batch_bytes=options.batch_bytes,
        on_edge="ignore",
        backend=options.backend,
    )
    return _banded_outcome(fit, crosses, targets[fold.test])


def _hyper_gradient(
    features: Features, fold: Fold, targets: np.ndarray, blocks: list[np.ndarray] | None, options: Options
) -> Outcome:
    if blocks is None:
        raise SpecError("solver 'banded_hyper_gradient' chooses by k-fold: pass by='kfold'")
    grams, crosses = scaled_bands(features, fold)
    fit = fit_banded_hyper_gradient(grams, targets[fold.train], folds=blocks, seed=options.seed)
    return _banded_outcome(fit, crosses, targets[fold.test])


def _pls(
    features: Features, fold: Fold, targets: np.ndarray, blocks: list[np.ndarray] | None, options: Options
) -> Outcome:
    fit = fit_pls(gram_spectrum(centre_train(features.grams[0], fold.train)), targets[fold.train], options.n_components)
    return Outcome(fit.predict(_cross(features, 0, fold)))


def _ols(
    features: Features, fold: Fold, targets: np.ndarray, blocks: list[np.ndarray] | None, options: Options
) -> Outcome:
    if features.matrix is None:
        raise SpecError(
            "solver 'ols' is for fewer features than training rows; reduce them (transform=PCA(20)) or use solver='ridge'"
        )
    return Outcome(fit_ols(features.matrix[fold.train], targets[fold.train]).predict(features.matrix[fold.test]))


Solver = Callable[[Features, Fold, np.ndarray, "list[np.ndarray] | None", Options], Outcome]
SOLVERS: dict[str, Solver] = {
    "ridge": _ridge,
    "banded": _banded,
    "banded_hyper_gradient": _hyper_gradient,
    "pls": _pls,
    "ols": _ols,
}
"""Solvers of :func:`bltvs_neuro.encoding.fit_encoding`, by name."""

BANDED = ("banded", "banded_hyper_gradient")


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


def _banded_outcome(fit: Any, crosses: list[np.ndarray], truth: np.ndarray) -> Outcome:
    t = truth.shape[1]
    prediction = np.empty(truth.shape, fit.dual.dtype)
    shares = np.empty((len(crosses), t))
    for at in range(0, t, 1024):  # the parts of all bands at once would be several times the targets
        columns = slice(at, at + 1024)
        some = fit._replace(gammas=fit.gammas[:, columns], dual=fit.dual[:, columns])
        parts = some.parts(crosses).astype(np.float64)
        prediction[:, columns] = parts.sum(axis=0) + fit.mean[columns]
        # the training mean is in no band; it is shared out evenly, as the mean of the truth is
        shares[:, columns] = split_r2(truth[:, columns], parts + fit.mean[columns] / len(crosses))
    return Outcome(prediction, fit.alpha, fit.gammas, shares, fit.edges)
