"""Decoding over time: a linear classifier for every site and timestep, tested at every timestep.

Everything follows from inner products. One Gram matrix of all stimuli at all timesteps serves every fold: the training
rows of a fold span a space of at most as many dimensions, in which a classifier with a penalty on the length of its
weights is the same as in the space of all features.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..errors import DataError, SpecError, argument, counted, listed, unknown
from ..features.folds import Fold, join_groups
from ..features.grams import centre_cross, centre_train, feature_tiles
from ..features.select import Selection, by_site, select, statuses_of
from ..features.stores import origin_of, stimulus_column, store_of
from ..options import check_samples, check_seed
from ..schema import TIMESTEP
from ..versions import versions
from .result import Decoding

if TYPE_CHECKING:
    from ..store import Store

log = logging.getLogger(__name__)


def _logistic(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=2000)


def _ridge(strength: float) -> Any:
    from sklearn.linear_model import RidgeClassifier

    return RidgeClassifier(alpha=1 / strength)


CLASSIFIERS: dict[str, Callable[[float], Any]] = {"logistic": _logistic, "ridge": _ridge}
"""Name -> a classifier whose penalty is the squared length of its weights divided by ``strength``."""

MOST_ROWS = 20_000
"""Stimuli times timesteps of one site; their Gram matrix then takes 3.2 GB."""
TILE_BYTES = 64 << 20


def decode(
    store: Any,
    labels: str | Sequence[object],
    *,
    sites: Selection = "all",
    groups: str | Sequence[object] | None = None,
    folds: int = 5,
    classifier: str = "logistic",
    strength: float = 1.0,
    n_permutations: int = 0,
    seed: int = 0,
) -> Decoding:
    """Decode a label of the stimuli from every site and timestep of a store, and generalise over time.

    Parameters
    ----------
    store : Store, path or Recorded
        As :func:`bltvs_neuro.open_store` gives it, or takes it, or what :func:`bltvs_neuro.record` gives.
    labels : str or sequence of length n_stimuli
        A column of the store's stimuli, such as ``"category"``, or one label per stimulus in the store's order.
    sites : str, iterable of str or Select
        Which sites and timesteps (:mod:`bltvs_neuro.features.select`).
    groups : str or sequence, optional
        What must not be split between training and test, such as the object that several pictures show: a column or
        one label per stimulus. Stimuli with the same pixels are never split, whatever the groups.
    folds : int
        Folds of the cross-validation, stratified by label.
    classifier : {"logistic", "ridge"}
        Linear classifier: logistic regression or ridge.
    strength : float
        Inverse of the penalty, for features that are centred and scaled together (by one factor) over the training
        stimuli to a variance of 1 for each dimension that these span.
    n_permutations : int
        Shuffles of the labels among the groups, each with folds of its own, for p values of each site and timestep and
        corrected for all of them (largest accuracy of each shuffle); 0 gives none. Each takes as many fits.
    seed : int
        Seed of folds and permutations.

    Returns
    -------
    Decoding
        Balanced accuracies by site, training and test timestep. Timesteps that are absent or constant are NaN, and so are
        those of single folds that test no stimulus of some label.

    Raises
    ------
    SpecError
        An unknown column, site or classifier; labels of the wrong length; too many stimuli for one Gram matrix.
    DataError
        Fewer than two labels, or a label with fewer groups than folds.

    Notes
    -----
    Balanced accuracy is the mean over labels of the share of their stimuli that are classified rightly, every stimulus
    once, by the classifier whose training did not see it; chance is one divided by the number of labels.

    References
    ----------
    King & Dehaene (2014), Characterizing the dynamics of mental representations: the temporal generalization method,
    doi:10.1016/j.tics.2014.01.002

    Examples
    --------
    >>> result = decode(bn.open_store("acts.h5"), "category", folds=3, classifier="ridge")
    >>> result.chance, result["accuracy"].dims
    (0.1, ('site', 'train_timestep', 'test_timestep'))
    """
    if classifier not in CLASSIFIERS:
        raise unknown("classifier", classifier, list(CLASSIFIERS))
    if not strength > 0:
        raise SpecError(f"strength must be above 0; got {strength}")
    check_seed(seed)
    check_samples("n_permutations", n_permutations)
    acts: Store = store_of(store)
    chosen = by_site(select(sites, statuses_of(acts), constant=False).moments)
    names = list(chosen)
    y, classes = np.unique(_column(acts, labels, "labels").astype(str), return_inverse=True)[::-1]
    together = [acts.stimulus_ids.tolist(), acts.stimulus_sha256.tolist()]
    if groups is not None:
        together.append(_column(acts, groups, "groups").tolist())
    group = join_groups(*together)
    split = stratified_folds(y, group, folds, seed=seed, names=classes.tolist())
    lacking = {number for number, fold in enumerate(split) if len(np.unique(y[fold.test])) < len(classes)}
    if lacking:
        log.warning(
            "%d of %d folds test no stimulus of some label: they have no balanced accuracy of their own, and standard errors "
            "are over the others", len(lacking), folds,
        )  # fmt: skip
    rng = np.random.default_rng(seed)
    shuffles = [_shuffled(y, group, rng) for _ in range(n_permutations)]
    # folds are stratified by labels: those of the data would be no chance folds of others
    splits = [_folds_of(now, group, folds, rng, classes.tolist()) for now in shuffles]

    steps = sorted({int(t) for name in names for t in acts[name][TIMESTEP].values})
    shape = (len(names), len(steps), len(steps))
    accuracy, spread = np.full(shape, np.nan), np.full((*shape, folds), np.nan)
    null = np.full((n_permutations, *shape[:2]), np.nan)
    for at, name in enumerate(names):
        data = acts[name]
        active = list(chosen[name])
        products, n = _time_gram(data, active, name), len(y)
        where = [steps.index(t) for t in active]
        hits = np.zeros((len(active), len(active), n), dtype=bool)
        for i in range(len(active)):
            for fold in split:
                train, tests = i * n + fold.train, [k * n + fold.test for k in range(len(active))]
                coordinates, project = _span(products, train)
                projected = [project(test) for test in tests]
                fitted = CLASSIFIERS[classifier](strength).fit(coordinates, y[fold.train])
                for k, rows in enumerate(projected):
                    hits[i, k, fold.test] = fitted.predict(rows) == y[fold.test]
            for number, (now, split_now) in enumerate(zip(shuffles, splits, strict=True)):
                right = np.zeros(n, dtype=bool)
                for fold in split_now:
                    coordinates, project = _span(products, i * n + fold.train)
                    other = CLASSIFIERS[classifier](strength).fit(coordinates, now[fold.train])
                    right[fold.test] = other.predict(project(i * n + fold.test)) == now[fold.test]
                null[number, at, where[i]] = balanced(right, now)
        accuracy[np.ix_([at], where, where)] = balanced(hits, y)
        for number, fold in enumerate(split):
            if number not in lacking:
                spread[at, np.array(where)[:, None], where, number] = balanced(hits[..., fold.test], y[fold.test])
    p, corrected = _p_values(np.diagonal(accuracy, axis1=1, axis2=2), null)
    coords = {"site": list(names), "train_timestep": steps, "test_timestep": steps}
    table = xr.Dataset(
        {
            "accuracy": (("site", "train_timestep", "test_timestep"), accuracy),
            "fold_accuracy": (("site", "train_timestep", "test_timestep", "fold"), spread),
            "p": (("site", "train_timestep"), p),
            "p_corrected": (("site", "train_timestep"), corrected),
            "chance": ((), 1 / len(classes)),
        },
        coords=coords,
    )
    provenance = {
        "labels": labels if isinstance(labels, str) else "given", "classes": classes.tolist(),
        "stimuli_per_class": np.bincount(y).tolist(), "groups": groups if isinstance(groups, str) else groups is not None,
        "n_groups": int(group.max()) + 1, "folds": folds, "classifier": classifier, "strength": strength,
        "permutations": n_permutations, "seed": seed, "score": "balanced accuracy", "versions": versions(),
        "store": origin_of(acts),
    }  # fmt: skip
    return Decoding(table, provenance)


def balanced(hits: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Mean over labels of the share of hits.

    Parameters
    ----------
    hits : array of bool, (..., n)
    y : array of int, (n,)

    Returns
    -------
    array, (...)

    Examples
    --------
    >>> float(balanced(np.array([True, True, True, False]), np.array([0, 0, 0, 1])))
    0.5
    """
    return np.asarray(np.mean([hits[..., y == label].mean(axis=-1) for label in np.unique(y)], axis=0))


