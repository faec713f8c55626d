"""The model as a subject of Brain-Score's experiments: regions to areas, milliseconds to timesteps, tasks to logits."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from brainscore_core.supported_data_standards.brainio.assemblies import walk_coords
from brainscore_vision.model_helpers.brain_transformation import ModelCommitment
from brainscore_vision.model_helpers.brain_transformation.neural import LayerMappedModel
from brainscore_vision.model_helpers.brain_transformation.temporal import TemporalAligned
from brainscore_vision.model_interface import BrainModel

from ...errors import SpecError, listed, unknown
from ...extraction.grammar import parse_reduction
from ...extraction.reduce import Reduction
from ...model import Network, State
from ...model.blt_vs.areas import DEGREES_PER_IMAGE
from ...model.blt_vs.module import BLT_VS
from ...schema import Site, Stream, parse_names, parse_timesteps
from .extractor import BATCH_SIZE, Wrapper
from .layers import LOGITS, site_layer, window_name
from .regions import RegionMap, default_timeline, region_map
from .timeline import Bin, Timeline, check_bin, held, whole

log = logging.getLogger(__name__)
REDUCE = "pool:7"
"""V1 with both streams has 903,168 units at 224 pixels, of which Brain-Score would keep every one: 56,448 after this."""

IMAGENET_CLASSES = 1000
BRAINSCORE_DEGREES = 8.0
"""What Brain-Score takes a model's input to span where nobody says."""


def brain_model(
    model: Network, identifier: str | None = None, *, regions: str | Mapping[str, str] = "anatomical",
    streams: str | Sequence[str] = "all", timestep: int | None = None, reduce: str | Reduction | None = REDUCE,
    timeline: Timeline | None = None, readout: str = LOGITS, visual_degrees: float | None = None,
    batch_size: int = BATCH_SIZE,
) -> Commitment:  # fmt: skip
    """Make a model a Brain-Score subject.

    Parameters
    ----------
    model : Network
    identifier : str, optional
        What Brain-Score calls it, and keeps results by. Default: the name under which the model was loaded, with hashes of
        weights of your own and of options that are not the default.
    regions : str or mapping of str to str
        Which area or layer stands for which region, see :func:`bltvs_neuro.brainscore.subject.regions.region_map`.
    streams : str or sequence of str
        ``"bu"``, ``"td"`` or all that the model has, side by side.
    timestep : int, optional
        Record this timestep alone, the same for every time bin. Default: the time course, and for a recording of a
        single time bin the mean over the timeline's static window, 70 to 170 ms.
    reduce : str or Reduction, optional
        As in :func:`bltvs_neuro.extract`; None keeps full maps.
    timeline : Timeline, optional
        Default: what ``regions.json`` states.
    readout : str
        Layer of the behavioural readouts of the tasks probabilities and odd_one_out.
    visual_degrees : float, optional
        What the model's input spans. Default: 5 of BLT_VS, by its design; Brain-Score's 8 of any other network.
    batch_size : int
        Images per forward pass; Brain-Score fills up the last batch.

    Returns
    -------
    Commitment
        A ``brainscore_vision.model_interface.BrainModel``.

    Raises
    ------
    SpecError
        A region, area, stream, timestep or layer that does not exist.
    """
    usual_degrees = DEGREES_PER_IMAGE if isinstance(model, BLT_VS) else BRAINSCORE_DEGREES
    visual_degrees = usual_degrees if visual_degrees is None else visual_degrees
    timeline, reduction = timeline or default_timeline(model), parse_reduction(reduce)
    chosen = region_map(regions, model)
    at = chosen.timestep if timestep is None else timestep
    if at is not None:
        (at,) = parse_timesteps(at, model.timesteps)
    told = {
        "regions": chosen.described["regions"], "streams": streams, "timestep": at, "reduce": reduction.describe(),
        "timeline": timeline.describe(), "readout": readout, "degrees": visual_degrees / usual_degrees,
        "lesions": [lesion.describe() for lesion in model.lesions],
    }  # fmt: skip
    digest = _options_digest(told, model)
    identifier = identifier or model_identifier(model) + digest
    wrapper = Wrapper(model, identifier, timeline, reduction, batch_size)
    if readout != LOGITS and wrapper.find(readout).bins is not None:
        raise SpecError(f"a behavioural readout has no time course; write {readout}@3 or {readout}@70-170")
    picked = parse_names(streams, model.streams, "stream")
    made = Commitment(identifier, wrapper, chosen, picked, at, readout, visual_degrees)  # type: ignore[arg-type]
    made.options_digest = digest
    return made


