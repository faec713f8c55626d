"""The model as a subject of Brain-Score's experiments: regions to areas, milliseconds to timesteps, tasks to logits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from brainscore_vision.model_helpers.brain_transformation import ModelCommitment
from brainscore_vision.model_helpers.brain_transformation.neural import LayerMappedModel
from brainscore_vision.model_helpers.brain_transformation.temporal import TemporalAligned
from brainscore_vision.model_interface import BrainModel

from ...errors import SpecError, listed, unknown
from ...extraction.grammar import parse_reduction
from ...extraction.reduce import Reduction
from ...model import Network, State
from ...model.blt_vs.areas import DEGREES_PER_IMAGE
from ...schema import Site, Stream, parse_names, parse_timesteps
from .extractor import BATCH_SIZE, Wrapper
from .layers import LOGITS, site_layer, window_name
from .regions import RegionMap, default_timeline, region_map
from .timeline import Bin, Timeline, check_bin, whole

REDUCE = "pool:7"
"""V1 with both streams has 903,168 units at 224 pixels, of which Brain-Score would keep every one: 56,448 after this."""

IMAGENET_CLASSES = 1000


def brain_model(
    model: Network, identifier: str | None = None, *, regions: str | Mapping[str, str] = "anatomical",
    streams: str | Sequence[str] = "all", timestep: int | None = None, reduce: str | Reduction | None = REDUCE,
    timeline: Timeline | None = None, readout: str = LOGITS, visual_degrees: float = DEGREES_PER_IMAGE,
    batch_size: int = BATCH_SIZE,
) -> Commitment:  # fmt: skip
    """Make a model a Brain-Score subject.

    Parameters
    ----------
    model : Network
    identifier : str, optional
        What Brain-Score calls it. Default: the name under which the model was loaded.
    regions : str or mapping of str to str
        Which area stands for which region, see :func:`bltvs_neuro.brainscore.subject.regions.region_map`.
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
    visual_degrees : float
        What the model's input spans, by design 5.
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
    identifier = identifier or model_identifier(model)
    timeline = timeline or default_timeline(model)
    chosen = region_map(regions, model)
    at = chosen.timestep if timestep is None else timestep
    if at is not None:
        (at,) = parse_timesteps(at, model.timesteps)
    wrapper = Wrapper(model, identifier, timeline, parse_reduction(reduce), batch_size)
    if readout != LOGITS and wrapper.find(readout).bins is not None:
        raise SpecError(f"a behavioural readout has no time course; write {readout}@3 or {readout}@70-170")
    picked = parse_names(streams, model.streams, "stream")
    return Commitment(identifier, wrapper, chosen, picked, at, readout, visual_degrees)  # type: ignore[arg-type]


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


class Commitment(ModelCommitment):
    """Brain-Score's stock commitment, with recordings in time and tasks that are refused where they cannot be done."""

    def __init__(
        self, identifier: str, wrapper: Wrapper, regions: RegionMap, streams: tuple[Stream, ...], timestep: int | None,
        readout: str, visual_degrees: float,
    ) -> None:  # fmt: skip
        model: Network = wrapper._network
        layers = _layers(model, regions, streams, timestep)
        taps = [model.tap_name(Site(s.area, s.stream), s.timestep) for s in model.states()]
        super().__init__(
            identifier=identifier, activations_model=wrapper, layers=[*taps, LOGITS], behavioral_readout_layer=readout,
            region_layer_map=layers, visual_degrees=visual_degrees,
        )  # fmt: skip
        self.layer_model = Recording(LayerMappedModel(identifier, wrapper, layers), wrapper, regions.areas)
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

    def __init__(self, layer_model: LayerMappedModel, wrapper: Wrapper, areas: Mapping[str, str]) -> None:
        super().__init__(layer_model)
        self._wrapper, self._areas = wrapper, areas

    def start_recording(self, recording_target: Any, time_bins: Any) -> None:
        """Choose what ``look_at`` records: V1, V2, V4, IT or an area of the model, in bins (start, end) of milliseconds.

        SpecError for an unknown region, or bins that are none or reach outside of what the model records.
        """
        layers: dict[str, str] = self.region_layer_map
        target = str(recording_target)
        if target not in layers:
            raise unknown("recording_target (region)", target, list(layers))
        bins = _read_bins(time_bins)
        layer = self._wrapper.find(layers[target])
        name = layer.name
        if layer.bins is not None:
            if len(bins) == 1:
                name = f"{layer.name}@{window_name(self._wrapper.timeline.static)}"
                self._wrapper.find(name)
            else:
                _check_covered(bins, layer.bins, target)
        # what is recorded: the first call of look_at must find the layer of this very recording
        self._layer_model.region_layer_map = {**layers, target: name}
        super().start_recording(target, bins)


def _layers(model: Network, regions: RegionMap, streams: tuple[Stream, ...], timestep: int | None) -> dict[str, str]:
    """Region -> layer, for the regions that the model has in these streams."""
    layers = {}
    for region, area in regions.areas.items():
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


def _check_covered(bins: list[Bin], recorded: tuple[Bin, ...], region: str) -> None:
    start, end = recorded[0][0], recorded[-1][1]
    outside = [f"({a:g}, {b:g})" for a, b in bins if a < start - 1e-9 or b > end + 1e-9]
    if outside:
        raise SpecError(
            f"Target time bin(s) {listed(outside)} invalid: {region} is recorded from {start:g} to {end:g} ms, in "
            f"{len(recorded)} bins of {recorded[0][1] - start:g} ms; ask for bins within, or choose another timeline"
        )
