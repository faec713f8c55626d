"""The folder of a run: what is there to go on from, and what is put there when a run begins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...durable import check_outputs, remove_stale, write_durably
from ...model.released.exported import MODEL_JSON
from ..config import TrainingConfig
from .checkpoint import BEST, CHECKPOINT, check_same_run, read_checkpoint
from .logs import LOG
from .processes import Processes

CONFIG = "config.json"
WRITTEN = (CHECKPOINT, BEST, LOG, f"model/{MODEL_JSON}")


def earlier(config: TrainingConfig, folder: Path, *, overwrite: bool) -> dict[str, Any] | None:
    """The state to go on from, None for a new run; refuses to run over another."""
    if (folder / CHECKPOINT).exists() and not overwrite:
        state = read_checkpoint(folder)
        check_same_run(config, state["config"], folder)
        return state
    check_outputs(*(folder / name for name in WRITTEN), overwrite=overwrite)
    return None


def begin(config: TrainingConfig, folder: Path, processes: Processes, *, goes_on: bool, overwrite: bool) -> None:
    """Write what the run is, once everything that it needs is there."""
    note, text = folder / CONFIG, json.dumps(config.to_json(), indent=2, ensure_ascii=False) + "\n"
    written = [folder / name for name in WRITTEN]
    check_outputs(*written, overwrite=goes_on or overwrite)
    # a run that was killed before its first checkpoint leaves its config
    replace = goes_on or overwrite or (note.is_file() and note.read_bytes() == text.encode())
    check_outputs(note, overwrite=replace)
    processes.wait()
    if processes.first:
        if not goes_on:
            remove_stale(written, ())
        write_durably(note, text.encode(), overwrite=replace)
    processes.wait()
