"""Speed and memory of the encoding solvers as CPU-time ratios within one process; not collected by pytest.

Run ``OMP_NUM_THREADS=1 python -m tests.encoding.bench_ridge`` for the reduced case, with ``--full`` for the named case.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold

from bltvs_neuro.encoding.fit import fit_encoding
from bltvs_neuro.encoding.folds import group_folds
from bltvs_neuro.encoding.gram import centre_cross, centre_train, gram
from bltvs_neuro.encoding.ridge import fit_ridge
from bltvs_neuro.encoding.score import r2
from bltvs_neuro.encoding.spectrum import gram_spectrum
from bltvs_neuro.neural.labelled import make_responses


class Case(NamedTuple):
    """Simulated features and targets."""

    train: np.ndarray
    test: np.ndarray
    targets: np.ndarray
    alphas: np.ndarray


def make_case(n: int, p: int, t: int, *, n_test: int = 100, n_alphas: int = 20, seed: int = 0) -> Case:
    """Float32 features with a decaying spectrum, and targets made from them plus noise."""
    rng = np.random.default_rng(seed)
    decay = (np.arange(1, p + 1) ** -0.5).astype(np.float32)
    x = rng.standard_normal((n + n_test, p), dtype=np.float32) * decay
    y = x[:n] @ rng.standard_normal((p, t), dtype=np.float32)
    y += y.std(axis=0) * rng.standard_normal((n, t), dtype=np.float32)
    return Case(x[:n], x[n:], y, np.logspace(-3, 4, n_alphas))


def own(case: Case, by: str, splits: list[np.ndarray] | None = None) -> np.ndarray:
    """Predictions of ours: Gram of all rows, one decomposition, alpha per target."""
    n = len(case.train)
    train, test = np.arange(n), np.arange(n, n + len(case.test))
    k = gram(np.concatenate([case.train, case.test]))
    spectrum = gram_spectrum(centre_train(k, train))
    cross = centre_cross(k, test, train)
    fit = fit_ridge(
        spectrum,
        case.targets,
        case.alphas,
        by=by,  # type: ignore[arg-type]
        folds=splits,
        readouts={"prediction": cross @ spectrum.vectors, "dual": spectrum.vectors},
        on_edge="ignore",
    )
    return fit.outputs["prediction"] + fit.mean


def with_sklearn(case: Case) -> np.ndarray:
    """Predictions of scikit-learn's RidgeCV: leave-one-out, an alpha per target."""
    return RidgeCV(case.alphas, alpha_per_target=True).fit(case.train, case.targets).predict(case.test)


def with_himalaya(case: Case, kind: str) -> np.ndarray:
    """Predictions of himalaya's KernelRidgeCV or RidgeCV: 5-fold, an alpha per target."""
    from himalaya.kernel_ridge import KernelRidgeCV
    from himalaya.ridge import RidgeCV as HimalayaRidgeCV

    options: dict[str, Any] = {"alphas": case.alphas, "cv": KFold(5), "fit_intercept": True}
    model: Any = KernelRidgeCV(**options, warn=False) if kind == "kernel" else HimalayaRidgeCV(**options)
    mean = case.train.mean(axis=0)
    return np.asarray(model.fit(case.train - mean, case.targets).predict(case.test - mean))


def cpu_seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    """CPU time of one call, and what it returned."""
    start = time.process_time()
    value = function()
    return time.process_time() - start, value


def correlate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson r of each column."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    return (a * b).sum(axis=0) / np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))


def compare_solvers(
    n: int = 400, p: int = 1500, t: int = 1500, *, kinds: tuple[str, ...] = ("kernel",)
) -> dict[str, float]:
    """CPU-seconds of every solver, ratios, and the largest difference of predictions from the library's.

    The reduced case takes about a second; ``(1000, 5000, 5000)`` with ``kinds=("kernel", "primal")`` is the named case.
    """
    case = make_case(n, p, t)
    own(make_case(60, 100, 50), "gcv")  # warm up BLAS and imports
    splits = [test for _, test in KFold(5).split(case.train)]
    out: dict[str, float] = {}
    predictions = {}
    for by in ("gcv", "loo", "kfold"):
        out[f"own {by}"], predictions[by] = cpu_seconds(lambda by=by: own(case, by, splits))  # type: ignore[misc]
    out["scikit-learn RidgeCV"], by_sklearn = cpu_seconds(lambda: with_sklearn(case))
    for kind in kinds:
        out[f"himalaya {kind}"], by_himalaya = cpu_seconds(lambda kind=kind: with_himalaya(case, kind))  # type: ignore[misc]
    best = min(value for key, value in out.items() if key.startswith("himalaya"))
    for by in ("gcv", "loo", "kfold"):
        out[f"ratio sklearn / {by}"] = out["scikit-learn RidgeCV"] / out[f"own {by}"]
        out[f"ratio himalaya / {by}"] = best / out[f"own {by}"]
    scale = float(np.std(by_sklearn))
    out["difference loo sklearn"] = float(np.median(np.abs(predictions["loo"] - by_sklearn).max(axis=0)) / scale)
    out["difference kfold himalaya"] = float(np.median(np.abs(predictions["kfold"] - by_himalaya).max(axis=0)) / scale)
    truth = case.targets[: len(case.test)]  # any fixed targets serve to compare scores
    r = {key: correlate(value, truth) for key, value in {**predictions, "s": by_sklearn, "h": by_himalaya}.items()}
    out["score difference loo sklearn"] = float(np.quantile(np.abs(r["loo"] - r["s"]), 0.99))
    out["score difference kfold himalaya"] = float(np.quantile(np.abs(r["kfold"] - r["h"]), 0.99))
    return out


