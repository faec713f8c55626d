"""From the package's labelled forms to Brain-Score's: responses to assemblies, stimuli to stimulus sets."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet as BrainScoreStimuli
from PIL import Image

from ...durable import write_durably
from ...errors import DataError, SpecError, difference, listed
from ...neural.labelled import check_responses
from ...schema import NEUROID, PRESENTATION, STIMULUS_ID
from ...stimuli import StimulusSet, pixel_sha256
from ..subject.timeline import Bin, whole

OBJECT = "object_name"
RESERVED = ("truth", "degrees")
"""Columns that Brain-Score's metrics and screen add themselves."""


def to_stimulus_set(stimuli: StimulusSet, folder: Path | None = None) -> BrainScoreStimuli:
    """Write stimuli, with their metadata, as Brain-Score takes them.

    The pictures go below ``folder`` (default: ``BRAINSCORE_HOME``, ``~/.brain-score``) as PNG files of unique names:
    Brain-Score's screen would let two files of the same name in different folders overwrite each other. The identifier
    holds a hash of ids and pixels, because Brain-Score keeps activations by it.
    """
    pixels = [(stimulus_id, pixel_sha256(picture)) for stimulus_id, picture in stimuli]
    told = "".join(f"{stimulus_id}\n{sha256}\n" for stimulus_id, sha256 in pixels)
    name = f"bltvs_{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    home = Path(os.getenv("BRAINSCORE_HOME", "~/.brain-score")).expanduser()
    folder = (folder or home / "bltvs_neuro").absolute() / name
    paths = {}
    for number, (stimulus_id, sha256) in enumerate(pixels):
        path = folder / f"{number:06d}_{sha256[:16]}.png"
        if not path.exists():
            write_durably(path, _png(stimuli.load(number)), overwrite=True)  # another process may write the same
        paths[stimulus_id] = path
    table = stimuli.metadata.drop(columns=[c for c in RESERVED if c in stimuli.metadata], errors="ignore")
    made = BrainScoreStimuli({STIMULUS_ID: list(stimuli.ids), **{str(c): table[c].to_numpy() for c in table}})
    made.stimulus_paths = paths
    made.identifier = f"{name}_{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"
    return made


