from .clusters import ClusterTest, cluster_sign_flip_test, cluster_test, find_clusters
from .covariance import COVARIANCES, noise_covariance, noise_precision
from .multiple import CORRECTIONS, adjust_p_values
from .permutation import SignFlipTest, sign_flip_test, sign_flips
from .resample import LEAST_DOF, bootstrap_counts, corrected_dual_variance, corrected_variance, t_interval

__all__ = [
    "CORRECTIONS",
    "COVARIANCES",
    "LEAST_DOF",
    "ClusterTest",
    "SignFlipTest",
    "adjust_p_values",
    "bootstrap_counts",
    "cluster_sign_flip_test",
    "cluster_test",
    "corrected_dual_variance",
    "corrected_variance",
    "find_clusters",
    "noise_covariance",
    "noise_precision",
    "sign_flip_test",
    "sign_flips",
    "t_interval",
]
