"""Ridge with an alpha per target: pure solvers on a :class:`Spectrum`, no labels, no state.

One eigendecomposition gives the criterion at every alpha (:mod:`bltvs_neuro.encoding.solvers.criteria`) and then the fit
at the best.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

import numpy as np

from ...errors import DataError, SpecError, argument, counted, unknown
from ...options import Dtype
from .backend import Array, Backend
from .criteria import HeldOut, Residuals, gcv, kfold, loo, loo_denominators, residual_weights, windowed
from .spectrum import Spectrum

By = Literal["gcv", "loo", "kfold"]
OnEdge = Literal["warn", "ignore"]
DEFAULT_BATCH_BYTES = 32 * 2**20


class GridEdgeWarning(UserWarning):
    """The best alpha lies at the edge of the grid, where a wider grid could do better."""


class PrecisionWarning(UserWarning):
    """float32 and float64 disagree."""


class Edges(NamedTuple):
    """How many targets chose the smallest and the largest alpha, where that binds."""

    low: int
    high: int


class RidgeFit(NamedTuple):
    """Ridges of many targets."""

    alpha: np.ndarray
    """(t,) the chosen alpha of each target."""
    position: np.ndarray
    """(t,) its position in the grid."""
    loss: np.ndarray
    """(t,) the criterion there: an estimate of the squared error of a new row."""
    mean: np.ndarray
    """(t,) mean of the training rows; add it to what the readouts give to predict."""
    outputs: dict[str, np.ndarray]
    """One (m, t) array per readout."""
    edges: Edges
    """How many targets chose an edge of the grid that binds."""
    discrepancy: float
    """Largest difference from float64 over the targets checked, relative to the output's size; NaN when not checked."""


@dataclass(frozen=True)
class RidgeSearch:
    """How the penalties of many targets are searched, and in which arithmetic.

    Attributes
    ----------
    by : {"gcv", "loo", "kfold"}
        How alpha is chosen, within the rows of the fit. For rows that repeat a stimulus use ``"kfold"`` with blocks that
        keep them together: GCV and leave-one-out take rows as independent.
    folds : sequence of arrays of row positions
        Held-out blocks for ``"kfold"``; each row in exactly one. The loss is the mean over blocks of the mean squared
        error of the block. Blocks must respect repeats or runs (see :mod:`bltvs_neuro.features.folds`).
    window : int or None
        How many alphas to each side of the GCV optimum are tried first by ``"loo"`` and ``"kfold"``; None tries all.
    on_edge : {"warn", "ignore"}
        Whether a :class:`GridEdgeWarning` is given.
    dtype : {"float32", "float64"}
        Of the products with targets; that of the decomposition is the spectrum's. In float32, up to 8 targets are checked
        against float64 and a :class:`PrecisionWarning` says so when they differ by more than 1e-3; not where the spectrum
        itself is float32.
    batch_bytes : int
        Bounds the work space; targets are taken in batches.
    backend : Backend
    """

    by: By = "gcv"
    folds: Sequence[np.ndarray] | None = None
    window: int | None = 1
    on_edge: OnEdge = "warn"
    dtype: Dtype = "float32"
    batch_bytes: int = DEFAULT_BATCH_BYTES
    backend: Backend = field(default_factory=Backend)

    def __post_init__(self) -> None:
        if self.by not in get_args(By):
            raise unknown("way to choose alpha", self.by, get_args(By))


