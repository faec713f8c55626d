"""Activations for Brain-Score: its own extractor and wrapper, over taps, time courses and windows of time.

Every state is computed once per batch and reduced where it is tapped, so that full maps never accumulate. What
decides the numbers (weights, architecture, transform, reduction, timeline) is in the extractor's identifier, because
Brain-Score keeps activations by that name.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
from brainscore_vision.model_helpers.activations.core import ActivationsExtractorHelper
from brainscore_vision.model_helpers.activations.pytorch import PytorchWrapper
from torch import Tensor

from ...extraction.hooks import hooked
from ...extraction.reduce import Bound, Pool, Reduction
from ...model import Network, State
from ...model.released.weights import weights_sha256
from ...schema import Site
from ...stimuli.decode import GREY, decode_image
from .layers import LOGITS, Layer, find_layer
from .timeline import Timeline

BATCH_SIZE = 8


class Wrapper(PytorchWrapper):
    """A model as Brain-Score's PytorchWrapper, with the layers of :mod:`.layers`; every site is reduced, logits are not."""

    def __init__(
        self, model: Network, identifier: str, timeline: Timeline, reduction: Reduction, batch_size: int = BATCH_SIZE
    ) -> None:
        self.timeline, self.reduction, self.image_size = timeline, reduction, model.image_size
        self._bound: dict[Site, Bound] = {}
        self.describes = described(model, timeline, reduction)
        digest = hashlib.sha256(json.dumps(self.describes, sort_keys=True).encode()).hexdigest()
        super().__init__(
            model=model, preprocessing=self.preprocess, identifier=f"{identifier}-{digest[:12]}", batch_size=batch_size
        )

    def preprocess(self, paths: Sequence[str]) -> np.ndarray:
        """Decode images and apply the checkpoint's own transform: (B, 3, image_size, image_size) float32."""
        transform = self._network.transform
        return torch.stack([transform(decode_image(str(path))) for path in paths]).numpy()

    def find(self, name: str) -> Layer:
        """Find a layer by its name."""
        return find_layer(name, self._network, self.timeline)

    def bound(self, site: Site) -> Bound:
        """The reduction at a site; of a map smaller than what it is pooled to, the map."""
        if site not in self._bound:
            shape, reduction = self._network.shape(site), self.reduction
            if isinstance(reduction, Pool) and len(shape) == 3:
                reduction = Pool(min(reduction.size, *shape[1:]))  # Brain-Score maps regions over all layers
            self._bound[site] = reduction.bind(site, shape, self._network.grid(site), self._device)
        return self._bound[site]

    def get_activations(self, images: Any, layer_names: Sequence[str]) -> OrderedDict[str, np.ndarray]:
        """Compute layers of one batch, in order: (B, neuroid), or (B, time_bin, neuroid) for a time course."""
        layers = [self.find(name) for name in layer_names if name != LOGITS]
        sums: dict[tuple[str, Site, int], Tensor] = {}

        def receive(state: State, activations: Tensor) -> None:
            site = Site(state.area, state.stream)
            reduced = self.bound(site).apply(activations).flatten(1)  # (B, ...) -> (B, N)
            for layer in layers:
                if site in layer.sites:
                    for position, moment in enumerate(layer.moments):
                        if weight := moment.get(state.timestep):
                            key = (layer.name, site, position)
                            sums[key] = sums[key].add_(reduced, alpha=weight) if key in sums else reduced * weight

        batch = torch.stack([torch.as_tensor(image) for image in images])
        batch = batch.to(self._device, next(self._network.parameters()).dtype)
        states = sorted(set().union(*(layer.states() for layer in layers)))
        self._network.eval()
        with torch.no_grad(), hooked(self._network, states, receive):
            if LOGITS in layer_names:
                logits = self._network(batch)[-1]
            else:
                self._network.run(batch)
        results: OrderedDict[str, np.ndarray] = OrderedDict()
        for name in layer_names:
            if name == LOGITS:
                results[name] = logits.cpu().numpy()
                continue
            layer = self.find(name)
            moments = [
                torch.cat([sums[name, site, position] for site in layer.sites], dim=1)  # sites side by side
                for position in range(len(layer.moments))
            ]
            stacked = torch.stack(moments, dim=1) if layer.bins is not None else moments[0]
            results[name] = stacked.cpu().numpy()
        return results

    def neuroids(self, name: str) -> dict[str, np.ndarray]:
        """Coordinates of a layer's neuroids: stream, channel, channel_x and channel_y (pixels of the image, or NaN)."""
        if name == LOGITS:
            count = self._network.num_classes
            places = dict.fromkeys(("channel_x", "channel_y"), np.full(count, np.nan))
            return {"stream": np.full(count, "bu"), "channel": np.arange(count), **places}
        parts = []
        for site in self.find(name).sites:
            bound = self.bound(site)
            count = int(np.prod(bound.shape))
            places = dict(zip(bound.dims, np.indices(bound.shape).reshape(len(bound.shape), -1), strict=True))
            values = {
                key: np.asarray(coord)[places[dim]] for key, (dim, coord) in bound.coords.items() if dim in places
            }
            nowhere = np.full(count, np.nan)
            parts.append(
                {
                    "stream": np.full(count, site.stream), "channel": values.get("channel", np.arange(count)),
                    "channel_x": values.get("x", nowhere), "channel_y": values.get("y", nowhere),
                }
            )  # fmt: skip
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    @property
    def _network(self) -> Network:
        return self._model

    def _build_extractor(self, *args: Any, **kwargs: Any) -> Extractor:
        return Extractor(self, *args, **kwargs)


