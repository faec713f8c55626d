from .comparing.commonality import Commonality, commonality
from .comparing.regression import PartialCorrelation, WeightedModel, fit_weights, partial_correlation, weighted_model
from .comparing.similarity import SIMILARITIES, compare
from .inference.bootstrap import Bootstrap, bootstrap_rsa
from .inference.ceiling import NoiseCeiling, average_rdms, noise_ceiling, session_reliability, spearman_brown
from .inference.jackknife import jackknife_rsa
from .inference.one_subject import RepeatCeiling, repeat_ceiling
from .inference.tests import LabelTest, ModelTests, label_permutation_test, model_tests
from .inference.variance import Spread
from .rdms.compute import compute_rdms
from .rdms.convert import from_rsatoolbox, to_rsatoolbox
from .rdms.metrics import METRICS
from .rdms.neural import brain_rdms
from .result import RsaResult, compare_rdms
from .save import save_comparison, save_time_matrix
from .time import TimeMatrix, time_matrix

__all__ = [
    "METRICS",
    "SIMILARITIES",
    "Bootstrap",
    "Commonality",
    "LabelTest",
    "ModelTests",
    "NoiseCeiling",
    "PartialCorrelation",
    "RepeatCeiling",
    "RsaResult",
    "Spread",
    "TimeMatrix",
    "WeightedModel",
    "average_rdms",
    "bootstrap_rsa",
    "brain_rdms",
    "commonality",
    "compare",
    "compare_rdms",
    "compute_rdms",
    "fit_weights",
    "from_rsatoolbox",
    "jackknife_rsa",
    "label_permutation_test",
    "model_tests",
    "noise_ceiling",
    "partial_correlation",
    "repeat_ceiling",
    "save_comparison",
    "save_time_matrix",
    "session_reliability",
    "spearman_brown",
    "time_matrix",
    "to_rsatoolbox",
    "weighted_model",
]