def stratified_folds(
    y: np.ndarray, group: np.ndarray, n_folds: int, *, seed: int, names: Sequence[object]
) -> list[Fold]:
    """Split rows into folds that divide no group, each with about the same share of every label.

    Raises
    ------
    SpecError
        Fewer than 2 folds.
    DataError
        Fewer than two labels, or a label with fewer groups than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if n_folds < 2:
        raise SpecError(f"cross-validation needs at least 2 folds; got {n_folds}")
    if len(names) < 2:
        raise DataError(f"decoding needs at least two labels; all stimuli have {listed(names)}")
    counts = [len(np.unique(group[y == label])) for label in range(len(names))]
    few = [f"{name} ({count})" for name, count in zip(names, counts, strict=True) if count < n_folds]
    if few:
        raise DataError(
            f"{n_folds} folds need as many groups of stimuli with each label; fewer have: {listed(few)}; use at most "
            f"{max(2, min(counts))} folds, or leave these stimuli out"
        )
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    split = [Fold(np.sort(train), np.sort(test)) for train, test in splitter.split(np.zeros((len(y), 1)), y, group)]
    for fold in split:
        missing = [names[label] for label in np.setdiff1d(y, y[fold.train])]
        if missing:
            raise DataError(
                f"a fold's training stimuli lack {listed(missing)}: the groups are too large; use fewer folds"
            )
    return split


def _folds_of(
    y: np.ndarray, group: np.ndarray, n_folds: int, rng: np.random.Generator, names: Sequence[object]
) -> list[Fold]:
    """:func:`stratified_folds` of shuffled labels; where groups are so large that a fold lacks a label, others."""
    for _ in range(99):
        with suppress(DataError):
            return stratified_folds(y, group, n_folds, seed=int(rng.integers(2**31)), names=names)
    return stratified_folds(y, group, n_folds, seed=0, names=names)


def _p_values(accuracy: np.ndarray, null: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P of each site and timestep (sites, T), and over all of them by the largest accuracy of each shuffle; NaN without any."""
    if not len(null):
        return np.full(accuracy.shape, np.nan), np.full(accuracy.shape, np.nan)
    least = accuracy - 1e-12
    null = np.where(np.isnan(null), -np.inf, null)
    reached = [(null >= least).sum(axis=0), (null.max(axis=(1, 2))[:, None, None] >= least).sum(axis=0)]
    single, corrected = (np.where(np.isnan(accuracy), np.nan, (1 + count) / (1 + len(null))) for count in reached)
    return single, corrected


