"""Run many feature spaces against the same targets: folds, blocks and targets once, one Gram per site and timestep."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...cluster import Cluster, map_tasks
from ...progress import Clock
from ..scores.images import influence_of_fold, shared_training
from ..scores.score import pearson_and_r2
from ..solvers.estimators import RELATIVE_ALPHAS, BandedRidge
from ..solvers.fold_fits import decompose, grid_for
from ..solvers.ridge import Edges, fit_ridge, warn_edges
from .finished_spaces import Parts
from .inputs import Inputs, Source, load_inputs
from .linear import linear_share
from .permutation import permutation_p_values
from .plan import Plan
from .simulated_null import simulate_without
from .solve import outcomes
from .spaces import Space


def run_spaces(
    acts: Mapping[str, Any],
    spaces: Sequence[Space],
    plan: Plan,
    *,
    parts: Parts | None = None,
    cluster: Cluster | None = None,
) -> list[dict[str, np.ndarray]]:
    """Fit every space, here or on a cluster; each gives a dict of arrays (see :func:`_fit_space`)."""
    found: dict[int, dict[str, np.ndarray]] = {}
    if parts is not None:
        stored = ((i, parts.read(space.name)) for i, space in enumerate(spaces))
        found = {i: arrays for i, arrays in stored if arrays is not None}
    fresh = [i for i in range(len(spaces)) if i not in found]
    clock = Clock(len(spaces), len(found))

    def done(position: int, arrays: dict[str, np.ndarray]) -> None:
        i = fresh[position]
        found[i] = arrays
        if parts is not None:
            parts.write(spaces[i].name, arrays)
        clock.tell(len(found), spaces[i].name)

    todo = [spaces[i] for i in fresh]
    if cluster is None:
        members = [member._replace(band="") for space in todo for member in space.members]
        once = len(set(members)) == len(members) and not any(space.useless for space in todo)
        map_tasks(_fit_space, todo, shared=(Source(acts, plan, once=once), plan), done=done)
    else:
        map_tasks(_fit_elsewhere, todo, shared=(acts, plan), cluster=cluster, done=done)
    if not fresh:
        clock.tell(len(found), spaces[-1].name)
    out = [found[i] for i in range(len(spaces))]
    if getattr(plan.solver, "on_edge", None) == "warn":
        _warn(out, plan)
    return out


def _fit_elsewhere(space: Space, acts: Mapping[str, Any], plan: Plan) -> dict[str, np.ndarray]:
    """In another process, which has no Grams to share between spaces."""
    return _fit_space(space, Source(acts, plan), plan)


def _warn(arrays: Sequence[dict[str, np.ndarray]], plan: Plan) -> None:
    """One warning for the whole sweep where edges of the grid were chosen."""
    low, high = np.sum([a["edges"] for a in arrays], axis=0)
    fits = sum(a["alpha"].size for a in arrays)
    alphas, unit = plan.solver.alphas, ""
    if alphas is None:
        alphas, unit = RELATIVE_ALPHAS, " times the features' variance"
    what = "fits (feature spaces x folds x targets)"
    warn_edges(
        Edges(int(low), int(high)), f"{fits} {what}", *(f"alpha ({a:.3g}{unit})" for a in (alphas[0], alphas[-1]))
    )


def predict_folds(acts: Mapping[str, Any], space: Space, plan: Plan) -> Iterator[np.ndarray]:
    """Predictions of the test rows of each fold, (n_test, t)."""
    for outcome in outcomes(load_inputs(space, Source(acts, plan), plan), plan):
        yield outcome.prediction


def _fit_space(space: Space, source: Source, plan: Plan) -> dict[str, np.ndarray]:
    """Cross-validate one space.

    Returns
    -------
    dict of arrays
        r, r2, r2_inner, alpha: (fold, t); gamma, share: (fold, band, t) for bands; influence_r, influence_r2: (rows,
        averages) on means over targets; r_se, r2_se, p_value: (t,); largest_r: (permutations,); dual, dual_alpha; n_features,
        n_constant: (members,); edges: (2,) how often each edge of the grid was chosen. With a useless band, r2 is its
        unique variance in responses simulated without it, and linear how nearly it is linear in the rest.
    """
    if space.useless:
        whole, rest = space.split()
        values = simulate_without(rest, source, plan, space.name)
        simulated = dataclasses.replace(plan, targets=plan.targets._replace(values=values))
        both, without = (_fit_space(some, source, simulated) for some in (whole, rest))
        return both | {"r2": both["r2"] - without["r2"]} | _linear(space, source, plan)
    inputs = load_inputs(space, source, plan)
    bands = len(space.members)
    y = plan.targets.values
    t = y.shape[1]
    out: dict[str, np.ndarray] = {"n_features": inputs.sizes[:, 0], "n_constant": inputs.sizes[:, 1]}
    out["edges"] = np.zeros(2, np.int64)
    out |= {key: np.full((len(plan.folds), t), np.nan) for key in ("r", "r2", "r2_inner", "alpha")}
    if isinstance(plan.solver, BandedRidge):
        out |= {key: np.full((len(plan.folds), bands, t), np.nan) for key in ("gamma", "share")}
    weight = plan.scored / np.maximum(plan.scored.sum(axis=0), 1)  # of each fold in a target's mean
    for key in ("r", "r2"):
        out[f"influence_{key}"], out[f"{key}_se"] = np.zeros((len(y), plan.averages.member.shape[1])), np.zeros(t)
    for f, outcome in enumerate(outcomes(inputs, plan)):
        truth, test = plan.targets_of(f).truth, plan.folds[f].test
        found = pearson_and_r2(truth, outcome.prediction)
        out["r"][f], out["r2"][f] = (np.where(plan.scored[f], values, np.nan) for values in found)
        weighted = plan.averages._replace(member=plan.averages.member.multiply(weight[f][:, None]).tocsr())
        for key, influence in influence_of_fold(truth, outcome.prediction, plan.targets.groups[test], weighted).items():
            out[f"influence_{key}"][test] = influence.rows
            out[f"{key}_se"] += weight[f] ** 2 * influence.variance
        if outcome.loss is not None:
            out["r2_inner"][f] = np.where(
                plan.scored[f], 1 - outcome.loss / _loss_of_mean(plan.targets_of(f).train), np.nan
            )
        out["edges"] += np.array(outcome.edges)
        for key, value in (("alpha", outcome.alpha), ("gamma", outcome.gammas), ("share", outcome.shares)):
            if value is not None:
                out[key][f] = value if key != "share" else np.where(plan.scored[f], value, np.nan)
    for key in ("r_se", "r2_se"):
        out[key] = np.sqrt(out[key] * shared_training(plan.scored.sum(axis=0)))
    if plan.permutations.n_permutations:
        out["p_value"], out["largest_r"] = permutation_p_values(inputs, plan, out["r"])
    if getattr(plan.solver, "keep_dual", False):
        out |= _dual(inputs, plan)
    return out


def _loss_of_mean(centred: np.ndarray) -> np.ndarray:
    """Leave-one-out squared error of the mean of the training rows (n, t); NaN for constant targets."""
    n = len(centred)
    found = n * np.einsum("ij,ij->j", centred, centred, dtype=np.float64) / (n - 1) ** 2
    return np.where(found > 0, found, np.nan)


def _linear(space: Space, source: Source, plan: Plan) -> dict[str, np.ndarray]:
    """How nearly the useless band is linear in the rest, whose bands have equal variance."""
    grams: dict[bool, list[np.ndarray]] = {True: [], False: []}
    made = load_inputs(space, source, plan).made
    for f in range(len(plan.folds)):
        for useless in grams:
            some = [
                m.grams[f] for m, of in zip(made, space.members, strict=True) if (of.band == space.useless) == useless
            ]
            grams[useless].append(np.sum([k / max(np.trace(k), np.finfo(float).tiny) for k in some], axis=0))
    return {"linear": np.array(linear_share(grams[True], grams[False], plan.folds))}


def _dual(inputs: Inputs, plan: Plan) -> dict[str, np.ndarray]:
    """Coefficients on all rows, alpha chosen on all rows."""
    y, settings = plan.targets.values, plan.settings
    spectrum = decompose(inputs.of_all(), np.arange(len(y)), settings.backend)
    search = settings.searched(plan.all_blocks)
    fit = fit_ridge(spectrum, y, grid_for(plan.solver, spectrum), search, readouts={"dual": spectrum.vectors})
    return {"dual": fit.outputs["dual"], "dual_alpha": fit.alpha}