def compare_sweep(n: int = 300, p: int = 1200, t: int = 1500, n_spaces: int = 3) -> dict[str, float]:
    """CPU-seconds of a sweep, nested 5 x 5 with 20 alphas: ours against a loop over himalaya's KernelRidgeCV.

    The named case is 60 spaces; both sides are linear in their number.
    """
    from himalaya.kernel_ridge import KernelRidgeCV

    case = make_case(n, p, t, n_test=0)
    rng = np.random.default_rng(1)
    spaces = [case.train] + [rng.standard_normal((n, p), dtype=np.float32) for _ in range(n_spaces - 1)]
    ids = np.array([f"s{i}" for i in range(n)])
    acts = {
        f"A{i}/bu": xr.DataArray(
            x[:, None],
            dims=("stimulus", "timestep", "unit"),
            coords={"stimulus_id": ("stimulus", ids), "timestep": [0]},
        )
        for i, x in enumerate(spaces)
    }
    responses = make_responses(case.targets, ids, neuroid_coords={"voxel": np.arange(t)})
    folds = group_folds(ids, 5, seed=0)

    def loop() -> np.ndarray:
        scores = []
        for x in spaces:
            per_fold = []
            for fold in folds:
                mean = x[fold.train].mean(axis=0)
                model = KernelRidgeCV(alphas=case.alphas, cv=KFold(5), fit_intercept=True, warn=False)
                model.fit(x[fold.train] - mean, case.targets[fold.train])
                per_fold.append(r2(case.targets[fold.test], np.asarray(model.predict(x[fold.test] - mean))))
            scores.append(np.mean(per_fold, axis=0))
        return np.array(scores)

    out: dict[str, float] = {}
    fits = {}
    for by in ("gcv", "kfold"):
        out[f"own sweep {by}"], fits[by] = cpu_seconds(
            lambda by=by: fit_encoding(acts, responses, by=by, alphas=case.alphas, on_edge="ignore")  # type: ignore[misc]
        )
    out["himalaya loop"], theirs = cpu_seconds(loop)
    for by in ("gcv", "kfold"):
        out[f"ratio sweep {by}"] = out["himalaya loop"] / out[f"own sweep {by}"]
        out[f"mean r2 {by}"] = float(fits[by]["r2"].values[0].mean())
    out["mean r2 himalaya"] = float(theirs[0].mean())
    return out


def peak_memory(n: int = 1000, p: int = 5000, t: int = 5000, by: str = "kfold") -> dict[str, float]:
    """Peak memory of ours, inputs counted, over the size of the inputs (Linux only: the kernel's high-water mark)."""
    case = make_case(n, p, t)
    splits = [test for _, test in KFold(5).split(case.train)]
    own(make_case(60, 100, 50), by, [test for _, test in KFold(5).split(np.zeros((60, 1)))])
    inputs = case.train.nbytes + case.targets.nbytes
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    own(case, by, splits)
    return {"inputs MiB": inputs / 2**20, f"peak / inputs {by}": 1 + (_status("VmHWM") - before) / inputs}


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def main(arguments: list[str] | None = None) -> None:
    """Print the figures of one case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    full = parser.parse_args(arguments).full
    warnings.simplefilter("ignore")
    figures = compare_solvers(1000, 5000, 5000, kinds=("kernel", "primal")) if full else compare_solvers()
    figures |= compare_sweep(1000, 5000, 5000, 1) if full else compare_sweep()
    for by in ("gcv", "loo", "kfold") if full else ():
        figures |= peak_memory(by=by)
    for key, value in figures.items():
        sys.stdout.write(f"{key:34s} {value:.4g}\n")


if __name__ == "__main__":
    main()
