"""Labelled activations in memory: what a store would hold, for as many stimuli as fit."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from ..errors import SpecError, StimulusError
from ..features.select import Select, Selection
from ..model import Network, State
from ..schema import STIMULUS, TIMESTEP
from ..stimuli import StimulusSet
from ..stimuli.sources import FileSource
from .batches import decoded
from .grammar import parse_reduction
from .hooks import hooked
from .plan import bind_all, human_bytes, layouts
from .precision import computing
from .projection import Pca
from .reduce import Reduction
from .share import CPU_BATCH
from .sites import select_states

MOST = 4 * 2**30
"""Bytes that are recorded in memory at most."""


def record(
    model: Network,
    stimuli: StimulusSet | str | os.PathLike[str] | Sequence[Any] | np.ndarray | Tensor,
    sites: Selection = Select(),
    reduce: str | Reduction | None = None,
) -> dict[str, xr.DataArray]:
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
    dict of site to xarray.DataArray
        (stimulus, timestep, *units), with the coordinates of :meth:`bltvs_neuro.store.Store.__getitem__`. Every analysis
        takes it where it takes a store. Timesteps at which a site is not active are absent.

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
    ids, batches = _inputs(model, stimuli)
    needed = len(ids) * sum(layout.bytes_per_stimulus for layout in made.values())
    if needed > MOST:
        raise SpecError(
            f"these activations take {human_bytes(needed)} of memory, of which {human_bytes(MOST)} are granted: reduce them, "
            "record fewer sites, or extract them into a store"
        )
    values = {site: np.empty((len(ids), len(one.timesteps), *one.shape), np.float32) for site, one in made.items()}
    rows: slice = slice(0)

    def receive(state: State, activations: Tensor) -> None:
        area, stream, timestep = state
        site = f"{area}/{stream}"
        (reduced,) = [one.apply(activations) for key, one in bound.items() if str(key) == site]
        values[site][rows, made[site].timesteps.index(timestep)] = reduced.cpu().numpy()

    for start, images in batches:
        rows = slice(start, start + len(images))
        with computing(device, "float32"), hooked(model, states, receive):
            model.run(images.to(device))
    return {
        site: xr.DataArray(
            values[site], dims=(STIMULUS, TIMESTEP, *one.dims), coords=one.labels(ids), name=site.replace("/", "_"),
            attrs=one.attrs,
        )
        for site, one in made.items()
    }  # fmt: skip


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


def _inputs(model: Network, stimuli: Any) -> tuple[np.ndarray, Iterator[tuple[int, Tensor]]]:
    """Ids, and the model's input batch by batch with the position of its first row."""
    if isinstance(stimuli, Tensor):
        model.check_images(stimuli)
        ids = np.array([f"stimulus_{row:05d}" for row in range(len(stimuli))])
        return ids, ((at, stimuli[at : at + CPU_BATCH]) for at in range(0, len(stimuli), CPU_BATCH))
    opened = stimuli_of(stimuli)
    rows = [list(range(at, min(at + CPU_BATCH, len(opened)))) for at in range(0, len(opened), CPU_BATCH)]
    return np.array(opened.ids), _decoded(model, opened, rows)


def _decoded(model: Network, stimuli: StimulusSet, rows: list[list[int]]) -> Iterator[tuple[int, Tensor]]:
    for batch in decoded(stimuli, model.transform, rows, workers=0):
        if batch.failed:
            raise StimulusError(batch.failed[0][1])
        yield batch.rows[0], model.transform.scale(batch.pixels)