class Extractor(ActivationsExtractorHelper):
    """Brain-Score's extractor, which also packages time courses."""

    identifier: Any

    def __init__(self, wrapper: Wrapper, *args: Any, **kwargs: Any) -> None:
        self._wrapper = wrapper
        super().__init__(*args, **kwargs)

    def from_paths(
        self, stimuli_paths: Any, layers: Any, stimuli_identifier: Any = None, require_variance: Any = None
    ) -> Any:
        """Retrieve activations; the cache would merge time courses and lesioned ones, so they have their own names."""
        parts = [name for name in layers or () if name != LOGITS and self._wrapper.find(name).bins is not None]
        if lesions := self._wrapper._network.lesions:
            told = json.dumps([lesion.describe() for lesion in lesions], sort_keys=True, default=str)
            parts.append(f"lesioned_{hashlib.sha256(told.encode()).hexdigest()[:12]}")
        with self._named(f"{self.identifier}-{'.'.join(parts)}" if parts and self.identifier else self.identifier):
            return super().from_paths(
                stimuli_paths, layers, stimuli_identifier=stimuli_identifier, require_variance=require_variance
            )

    @contextmanager
    def _named(self, identifier: Any) -> Iterator[None]:
        before = self.identifier
        self.identifier = identifier
        try:
            yield
        finally:
            self.identifier = before

    def _package_layer(
        self, layer_activations: np.ndarray, layer: str, stimuli_paths: Any, require_variance: bool = False
    ) -> NeuroidAssembly:
        trials = self._microsaccade_helper.number_of_trials if require_variance else 1
        paths = np.repeat(stimuli_paths, trials)
        if len(paths) != len(layer_activations):
            raise AssertionError(f"{len(layer_activations)} activations of {layer} for {len(paths)} presentations")
        count = layer_activations.shape[-1]
        model = str(self._wrapper.identifier)
        coords: dict[str, Any] = {
            "stimulus_path": ("presentation", paths),
            **self._microsaccade_helper.build_microsaccade_coords(paths),
            "neuroid_num": ("neuroid", np.arange(count)),
            "model": ("neuroid", np.full(count, model)),
            "layer": ("neuroid", np.full(count, layer)),
            "neuroid_id": ("neuroid", np.array([f"{model}.{layer}.{n}" for n in range(count)])),
            **{key: ("neuroid", values) for key, values in self._wrapper.neuroids(layer).items()},
        }
        if layer_activations.ndim == 2:
            return NeuroidAssembly(layer_activations, coords=coords, dims=["presentation", "neuroid"])
        bins = self._wrapper.find(layer).bins or ()
        coords["time_bin_start"] = "time_bin", [start for start, _ in bins]
        coords["time_bin_end"] = "time_bin", [end for _, end in bins]
        values = np.moveaxis(layer_activations, 1, 2)  # (B, T, N) -> (B, N, T)
        return NeuroidAssembly(values, coords=coords, dims=["presentation", "neuroid", "time_bin"])


def described(model: Network, timeline: Timeline, reduction: Reduction) -> dict[str, Any]:
    """Describe what decides the activations of a model, JSON-safe."""
    return {
        "architecture": type(model).__name__,
        "config": model.config,
        "weights_sha256": weights_sha256(model),
        "transform": model.transform.describe(),
        "background": list(GREY),
        "reduction": reduction.describe(),
        "timeline": timeline.describe(),
    }
