"""The model: areas (a table), one area's step, two schedules, the module, its checkpoints and their transform."""

from .areas import AREA_NAMES, receptive_fields
from .blt_vs import BLT_VS
from .network import Grid, Network, State
from .unroll import SCHEDULES

__all__ = ["AREA_NAMES", "BLT_VS", "SCHEDULES", "Grid", "Network", "State", "receptive_fields"]
