"""``bltvs models`` and ``bltvs classify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ..errors import DataError
from .common import Device, ImageSize, ModelName, Seed, Weights, chosen_model, err, guarded, out


@guarded
def models() -> None:
    """List the models: parameters, multiply-accumulates, receptive fields.

    MACs are those of one image: of the logits alone, and of every bottom-up and top-down site from Retina to LOC.
    """
    import torch

    from ..model import BLT_VS, receptive_fields
    from ..model.checkpoints import CHECKPOINTS
    from ..model.macs import count_macs

    table = Table(title="checkpoints")
    for column in ("model", "timesteps", "schedule", "classes", "parameters", "GMAC logits", "GMAC all sites"):
        table.add_column(column, justify="left" if column in ("model", "schedule") else "right")
    for name, checkpoint in CHECKPOINTS.items():
        with torch.device("meta"):
            model = BLT_VS(**checkpoint.config)
        parameters = sum(p.numel() for p in model.parameters())
        table.add_row(
            name, str(model.timesteps), model.schedule.name, str(model.num_classes), f"{parameters:,}",
            f"{count_macs(model) / 1e9:.1f}", f"{count_macs(model, 'Retina:LOC') / 1e9:.1f}",
        )  # fmt: skip
    out.print(table)
    for size in (224, 128):
        fields = receptive_fields(size)
        table = Table(title=f"areas for images of {size} px (5 degrees of visual angle)")
        for column in ("area", "receptive field (px)", "(deg)", "stride (px)", "map", "onset (simultaneous)"):
            table.add_column(column, justify="left" if column == "area" else "right")
        with torch.device("meta"):
            simultaneous = BLT_VS(image_size=size)
        for field in fields:
            onset = simultaneous.onset(f"{field.area}/bu")
            table.add_row(
                field.area,
                str(field.size),
                f"{field.degrees:.2f}",
                str(field.stride),
                f"{field.units} x {field.units}",
                str(onset),
            )
        out.print(table)


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
) -> None:
    """Name what the model sees, timestep by timestep.

    Example: `bltvs classify turtle.jpg --model ecoset`
    """
    from ..extraction.classify import classify as run
    from ..extraction.run import pick_device
    from ..model.checkpoints import class_names
    from ..stimuli import StimulusSet

    stimuli = StimulusSet.open(images)
    network = chosen_model(model, weights, seed, image_size, str(pick_device(device)))
    try:
        names = class_names(model)
        if len(names) != network.num_classes:
            raise DataError(f"{model} has {network.num_classes} classes, not the {len(names)} of its usual data set")
    except DataError as error:
        err.print(f"[yellow]class numbers instead of names:[/] {error}", highlight=False, soft_wrap=True)
        names = tuple(f"class {number}" for number in range(network.num_classes))
    result = run(network, stimuli, names, top)
    if weights == "untrained":
        err.print("[yellow]the weights are untrained: these classes mean nothing[/]")
    if csv is not None:
        result.assign(model=model, weights=weights).to_csv(csv, index=False)
    for stimulus_id, part in result.groupby("stimulus_id", sort=False):
        table = Table(title=str(stimulus_id))
        table.add_column("timestep", justify="right")
        for rank in range(1, top + 1):
            table.add_column(f"top {rank}")
        for timestep, row in part.groupby("timestep"):
            cells = [f"{name} {p:.0%}" for name, p in zip(row["class_name"], row["probability"], strict=True)]
            table.add_row(str(timestep), *cells)
        out.print(table)
