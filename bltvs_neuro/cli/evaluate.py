"""``bltvs evaluate``: accuracy over time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from .common import (
    Device,
    ImageSize,
    Layers,
    ModelName,
    Overwrite,
    Seed,
    Weights,
    chosen_model,
    err,
    guarded,
    interval_text,
    out,
)  # fmt: skip


@guarded
def evaluate(
    data: Annotated[str, typer.Argument(help="A folder with one folder per class, an HDF5 file, or 'shapes'.")],
    model: ModelName = "imagenet",
    weights: Weights = "pretrained",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for tables and figure; MODEL-evaluation if left out.")
    ] = None,
    split: Annotated[str, typer.Option(help="Of an HDF5 file or of shapes.")] = "test",
    classes: Annotated[
        Path | None, typer.Option(help="Folder (or category) of every logit, in order: JSON list or one per line.")
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Pictures of shapes.")] = 2000,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per forward pass.")] = 32,
    workers: Annotated[int, typer.Option(min=0, help="Decoding processes.")] = 0,
    bootstrap: Annotated[int, typer.Option(min=1, help="Samples of the pictures, for the intervals.")] = 1000,
    seed: Seed = 0,
    image_size: ImageSize = None,
    layers: Layers = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Score a model on labelled pictures: top-1 and top-5 at every timestep, with 95 % intervals and confusions.

    Examples
    --------
    `bltvs evaluate shapes --model shapes`

    `bltvs evaluate imagenet/val --model imagenet`

    `bltvs evaluate ecoset.h5 --model ecoset --split test`
    """
    from ..devices import pick_device
    from ..model.released.checkpoints import class_names
    from ..training.evaluation.evaluate import check_evaluation
    from ..training.evaluation.evaluate import evaluate as run
    from ..training.pictures.classes import read_class_file
    from ..training.pictures.labelled import check_source, open_for

    where = str(pick_device(device))
    if output is not None:
        check_evaluation(output, overwrite=overwrite)
    check_source(data)
    network = chosen_model(model, weights, seed, image_size, where, layers)
    name = str(network.provenance["model"])
    folder = output or Path(f"{name.replace(':', '_')}-evaluation")
    check_evaluation(folder, overwrite=overwrite)
    given = None if classes is None else read_class_file(classes)
    pictures = open_for(data, class_names(model), network.image_size, split=split, given=given, n=n)
    if weights == "untrained":
        err.print("[yellow]the weights are untrained: this is the accuracy of chance[/]")
    with err.status(f"0 of {len(pictures):,} pictures") as status:
        result = run(
            network, pictures, batch_size=batch_size, workers=workers, bootstrap=bootstrap,
            progress=lambda done, total: status.update(f"{done:,} of {total:,} pictures"),
        )  # fmt: skip
    result.save(folder, title=f"{name} on {Path(data).name}", overwrite=overwrite)
    table = Table(title=f"{name}, {len(pictures):,} pictures, 95 % intervals over pictures")
    for column in ("timestep", "top 1 (%)", "", "top 5 (%)", ""):
        table.add_column(column, justify="right")
    for row in result.table.to_dict("records"):
        table.add_row(
            str(row["timestep"]), f"{row['top1']:.2f}", interval_text(row['top1_low'], row['top1_high'], ".2f"),
            f"{row['top5']:.2f}", interval_text(row['top5_low'], row['top5_high'], ".2f"),
        )  # fmt: skip
    out.print(table)
    if len(result.table) > 1:
        gain = result.gain.to_dict("records")[0]
        out.print(
            f"last timestep minus first: {gain['top1_gain']:+.2f} points, {interval_text(gain['low'], gain['high'], '+.2f')}",
            highlight=False,
        )
    out.print(f"tables and figure in {folder}", highlight=False, soft_wrap=True)
