"""Tests of models: against zero, against the noise ceiling, against each other, and against shuffled stimuli."""

from __future__ import annotations

import logging
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as sps

from ...errors import DataError, SpecError, argument, counted, unknown
from ...neural.condensed import n_from_pairs
from ...stats import LEAST_DOF, sign_flip_test
from ...stats.permutation import MOST_SKEWED, skewed_share
from ..comparing.similarity import SIMILARITIES, compare_vectors, embed, similarity_name
from ..comparing.weighted import Units
from .options import TestName
from .variance import Spread

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
TESTS: tuple[TestName, ...] = ("t", "sign_flip")
LEAST_SUBJECTS = 6
"""A noise ceiling of fewer subjects varies too much to test against."""
LEAST_ORDERS = 100
"""Fewer orders of categories than this give no p value worth having."""


class ModelTests(NamedTuple):
    """p values, not corrected for multiple tests."""

    zero: Array
    """(models,) one-sided: the score is above zero."""
    ceiling: Array
    """(models,) one-sided: the score is below the lower noise ceiling; NaN for fewer than :data:`LEAST_SUBJECTS`."""
    pairwise: Array
    """(models, models) two-sided: two scores differ; 1 on the diagonal."""


def model_tests(found: Spread, test: TestName = "t", *, n_flips: int = 10_000, seed: int = 0) -> ModelTests:
    """Test models with their variances, or by flipping the signs of subjects.

    Parameters
    ----------
    found : Spread
    test : {"t", "sign_flip"}
        ``"t"``: score over standard error, t-distributed with ``found.dof`` degrees of freedom (against zero:
        ``found.zero_dof``); generalises to what ``found.over`` names. ``"sign_flip"``: generalises to subjects; with k
        subjects no p value is below 1/2**k.
    n_flips, seed : int
        For ``"sign_flip"``.

    Returns
    -------
    ModelTests
        NaN where a score or its variance is undefined, or rests on fewer than one degree of freedom (``"t"``).

    References
    ----------
    Schütt et al. (2023), doi:10.7554/eLife.82566.
    """
    if test not in TESTS:
        raise unknown("test", test, TESTS)
    mean = found.mean
    if test == "t":
        zero = _t(mean, found.variance)
        below = _t(mean - found.ceiling.lower, found.ceiling_difference_variance[:, 0])
        differ = _t(mean[:, None] - mean[None, :], found.difference_variance)
        pairwise = 2 * sps.t.sf(np.abs(differ), found.difference_dof)
        np.fill_diagonal(pairwise, 1.0)
        ceiling = _enough(sps.t.cdf(below, found.ceiling_difference_dof[:, 0]), found)
        return ModelTests(
            _known(sps.t.sf(zero, found.zero_dof), found.zero_dof, mean),
            _known(ceiling, found.ceiling_difference_dof[:, 0], below),
            _known(pairwise, np.where(np.eye(len(mean)) == 1, np.inf, found.difference_dof), differ),
        )
    m, k = found.scores.shape
    if k < 2:
        raise SpecError(
            f"a sign-flip test needs at least 2 subjects; with one subject use {argument('test', 't')} over stimuli"
        )
    warn_of_skew(found.scores.T, "test", "t")
    options = {"n_samples": n_flips, "seed": seed}
    zero = sign_flip_test(found.scores.T, tail="greater", **options).p_value  # type: ignore[arg-type]
    to_ceiling = found.scores.T - found.ceiling.lower_per_subject[:, None]
    ceiling = _enough(sign_flip_test(-to_ceiling, tail="greater", **options).p_value, found)  # type: ignore[arg-type]
    a, b = np.triu_indices(m, 1)
    pairwise = np.ones((m, m))
    if len(a):
        differences = found.scores.T[:, a] - found.scores.T[:, b]
        p = sign_flip_test(differences, tail="two-sided", **options).p_value  # type: ignore[arg-type]
        pairwise[a, b] = pairwise[b, a] = p
    apart = mean[:, None] - mean[None, :]
    every = (zero, mean), (ceiling, mean - found.ceiling.lower), (pairwise, apart)
    return ModelTests(*(_known(p, np.inf, statistic) for p, statistic in every))


def warn_of_skew(values: Array, option: str, other: str) -> None:
    """Warn where scores (subjects, ...) are not symmetric over subjects, which sign flips take them for."""
    share = skewed_share(values)
    if share > MOST_SKEWED:
        log.warning(
            "scores of the %d subjects are skewed in %.0f %% of the tests: sign flips take them for symmetric, and find too "
            "much; take %s", len(values), 100 * share, argument(option, other),
        )  # fmt: skip


def _enough(p: Array, found: Spread) -> Array:
    """P values against a ceiling, where it rests on enough subjects."""
    return p if found.scores.shape[1] >= LEAST_SUBJECTS else np.full_like(p, np.nan)


def _known(p: Array, dof: ArrayLike, statistic: Array) -> Array:
    """P values where the statistic is defined and rests on enough degrees of freedom, NaN elsewhere."""
    return np.where((np.asarray(dof) >= LEAST_DOF) & np.isfinite(statistic), p, np.nan)


