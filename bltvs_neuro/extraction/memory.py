"""Labelled activations in memory: what a store would hold, for as many stimuli as fit."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from torch import Tensor

from ..errors import SpecError, StimulusError, counted, listed
from ..features.select import Select, Selection
from ..model import Network, State
from ..notebook import line, told
from ..schema import STIMULUS, STIMULUS_ID, TIMESTEP
from ..stimuli import StimulusSet
from ..stimuli.sources import FileSource
from .batches import decoded
from .grammar import parse_reduction
from .hooks import hooked
from .options import ExtractRun
from .plan import bind_all, human_bytes, layouts
from .precision import computing
from .projection import Pca
from .reduce import Reduction
from .share import CPU_BATCH, Choices, identity, provenance
from .sites import select_states

MOST = 4 * 2**30
"""Bytes that are recorded in memory at most."""


class Recorded(dict[str, xr.DataArray]):
    """Labelled activations by site, with what a store says of its own: analyses take it where they take a store.

    Attributes
    ----------
    stimuli : pandas.DataFrame
        ``stimulus_id`` and the metadata of the stimulus set.
    stimulus_ids, stimulus_sha256 : array of str, (n_stimuli,)
    provenance : dict
    """

    def __init__(
        self, arrays: dict[str, xr.DataArray], stimuli: pd.DataFrame, stimulus_sha256: Sequence[str], provenance: dict[str, Any]
    ) -> None:  # fmt: skip
        super().__init__(arrays)
        self.stimuli, self.stimulus_sha256, self.provenance = stimuli, np.array(stimulus_sha256), provenance
        self.stimulus_ids = stimuli[STIMULUS_ID].to_numpy(str)

    def __repr__(self) -> str:
        about = {"": counted(len(self.stimuli), "stimulus"), "sites": listed(self, 4)}
        return line("Recorded", about | told(self.provenance, ("model", "weights")))


def record(
    model: Network,
    stimuli: StimulusSet | str | os.PathLike[str] | Sequence[Any] | np.ndarray | Tensor,
    sites: Selection = Select(),
    reduce: str | Reduction | None = None,
) -> Recorded:
    """Record activations in memory, labelled as those of a store are; float32, where the model is.

    Parameters
    ----------
    model : Network
    stimuli : StimulusSet, path, sequence of paths or pictures, or Tensor
        A path is opened as :meth:`StimulusSet.open` does. Pictures are uint8, as :meth:`StimulusSet.from_arrays` takes
        them. A Tensor (B, 3, image_size, image_size) has been transformed already: the model's own input.
    sites : str, iterable of str or Select
        What to record (:mod:`bltvs_neuro.features.select`); the model's usual areas unless some are named.
    reduce : str or Reduction, optional
        As for :func:`bltvs_neuro.extract`; ``pca`` is fitted there only.

    Returns
    -------
    Recorded
        A dict of site to xarray.DataArray (stimulus, timestep, *units), with the coordinates of
        :meth:`bltvs_neuro.store.Store.__getitem__`. Every analysis takes it where it takes a store. Timesteps at which a site
        is not active are absent.

    Raises
    ------
    SpecError
        An unknown area, stream or timestep, images of the wrong shape, or more than fits: use :func:`bltvs_neuro.extract`.
    StimulusError
        A stimulus that cannot be read.

    Examples
    --------
    >>> model = bn.BLT_VS(timesteps=4, num_classes=3, bio_unroll=False, image_size=128, width=0.0625).eval()
    >>> acts = record(model, bn.StimulusSet.shapes(3), "V1:V2/bu", reduce="mean")
    >>> list(acts), acts["V1/bu"].dims
    (['V1/bu', 'V2/bu'], ('stimulus', 'timestep', 'channel'))
    >>> acts["V1/bu"].sel(stimulus="shapes_test_000001", timestep=2).shape
    (36,)
    """
    states, reduction = select_states(model, sites), parse_reduction(reduce)
    if isinstance(reduction, Pca):
        raise SpecError(
            "pca is fitted over all stimuli first, which an extraction into a store does; reduce otherwise here"
        )
    device = next(model.parameters()).device
    bound = bind_all(model, states, reduction, device)
    made = {layout.site: layout for layout in layouts(model, states, bound)}
    inputs = _Given(stimuli) if isinstance(stimuli, Tensor) else stimuli_of(stimuli)
    ids = np.array(inputs.ids)
    needed = len(ids) * sum(layout.bytes_per_stimulus for layout in made.values())
    if needed > MOST:
        raise SpecError(
            f"these activations take {human_bytes(needed)} of memory, of which {human_bytes(MOST)} are granted: reduce them, "
            "record fewer sites, or extract them into a store"
        )
    values = {site: np.empty((len(ids), len(one.timesteps), *one.shape), np.float32) for site, one in made.items()}
    rows, digests = slice(0), list[str]()

    def receive(state: State, activations: Tensor) -> None:
        area, stream, timestep = state
        site = f"{area}/{stream}"
        (reduced,) = [one.apply(activations) for key, one in bound.items() if str(key) == site]
        values[site][rows, made[site].timesteps.index(timestep)] = reduced.cpu().numpy()

    for pixels, read in _batches(model, inputs):
        rows = slice(len(digests), len(digests) + len(read))
        digests += read
        with computing(device, "float32"), hooked(model, states, receive):
            model.run(pixels.to(device))
    arrays = {
        site: xr.DataArray(
            values[site], dims=(STIMULUS, TIMESTEP, *one.dims), coords=one.labels(ids), name=site.replace("/", "_"),
            attrs=one.attrs,
        )
        for site, one in made.items()
    }  # fmt: skip
    choices = Choices(states, reduction, None, "stop", ExtractRun())
    told_of = identity(model, choices) | provenance(model, inputs, device)  # type: ignore[arg-type]
    return Recorded(arrays, inputs.metadata.rename_axis(STIMULUS_ID).reset_index(), digests, told_of)


def stimuli_of(given: Any) -> StimulusSet:
    """A stimulus set as it is, or made of a path, several paths, or pictures."""
    if isinstance(given, StimulusSet):
        return given
    if isinstance(given, str | os.PathLike):
        return StimulusSet.open(Path(given))
    if len(given) and all(isinstance(one, str | os.PathLike) for one in given):
        paths = [Path(one) for one in given]
        source = {"kind": "images", "paths": [str(path) for path in paths]}
        return StimulusSet([path.name for path in paths], FileSource(paths), source=source)
    return StimulusSet.from_arrays(given)


class _Given:
    """Images that have been transformed already, as a stimulus set has them."""

    def __init__(self, images: Tensor) -> None:
        self.images, self.source = images, {"kind": "tensor", "shape": list(images.shape)}
        self.ids = tuple(f"stimulus_{row:05d}" for row in range(len(images)))
        self.metadata = pd.DataFrame(index=list(self.ids))

    def __len__(self) -> int:
        return len(self.ids)


def _batches(model: Network, inputs: StimulusSet | _Given) -> Iterator[tuple[Tensor, list[str]]]:
    """The model's input batch by batch, with the sha256 of every picture."""
    rows = [list(range(at, min(at + CPU_BATCH, len(inputs)))) for at in range(0, len(inputs), CPU_BATCH)]
    if isinstance(inputs, _Given):
        model.check_images(inputs.images)
        for some in rows:
            images = inputs.images[some]
            yield images, [hashlib.sha256(one.numpy(force=True).tobytes()).hexdigest() for one in images]
        return
    for batch in decoded(inputs, model.transform, rows, workers=0):
        if batch.failed:
            raise StimulusError(batch.failed[0][1])
        yield model.transform.scale(batch.pixels), list(batch.digests)
