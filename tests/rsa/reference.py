"""Slow references: rsatoolbox itself, and formulas written out."""

from __future__ import annotations

import numpy as np
import rsatoolbox
from rsatoolbox.inference import eval_dual_bootstrap
from rsatoolbox.model import ModelFixed

from bltvs_neuro.rsa.comparing.similarity import SIMILARITIES


def to_rsatoolbox(vectors: np.ndarray) -> rsatoolbox.rdm.RDMs:
    return rsatoolbox.rdm.RDMs(np.array(vectors))


def compare(a: np.ndarray, b: np.ndarray, similarity: str, sigma_k: np.ndarray | None = None) -> np.ndarray:
    method = SIMILARITIES[similarity].rsatoolbox
    return rsatoolbox.rdm.compare(to_rsatoolbox(a), to_rsatoolbox(b), method, sigma_k=sigma_k)


def entry_covariance(n: int, sigma_k: np.ndarray) -> np.ndarray:
    """Covariance V of the entries of an RDM, P × P, straight from its definition."""
    contrasts = np.zeros((n * (n - 1) // 2, n))
    for p, (i, j) in enumerate(zip(*np.triu_indices(n, 1), strict=True)):
        contrasts[p, i], contrasts[p, j] = 1, -1
    return (contrasts @ sigma_k @ contrasts.T) ** 2


def noise_ceiling(vectors: np.ndarray, similarity: str, subjects: list[str]) -> tuple[float, float]:
    from rsatoolbox.inference.noise_ceiling import boot_noise_ceiling

    rdms = rsatoolbox.rdm.RDMs(np.array(vectors), rdm_descriptors={"subject": subjects})
    return boot_noise_ceiling(rdms, method=SIMILARITIES[similarity].rsatoolbox, rdm_descriptor="subject")


def dual_bootstrap(models: np.ndarray, data: np.ndarray, similarity: str, n_samples: int, seed: int):
    """Run rsatoolbox's dual bootstrap and record its samples as counts per stimulus and per subject."""
    import rsatoolbox.inference.evaluate as evaluate

    n_stimuli = to_rsatoolbox(data).n_cond
    stimulus_counts, subject_counts = [], []
    original = evaluate.bootstrap_sample

    def record(*args, **kwargs):
        sample, rdm_idx, pattern_idx = original(*args, **kwargs)
        subject_counts.append(np.bincount(rdm_idx, minlength=len(data)))
        stimulus_counts.append(np.bincount(pattern_idx, minlength=n_stimuli))
        return sample, rdm_idx, pattern_idx

    evaluate.bootstrap_sample = record
    np.random.seed(seed)  # noqa: NPY002 - rsatoolbox draws from the global generator
    try:
        result = eval_dual_bootstrap(
            [ModelFixed(f"m{i}", to_rsatoolbox(m[None])) for i, m in enumerate(models)],
            to_rsatoolbox(data),
            method=SIMILARITIES[similarity].rsatoolbox,
            N=n_samples,
        )
    finally:
        evaluate.bootstrap_sample = original
    return result, np.array(stimulus_counts), np.array(subject_counts)