def model_identifier(model: Network) -> str:
    """Name a model: ``blt_vs_imagenet`` with the released weights, else with the hash of the weights behind it.

    Brain-Score keeps results by name, so that other weights under the same name would be given the old results.
    """
    name = released_identifier(str(model.provenance.get("model", type(model).__name__)))
    weights = str(model.provenance.get("weights", "as constructed"))
    if weights == "pretrained":
        return name
    digest = str(model.provenance.get("weights_sha256", ""))[:8]
    word = "untrained_" if weights == "untrained" else ""
    return f"{name}_{word}{digest}" if digest else name


def released_identifier(name: str) -> str:
    """Name a model with released weights by the name of its checkpoint."""
    return f"blt_vs_{name}" if name in ("imagenet", "ecoset") else re.sub(r"[^A-Za-z0-9_.-]", "_", name)


def _options_digest(told: Mapping[str, Any], model: Network) -> str:
    """``"_"`` and a hash of the options, nothing if all are the default: Brain-Score must not take one for another."""
    usual: dict[str, Any] = {
        "streams": "all", "timestep": None, "reduce": parse_reduction(REDUCE).describe(), "readout": LOGITS,
        "timeline": default_timeline(model).describe(), "degrees": 1.0, "lesions": [],
    }  # fmt: skip
    with suppress(SpecError):  # a network whose areas have other names has no usual regions
        usual["regions"] = region_map("anatomical", model).described["regions"]
    if told == usual:
        return ""
    return "_" + hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:8]


class Commitment(ModelCommitment):
    """Brain-Score's stock commitment, with recordings in time and tasks that are refused where they cannot be done."""

    def __init__(
        self, identifier: str, wrapper: Wrapper, regions: RegionMap, streams: tuple[Stream, ...], timestep: int | None,
        readout: str, visual_degrees: float,
    ) -> None:  # fmt: skip
        model: Network = wrapper._network
        layers = _layers(model, regions, streams, timestep)
        for layer in layers.values():
            wrapper.find(layer)
        taps = [model.tap_name(Site(s.area, s.stream), s.timestep) for s in model.states()]
        super().__init__(
            identifier=identifier, activations_model=wrapper, layers=[*taps, LOGITS], behavioral_readout_layer=readout,
            region_layer_map=layers, visual_degrees=visual_degrees,
        )  # fmt: skip
        self.options_digest = ""
        self.layer_model = Recording(LayerMappedModel(identifier, wrapper, layers), wrapper)
        self.regions, self.streams, self.timestep, self.readout = regions, streams, timestep, readout

    def start_task(self, task: Any, *args: Any, **kwargs: Any) -> None:
        """Start a task; SpecError for labels of ImageNet from a model that has other classes."""
        classes = self.activations_model._network.num_classes
        if task == BrainModel.Task.label and classes != IMAGENET_CLASSES:
            raise SpecError(
                f"the task 'label' requires a 1000-dim ImageNet classification head, and {self.identifier} has {classes} "
                "logits of other classes; its task 'probabilities' fits a readout to the classes of the stimuli"
            )
        super().start_task(task, *args, **kwargs)

    def start_recording(self, recording_target: Any, time_bins: Any) -> None:
        """Record from a region from now on; an earlier task has ended."""
        super().start_recording(recording_target, time_bins)
        self.do_behavior = False  # the stock commitment would go on behaving

    def describe(self) -> dict[str, Any]:
        """What was committed to, JSON-safe."""
        wrapper = self.activations_model
        return {
            "identifier": self.identifier,
            "activations_identifier": wrapper.identifier,
            "visual_degrees": self.visual_degrees(),
            "region_layer_map": dict(self.layer_model.region_layer_map),
            "regions": dict(self.regions.described),
            "streams": list(self.streams),
            "timestep": self.timestep,
            "behavioral_readout_layer": self.readout,
            **wrapper.describes,
        }