def fit_ridge(
    spectrum: Spectrum,
    targets: np.ndarray,
    alphas: Sequence[float] | np.ndarray,
    search: RidgeSearch = RidgeSearch(),
    *,
    readouts: Mapping[str, Array] | None = None,
    mean: np.ndarray | None = None,
) -> RidgeFit:
    """Fit a ridge with an intercept to every target, each with its own alpha.

    Parameters
    ----------
    spectrum : Spectrum
        Of the training rows' features.
    targets : array of shape (n, t)
    alphas : sequence of positive floats, ascending
        A single alpha is used as it is; its loss is still that of ``search.by``.
    search : RidgeSearch
    readouts : mapping of name to array of shape (m, r)
        What to return: ``outputs[name] = readout @ (U'y / (s + alpha))``. ``spectrum.vectors`` gives the dual
        coefficients, ``cross @ spectrum.vectors`` predictions for a cross-Gram, ``spectrum.coefficients()`` weights.
    mean : array of shape (t,), optional
        What was taken off ``targets`` when they are about their mean already; fits that share targets share that work.

    Returns
    -------
    RidgeFit

    Raises
    ------
    SpecError
        An argument does not fit.
    DataError
        A target is NaN or infinite.
    """
    grid, backend, dtype, by = check_alphas(alphas), search.backend, search.dtype, search.by
    n = spectrum.n_rows
    if targets.ndim != 2 or targets.shape[0] != n:
        raise SpecError(f"targets have shape (rows, targets) with {n} rows; got {targets.shape}")
    t = targets.shape[1]
    vectors = backend.array(spectrum.vectors, dtype)
    named = {
        name: vectors if matrix is spectrum.vectors else backend.array(matrix, dtype)
        for name, matrix in (readouts or {}).items()
    }
    weights, rest = residual_weights(spectrum, grid)
    held = HeldOut(spectrum, weights, rest, check_blocks(search.folds, n), backend) if by == "kfold" else None
    denominators = loo_denominators(spectrum, weights, rest, backend) if by == "loo" else None
    out = {name: np.empty((m.shape[0], t), dtype) for name, m in named.items()}
    position = np.zeros(t, np.intp)
    loss, middle = np.empty(t), np.empty(t) if mean is None else np.asarray(mean, np.float64)
    table = backend.array(1 / (spectrum.values + grid[:, None]), dtype)  # (a, r)
    for columns in batches(n, t, search.batch_bytes):
        centred = targets[:, columns]
        if mean is None:
            centred, middle[columns] = about_mean(centred)
        centred = backend.array(centred, dtype)
        z = (centred.T @ vectors).T  # (r, b); a target's items lie together: alphas are then picked row by row
        beyond = centred - vectors @ z if spectrum.n_left_out else None
        del centred
        batch = Residuals(vectors, weights, rest, z, beyond, backend)
        criterion = gcv(batch)
        if held is not None:
            criterion = windowed(criterion, kfold(batch, held, search.batch_bytes), search.window)
        elif denominators is not None:
            criterion = windowed(criterion, loo(batch, denominators), search.window)
        best = criterion.argmin(axis=0) if by == "gcv" else np.nanargmin(criterion, axis=0)
        position[columns] = best
        loss[columns] = criterion[best, np.arange(len(best))]
        if named:
            for some in backend.pieces(len(best)):
                z[:, some] *= table[backend.index(best[some])].T
            for name, matrix in named.items():
                out[name][:, columns] = backend.numpy(matrix @ z)
    edges = count_edges(position, grid, spectrum.values)
    if search.on_edge == "warn":
        warn_edges(edges, f"{t} targets", f"alpha ({grid[0]:.3g})", f"alpha ({grid[-1]:.3g})")
    # eigenvectors in float32 are the caller's to check, against the Gram
    checked = {} if "float32" in str(spectrum.vectors.dtype) else dict(readouts or {})
    discrepancy = _against_float64(spectrum, targets, grid[position], checked, out, dtype, backend)
    return RidgeFit(grid[position], position, loss, middle, out, edges, discrepancy)


