"""What the model sees in a picture, timestep by timestep."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch

from ..errors import SpecError, StimulusError
from ..model import Network
from ..schema import TIMESTEP
from ..stimuli import StimulusSet
from .batches import decoded
from .precision import computing
from .share import CPU_BATCH


def classify(model: Network, stimuli: StimulusSet, names: Sequence[str], top: int = 5) -> pd.DataFrame:
    """Classify every stimulus at every timestep.

    Parameters
    ----------
    model : Network
    stimuli : StimulusSet
    names : sequence of str, (num_classes,)
        Class names in the order of the logits.
    top : int
        Classes to list.

    Returns
    -------
    pandas.DataFrame
        Columns stimulus_id, timestep, rank (from 1), class_name, probability (softmax of the logits).

    Raises
    ------
    SpecError
        Too few timesteps for activity to reach the readout, or names that do not fit the classes.
    StimulusError
        A stimulus that cannot be read.
    """
    timesteps = model.logit_timesteps
    if not timesteps:
        raise SpecError(f"no activity reaches the readout within {model.timesteps} timesteps")
    if len(names) != model.num_classes:
        raise SpecError(f"{len(names)} class names were given for a model with {model.num_classes} classes")
    if not 1 <= top <= model.num_classes:
        raise SpecError(f"top must be between 1 and {model.num_classes}; got {top}")
    device = next(model.parameters()).device
    rows = [list(range(at, min(at + CPU_BATCH, len(stimuli)))) for at in range(0, len(stimuli), CPU_BATCH)]
    table = []
    for batch in decoded(stimuli, model.transform, rows):
        if batch.failed:
            raise StimulusError(batch.failed[0][1])
        with computing(device, "float32"):
            logits = torch.stack(model(model.transform.scale(batch.pixels.to(device))), dim=1)  # (B, T, classes)
        best = torch.softmax(logits, dim=-1).topk(top, dim=-1)
        for row, probabilities, classes in zip(batch.rows, best.values.tolist(), best.indices.tolist(), strict=True):
            for timestep, p, c in zip(timesteps, probabilities, classes, strict=True):
                table += [
                    (stimuli.ids[row], timestep, rank, names[i], value)
                    for rank, (i, value) in enumerate(zip(c, p, strict=True), 1)
                ]
    return pd.DataFrame(table, columns=["stimulus_id", TIMESTEP, "rank", "class_name", "probability"])
