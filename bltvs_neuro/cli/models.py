"""``bltvs models`` and ``bltvs classify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ..durable import check_outputs, whole_file
from ..errors import DataError
from .common import Device, ImageSize, ModelName, Overwrite, Seed, Weights, chosen_model, err, guarded, out, plain


@guarded
def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Which: a checkpoint, a comparison model, 'torchvision:NAME', 'timm:NAME'."),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Count multiply-accumulates in three ways; measure receptive fields.")
    ] = False,
    weights: Annotated[
        str, typer.Option(help="For receptive fields: 'untrained' (stamped as such), 'pretrained' or a file.")
    ] = "untrained",
    csv: Annotated[Path | None, typer.Option(help="Folder for the measured tables as CSV.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """List the models: parameters, multiply-accumulates, receptive fields.

    MACs are those of one image, as this package computes it: of the logits alone, and of every site of every area.

    Examples
    --------
    `bltvs models`

    `bltvs models --measure`

    `bltvs models --measure b_vs torchvision:resnet18 --csv measured/`
    """
    from .measure import all_names, areas_tables, list_models, measured

    if measure:
        measured(names or all_names(), weights, seed, device, csv, overwrite=overwrite)
        return
    list_models(names or all_names())
    if not names:
        areas_tables()


@guarded
def classify(
    images: Annotated[Path, typer.Argument(help="An image, a folder, a table, or another stimulus set.")],
    model: ModelName = "imagenet",
    weights: Weights = "pretrained",
    top: Annotated[int, typer.Option(help="Classes to list.")] = 5,
    csv: Annotated[Path | None, typer.Option(help="Also write the table here.")] = None,
    seed: Seed = 0,
    image_size: ImageSize = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Name what the model sees, timestep by timestep.

    Example: `bltvs classify turtle.jpg --model ecoset`
    """
    from ..devices import pick_device
    from ..extraction.classify import classify as run
    from ..model.released.checkpoints import class_names
    from ..stimuli import StimulusSet

    where = str(pick_device(device))
    if csv is not None:
        check_outputs(csv, overwrite=overwrite)
    stimuli = StimulusSet.open(images)
    network = chosen_model(model, weights, seed, image_size, where)
    try:
        names = class_names(model)
        if len(names) != network.num_classes:
            raise DataError(f"{model} has {network.num_classes} classes, not the {len(names)} of its usual data set")
    except DataError as error:
        err.print(f"[yellow]class numbers instead of names:[/] {plain(error)}", highlight=False, soft_wrap=True)
        names = tuple(f"class {number}" for number in range(network.num_classes))
    result = run(network, stimuli, names, top)
    if weights == "untrained":
        err.print("[yellow]the weights are untrained: these classes mean nothing[/]")
    if csv is not None:
        with whole_file(csv, overwrite=overwrite) as table_file:
            result.assign(model=model, weights=weights).to_csv(table_file, index=False)
    for stimulus_id, part in result.groupby("stimulus_id", sort=False):
        table = Table(title=str(stimulus_id))
        table.add_column("timestep", justify="right")
        for rank in range(1, top + 1):
            table.add_column(f"top {rank}")
        for timestep, row in part.groupby("timestep"):
            cells = [f"{name} {p:.0%}" for name, p in zip(row["class_name"], row["probability"], strict=True)]
            table.add_row(str(timestep), *cells)
        out.print(table)