def about_mean(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Targets (n, t) about their mean, and the mean (t,) in float64; a DataError where a target is NaN or infinite."""
    y = targets if targets.dtype == np.float32 else targets.astype(np.float64)
    mean = y.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise DataError(
            f"{counted(int((~np.isfinite(mean)).sum()), 'targets', 'are')} NaN or infinite; leave them out first"
        )
    return y - mean.astype(y.dtype), mean


def check_alphas(alphas: Sequence[float] | np.ndarray) -> np.ndarray:
    """The grid as float64; positive, finite and ascending, or a SpecError."""
    grid = np.atleast_1d(np.asarray(alphas, dtype=np.float64))
    if (
        grid.ndim != 1
        or not len(grid)
        or not np.isfinite(grid).all()
        or (grid <= 0).any()
        or (np.diff(grid) <= 0).any()
    ):
        raise SpecError(f"alphas are positive, finite and ascending; got {alphas!r}")
    return grid


def check_blocks(folds: Sequence[np.ndarray] | None, n: int) -> list[np.ndarray]:
    """Held-out blocks that cover n rows once, or a SpecError."""
    blocks = [np.asarray(block) for block in folds or ()]
    if len(blocks) < 2 or not np.array_equal(np.sort(np.concatenate(blocks)), np.arange(n)):
        raise SpecError(f"k-fold needs 2 or more held-out blocks with each of the {n} rows in exactly one of them")
    return blocks


def batches(n: int, t: int, batch_bytes: int) -> list[slice]:
    """Cut t targets of n rows so that about six arrays of a batch fit ``batch_bytes`` (or half a Gram, if larger)."""
    size = max(1, int(batch_bytes) // (24 * n), n // 2)
    return [slice(at, min(at + size, t)) for at in range(0, t, size)]


def count_edges(position: np.ndarray, grid: np.ndarray, values: np.ndarray) -> Edges:
    """Count targets at an edge that binds: where nothing is kept, or nothing shrunk, a wider grid changes nothing.

    Parameters
    ----------
    position : array of shape (t,)
        Of the chosen alphas in the grid.
    grid : array of alphas
    values : array
        Eigenvalues of the features.
    """
    if len(grid) < 2:
        return Edges(0, 0)
    reached = values[values > 1e-12 * values.max(initial=0.0)]
    low_binds = (reached / (reached + grid[0])).min(initial=1.0) < 0.999
    high_binds = (reached / (reached + grid[-1])).sum() > 0.05
    return Edges(
        int((position == 0).sum()) if low_binds else 0, int((position == len(grid) - 1).sum()) if high_binds else 0
    )


def warn_edges(edges: Edges, total: str, low: str, high: str) -> None:
    """Give a :class:`GridEdgeWarning` with the numbers where an edge was chosen; ``low`` and ``high`` name the edges."""
    parts = [
        f"{count} of {total} chose the {which}"
        for count, which in ((edges.low, f"smallest {low}"), (edges.high, f"largest {high}"))
        if count
    ]
    if parts:
        quiet = argument("on_edge", "ignore", otherwise="")
        quiet = quiet and f", or pass {quiet} when that is meant"
        warnings.warn(
            f"{' and '.join(parts)}: widen the grid of {argument('alphas')}{quiet}",
            GridEdgeWarning,
            stacklevel=3,
        )


def _against_float64(
    spectrum: Spectrum,
    targets: np.ndarray,
    alpha: np.ndarray,
    readouts: Mapping[str, Array],
    out: Mapping[str, np.ndarray],
    dtype: str,
    backend: Backend,
) -> float:
    if dtype == "float64" or not readouts or not targets.shape[1]:
        return float("nan")
    some = np.unique(np.linspace(0, targets.shape[1] - 1, 8).astype(int))
    y = targets[:, some].astype(np.float64)
    z = backend.numpy(backend.array(spectrum.vectors, "float64").T @ backend.array(y - y.mean(axis=0), "float64"))
    z /= spectrum.values[:, None] + alpha[some]
    worst = 0.0
    for name, matrix in readouts.items():
        exact = backend.numpy(backend.array(matrix, "float64") @ backend.array(z, "float64"))
        size = np.abs(exact).max(initial=np.finfo(np.float32).tiny)
        worst = max(worst, float(np.abs(exact - out[name][:, some]).max(initial=0.0) / size))
    if worst > 1e-3:
        warnings.warn(
            f"float32 differs from float64 by {worst:.1e} of the largest value over {counted(len(some), 'targets')} checked: use"
            f" {argument('dtype', 'float64')}, or larger alphas",
            PrecisionWarning,
            stacklevel=3,
        )
    return worst
