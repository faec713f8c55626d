"""Record the activations of a stimulus set into a store: what is asked for is checked, then handed to who does it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..features.select import Select, Selection
from ..model import Network
from ..stimuli import StimulusSet
from ..store.place import check_store_path
from .grammar import parse_reduction
from .memory import stimuli_of
from .options import ExtractRun, Join, KeepBits, OnError, check_choices
from .plan import bind_all
from .precision import warn_if_slow
from .processes import extract_in_tasks
from .projection import Pca
from .reduce import Reduction
from .share import Choices, extract_share
from .sites import select_states


def extract(
    model: Network, stimuli: StimulusSet | str | os.PathLike[str] | Sequence[Any] | np.ndarray, path: str | os.PathLike[str],
    sites: Selection = Select(), reduce: str | Reduction | None = None, *, keep_bits: KeepBits | None = None,
    on_error: OnError = "stop", join: Join = "auto", resume: bool = True, run: ExtractRun = ExtractRun(),
) -> Path:  # fmt: skip
    """Record activations of a stimulus set into a store.

    Parameters
    ----------
    model : Network
    stimuli : StimulusSet, path, or sequence of paths or pictures
        As for :func:`bltvs_neuro.record`.
    path : path
        Of the store, an HDF5 file. While the run is under way its finished blocks lie in ``<path>.parts``.
    sites : str, iterable of str or Select
        What to record (:mod:`bltvs_neuro.features.select`): ``"V1:LOC"`` includes both ends.
    reduce : str or Reduction, optional
        ``"mean"``, ``"pool:4"``, ``"project:2048"``, ``"units:500"``, ``"channels:0,1"``, a reduction made by
        ``mean()``, ``pool()``, ``project()``, ``units()``, ``channels()`` or ``pca()``; None keeps the full maps.
    keep_bits : {10, 7}, optional
        Round mantissas to float16's (10) or bfloat16's (7) precision and compress; None stores float32 as computed.
    on_error : {"stop", "skip"}
        A stimulus that cannot be read ends the run with its name, or is left out and recorded in the store.
    join : {"auto", "copy", "virtual"}
        How the parts become one file: copied, or referred to; auto copies if the disk allows it.
    resume : bool
        Go on with what is there, refusing anything made with another model, weights, reduction, precision or stimulus
        set. False starts anew; an earlier store of this path stays until the new one is whole, unless it is virtual.
    run : ExtractRun
        Device, batch size, precision, workers, shard, cluster. A cluster's workers must see ``path`` and the stimuli
        under the same names; one that dies costs its task only.

    Returns
    -------
    pathlib.Path
        The finished store, see :func:`bltvs_neuro.open_store`; of a shard that others have still to follow, the file
        that will be.

    Raises
    ------
    SpecError
        A choice that does not exist, or nothing to record.
    StimulusError
        A stimulus that cannot be read, or that changed since the parts were written.
    StoreError
        A store of another extraction, a second writer, a disk that cannot hold the result or is full.

    Examples
    --------
    >>> model = bn.BLT_VS(timesteps=2, num_classes=3, bio_unroll=False, image_size=128, width=0.0625).eval()
    >>> stimuli = bn.StimulusSet.synthetic(4, size=64)
    >>> path = extract(model, stimuli, "made.h5", "V1/bu", reduce="mean")
    >>> with bn.open_store(path) as acts:
    ...     print(acts["V1/bu"].dims, acts["V1/bu"].shape)
    ('stimulus', 'timestep', 'channel') (4, 2, 36)
    """
    check_choices(keep_bits, on_error, join)
    where = run.places()
    path = check_store_path(path, resume=resume)
    reduction = parse_reduction(reduce)
    states = select_states(model, sites)
    bind_all(model, states, Reduction() if isinstance(reduction, Pca) else reduction, torch.device("cpu"))
    stimuli = stimuli_of(stimuli)
    if where:
        warn_if_slow(where[0], run.precision)
    choices = Choices(states, reduction, keep_bits, on_error, replace(run, cluster=None, shard=None))
    with run.limited():
        if run.cluster is not None or len(where) > 1:
            return extract_in_tasks(model, stimuli, path, choices, cluster=run.cluster, resume=resume, join=join)
        return extract_share(
            model, stimuli, path, choices, device=run.device, share=run.share, resume=resume, join=join
        )
