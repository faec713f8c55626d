from .grammar import parse_reduction
from .hooks import hooked, record
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
    "select_states",
    "units",
]
