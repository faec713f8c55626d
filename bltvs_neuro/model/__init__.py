"""The models: BLT_VS (a table of areas, one area's step, two schedules), those beside it, checkpoints, transforms."""

from .areas import AREA_NAMES, receptive_fields
from .blt_vs import BLT_VS
from .network import Grid, Network, State
from .unroll import SCHEDULES

__all__ = ["AREA_NAMES", "BLT_VS", "SCHEDULES", "Grid", "Network", "State", "receptive_fields"]
