"""Slow and plain versions of what the package does fast: closed forms, explicit refits, explicit loops."""

from __future__ import annotations

import numpy as np
import xarray as xr


def ridge_refit(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, alpha: float) -> np.ndarray:
    """Predictions of one ridge with an intercept, by the normal equations."""
    mean, middle = x.mean(axis=0), y.mean(axis=0)
    gram = (x - mean).T @ (x - mean) + alpha * np.eye(x.shape[1])
    return (x_test - mean) @ np.linalg.solve(gram, (x - mean).T @ (y - middle)) + middle


def hat_matrix(x: np.ndarray, alpha: float) -> np.ndarray:
    """The matrix that gives fitted values from targets, intercept included."""
    return ridge_refit(x, np.eye(len(x)), x, alpha)


def gcv_loss(x: np.ndarray, y: np.ndarray, alpha: float) -> np.ndarray:
    """Generalised cross-validation of each target, from the hat matrix."""
    n, h = len(x), hat_matrix(x, alpha)
    return n * ((y - h @ y) ** 2).sum(axis=0) / (n - np.trace(h)) ** 2


def kfold_loss(x: np.ndarray, y: np.ndarray, alpha: float, blocks: list[np.ndarray]) -> np.ndarray:
    """Mean over held-out blocks of the mean squared error, by refitting without each block."""
    losses = []
    for block in blocks:
        rest = np.setdiff1d(np.arange(len(x)), block)
        losses.append(((y[block] - ridge_refit(x[rest], y[rest], x[block], alpha)) ** 2).mean(axis=0))
    return np.mean(losses, axis=0)


def make_features(values: np.ndarray, stimulus_ids: list[str] | None = None) -> xr.DataArray:
    """Features of one site and timestep as a store gives them: dims (stimulus, *unit dims)."""
    units = {2: ("unit",), 4: ("channel", "y", "x")}[values.ndim]
    ids = stimulus_ids or [f"s{i:04d}" for i in range(len(values))]
    return xr.DataArray(values, dims=("stimulus", *units), coords={"stimulus_id": ("stimulus", np.array(ids))})


def simulate_regression(
    n: int, p: int, t: int, *, noise: float = 1.0, seed: int = 0, shift: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, targets (signal variance about 1, noise variance ``noise``) and the features of 15 new rows."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n + 15, p)) + shift
    y = (x[:n] - shift) @ rng.standard_normal((p, t)) / np.sqrt(p) + np.sqrt(noise) * rng.standard_normal((n, t))
    return x[:n], y + shift, x[n:]
