"""``bltvs extract``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ..errors import counted
from ..extraction.options import ExtractRun, Join, KeepBits, OnError
from ..features.select import Select
from ..options import inherited
from .base import Table, err, flat, goes_on, out, shown, told_in
from .choices import ModelChoice


@inherited
@dataclass(frozen=True, kw_only=True)
class Model(ModelChoice):
    """A model, its weights and its code.

    Parameters
    ----------
    compile : bool
        Let torch.compile fuse the element-wise work.
    """

    compile: bool = False


@told_in("extraction/run.py:extract", "keep_bits", "on_error", "join")
def extract(
    images: Path,
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    overwrite: bool = False,
    model: Annotated[Model, flat("Model")] = Model(),
    lesion: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = (),
    select: Annotated[Select, flat("What to record")] = Select(),
    reduce: str | None = None,
    keep_bits: KeepBits | None = None,
    on_error: OnError = "stop",
    join: Join = "auto",
    run: Annotated[ExtractRun, flat("Running")] = ExtractRun(),
    plan: bool = False,
) -> None:
    """Record activations of images into a store.

    Stopped or killed, the same command goes on where it was.

    Parameters
    ----------
    images : path
        A folder, a CSV or TSV table, an HDF5 brick, or `kriegeskorte92`.
    output : path
        The store to write, for example acts.h5.
    overwrite : bool
        Start anew, replacing an earlier store of this name.
    lesion : str, optional
        `td:LOC->V4@3:=0` silences a connection from timestep 3 on; again for more. Targets: a site `V4/td`, `layer4/bu`, or a
        part of it `V4/td[0:64]`; of BLT_VS `td:LOC->V4`, `lateral:V1`, `skip:*`. Actions: a strength, `freeze`,
        `noise(0.5,seed=3)`, of sites also `add(1)`, `clamp(pattern.npy)`, `resample(donor.png)`.
    reduce : str, optional
        `mean`, `pool:4`, `project:2048`, `units:500`, `channels:0,5` or `pca:100`; full maps unless given.
    plan : bool
        Only say what it takes: bytes, hours, memory.

    Examples
    --------
    `bltvs extract stimuli/ -o acts.h5`

    `bltvs extract stimuli.csv -o v1.h5 --areas V1/bu --timesteps 0:6 --reduce pool:4`

    `bltvs extract nsd_stimuli.hdf5 -o nsd.h5 --model imagenet --reduce project:2048 --plan`

    `bltvs extract stimuli/ -o nofeedback.h5 --reduce pool:4 --lesion "td:*" --lesion "lateral:V1@3:=0.5"`

    `sbatch --array=1-8 --wrap 'bltvs extract stimuli/ -o acts.h5 --shard $SLURM_ARRAY_TASK_ID/8'`

    `bltvs extract stimuli/ -o acts.h5 --cluster tcp://10.0.0.1:8786`

    `bltvs extract stimuli/ -o resnet.h5 --model torchvision:resnet18 --layers layer1,layer4`
    """
    from ..extraction.grammar import parse_reduction
    from ..extraction.run import extract as record
    from ..extraction.sites import select_states
    from ..stimuli import StimulusSet
    from ..store.place import check_store_path

    if not plan:
        check_store_path(output, resume=not overwrite)
    where, reduction = run.places(), parse_reduction(reduce)
    blank = model.blank(lesion)
    if blank is not None:
        select_states(blank, select)
    stimuli = StimulusSet.open(images)
    network = model.load()
    if model.compile:
        network.compile_cells()
    if lesion:
        network.lesion(*lesion)
    if plan:
        _show_plan(network, stimuli, output, select, reduction, [str(one) for one in where] or ["cpu"], run, keep_bits)
        return
    with goes_on(), shown(f"{network.provenance['model']}, {counted(len(stimuli), 'image')}"):
        path = record(
            network, stimuli, output, select, reduction, keep_bits=keep_bits, on_error=on_error, join=join,
            resume=not overwrite, run=run,
        )  # fmt: skip
    if run.shard is not None and not path.exists():
        out.print(
            f"shard {run.shard} is done; the job that ends last joins them (or `bltvs join {path}`)",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
        return
    out.print(f"wrote {path}; `bltvs info {path}` describes it", highlight=False, soft_wrap=True)


def _show_plan(
    network: Any, stimuli: Any, output: Path, select: Select, asked: Any, names: list[str], run: ExtractRun,
    keep_bits: KeepBits | None,
) -> None:  # fmt: skip
    from ..devices import pick_device
    from ..extraction.forecast import forecast
    from ..extraction.plan import bytes_per_stimulus, check_disk, human_bytes, usual_reductions
    from ..extraction.precision import placed, warn_if_slow
    from ..extraction.reduce import Reduction
    from ..extraction.share import auto_batch_size
    from ..extraction.sites import select_states

    where = pick_device(names[0])
    warn_if_slow(where, run.precision)
    network.to(where)
    states = select_states(network, select)
    every = {one.name: one for one in (asked, Reduction(), *usual_reductions(network, states))}
    size = run.batch_size or auto_batch_size(network, states, where)
    with err.status("measuring two batches"), placed(network, where, run.memory_format):
        found = forecast(
            network, stimuli, states, list(every.values()), output, size, precision=run.precision, keep_bits=keep_bits,
        )  # fmt: skip
    table = Table(
        title=f"{counted(len(stimuli), 'image')} on {where}, {len(states)} states",
        caption=f"measured on two batches of {min(size, len(stimuli))}; {human_bytes(found[0].free_bytes)} are free; joining by "
        "copying needs twice the store; * is what was asked for",
    )
    for name in ("reduction", "store", "joining", "fits", "hours", "memory"):
        table.add_column(name, justify="left" if name in ("reduction", "fits") else "right")
    for one in found:
        table.add_row(
            one.reduction + (" *" if one.reduction == asked.name else ""), human_bytes(one.store_bytes),
            human_bytes(one.disk_bytes), "yes" if one.fits else "no", f"{one.seconds / 3600 / len(names):.3g}",
            human_bytes(one.memory_bytes),
        )  # fmt: skip
    out.print(table)
    check_disk(bytes_per_stimulus(network, states, asked), len(stimuli), network, states, output)
