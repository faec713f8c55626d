from .grammar import parse_reduction
from .hooks import hooked, record_tensors
from .memory import record
from .projection import project
from .reduce import Reduction, channels, mean, pool, units
from .sites import select_states

__all__ = [
    "Reduction",
    "channels",
    "hooked",
    "mean",
    "parse_reduction",
    "pool",
    "project",
    "record",
    "record_tensors",
    "select_states",
    "units",
]
