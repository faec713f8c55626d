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


def make_store(n: int = 80, *, p: int = 120, n_steps: int = 3, seed: int = 0) -> dict[str, xr.DataArray]:
    """What a store gives: V1 and V4, bu and td, with correlated timesteps; LGN/bu is constant, V4 starts at step 1."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"s{i:03d}" for i in range(n)])
    acts = {}
    for area, stream, first in (("LGN", "bu", 0), ("V1", "bu", 0), ("V1", "td", 0), ("V4", "bu", 1), ("V4", "td", 1)):
        steps = list(range(first, n_steps))
        # a few strong dimensions, as activations have
        mixing = rng.standard_normal((10, p))
        values = rng.standard_normal((n, len(steps), 10)) @ mixing + 0.3 * rng.standard_normal((n, len(steps), p))
        values = values.reshape(n, len(steps), p // 4, 2, 2).astype(np.float32)
        for i in range(1, len(steps)):  # neighbours in time share half of their variance
            values[:, i] = np.sqrt(0.5) * (values[:, i] + values[:, i - 1])
        if area == "LGN":
            values[:] = 0.3
        status = np.full(len(steps), "constant" if area == "LGN" else "active")
        coords = {"stimulus_id": ("stimulus", ids), "timestep": steps, "status": ("timestep", status)}
        acts[f"{area}/{stream}"] = xr.DataArray(
            values, dims=("stimulus", "timestep", "channel", "y", "x"), coords=coords
        )
    return acts


def simulate_responses(
    acts: dict[str, xr.DataArray],
    sources: list[tuple[str, int] | None],
    *,
    r2: float = 0.6,
    per_source: int = 20,
    repetitions: int = 1,
    rank: int = 6,
    seed: int = 1,
) -> xr.DataArray:
    """Voxels that follow a few dimensions of known sites and timesteps (None: nothing) with a known single-trial R2."""
    from bltvs_neuro.neural.labelled import make_responses

    rng = np.random.default_rng(seed)
    first = next(iter(acts.values()))
    n, columns, names = first.sizes["stimulus"], [], []
    for source in sources:
        if source is None:
            signal = np.zeros((n, per_source))
        else:
            x = acts[source[0]].sel(timestep=source[1]).values.reshape(n, -1).astype(np.float64)
            few = x @ rng.standard_normal((x.shape[1], rank))  # a low rank can be learned from few stimuli
            signal = few @ rng.standard_normal((rank, per_source))
            signal *= np.sqrt(r2) / signal.std(axis=0)
        columns.append(signal)
        names += ["none" if source is None else f"{source[0]}@{source[1]}"] * per_source
    signal = np.concatenate(columns, axis=1)
    ids = np.tile(first["stimulus_id"].values, repetitions)
    noise = np.sqrt(1 - r2) * rng.standard_normal((len(ids), signal.shape[1]))
    values = np.tile(signal, (repetitions, 1)) + noise
    order = rng.permutation(len(ids))  # never in the store's order
    return make_responses(
        values[order].astype(np.float32),
        ids[order],
        neuroid_coords={"voxel": np.arange(len(names)), "source": np.array(names), "subject": "simulated"},
        run=(order % 4),
    )
