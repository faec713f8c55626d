"""Encoding: an alpha per target against scikit-learn and himalaya, a sweep of feature spaces, peak memory.

Everything is timed once, in one process: a second round of scikit-learn would take a minute and change no digit that
counts. Predictions are compared before a ratio is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold

from bltvs_neuro.encoding import Ridge
from bltvs_neuro.encoding.fit import fit_encoding
from bltvs_neuro.encoding.scores.score import r2
from bltvs_neuro.encoding.solvers.ridge import By, RidgeSearch, fit_ridge
from bltvs_neuro.encoding.solvers.spectrum import gram_spectrum
from bltvs_neuro.features.folds import group_folds
from bltvs_neuro.features.grams import centre_cross, centre_train, gram
from bltvs_neuro.neural.labelled import make_responses
from bltvs_neuro.options import Run

from .memory import peak_bytes, peak_of
from .tables import Table
from .timing import cpu_seconds

SPACES = 60
"""Feature spaces of the sweep: 5 areas x 6 timesteps x 2 streams."""
LOOPED = 12
"""How many of them the loop over himalaya, and the sweep by k-fold, are timed with."""


class Case(NamedTuple):
    """Simulated features and targets."""

    train: np.ndarray
    test: np.ndarray
    targets: np.ndarray
    alphas: np.ndarray
    folds: list[np.ndarray]


def make_case(n: int, p: int, t: int, *, n_test: int = 100, n_alphas: int = 20, seed: int = 0) -> Case:
    """Float32 features with a decaying spectrum, and targets made from them plus noise."""
    rng = np.random.default_rng(seed)
    decay = (np.arange(1, p + 1) ** -0.5).astype(np.float32)
    x = rng.standard_normal((n + n_test, p), dtype=np.float32) * decay
    y = x[:n] @ rng.standard_normal((p, t), dtype=np.float32)
    y += y.std(axis=0) * rng.standard_normal((n, t), dtype=np.float32)
    folds = [test for _, test in KFold(5).split(x[:n])]
    return Case(x[:n], x[n:], y, np.logspace(-3, 4, n_alphas), folds)


def own(case: Case, by: By) -> np.ndarray:
    """Predictions of ours: the Gram of all rows, one decomposition, alpha per target."""
    n = len(case.train)
    train, test = np.arange(n), np.arange(n, n + len(case.test))
    k = gram(np.concatenate([case.train, case.test]))
    spectrum = gram_spectrum(centre_train(k, train))
    cross = centre_cross(k, test, train)
    fit = fit_ridge(
        spectrum,
        case.targets,
        case.alphas,
        RidgeSearch(by, case.folds, on_edge="ignore"),
        readouts={"prediction": cross @ spectrum.vectors, "dual": spectrum.vectors},
    )
    return fit.outputs["prediction"] + fit.mean


def with_sklearn(case: Case) -> np.ndarray:
    """Predictions of scikit-learn's RidgeCV: leave-one-out, an alpha per target."""
    return RidgeCV(case.alphas, alpha_per_target=True).fit(case.train, case.targets).predict(case.test)


def with_himalaya(case: Case) -> np.ndarray:
    """Predictions of himalaya's KernelRidgeCV: the same 5 folds, an alpha per target."""
    from himalaya.kernel_ridge import KernelRidgeCV

    mean = case.train.mean(axis=0)
    model = KernelRidgeCV(alphas=case.alphas, cv=KFold(5), fit_intercept=True, warn=False)
    return np.asarray(model.fit(case.train - mean, case.targets).predict(case.test - mean))


def measure(full: bool) -> Table:
    """1000 stimuli x 5000 features -> 5000 targets with 20 alphas where ``full``."""
    n, p, t = (1000, 5000, 5000) if full else (300, 1000, 1000)
    own(make_case(60, 100, 50), "kfold")  # warm up BLAS and imports
    with_himalaya(make_case(60, 100, 50))
    case = make_case(n, p, t)
    cost, made = {}, {}
    libraries: dict[str, Callable[[], np.ndarray]] = {
        "scikit-learn RidgeCV": lambda: with_sklearn(case),
        "himalaya KernelRidgeCV": lambda: with_himalaya(case),
    }
    for name, function in libraries.items():
        cost[name], made[name] = _timed(function)
    sizes = f"{n} x {p} -> {t}, {len(case.alphas)} alphas"
    rows: list[dict[str, object]] = [
        {f"{sizes}": name, "alpha chosen by": how, "CPU s": cost[name]}
        for name, how in (("scikit-learn RidgeCV", "leave-one-out"), ("himalaya KernelRidgeCV", "5-fold"))
    ]
    for by, how in (("loo", "leave-one-out"), ("kfold", "5-fold"), ("gcv", "GCV")):
        seconds, prediction = _timed(lambda by=by: own(case, by))  # type: ignore[misc]
        same = {"loo": "scikit-learn RidgeCV", "kfold": "himalaya KernelRidgeCV"}.get(by)
        row: dict[str, object] = {sizes: "here", "alpha chosen by": how, "CPU s": seconds}
        row |= {"scikit-learn / here": cost["scikit-learn RidgeCV"] / seconds}
        row |= {"himalaya / here": cost["himalaya KernelRidgeCV"] / seconds}
        if same is not None:
            row["same scores (r within 1e-5)"] = _agreement(prediction, made[same], case)
        row["peak memory / inputs"] = peak_of(peak_over_inputs, n=n, p=p, t=t, by=by)[0]
        rows.append(row)
    rows += _sweep(case, sizes)
    return Table(
        f"Encoding: {sizes}, float32",
        rows,
        "Timed once each, CPU seconds of one process. Memory counts the inputs. scikit-learn chooses by leave-one-out "
        "only, himalaya by k-fold only: the GCV rows compare another criterion with theirs. The sweep has 5 outer folds; "
        f"CPU seconds are those of one space, from {SPACES} spaces by GCV and from {LOOPED} in the loop and by k-fold.",
    )


