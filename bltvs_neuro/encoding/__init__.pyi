from .fit import fit_encoding, partition_encoding
from .group import SubjectsResult, over_subjects
from .outputs.partition import plot_partition
from .outputs.scores import plot_best, plot_best_timestep, plot_map, plot_scores, plot_time_matrix
from .result import EncodingResult, Generalisation, PartitionResult
from .scores.ceiling import (
    CEILINGS,
    ceiling_from_ncsnr,
    ncsnr,
    noise_ceiling,
    normalise_r,
    normalise_r2,
    spearman_brown,
)
from .scores.score import pearson, r2, split_r2
from .scores.time import score_matrix, temporal_generalisation
from .solvers.estimators import OLS, PLS, SOLVERS, BandedRidge, Ridge
from .solvers.ridge import GridEdgeWarning, PrecisionWarning
from .solvers.saved_estimators import load_estimator, save_estimator
from .sweep.orders import Permutations
from .sweep.partition import best_space, commonality

__all__ = [
    "CEILINGS",
    "OLS",
    "PLS",
    "SOLVERS",
    "BandedRidge",
    "EncodingResult",
    "Generalisation",
    "GridEdgeWarning",
    "PartitionResult",
    "Permutations",
    "PrecisionWarning",
    "Ridge",
    "SubjectsResult",
    "best_space",
    "ceiling_from_ncsnr",
    "commonality",
    "fit_encoding",
    "load_estimator",
    "ncsnr",
    "noise_ceiling",
    "normalise_r",
    "normalise_r2",
    "over_subjects",
    "partition_encoding",
    "pearson",
    "plot_best",
    "plot_best_timestep",
    "plot_map",
    "plot_partition",
    "plot_scores",
    "plot_time_matrix",
    "r2",
    "save_estimator",
    "score_matrix",
    "spearman_brown",
    "split_r2",
    "temporal_generalisation",
]
