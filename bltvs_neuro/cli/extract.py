"""``bltvs extract``, ``bltvs join``, ``bltvs info`` and ``bltvs verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from .common import (
    Cluster,
    Device,
    ImageSize,
    Layers,
    ModelName,
    Seed,
    Weights,
    blank_model,
    chosen_model,
    err,
    extraction_progress,
    goes_on,
    guarded,
    out,
)


@guarded
def extract(
    images: Annotated[Path, typer.Argument(help="A folder, a CSV/TSV table, an HDF5 brick, or 'kriegeskorte92'.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The store to write, for example acts.h5.")],
    model: ModelName = "ecoset",
    weights: Weights = "pretrained",
    areas: Annotated[
        str | None,
        typer.Option(help="'V1:LOC' (both ends included), 'V1,V4' or 'all'; the model's usual ones if left out."),
    ] = None,
    streams: Annotated[str, typer.Option(help="'bu', 'td' or 'all'.")] = "all",
    timesteps: Annotated[str, typer.Option(help="'all', '0:6' (0 to 5) or '0,2,5'.")] = "all",
    reduce: Annotated[
        str | None,
        typer.Option(
            help="'mean', 'pool:4', 'project:2048', 'units:500', 'channels:0,5', 'pca:100'; full maps if left out."
        ),
    ] = None,
    lesion: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TARGET[@TIMESTEPS][=ACTION]",
            help="'td:LOC->V4@3:=0' silences; again for more. Targets: 'td:LOC->V4', 'lateral:V1', 'skip:*', 'V4/td'; "
            "actions: a strength, 'freeze', 'noise(0.5,seed=3)', of sites also 'add(1)', 'clamp(pattern.npy)'.",
        ),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images per forward pass; chosen if left out.")] = None,
    keep_bits: Annotated[int | None, typer.Option(help="10 or 7: round mantissas and compress.")] = None,
    precision: Annotated[str, typer.Option(help="'float32', 'fast' (on a CPU), 'bfloat16' or 'float16'.")] = "float32",
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Compute in channels-last memory format.")
    ] = False,
    compile_cells: Annotated[
        bool, typer.Option("--compile", help="Let torch.compile fuse the element-wise work.")
    ] = False,
    device: Device = "auto",
    workers: Annotated[int | None, typer.Option(min=0, help="Decoding processes; chosen if left out.")] = None,
    on_error: Annotated[str, typer.Option(help="'stop' at an unreadable image, or 'skip' and record it.")] = "stop",
    join: Annotated[str, typer.Option(help="'copy' parts into one file, 'virtual' refers to them, 'auto'.")] = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start anew, replacing an earlier store of this name.")
    ] = False,
    shard: Annotated[
        str | None, typer.Option(help="'2/8': do the second of eight shares, as one job of a job array.")
    ] = None,
    cluster: Cluster = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what it takes: bytes, hours, memory.")] = False,
    seed: Seed = 0,
    image_size: ImageSize = None,
    layers: Layers = None,
) -> None:
    """Record activations of images into a store.

    Stopped or killed, the same command goes on where it was.

    Examples
    --------
    `bltvs extract stimuli/ -o acts.h5`

    `bltvs extract stimuli.csv -o v1.h5 --areas V1 --streams bu --timesteps 0:6 --reduce pool:4`

    `bltvs extract nsd_stimuli.hdf5 -o nsd.h5 --model imagenet --reduce project:2048 --plan`

    `bltvs extract stimuli/ -o nofeedback.h5 --reduce pool:4 --lesion "td:*" --lesion "lateral:V1@3:=0.5"`

    `sbatch --array=1-8 --wrap 'bltvs extract stimuli/ -o acts.h5 --shard $SLURM_ARRAY_TASK_ID/8'`

    `bltvs extract stimuli/ -o acts.h5 --cluster tcp://10.0.0.1:8786`

    `bltvs extract stimuli/ -o resnet.h5 --model torchvision:resnet18 --layers layer1,layer4`
    """
    from ..extraction.run import check_options, read_reduction
    from ..extraction.run import extract as run
    from ..extraction.sites import select_states
    from ..stimuli import StimulusSet
    from ..store.write import check_store_path

    if not plan:
        check_store_path(output, resume=not overwrite)
    where = check_options(
        device, precision, on_error=on_error, join=join, keep_bits=keep_bits, shard=shard, cluster=cluster,  # type: ignore[arg-type]
    )  # fmt: skip
    choices: dict[str, Any] = dict(areas=areas, streams=streams, timesteps=timesteps, reduce=read_reduction(reduce))
    blank = None if layers is not None else blank_model(model, image_size, lesion)
    if blank is not None:
        select_states(blank, blank.usual_areas if areas is None else areas, streams, timesteps)
    stimuli = StimulusSet.open(images)
    network = chosen_model(model, weights, seed, image_size, layers=layers)
    if compile_cells:
        network.compile_cells()
    if lesion:
        network.lesion(*lesion)
    if plan:
        names = [str(one) for one in where] or ["cpu"]
        _show_plan(network, stimuli, output, names, batch_size, precision, channels_last, keep_bits, **choices)
        return
    with goes_on(), extraction_progress(f"{network.provenance['model']}, {len(stimuli)} images") as show:
        path = run(
            network, stimuli, output, **choices, batch_size=batch_size or "auto", keep_bits=keep_bits,  # type: ignore[arg-type]
            precision=precision, memory_format="channels_last" if channels_last else "contiguous",  # type: ignore[arg-type]
            device=device, workers="auto" if workers is None else workers, on_error=on_error, join=join,  # type: ignore[arg-type]
            resume=not overwrite, progress=show, shard=shard, cluster=cluster,
        )  # fmt: skip
    if shard is not None and not path.exists():
        out.print(
            f"shard {shard} is done; the job that ends last joins them (or `bltvs join {path}`)",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
        return
    out.print(f"wrote {path}; `bltvs info {path}` describes it", highlight=False, soft_wrap=True)


def _show_plan(
    network: Any, stimuli: Any, output: Path, names: list[str], batch_size: int | None, precision: Any, channels_last: bool,
    keep_bits: int | None, areas: str | None, streams: str, timesteps: str, reduce: Any,
) -> None:  # fmt: skip
    from ..devices import pick_device
    from ..extraction.forecast import forecast
    from ..extraction.plan import check_disk, human_bytes, make_plan, usual_reductions
    from ..extraction.precision import placed, warn_if_slow
    from ..extraction.reduce import Reduction
    from ..extraction.run import auto_batch_size
    from ..extraction.sites import select_states

    where = pick_device(names[0])
    warn_if_slow(where, precision)
    network.to(where)
    states = select_states(network, network.usual_areas if areas is None else areas, streams, timesteps)
    asked = reduce
    every = {one.name: one for one in (asked, Reduction(), *usual_reductions(network, states))}
    size = batch_size or auto_batch_size(network, states, where)
    layout: Any = "channels_last" if channels_last or precision == "fast" else "contiguous"
    with err.status("measuring two batches"), placed(network, where, layout):
        found = forecast(
            network, stimuli, states, list(every.values()), output, size, precision=precision, keep_bits=keep_bits,
        )  # fmt: skip
    table = Table(
        title=f"{len(stimuli)} images on {where}, {len(states)} states",
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
    check_disk(make_plan(network, states, asked, len(stimuli), output, size), network, states, output)
