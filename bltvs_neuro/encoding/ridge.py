"""Ridge with an alpha per target: pure solvers on a :class:`Spectrum`, no labels, no state.

For one target y about its mean, with ``w = alpha / (s + alpha)``, the residual of the training rows is ``U w U'y`` and
all three ways to choose alpha follow from it without a refit:

- generalised cross-validation: ``n |residual|^2 / (n - trace H)^2``; one product for all alphas and targets at once;
- leave-one-out: ``residual_i / (1 - H_ii)``;
- k-fold: ``(I - H_FF)^-1 residual_F`` for each held-out block F: one decomposition serves every fold.

The last two cost a product per alpha, so they are worked out in a window around the optimum of the first, which grows
until its minimum is inside it.

References
----------
Golub, Heath & Wahba (1979), generalised cross-validation, doi:10.1080/00401706.1979.10489751
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from ..errors import DataError, SpecError, unknown
from .backend import Array, Backend
from .spectrum import Spectrum

By = Literal["gcv", "loo", "kfold"]
Dtype = Literal["float32", "float64"]
OnEdge = Literal["warn", "ignore"]
DEFAULT_BATCH_BYTES = 32 * 2**20
_NUMPY = Backend()


class GridEdgeWarning(UserWarning):
    """The best alpha lies at the edge of the grid, where a wider grid could do better."""


class PrecisionWarning(UserWarning):
    """float32 and float64 disagree."""


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
    discrepancy: float
    """Largest difference from float64 over the targets checked, relative to the output's size; NaN when not checked."""


def fit_ridge(
    spectrum: Spectrum,
    targets: np.ndarray,
    alphas: Sequence[float] | np.ndarray,
    *,
    by: By = "gcv",
    folds: Sequence[np.ndarray] | None = None,
    readouts: Mapping[str, Array] | None = None,
    window: int | None = 1,
    dtype: Dtype = "float32",
    batch_bytes: int = DEFAULT_BATCH_BYTES,
    on_edge: OnEdge = "warn",
    backend: Backend = _NUMPY,
) -> RidgeFit:
    """Fit a ridge with an intercept to every target, each with its own alpha.

    Parameters
    ----------
    spectrum : Spectrum
        Of the training rows' features.
    targets : array of shape (n, t)
    alphas : sequence of positive floats, ascending
        A single alpha is used as it is.
    by : {"gcv", "loo", "kfold"}
        How alpha is chosen, within these rows.
    folds : sequence of arrays of row positions
        Held-out blocks for ``"kfold"``; each row in exactly one. The loss is the mean over blocks of the mean squared
        error of the block. Blocks must respect repeats or runs (see :mod:`bltvs_neuro.encoding.folds`).
    readouts : mapping of name to array of shape (m, r)
        What to return: ``outputs[name] = readout @ (U'y / (s + alpha))``. ``spectrum.vectors`` gives the dual
        coefficients, ``cross @ spectrum.vectors`` predictions for a cross-Gram, ``spectrum.coefficients()`` weights.
    window : int or None
        How many alphas to each side of the GCV optimum are tried first by ``"loo"`` and ``"kfold"``; None tries all.
    dtype : {"float32", "float64"}
        Of the products with targets; the decomposition is always float64. In float32, up to 8 targets are checked
        against float64 and a :class:`PrecisionWarning` says so when they differ by more than 1e-3.
    batch_bytes : int
        Bounds the work space; targets are taken in batches.
    on_edge : {"warn", "ignore"}
        Whether a :class:`GridEdgeWarning` is given.
    backend : Backend

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
    grid = check_alphas(alphas)
    n = spectrum.n_rows
    if by not in get_args(By):
        raise unknown("way to choose alpha", by, get_args(By))
    if targets.ndim != 2 or targets.shape[0] != n:
        raise SpecError(f"targets have shape (rows, targets) with {n} rows; got {targets.shape}")
    t = targets.shape[1]
    vectors = backend.array(spectrum.vectors, dtype)
    named = {
        name: vectors if matrix is spectrum.vectors else backend.array(matrix, dtype)
        for name, matrix in (readouts or {}).items()
    }
    weights, rest = _residual_weights(spectrum, grid)
    held = _Blocks(spectrum, weights, rest, check_blocks(folds, n), backend) if by == "kfold" else None
    leverage = _loo_denominators(spectrum, weights, rest, backend) if by == "loo" else None
    out = {name: np.empty((m.shape[0], t), dtype) for name, m in named.items()}
    position = np.zeros(t, np.intp)
    loss, mean = np.empty(t), np.empty(t)
    for columns in batches(n, t, batch_bytes):
        y = targets[:, columns]
        y = y if y.dtype == np.float32 else y.astype(np.float64)
        middle = y.mean(axis=0, dtype=np.float64)
        if not np.isfinite(middle).all():
            raise DataError(f"{int((~np.isfinite(middle)).sum())} targets are NaN or infinite; leave them out first")
        mean[columns] = middle
        centred = backend.array(y - middle.astype(y.dtype), dtype)
        z = vectors.T @ centred  # (r, b)
        beyond = centred - vectors @ z if spectrum.n_left_out else None
        del centred
        criterion = _gcv(weights, rest, n, z, beyond, backend)
        if by != "gcv" and len(grid) > 1:
            evaluate = (
                _loo(vectors, weights, rest, z, beyond, leverage, backend)
                if held is None
                else _kfold(vectors, weights, rest, z, beyond, held, batch_bytes, backend)
            )
            criterion = _windowed(criterion, evaluate, window)
        best = np.nanargmin(criterion, axis=0)
        position[columns] = best
        loss[columns] = criterion[best, np.arange(len(best))]
        if named:
            z *= backend.array((1 / (spectrum.values + grid[:, None])).T, dtype)[:, backend.index(best)]
            for name, matrix in named.items():
                out[name][:, columns] = backend.numpy(matrix @ z)
    if on_edge == "warn" and len(grid) > 1:
        warn_edges(position, grid, spectrum.values)
    discrepancy = _against_float64(spectrum, targets, grid[position], readouts or {}, out, dtype, backend)
    return RidgeFit(grid[position], position, loss, mean, out, discrepancy)


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


def _residual_weights(spectrum: Spectrum, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``alpha / (s + alpha)`` and the weight of what lies beyond the features, both over ``trace(I - H)``.

    All three criteria are ratios in these, so the scale is free; this one keeps float32 from underflowing.
    """
    w = grid[:, None] / (spectrum.values + grid[:, None])
    total = w.sum(axis=1) + spectrum.n_left_out
    return w / total[:, None], 1 / total


