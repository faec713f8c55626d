"""Estimates of one subject's noise ceiling, and the truth."""

from __future__ import annotations

from typing import Any

from bltvs_neuro.neural.labelled import make_responses
from bltvs_neuro.rsa.comparing.similarity import compare_vectors
from bltvs_neuro.rsa.inference.one_subject import DISTANCES, repeat_ceiling
from tests.calibration.rsa_one_subject import draw


def estimate_and_truth(design: Any, seed: int) -> tuple[float, float]:
    """The ceiling from repetitions, and the similarity of the RDM of these very signals with that of the means."""
    signal, data = draw(design, seed)  # (stimulus, channel), (stimulus, presentation, channel)
    names = [f"s{i:03d}" for i in range(len(data)) for _ in range(data.shape[1])]
    responses = make_responses(data.reshape(-1, data.shape[2]), names, neuroid_coords={})
    found = repeat_ceiling(responses, metric=design.metric, similarity=design.similarity)
    rdm = DISTANCES[design.metric]
    return found.ceiling, float(compare_vectors(rdm(signal), rdm(data.mean(axis=1)), design.similarity)[0, 0])
