from .encoding import OLS, PLS, BandedRidge, Permutations, Ridge, fit_encoding, partition_encoding
from .extraction import channels, mean, pool, project, record, units
from .extraction.options import ExtractRun
from .extraction.projection import pca
from .extraction.run import extract
from .features.folds import Folds
from .features.select import Select
from .figures import save_figure
from .model import BLT_VS, Network
from .model.lesions.lesion import lesion
from .model.others.wrapped import wrap
from .model.released.checkpoints import CHECKPOINTS, load_model
from .model.transform import Transform
from .neural import concat, load_rdms, load_responses, make_responses, match_stimuli
from .options import Run
from .probes import decode, drive
from .progress import show_progress
from .report import write_report
from .rsa.inference.one_subject import repeat_ceiling
from .rsa.inference.options import Inference
from .rsa.rdms.compute import compute_rdms
from .rsa.result import compare_rdms
from .stimuli import StimulusSet
from .store import open_store

__all__ = [
    "BLT_VS",
    "CHECKPOINTS",
    "OLS",
    "PLS",
    "BandedRidge",
    "ExtractRun",
    "Folds",
    "Inference",
    "Network",
    "Permutations",
    "Ridge",
    "Run",
    "Select",
    "StimulusSet",
    "Transform",
    "channels",
    "compare_rdms",
    "compute_rdms",
    "concat",
    "decode",
    "drive",
    "extract",
    "fit_encoding",
    "lesion",
    "load_model",
    "load_rdms",
    "load_responses",
    "make_responses",
    "match_stimuli",
    "mean",
    "open_store",
    "partition_encoding",
    "pca",
    "pool",
    "project",
    "record",
    "repeat_ceiling",
    "save_figure",
    "show_progress",
    "units",
    "wrap",
    "write_report",
]
