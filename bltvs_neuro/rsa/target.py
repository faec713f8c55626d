"""Models against the subjects of one roi and time: scores, intervals, tests."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import xarray as xr

from ..errors import DataError, SpecError, argument, counted, listed
from ..stats import LEAST_DOF, t_interval
from .comparing.similarity import SIMILARITIES, compare_vectors
from .comparing.weighted import Units, n_units
from .inference.bootstrap import Bootstrap, best_share, bootstrap_rsa, bootstrap_scores
from .inference.clusters import FEW_CATEGORIES, generalises_to
from .inference.jackknife import jackknife_rsa
from .inference.limits import bounded_interval, reasons
from .inference.nested import nested_best
from .inference.options import Generalise, Inference
from .inference.tests import LEAST_SUBJECTS, model_tests
from .inference.variance import Over, Spread

log = logging.getLogger(__name__)

LEAST_BOTH = (3, 8)
"""Subjects and stimuli from which on results can generalise to both."""
FEW = (4, 20)
"""Of fewer, variances are rough, which is said."""
ABOVE_ZERO = "the cosine of positive values is above zero for any model: test it with label_permutation_test"
"""Why a test is withheld."""


def compare_target(
    target: tuple[dict[str, Any], xr.DataArray],
    models: np.ndarray[Any, Any],
    names: list[str],
    kind: str,
    clusters: Units,
    inference: Inference,
    seed: int,
) -> xr.Dataset:
    """Compare the models with the subjects of one roi and time; ``clusters``: the number of each stimulus' category."""
    coords, subjects = target
    over, bootstrap = inference.over, inference.bootstrap
    chosen = _generalise(over, len(subjects), n_units(models, clusters), _where(coords), clusters)
    own = np.array([compare_vectors(v[None], v[None], kind)[0, 0] for v in subjects.values])
    if np.isnan(own).any():
        who = [str(s) for s in subjects["subject"].values[np.isnan(own)]]
        raise DataError(
            f"{_where(coords)}the RDM of subject {listed(who)} does not vary, so that no {kind} with it is defined; leave it out"
        )
    found: Spread
    if inference.variance == "bootstrap":
        found = bootstrap_rsa(
            models, subjects.values, kind, over=chosen, n_samples=bootstrap, seed=seed, clusters=clusters
        )
    else:
        found = jackknife_rsa(models, subjects.values, kind, over=chosen, clusters=clusters)
    undefined = np.flatnonzero(np.isnan(found.scores).any(axis=1))
    if len(undefined):
        log.warning("%s is undefined (NaN) for RDMs without variance: %s", kind, listed(names[i] for i in undefined))
    share = _best_share(found, models, subjects.values, kind, bootstrap, seed, clusters)
    positive = kind in ("cosine", "cosine_cov") and bool((models >= 0).all() and (subjects.values >= 0).all())
    table = _table(found, share, names, [str(s) for s in subjects["subject"].values], inference, seed)
    table["p_zero_reason"] = ("model", np.full(len(names), ABOVE_ZERO if positive else ""))
    nested = nested_best(models, subjects.values, kind, found, seed=seed, clusters=clusters)
    low, high, _ = bounded_interval(nested.score, nested.se, nested.dof, inference.confidence)
    return table.assign(
        p_zero=table["p_zero"].where(not positive), generalises_to=generalises_to(chosen, clusters),
        chosen_share=("model", nested.chosen), nested_score=nested.score, nested_ci_low=low, nested_ci_high=high,
    )  # fmt: skip


