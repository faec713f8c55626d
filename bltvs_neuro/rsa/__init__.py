"""Representational similarity analysis: RDMs, their comparison, inference and figures."""

from __future__ import annotations

from .bootstrap import Bootstrap, bootstrap_rsa
from .ceiling import NoiseCeiling, average_rdms, noise_ceiling, session_reliability, spearman_brown
from .commonality import Commonality, commonality
from .convert import from_rsatoolbox, to_rsatoolbox
from .inference import LabelTest, ModelTests, label_permutation_test, model_tests
from .metrics import METRICS
from .rdm import compute_rdms
from .regression import WeightedModel, fit_weights, partial_correlation, weighted_model
from .result import RsaResult, compare_rdms, load_result
from .similarity import SIMILARITIES, compare
from .time import TimeMatrix, peak_latency, time_matrix

__all__ = [
    "METRICS",
    "SIMILARITIES",
    "Bootstrap",
    "Commonality",
    "LabelTest",
    "ModelTests",
    "NoiseCeiling",
    "RsaResult",
    "TimeMatrix",
    "WeightedModel",
    "average_rdms",
    "bootstrap_rsa",
    "commonality",
    "compare",
    "compare_rdms",
    "compute_rdms",
    "fit_weights",
    "from_rsatoolbox",
    "label_permutation_test",
    "load_result",
    "model_tests",
    "noise_ceiling",
    "partial_correlation",
    "peak_latency",
    "session_reliability",
    "spearman_brown",
    "time_matrix",
    "to_rsatoolbox",
    "weighted_model",
]