def _span(products: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Coordinates of the training rows in the space that they span, and what gives those of other rows."""
    values, vectors = np.linalg.eigh(centre_train(products, train))
    kept = values > values[-1] * 1e-7  # products are of float32 features
    values, vectors = values[kept], vectors[:, kept]
    scale = np.sqrt(values.sum() / (len(train) * len(values)))
    outward = vectors / np.sqrt(values) / scale

    def project(rows: np.ndarray) -> np.ndarray:
        return centre_cross(products, rows, train) @ outward  # (n, r)

    return vectors * np.sqrt(values) / scale, project


def _time_gram(data: xr.DataArray, timesteps: Sequence[int], name: str) -> np.ndarray:
    """Inner products of all stimuli at all of ``timesteps``, (T n, T n), timestep by timestep."""
    rows = len(timesteps) * data.sizes["stimulus"]
    if rows > MOST_ROWS:
        raise SpecError(
            f"{name}: {data.sizes['stimulus']} stimuli at {len(timesteps)} timesteps are {rows} rows; at most {MOST_ROWS} can "
            "be decoded at once: extract fewer timesteps or a subset of the stimuli"
        )
    products = np.zeros((rows, rows))
    each = [feature_tiles(data.sel({TIMESTEP: t}), tile_bytes=TILE_BYTES // len(timesteps)) for t in timesteps]
    for tiles in zip(*each, strict=True):
        tile = np.concatenate(tiles)  # (T n, width)
        tile = tile - tile.mean(axis=0)  # changes no centred product, and keeps digits
        products += tile @ tile.T
    return products


def _column(store: Store, column: str | Sequence[object], what: str) -> np.ndarray:
    table = store.stimuli
    if isinstance(column, str):
        return stimulus_column(table, column).to_numpy()
    given = np.asarray(column)
    if given.shape != (len(table),):
        raise SpecError(
            f"{what} need one value for each of the store's {counted(len(table), 'stimuli')}; got shape {given.shape}"
        )
    return given


def _shuffled(y: np.ndarray, group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Permute labels among groups, so that what belongs together keeps one label."""
    first = np.array([y[group == g][0] for g in range(group.max() + 1)])
    if not np.array_equal(first[group], y):
        raise SpecError(
            f"labels differ within a group, so that they cannot be permuted among groups; use {argument('n_permutations', 0)}"
        )
    return rng.permutation(first)[group]