def peak_over_inputs(n: int, p: int, t: int, by: By) -> float:
    """Peak memory during a fit over the size of features and targets, what Python takes itself left out."""
    own(make_case(60, 100, 50), by)
    case = make_case(n, p, t, n_test=100)
    inputs = case.train.nbytes + case.test.nbytes + case.targets.nbytes
    with open("/proc/self/clear_refs", "w") as file:  # the high-water mark begins anew
        file.write("5")
    before = peak_bytes()
    own(case, by)
    return 1 + (peak_bytes() - before) / inputs


def _labelled(spaces: list[np.ndarray], targets: np.ndarray) -> tuple[dict[str, xr.DataArray], xr.DataArray]:
    """Feature spaces and targets as the sweep takes them."""
    ids = np.array([f"s{i}" for i in range(len(targets))])
    acts = {
        f"A{i}/bu": xr.DataArray(
            x[:, None],
            dims=("stimulus", "timestep", "unit"),
            coords={"stimulus_id": ("stimulus", ids), "timestep": [0]},
        )
        for i, x in enumerate(spaces)
    }
    return acts, make_responses(targets, ids, neuroid_coords={"voxel": np.arange(targets.shape[1])})


def _sweep(case: Case, sizes: str) -> list[dict[str, object]]:
    n, p = case.train.shape
    rng = np.random.default_rng(1)
    spaces = [case.train] + [rng.standard_normal((n, p), dtype=np.float32) for _ in range(SPACES - 1)]
    acts, responses = _labelled(spaces, case.targets)
    small = make_case(60, 100, 50)
    folds, half = group_folds(responses["stimulus_id"].values, 5, seed=0), LOOPED // 2
    theirs, scores = _timed(lambda: _himalaya_loop(case, spaces[:half], folds))
    ours = []
    some = dict(list(acts.items())[:LOOPED])
    sweeps: list[tuple[By, str, Any]] = [
        ("gcv", "GCV", "cpu"),
        ("gcv", "GCV", torch.device("cpu")),
        ("kfold", "5-fold", "cpu"),
    ]
    for by, how, device in sweeps:
        options: dict[str, Any] = {"solver": Ridge(case.alphas, by, on_edge="ignore"), "run": Run(device=device)}
        fit_encoding(*_labelled([small.train], small.targets), **options)  # warm up imports, as for the others
        which = acts if by == "gcv" else some
        seconds, fit = _timed(lambda which=which, options=options: fit_encoding(which, responses, **options))  # type: ignore[misc]
        ours.append((how, device, seconds / len(which), fit))
    # the other half of the loop comes last: the clock of a machine drifts over minutes
    theirs = (theirs + _timed(lambda: _himalaya_loop(case, spaces[half:LOOPED], folds))[0]) / LOOPED
    name = "sweep, 5 outer folds, a space"
    rows: list[dict[str, object]] = [
        {
            sizes: f"{name}: loop over KernelRidgeCV",
            "alpha chosen by": "5-fold",
            "CPU s": theirs,
            "mean R2": _round(scores[0]),
        }
    ]
    for how, device, seconds, fit in ours:
        rows.append(
            {
                sizes: f"{name}: fit_encoding" + ("" if device == "cpu" else " (torch)"),
                "alpha chosen by": how,
                "CPU s": seconds,
                "himalaya / here": theirs / seconds,
                "mean R2": _round(fit["r2"].values[0]),
            }
        )
    return rows


def _himalaya_loop(case: Case, spaces: list[np.ndarray], folds: Any) -> np.ndarray:
    scores = []
    for x in spaces:
        per_fold = []
        for fold in folds:
            fitted = Case(x[fold.train], x[fold.test], case.targets[fold.train], case.alphas, [])
            per_fold.append(r2(case.targets[fold.test], with_himalaya(fitted)))
        scores.append(np.mean(per_fold, axis=0))
    return np.array(scores)


def _timed(function: Callable[[], Any]) -> tuple[float, Any]:
    start = cpu_seconds()
    value = function()
    return cpu_seconds() - start, value


def _agreement(a: np.ndarray, b: np.ndarray, case: Case) -> str:
    """How many targets' correlations with fixed test responses agree to 1e-5."""
    truth = case.targets[: len(a)]
    difference = np.abs(_correlate(a, truth) - _correlate(b, truth))
    return f"{100 * (difference <= 1e-5).mean():.2f} % of targets"


def _correlate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    return (a * b).sum(axis=0) / np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))


def _round(values: np.ndarray) -> str:
    return f"{values.mean():.4f}"