class Recording(TemporalAligned):
    """Recordings of a region in time bins: several of them from the time course, a single one from the static window."""

    def __init__(self, layer_model: LayerMappedModel, wrapper: Wrapper) -> None:
        super().__init__(layer_model)
        self._wrapper = wrapper
        self._asked: list[Bin] = []

    def start_recording(self, recording_target: Any, time_bins: Any) -> None:
        """Choose what ``look_at`` records: V1, V2, V4, IT or an area of the model, in bins (start, end) of milliseconds.

        A single bin is the mean over the timeline's static window if it meets that, else over itself. Before the first and
        after the last timestep the nearest one is held, with a warning. SpecError for an unknown region, or no bins.
        """
        layers: dict[str, str] = self.region_layer_map
        target = str(recording_target)
        if target not in layers:
            raise unknown("recording_target (region)", target, list(layers))
        self._asked = bins = _read_bins(time_bins)
        layer = self._wrapper.find(layers[target])
        name = layer.name
        if layer.bins is not None:
            start, end = self._wrapper.timeline.static
            static = len(bins) == 1 and bins[0][0] < end and bins[0][1] > start
            if not static:
                bins = [held(bin_, layer.bins) for bin_ in bins]
                _warn_held(self._asked, bins, layer.bins, target)
            if len(bins) == 1:
                name = f"{layer.name}@{window_name((start, end) if static else bins[0])}"
                self._wrapper.find(name)
        # what is recorded: the first call of look_at must find the layer of this very recording
        self._layer_model.region_layer_map = {**layers, target: name}
        super().start_recording(target, bins)

    def look_at(self, stimuli: Any, number_of_trials: int = 1) -> Any:
        """Record, under the bins that were asked for."""
        recorded = super().look_at(stimuli, number_of_trials=number_of_trials)
        if list(map(tuple, self._time_bins)) == self._asked:
            return recorded
        if "time_bin" not in recorded.dims:
            recorded["time_bin_start"], recorded["time_bin_end"] = self._asked[0]
            return recorded
        coords = {name: (dims, values) for name, dims, values in walk_coords(recorded)}
        for at, name in enumerate(("time_bin_start", "time_bin_end")):
            coords[name] = ("time_bin",), [bin_[at] for bin_ in self._asked]
        return type(recorded)(recorded.values, coords=coords, dims=recorded.dims)


def _layers(model: Network, regions: RegionMap, streams: tuple[Stream, ...], timestep: int | None) -> dict[str, str]:
    """Region -> layer, for the regions that the model has in these streams."""
    layers = {}
    for region, area in regions.areas.items():
        if area not in model.areas:
            layers[region] = area  # a layer by its name
            continue
        here = tuple(stream for stream in streams if model.timesteps_of(Site(area, stream)))
        if timestep is not None:
            here = tuple(s for s in here if State(area, s, timestep) in set(model.states()))
        if here:
            layers[region] = site_layer(area, here, timestep)
    missing = [region for region in regions.described["regions"] if region not in layers]
    if missing:
        when = "" if timestep is None else f" at timestep {timestep}"
        raise SpecError(
            f"no activity reaches what stands for {listed(missing)}{when} in the streams {listed(streams)}; choose another "
            "timestep or stream"
        )
    return layers


def _read_bins(time_bins: Any) -> list[Bin]:
    """Pairs of milliseconds, from tuples or from the arrays of tuples that assemblies give."""
    try:
        items = [item.tolist() if hasattr(item, "tolist") else item for item in time_bins]
    except TypeError:
        items = []
    if not items:
        raise SpecError(f"time_bins are pairs (start, end) in milliseconds, for example [(70, 170)]; got {time_bins!r}")
    # whole milliseconds as integers, as assemblies have them
    return [(whole(a), whole(b)) for a, b in map(check_bin, items)]


def _warn_held(asked: list[Bin], bins: list[Bin], recorded: tuple[Bin, ...], region: str) -> None:
    changed = [f"({a:g}, {b:g})" for (a, b), bin_ in zip(asked, bins, strict=True) if (a, b) != bin_]
    if changed:
        log.warning(
            "%s is recorded from %g to %g ms; in time bin(s) %s the nearest timestep is held",
            region, recorded[0][0], recorded[-1][1], listed(changed),
        )  # fmt: skip
