"""The dissimilarities an RDM can hold, each with its formula and its normalisation.

Conventions, the same as rsatoolbox where it has the method: distances that sum over features are divided by the number
of features, so that sites of different size have values of one scale; ``euclidean`` is the root of that mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk

from ...errors import DataError, SpecError
from ...features.tiles import CACHE, Features, add_up
from .presentations import Folds

Array = NDArray[np.float64]
MetricName = Literal[
    "correlation",
    "euclidean",
    "sqeuclidean",
    "cosine",
    "mahalanobis",
    "poisson",
    "cv_euclidean",
    "crossnobis",
    "poisson_cv",
]
PRIOR_RATE, PRIOR_WEIGHT = 1.0, 0.1
"""Poisson rates are shrunk towards PRIOR_RATE as if PRIOR_WEIGHT observations of it had been made."""


@dataclass(frozen=True)
class Request:
    """What a metric works on."""

    features: Features
    folds: Folds
    noise_precision: Array | None
    device: str
    memory: int

    @property
    def n(self) -> int:
        """Number of stimuli."""
        return self.folds.n_stimuli


@dataclass(frozen=True)
class Metric:
    """One row of the table of metrics."""

    compute: Callable[[Request], Array]
    """(n, n) dissimilarities; NaN where undefined."""
    formula: str
    crossvalidated: Literal["yes", "no"] = "no"
    noise: Literal["none", "optional", "required"] = "none"


def from_kernel(kernel: Array) -> Array:
    """``k_ii + k_jj - k_ij - k_ji``."""
    d = np.diag(kernel)
    return np.asarray(d[:, None] + d[None, :] - kernel - kernel.T)


def correlation(request: Request) -> Array:
    """1 - Pearson correlation of two patterns over features; NaN for a pattern without variance."""
    sums, start = np.zeros(request.n), np.zeros(request.n)
    seen = 0

    def shifted(tile: Array) -> Array:
        # A pattern may be shifted by any constant; its mean in the first tile takes out most of the offset, so that
        # the correction below does not cancel.
        nonlocal seen
        tile = request.folds.mean(tile)
        if seen == 0:
            start[:] = tile.mean(axis=1)
        tile -= start[:, None]
        sums[:] += tile.sum(axis=1)
        seen += tile.shape[1]
        return tile

    kernel = add_up(request.features.tiles(request.memory), shifted, None, request.n, request.device)
    kernel -= np.outer(sums, sums) / seen
    variance = np.diag(kernel).copy()
    rounding = (16 * np.finfo(np.float64).eps * (np.abs(start) + np.abs(sums) / seen)) ** 2 * seen
    variance[variance <= rounding] = np.nan
    scale = np.sqrt(variance)
    return np.asarray(np.clip(1 - kernel / np.outer(scale, scale), 0.0, 2.0))


def cosine(request: Request) -> Array:
    """1 - cosine of the angle between two patterns; NaN for a pattern of zeros."""
    kernel = add_up(request.features.tiles(request.memory), request.folds.mean, None, request.n, request.device)
    norm = np.diag(kernel).copy()
    norm[norm <= 0] = np.nan
    return np.asarray(np.clip(1 - kernel / np.sqrt(np.outer(norm, norm)), 0.0, 2.0))


def sqeuclidean(request: Request) -> Array:
    """Mean over features of the squared difference."""
    kernel = add_up(request.features.tiles(request.memory), _centered(request), None, request.n, request.device)
    return np.maximum(from_kernel(kernel), 0.0) / request.features.n_features


def euclidean(request: Request) -> Array:
    """Root of the mean over features of the squared difference."""
    return np.sqrt(sqeuclidean(request))


def mahalanobis(request: Request) -> Array:
    """Squared Mahalanobis distance divided by the number of features; squared euclidean without a noise precision."""
    precision = request.noise_precision
    if precision is None:
        return sqeuclidean(request)
    center = _centered(request)
    if precision.ndim == 1:
        weigh = _columns(np.sqrt(precision))
        tiles = request.features.tiles(request.memory)
        kernel = add_up(tiles, lambda t: weigh(center(t)), None, request.n, request.device)
    else:
        x = np.concatenate([center(t) for t in request.features.tiles(request.memory)], axis=1)
        kernel = x @ precision @ x.T
    return np.maximum(from_kernel(kernel), 0.0) / request.features.n_features


def crossnobis(request: Request) -> Array:
    """Cross-validated squared Mahalanobis distance over folds, per feature; unbiased, so it may be negative.

    For each fold, differences of its mean patterns times differences of the mean over all presentations of the other
    folds, averaged over folds. No root is taken: that would bring the bias back.
    """
    folds, precision, p = request.folds, request.noise_precision, request.features.n_features
    folds.require_several()
    if precision is not None and precision.ndim == 2:
        x = np.concatenate(list(request.features.tiles(request.memory)), axis=1)
        train, test = folds.train_test(x - x.mean(axis=0))
        # (folds, n, p) -> (n, folds * p)
        kernel = np.einsum("fip,fjp->ij", train @ precision, test, optimize=True)
        return from_kernel(kernel) / folds.n_folds / p
    weigh = None if precision is None else _columns(precision)
    if weigh is None and folds.n_per_cell == 1 and request.device == "cpu":
        return _balanced_crossnobis(request) / p

    def pair(tile: Array) -> tuple[Array, Array]:
        tile = tile - tile.mean(axis=0)
        train, test = folds.train_test(tile)
        return _beside(train), _beside(test if weigh is None else test * weigh(np.ones((1, tile.shape[1]))))

    return _crossed(request, pair) / p


def _balanced_crossnobis(request: Request) -> Array:
    """One presentation per stimulus and fold: Gram matrices of sums and of folds are all it takes.

    With fold patterns M_f and their sum T, the sum over folds of (T - M_f) M_f' is T T' minus the sum of M_f M_f'.
    """
    folds, n = request.folds, request.n
    total = np.zeros((n, n), order="F")
    for tile in request.features.tiles(max(request.memory // 4, 1)):
        cells = folds.cells(tile)  # (folds, n, features)
        for start in range(0, cells.shape[2], width := max(256, CACHE // (8 * 8 * len(tile)))):
            block = np.array(cells[:, :, start : start + width], order="C")
            block -= block.mean(axis=(0, 1))  # differences stay, cancellation goes
            total = dsyrk(1.0, block.sum(axis=0).T, beta=1.0, c=total, trans=1, overwrite_c=1)
            for own in block:
                total = dsyrk(-1.0, own.T, beta=1.0, c=total, trans=1, overwrite_c=1)
    kernel = np.triu(total) + np.triu(total, 1).T
    return from_kernel(kernel) / (folds.n_folds * (folds.n_folds - 1))


def cv_euclidean(request: Request) -> Array:
    """Crossnobis without a noise precision: unbiased squared euclidean distance per feature."""
    return crossnobis(request)


def poisson(request: Request) -> Array:
    """Symmetrised Kullback–Leibler divergence of Poisson rates, per feature."""
    mean = request.folds.mean
    kernel = add_up(
        request.features.tiles(request.memory),
        lambda t: _rates(mean(t), request),
        lambda t: np.log(_rates(mean(t), request)),
        request.n,
        request.device,
    )
    return np.maximum(from_kernel(kernel), 0.0) / request.features.n_features


def poisson_cv(request: Request) -> Array:
    """Cross-validated symmetrised Kullback–Leibler divergence of Poisson rates, averaged over all folds.

    rsatoolbox (0.2.0 to 0.3.2) returns the last fold's alone.
    """
    request.folds.require_several()

    def pair(tile: Array) -> tuple[Array, Array]:
        train, test = request.folds.train_test(tile)
        return _beside(_rates(train, request)), _beside(np.log(_rates(test, request)))

    return _crossed(request, pair) / request.features.n_features


METRICS: dict[str, Metric] = {
    "correlation": Metric(correlation, "1 - r"),
    "euclidean": Metric(euclidean, "sqrt(sum (x-y)^2 / p)"),
    "sqeuclidean": Metric(sqeuclidean, "sum (x-y)^2 / p"),
    "cosine": Metric(cosine, "1 - x.y / |x||y|"),
    "mahalanobis": Metric(mahalanobis, "(x-y)' N (x-y) / p", noise="optional"),
    "poisson": Metric(poisson, "sum (x-y)(log x - log y) / p"),
    "cv_euclidean": Metric(cv_euclidean, "mean over folds of (x-y)'(x-y) / p", crossvalidated="yes"),
    "crossnobis": Metric(crossnobis, "mean over folds of (x-y)' N (x-y) / p", crossvalidated="yes", noise="optional"),
    "poisson_cv": Metric(poisson_cv, "mean over folds of (x-y)(log x - log y) / p", crossvalidated="yes"),
}


def _centered(request: Request) -> Callable[[Array], Array]:
    """Take the mean over stimuli out of each feature: differences stay, cancellation goes."""

    def center(tile: Array) -> Array:
        tile = request.folds.mean(tile)
        return tile - tile.mean(axis=0)

    return center


def _columns(weights: Array) -> Callable[[Array], Array]:
    """Multiply tile after tile with the next columns of ``weights``."""
    position = 0

    def weigh(tile: Array) -> Array:
        nonlocal position
        chosen = weights[position : position + tile.shape[1]]
        position += tile.shape[1]
        return tile * chosen

    return weigh


def _crossed(request: Request, pair: Callable[[Array], tuple[Array, Array]]) -> Array:
    pairs = (pair(tile) for tile in request.features.tiles(max(request.memory // (2 * request.folds.n_folds), 1)))
    kernel = add_up(pairs, lambda ab: ab[0], lambda ab: ab[1], request.n, request.device)
    return from_kernel(kernel) / request.folds.n_folds


def _beside(stack: Array) -> Array:
    """(folds, n, features) -> (n, folds * features)."""
    return np.ascontiguousarray(stack.transpose(1, 0, 2).reshape(stack.shape[1], -1))


def _rates(tile: Array, request: Request) -> Array:
    if tile.min() < 0:
        raise DataError(
            f"{request.features.what} holds negative values (lowest {tile.min():.4g}); "
            "poisson dissimilarities are for counts and rates"
        )
    return (tile + PRIOR_RATE * PRIOR_WEIGHT) / (1 + PRIOR_WEIGHT)


def check_precision(precision: Array | None, metric: str, n_features: int) -> Array | None:
    """Check the shape and symmetry of a noise precision; None stays None."""
    if precision is None:
        return None
    if METRICS[metric].noise == "none":
        users = [name for name, m in METRICS.items() if m.noise != "none"]
        raise SpecError(f"metric {metric!r} takes no noise precision; {' and '.join(users)} do")
    p = np.asarray(precision, dtype=np.float64)
    if p.shape not in ((n_features,), (n_features, n_features)):
        raise SpecError(
            f"the noise precision of {n_features} features has shape ({n_features},) for a diagonal or "
            f"({n_features}, {n_features}); got {p.shape}"
        )
    if not np.isfinite(p).all():
        raise DataError("the noise precision holds values that are not finite")
    if p.ndim == 2 and np.abs(p - p.T).max() > 1e-8 * np.abs(p).max():
        raise DataError("the noise precision is not symmetric")
    return p
