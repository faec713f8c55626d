"""What a run writes down: one row per epoch in a CSV file and, where it is installed, in TensorBoard."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from ...durable import write_durably

log = logging.getLogger(__name__)

LOG = "log.csv"
Row = dict[str, float]


def write_log(folder: Path, rows: list[Row]) -> None:
    """Write all rows, of which there is one at least."""
    text = pd.DataFrame(rows).to_csv(index=False, float_format="%.6g", lineterminator="\n")
    write_durably(folder / LOG, text.encode(), overwrite=True)


class Board:
    """TensorBoard, if the package is installed (extra ``train``)."""

    def __init__(self, folder: Path, next_epoch: int) -> None:
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            log.info("no TensorBoard: pip install 'bltvs_neuro[train]' adds it")
            return
        # rows that a killed run wrote after its last checkpoint are written again
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=next_epoch)

    def write(self, row: Row) -> None:
        """Add the numbers of one epoch."""
        if self._writer is not None:
            for key, value in row.items():
                self._writer.add_scalar(
                    key.replace("_t", "/t", 1) if key.startswith("val_top") else key, value, row["epoch"]
                )
            self._writer.flush()

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()