def _t(difference: Array, variance: Array) -> Array:
    return np.asarray(difference / np.sqrt(np.maximum(variance, np.finfo(np.float64).eps)))


class LabelTest(NamedTuple):
    """What shuffling the stimuli of models found."""

    score: Array
    """(models,) mean over subjects."""
    p_value: Array
    p_family: Array
    """Against the best of all models in each permutation: bounds the family-wise error."""
    null: Array
    """(permutations, models), the first without shuffling."""


def label_permutation_test(
    models: Array, data: Array, similarity: str, *, n_permutations: int = 1000, seed: int = 0
) -> LabelTest:
    """Test whether a model's stimuli match the subjects' stimuli better than in random order.

    Parameters
    ----------
    models, data : arrays (n_models, n_pairs), (n_subjects, n_pairs)
        Without NaN.
    similarity : str
    n_permutations : int
        The observed order included.
    seed : int

    Returns
    -------
    LabelTest
        One-sided. It holds for these subjects and stimuli and works for a single subject. cosine and cosine_cov of two RDMs
        of positive values are far above zero under this null as well, which a test against zero does not see.

    References
    ----------
    Kriegeskorte et al. (2008), doi:10.3389/neuro.06.004.2008.
    """
    name = similarity_name(similarity)
    models, data = np.atleast_2d(models), np.atleast_2d(data)
    if np.isnan(models).any() or np.isnan(data).any():
        raise DataError("a permutation of stimuli needs RDMs without NaN; select stimuli that have all pairs")
    null = label_null(models, data[None], name, stimulus_orders(n_from_pairs(models.shape[1]), n_permutations, seed))[
        :, :, 0
    ]
    slack = 1e-12
    p = np.mean(null >= null[0] - slack, axis=0)
    p_family = np.mean(np.fmax.reduce(null, axis=1)[:, None] >= null[0] - slack, axis=0)
    undefined = np.isnan(null[0])
    return LabelTest(null[0], np.where(undefined, np.nan, p), np.where(undefined, np.nan, p_family), null)


def stimulus_orders(n: int, n_permutations: int, seed: int, clusters: Units = None) -> NDArray[np.int64]:
    """Orders of the stimuli, the observed one first: (permutations, n).

    With ``clusters``, the number of each stimulus' category, categories of one size change places as wholes, and stimuli within a
    category.

    Raises
    ------
    SpecError
        Categories of such different sizes that there are fewer than :data:`LEAST_ORDERS` ways to exchange them.
    """
    rng = np.random.default_rng(seed)
    if clusters is None:
        return np.stack([np.arange(n), *(rng.permutation(n) for _ in range(n_permutations - 1))])
    members = [np.flatnonzero(clusters == g) for g in range(int(clusters.max()) + 1)]
    sizes = np.array([len(m) for m in members])
    ways = math.prod(math.factorial(int(count)) for count in np.unique(sizes, return_counts=True)[1])
    if ways < LEAST_ORDERS:
        raise SpecError(
            f"categories change places with those of the same size, which here is possible in {counted(ways, 'ways')}, and a "
            f"test needs {LEAST_ORDERS}: make categories of one size, or take {argument('time_test', 'sign_flip')}"
        )
    orders = np.tile(np.arange(n), (n_permutations, 1))
    for order in orders[1:]:
        for size in np.unique(sizes):
            alike = np.flatnonzero(sizes == size)
            for place, source in zip(alike, rng.permutation(alike), strict=True):
                order[members[place]] = rng.permutation(members[source])
    return orders


def label_null(models: Array, data: Array, similarity: str, orders: NDArray[np.int64]) -> Array:
    """Mean similarities over subjects with the stimuli of the subjects in other orders.

    Parameters
    ----------
    models : array (n_models, n_pairs)
    data : array (targets, subjects, n_pairs)
        Without NaN.
    similarity : str
    orders : int array (permutations, n)

    Returns
    -------
    array (permutations, n_models, targets)
    """
    kind = SIMILARITIES[similarity]
    n = orders.shape[1]
    index = np.zeros((n, n), dtype=np.int64)
    row, column = np.triu_indices(n, 1)
    index[row, column] = index[column, row] = np.arange(len(row))
    targets, subjects = data.shape[:2]
    null = np.empty((len(orders), len(models), targets))
    if kind.family == "order":
        for i, o in enumerate(orders):
            shuffled = data[:, :, index[o[row], o[column]]].reshape(targets * subjects, -1)
            scores = compare_vectors(models, shuffled, similarity)
            null[i] = scores.reshape(len(models), targets, subjects).mean(axis=2)
        return null
    valid = np.ones(len(row), dtype=bool)
    left = embed(models, kind, valid)
    mean = np.stack([embed(one, kind, valid).mean(axis=0) for one in data])  # (targets, n_pairs)
    step = max(1, 2**23 // mean.size)
    for i in range(0, len(orders), step):
        o = orders[i : i + step]
        shuffled = mean[:, index[o[:, row], o[:, column]]]  # (targets, block, n_pairs)
        if mean.shape[1] > len(row):  # whitened RDMs have a diagonal
            shuffled = np.concatenate([shuffled, mean[:, len(row) + o]], axis=2)
        null[i : i + step] = (shuffled @ left.T).transpose(1, 2, 0)
    return null