def _gcv(weights: np.ndarray, rest: np.ndarray, n: int, z: Array, beyond: Array | None, backend: Backend) -> np.ndarray:
    rss = backend.numpy(backend.array(weights**2, _dtype(z)) @ (z * z)).astype(np.float64)  # (a, b)
    if beyond is not None:
        rss += rest[:, None] ** 2 * backend.numpy((beyond * beyond).sum(axis=0))
    return n * rss


def _dtype(array: Array) -> str:
    return str(array.dtype).split(".")[-1]


Evaluate = Callable[[int, np.ndarray], np.ndarray]


def _residual(
    vectors: Array, w: np.ndarray, rest: float, z: Array, beyond: Array | None, columns: np.ndarray, b: Backend
) -> Array:
    """Residuals of the training rows for some targets, over ``trace(I - H)``."""
    if len(columns) < z.shape[1]:
        index = b.index(columns)
        z = z[:, index]
        beyond = None if beyond is None else beyond[:, index]
    scale = b.array(w, _dtype(z))
    out = vectors @ (scale[:, None] * z)
    return out if beyond is None else out + rest * beyond


def _loo_denominators(spectrum: Spectrum, weights: np.ndarray, rest: np.ndarray, backend: Backend) -> np.ndarray:
    """``1 - H_ii`` of every row (columns) and alpha (rows), over ``trace(I - H)``."""
    w = backend.array(weights.T, "float64")
    diagonal, squares = [], []
    for at in range(0, spectrum.n_rows, 256):
        square = spectrum.vectors[at : at + 256] ** 2
        diagonal.append(backend.numpy(square @ w))
        squares.append(backend.numpy(square.sum(axis=1)))
    inside = np.concatenate(diagonal).T  # (a, n)
    if not spectrum.n_left_out:
        return inside
    return inside + rest[:, None] * (1 - 1 / spectrum.n_rows - np.concatenate(squares))


def _loo(
    vectors: Array,
    weights: np.ndarray,
    rest: np.ndarray,
    z: Array,
    beyond: Array | None,
    leverage: np.ndarray | None,
    backend: Backend,
) -> Evaluate:
    assert leverage is not None

    def evaluate(i: int, columns: np.ndarray) -> np.ndarray:
        residual = _residual(vectors, weights[i], rest[i], z, beyond, columns, backend)
        residual /= backend.array(leverage[i], _dtype(z))[:, None]
        residual *= residual
        return backend.numpy(residual.mean(axis=0))

    return evaluate


