"""A world in which the truth is known: stimuli and subjects drawn from populations, one site the subjects share."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import pdist

DIMS = 12
NULL_DIMS = 12


def draw(rng: np.random.Generator, n_stimuli: int, n_subjects: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw RDMs of three sites (the true one, one that shares half of its features, an unrelated one) and of subjects.

    Each subject weighs the true site's features in an own way and measures them with noise.
    """
    true = rng.normal(size=(n_stimuli, DIMS))
    half = np.concatenate([true[:, : DIMS // 2], rng.normal(size=(n_stimuli, DIMS // 2))], axis=1)
    unrelated = rng.normal(size=(n_stimuli, NULL_DIMS))
    models = np.stack([pdist(x, "sqeuclidean") / x.shape[1] for x in (true, half, unrelated)])
    gain = np.exp(rng.normal(0, 0.35, (n_subjects, 1, DIMS)))
    data = np.stack(
        [pdist(y, "sqeuclidean") / DIMS for y in true * gain + rng.normal(0, noise, (n_subjects, n_stimuli, DIMS))]
    )
    return models, data


def draw_subjects(
    rng: np.random.Generator,
    true: np.ndarray | None,
    n_stimuli: int,
    n_subjects: int,
    noise: float,
    common: str = "yes",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw new subjects for given stimuli; with ``common="no"`` each subject has features of its own."""
    if true is None:
        true = rng.normal(size=(n_stimuli, DIMS))
    shared = true[None] if common == "yes" else rng.normal(size=(n_subjects, n_stimuli, DIMS))
    gain = np.exp(rng.normal(0, 0.35, (n_subjects, 1, DIMS)))
    measured = shared * gain + rng.normal(0, noise, (n_subjects, n_stimuli, DIMS))
    data = np.stack([pdist(y, "sqeuclidean") / DIMS for y in measured])
    return pdist(true, "sqeuclidean")[None] / DIMS, data, true