def _generalise(over: Generalise, k: int, n: int, where: str, clusters: Units) -> Over:
    """What k subjects and n stimuli (or categories) let results generalise to; a SpecError for more than that."""
    least, few, units = (LEAST_BOTH[1], FEW[1], "stimuli") if clusters is None else (0, FEW_CATEGORIES, "categories")
    if over == "both" and (k < LEAST_BOTH[0] or n < least):
        raise SpecError(
            f"{where}inference over subjects and stimuli needs at least {LEAST_BOTH[0]} subjects and {LEAST_BOTH[1]} stimuli; "
            f"got {k} and {n}: take {argument('over', 'auto')}, or one of the two"
        )
    chosen: Over = over if over != "auto" else "both"
    if over == "auto" and k < LEAST_BOTH[0]:
        chosen = "stimuli"
        ceiling = " and there is no noise ceiling" if k == 1 else ""
        log.warning("%s%s: inference is over stimuli only%s", where, counted(k, "subject"), ceiling)
    elif over == "auto" and n < least:
        chosen = "subjects"
        log.warning("%s%d stimuli: inference is over subjects only", where, n)
    if (chosen != "subjects" and n < few) or (chosen != "stimuli" and k < FEW[0]):
        log.warning("%s%s and %d %s: intervals and p values are rough", where, counted(k, "subject"), n, units)
    return chosen


def _where(coords: dict[str, Any]) -> str:
    return f"{', '.join(f'{key} {value}' for key, value in coords.items())}: " if coords else ""


def _best_share(
    found: Spread,
    models: np.ndarray[Any, Any],
    data: np.ndarray[Any, Any],
    kind: str,
    n_samples: int,
    seed: int,
    clusters: Units,
) -> np.ndarray[Any, Any]:
    if isinstance(found, Bootstrap):
        return best_share(found.samples[found.over][:, : len(models)])
    if n_samples == 0 or SIMILARITIES[kind].family == "order":
        return np.full(len(models), np.nan)
    return best_share(
        bootstrap_scores(models, data, kind, over=found.over, n_samples=n_samples, seed=seed, clusters=clusters)
    )


def _table(
    found: Spread,
    share: np.ndarray[Any, Any],
    names: list[str],
    subjects: list[str],
    inference: Inference,
    seed: int,
) -> xr.Dataset:
    se = np.sqrt(found.variance)
    ceiling_se = np.where(found.ceiling_dof >= LEAST_DOF, np.sqrt(found.ceiling_variance), np.nan)
    low, high, cut = bounded_interval(found.mean, se, found.dof, inference.confidence)
    p = model_tests(found, inference.test, seed=seed)
    apart = found.mean[:, None] - found.mean
    apart_ends = t_interval(apart, np.sqrt(found.difference_variance), found.difference_dof, inference.confidence)
    below = np.where(len(subjects) >= LEAST_SUBJECTS, found.mean - found.ceiling.lower, np.nan)
    below_se = np.sqrt(found.ceiling_difference_variance[:, 0])
    below_ends = t_interval(below, below_se, found.ceiling_difference_dof[:, 0], inference.confidence)
    return xr.Dataset(
        {
            "score": ("model", found.mean),
            "se": ("model", se),
            "ci_low": ("model", low),
            "ci_high": ("model", high),
            "ci_cut": ("model", cut),
            "reason": ("model", np.array(reasons(found), dtype=np.str_)),
            "p_zero": ("model", p.zero),
            "ceiling_difference": ("model", below),
            "ceiling_difference_ci_low": ("model", below_ends[0]),
            "ceiling_difference_ci_high": ("model", below_ends[1]),
            "p_below_ceiling": ("model", p.ceiling),
            "difference": (("model", "model_b"), apart),
            "difference_ci_low": (("model", "model_b"), apart_ends[0]),
            "difference_ci_high": (("model", "model_b"), apart_ends[1]),
            "p_pairwise": (("model", "model_b"), p.pairwise),
            "score_subject": (("model", "subject"), found.scores),
            "ceiling_lower": ((), found.ceiling.lower),
            "ceiling_upper": ((), found.ceiling.upper),
            "ceiling_lower_se": ((), ceiling_se[0]),
            "ceiling_upper_se": ((), ceiling_se[1]),
            "dof": ("model", found.dof),
            "zero_dof": ("model", found.zero_dof),
            "dof_pairwise": (("model", "model_b"), found.difference_dof),
            "best_share": ("model", share),
            "n_subjects": ((), len(subjects)),
        },
        coords={"model": names, "model_b": names, "subject": subjects},
    )