def _png(picture: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG")
    return stream.getvalue()


def to_assembly(
    responses: xr.DataArray, stimuli: StimulusSet, *, region: str, times: Bin | None = None, average: bool = False
) -> NeuroidAssembly:
    """Label responses (presentation, neuroid[, time]) as a Brain-Score assembly with its repetitions.

    ``stimuli`` hold every one that was presented, by id; more are left out; a column ``object_name`` lets folds be
    stratified. ``region`` is V1, V2, V4, IT or an area of the model. ``times`` keeps the bins within, milliseconds after
    stimulus onset; ``average`` takes their mean. A single time bin is a coordinate without a dimension.
    """
    check_responses(responses)
    ids = [str(s) for s in responses[STIMULUS_ID].values]
    shown = list(dict.fromkeys(ids))
    if set(shown) - set(stimuli.ids):
        raise DataError(difference("stimuli", shown, stimuli.ids, "the neural data", "the stimuli").split(";")[0])
    missing = np.isnan(responses.values)
    if missing.any():
        where = int(missing.reshape(len(responses), responses.shape[1], -1).any(axis=(0, 2)).sum())
        raise DataError(
            f"{int(missing.sum())} of {missing.size} values are missing (NaN), in {where} of {responses.shape[1]} "
            "neuroids; Brain-Score's metrics take none: leave these neuroids or stimuli out"
        )
    values, bins = _in_time(responses, times, average=average)
    chosen = stimuli.subset(shown)
    made = to_stimulus_set(chosen)
    coords: dict[str, Any] = {
        STIMULUS_ID: (PRESENTATION, ids),
        "image_id": (PRESENTATION, ids),  # Brain-Score's averaging loses a dimension that has one coordinate only
        "repetition": (PRESENTATION, responses["repetition"].values),
        **_neuroids(responses, region),
    }
    if (objects := _objects(responses, chosen)) is not None:
        made[OBJECT] = [objects[s] for s in made[STIMULUS_ID]]
        coords[OBJECT] = (PRESENTATION, [objects[s] for s in ids])
    if len(bins) == 1:
        assembly = NeuroidAssembly(values[..., 0], coords=coords, dims=[PRESENTATION, NEUROID])
        assembly = assembly.expand_dims("time_bin_start").expand_dims("time_bin_end")
        assembly["time_bin_start"], assembly["time_bin_end"] = [bins[0][0]], [bins[0][1]]
        assembly = assembly.stack(time_bin=["time_bin_start", "time_bin_end"]).squeeze("time_bin")
        assembly = NeuroidAssembly(assembly.transpose(PRESENTATION, NEUROID))
    else:
        coords["time_bin_start"] = "time_bin", [start for start, _ in bins]
        coords["time_bin_end"] = "time_bin", [end for _, end in bins]
        assembly = NeuroidAssembly(values, coords=coords, dims=[PRESENTATION, NEUROID, "time_bin"])
    assembly.attrs["stimulus_set"] = made
    assembly.attrs["stimulus_set_identifier"] = made.identifier
    return assembly


def _in_time(responses: xr.DataArray, times: Bin | None, *, average: bool) -> tuple[np.ndarray, list[Bin]]:
    """(presentation, neuroid, bin) and the bins in milliseconds; data without time are one bin of the usual window."""
    if "time" not in responses.dims:
        if times is not None:
            raise SpecError("these responses have no time to choose from")
        return responses.values[..., None], [(70, 170)]
    centres = responses["time"].values * 1000
    if "time_bin_start" in responses.coords:
        starts, ends = (responses[f"time_bin_{edge}"].values * 1000 for edge in ("start", "end"))
    elif len(centres) > 1:
        half = np.median(np.diff(centres)) / 2
        starts, ends = centres - half, centres + half
    else:
        raise DataError(
            "responses at a single time need time_bin_start and time_bin_end to say what they are the mean of"
        )
    starts, ends = np.round(starts, 3), np.round(ends, 3)
    low, high = times or (-np.inf, np.inf)
    keep = np.flatnonzero((starts >= low - 1e-6) & (ends <= high + 1e-6))
    if not len(keep):
        raise DataError(f"no time bin lies within {low:g} to {high:g} ms; there are {starts[0]:g} to {ends[-1]:g} ms")
    values = responses.values[..., keep]
    bins = [(whole(starts[i]), whole(ends[i])) for i in keep]
    if average:
        return values.mean(axis=-1, keepdims=True), [(bins[0][0], bins[-1][1])]
    return values, bins


def _objects(responses: xr.DataArray, stimuli: StimulusSet) -> dict[str, str] | None:
    """Stimulus id -> object name, from the stimuli or from the responses; None where there is none."""
    if OBJECT in stimuli.metadata:
        return dict(zip(stimuli.ids, map(str, stimuli.metadata[OBJECT]), strict=True))
    if OBJECT not in responses.coords:
        return None
    pairs = set(zip(map(str, responses[STIMULUS_ID].values), map(str, responses[OBJECT].values), strict=True))
    if len(pairs) > len(stimuli):
        twice = [s for s in stimuli.ids if sum(s == a for a, _ in pairs) > 1]
        raise DataError(f"the neural data give more than one {OBJECT} to {listed(twice)}")
    return dict(pairs)


def _neuroids(responses: xr.DataArray, region: str) -> dict[str, Any]:
    count = responses.sizes[NEUROID]

    def labels(name: str, default: str) -> list[str]:
        known = name in responses.coords and responses[name].dims == (NEUROID,)
        return [str(value) for value in responses[name].values] if known else [default] * count

    ids = labels("neuroid_id", "")
    if len(set(ids)) < count:
        parts = zip(labels("subject", "subject"), labels("roi", region), range(count), strict=True)
        ids = [f"{subject}.{roi}.{number}" for subject, roi, number in parts]
    return {
        "neuroid_id": (NEUROID, ids),
        "subject": (NEUROID, labels("subject", "subject")),
        "roi": (NEUROID, labels("roi", region)),
        "region": (NEUROID, [region] * count),
    }


def assembly_sha256(assembly: NeuroidAssembly) -> str:
    """Name an assembly by ids, labels and values."""
    digest = hashlib.sha256(np.ascontiguousarray(assembly.values, dtype="<f8").tobytes())
    for name in (STIMULUS_ID, "repetition", "neuroid_id", "region"):
        digest.update("\n".join(map(str, assembly[name].values)).encode())
    digest.update(str(np.asarray(assembly["time_bin"].values).tolist()).encode())
    if OBJECT in assembly.coords:
        digest.update("\n".join(map(str, assembly[OBJECT].values)).encode())
    return digest.hexdigest()


def choices_from(table: pd.DataFrame) -> pd.DataFrame:
    """Check a table of behaviour: one row per trial with stimulus_id, choice, sample_obj and dist_obj."""
    wanted = [STIMULUS_ID, "choice", "sample_obj", "dist_obj"]
    absent = [name for name in wanted if name not in table]
    if absent:
        raise DataError(f"a table of choices has the columns {listed(wanted)}; {listed(absent)} is missing")
    if table[wanted].isna().any().any() or (table[wanted] == "").any().any() or table.empty:
        raise DataError("the table of choices has empty cells or no rows")
    table = table[wanted].astype(str)
    odd = table[(table["choice"] != table["sample_obj"]) & (table["choice"] != table["dist_obj"])]
    if len(odd):
        raise DataError(f"{len(odd)} choices are neither sample_obj nor dist_obj, first for {odd[STIMULUS_ID].iloc[0]}")
    return table
