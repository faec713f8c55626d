"""How well each alpha would do, from one decomposition: three criteria without a refit.

For one target y about its mean, with ``w = alpha / (s + alpha)``, the residual of the training rows is ``U w U'y``:

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

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from .backend import Array, Backend
from .spectrum import Spectrum

Evaluate = Callable[[int, np.ndarray], np.ndarray]
"""Loss of some targets (columns) at the i-th alpha."""


def residual_weights(spectrum: Spectrum, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``alpha / (s + alpha)`` and the weight of what lies beyond the features, both over ``trace(I - H)``.

    All three criteria are ratios in these, so the scale is free; this one keeps float32 from underflowing.
    """
    w = grid[:, None] / (spectrum.values + grid[:, None])
    total = w.sum(axis=1) + spectrum.n_left_out
    return w / total[:, None], 1 / total


class Residuals(NamedTuple):
    """A batch of targets as the criteria need it; residuals are over ``trace(I - H)``."""

    vectors: Array
    """(n, r)"""
    weights: np.ndarray
    """(a, r)"""
    rest: np.ndarray
    """(a,)"""
    z: Array
    """(r, b): ``U'(y - mean)``"""
    beyond: Array | None
    """(n, b): what of the targets no feature reaches; None when there is no such room."""
    backend: Backend

    @property
    def dtype(self) -> str:
        """Name of the type of the products."""
        return str(self.z.dtype).split(".")[-1]

    def at(self, i: int, columns: np.ndarray) -> Array:
        """Residuals (n, columns) of the training rows at the i-th alpha."""
        z, beyond = self.z, self.beyond
        if len(columns) < z.shape[1]:
            index = self.backend.index(columns)
            z = z[:, index]
            beyond = None if beyond is None else beyond[:, index]
        out = self.vectors @ (self.backend.array(self.weights[i], self.dtype)[:, None] * z)
        return out if beyond is None else out + self.rest[i] * beyond


def gcv(batch: Residuals) -> np.ndarray:
    """Generalised cross-validation at every alpha, (a, b)."""
    backend, z = batch.backend, batch.z
    squares = backend.array(batch.weights.T**2, batch.dtype)  # (r, a)
    rss = np.empty((len(batch.weights), z.shape[1]))
    for some in backend.pieces(z.shape[1]):
        part = z[:, some].T  # (some, r), as z lies in memory
        rss[:, some] = backend.numpy((part * part) @ squares).T
    if batch.beyond is not None:
        rss += batch.rest[:, None] ** 2 * backend.numpy((batch.beyond * batch.beyond).sum(axis=0))
    return len(batch.vectors) * rss


def loo(batch: Residuals, denominators: np.ndarray) -> Evaluate:
    """Leave-one-out; ``denominators`` as :func:`loo_denominators` gives them."""

    def evaluate(i: int, columns: np.ndarray) -> np.ndarray:
        residual = batch.at(i, columns)
        residual /= batch.backend.array(denominators[i], batch.dtype)[:, None]
        residual *= residual
        return batch.backend.numpy(residual.mean(axis=0))

    return evaluate


def loo_denominators(spectrum: Spectrum, weights: np.ndarray, rest: np.ndarray, backend: Backend) -> np.ndarray:
    """``1 - H_ii`` over ``trace(I - H)``, (a, n)."""
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


def kfold(batch: Residuals, held: HeldOut, budget: int) -> Evaluate:
    """K-fold: the mean over held-out blocks of the mean squared error of the block."""

    def evaluate(i: int, columns: np.ndarray) -> np.ndarray:
        residual = batch.at(i, columns)
        total = np.zeros(len(columns))
        for index, inverse in zip(held.indices, held.inverses(i, batch.dtype, budget), strict=True):
            held_out = inverse @ residual[index]
            held_out *= held_out
            total += batch.backend.numpy(held_out.mean(axis=0))
        return total / len(held.indices)

    return evaluate


class HeldOut:
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


def windowed(first: np.ndarray, evaluate: Evaluate, window: int | None) -> np.ndarray:
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