class _Blocks:
    """``(I - H_FF)^-1`` of the held-out blocks for an alpha, kept between batches while they fit a budget."""

    def __init__(
        self, spectrum: Spectrum, weights: np.ndarray, rest: np.ndarray, blocks: Sequence[np.ndarray], backend: Backend
    ) -> None:
        self.vectors, self.n, self.left_out = spectrum.vectors, spectrum.n_rows, spectrum.n_left_out
        self.weights, self.rest, self.backend = weights, rest, backend
        self.indices = [backend.index(block) for block in blocks]
        self.kept: dict[int, list[Array]] = {}

    def inverses(self, i: int, dtype: str, budget: int) -> list[Array]:
        """One inverse per block for the i-th alpha; inverted in float64, where accuracy is needed."""
        if i in self.kept:
            return self.kept[i]
        scale = self.backend.array(self.weights[i] - (self.rest[i] if self.left_out else 0), "float64")
        out = []
        for index in self.indices:
            rows = self.vectors[index]
            inside = (rows * scale) @ rows.T  # I - H of the block, over trace(I - H)
            if self.left_out:
                inside -= self.rest[i] / self.n
                inside += self.rest[i] * self.backend.array(np.eye(len(index)), "float64")
            out.append(self.backend.array(self.backend.xp.linalg.inv(inside), dtype))
        size = sum(int(m.shape[0]) ** 2 for m in out) * (4 if dtype == "float32" else 8)
        if (len(self.kept) + 1) * size <= budget:
            self.kept[i] = out
        return out


def _kfold(
    vectors: Array,
    weights: np.ndarray,
    rest: np.ndarray,
    z: Array,
    beyond: Array | None,
    held: _Blocks,
    budget: int,
    backend: Backend,
) -> Evaluate:
    def evaluate(i: int, columns: np.ndarray) -> np.ndarray:
        residual = _residual(vectors, weights[i], rest[i], z, beyond, columns, backend)
        total = np.zeros(len(columns))
        for index, inverse in zip(held.indices, held.inverses(i, _dtype(z), budget), strict=True):
            held_out = inverse @ residual[index]
            held_out *= held_out
            total += backend.numpy(held_out.mean(axis=0))
        return total / len(held.indices)

    return evaluate


def _windowed(first: np.ndarray, evaluate: Evaluate, window: int | None) -> np.ndarray:
    """Losses (a, b) around the minima of ``first``, NaN where not needed; the lowest has both neighbours."""
    a = len(first)
    steps = np.arange(a)[:, None]
    loss = np.full(first.shape, np.nan)
    # every local minimum of the first criterion is a start: near p = n the curve can have two
    around = np.pad(first, ((1, 1), (0, 0)), constant_values=np.inf)
    starts = (first < around[:-2]) & (first <= around[2:])
    wanted = np.zeros(first.shape, bool)
    for shift in range(-a if window is None else -window, (a if window is None else window) + 1):
        low, high = max(0, shift), min(a, a + shift)
        wanted[low:high] |= starts[low - shift : high - shift]
    while wanted.any():
        for i in np.flatnonzero(wanted.any(axis=1)):
            columns = np.flatnonzero(wanted[i])
            loss[i, columns] = evaluate(int(i), columns)
        wanted = (abs(steps - np.nanargmin(loss, axis=0)) <= 1) & np.isnan(loss)
    return loss


def warn_edges(position: np.ndarray, grid: np.ndarray, values: np.ndarray) -> None:
    """Warn where an edge binds: where nothing is kept, or nothing shrunk, a wider grid changes nothing."""
    at_low, at_high = int((position == 0).sum()), int((position == len(grid) - 1).sum())
    reached = values[values > 1e-12 * values.max(initial=0.0)]
    low_binds = at_low > 0 and (reached / (reached + grid[0])).min(initial=1.0) < 0.999
    high_binds = at_high > 0 and (reached / (reached + grid[-1])).sum() > 0.05
    if not (low_binds or high_binds):
        return
    parts = [
        text
        for binds, text in (
            (low_binds, f"{at_low} of {len(position)} targets chose the smallest alpha ({grid[0]:.3g})"),
            (high_binds, f"{at_high} of {len(position)} targets chose the largest alpha ({grid[-1]:.3g})"),
        )
        if binds
    ]
    warnings.warn(
        f"{' and '.join(parts)}: widen the grid of alphas, or pass on_edge='ignore' when that is meant",
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
    z = backend.numpy(spectrum.vectors.T @ backend.array(y - y.mean(axis=0), "float64"))
    z /= spectrum.values[:, None] + alpha[some]
    worst = 0.0
    for name, matrix in readouts.items():
        exact = backend.numpy(backend.array(matrix, "float64") @ backend.array(z, "float64"))
        size = np.abs(exact).max(initial=np.finfo(np.float32).tiny)
        worst = max(worst, float(np.abs(exact - out[name][:, some]).max(initial=0.0) / size))
    if worst > 1e-3:
        warnings.warn(
            f"float32 differs from float64 by {worst:.1e} of the largest value over {len(some)} targets checked: use"
            " dtype='float64', or larger alphas",
            PrecisionWarning,
            stacklevel=3,
        )
    return worst
