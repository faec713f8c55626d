"""The models: BLT_VS (a table of areas, one area's step, two schedules), those beside it, checkpoints, transforms."""

from .blt_vs.areas import AREA_NAMES, receptive_fields
from .blt_vs.module import BLT_VS
from .blt_vs.unroll import SCHEDULES
from .network import Grid, Network, State

__all__ = ["AREA_NAMES", "BLT_VS", "SCHEDULES", "Grid", "Network", "State", "receptive_fields"]
