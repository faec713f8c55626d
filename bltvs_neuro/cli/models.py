"""``bltvs models`` and ``bltvs classify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..durable import check_outputs, whole_file
from ..errors import DataError, SpecError, listed
from .base import Table, err, escape, flat, out, told_in
from .choices import Device, ModelChoice, Overwrite, WeightsSeed


def models(
    *names: str,
    measure: bool = False,
    graph: Path | None = None,
    lesion: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = (),
    weights: str = "untrained",
    weights_seed: WeightsSeed = 0,
    csv: Path | None = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """List the models: parameters, multiply-accumulates, receptive fields.

    MACs are those of one image, as this package computes it: of the logits alone, and of every site of every area.

    Parameters
    ----------
    names : str
        Which: a checkpoint, a comparison model, `torchvision:NAME`, `timm:NAME`, `mine.py:make`; all of the first two unless
        given.
    measure : bool
        Count multiply-accumulates in three ways; measure receptive fields.
    graph : path, optional
        A picture of one model: areas, connections, timesteps (PNG, PDF or SVG).
    lesion : str, optional
        In the picture, as for `bltvs extract`.
    weights : str
        For receptive fields: `untrained` (stamped as such), `pretrained` or a file.
    csv : path, optional
        Folder for the measured tables as CSV.

    Examples
    --------
    `bltvs models`

    `bltvs models --measure`

    `bltvs models ecoset --graph ecoset.png --lesion "td:*@4:"`

    `bltvs models --measure b_vs torchvision:resnet18 --csv measured/`
    """
    from .measure import all_names, areas_tables, list_models, measured

    if graph is not None:
        _draw(names, graph, lesion, overwrite=overwrite)
        return
    if measure:
        measured(list(names) or all_names(), weights, weights_seed, device, csv, overwrite=overwrite)
        return
    list_models(list(names) or all_names())
    if not names:
        areas_tables()


def _draw(names: tuple[str, ...], path: Path, lesions: tuple[str, ...], *, overwrite: bool) -> None:
    from ..figures import check_figure, save_figure
    from .measure import loaded

    if len(names) != 1:
        raise SpecError(f"a picture is of one model; got {listed(names) or 'none'}")
    check_outputs(check_figure(path), overwrite=overwrite)
    network = ModelChoice(model=names[0]).blank(lesions)
    if network is None:
        network = loaded(names[0])
        if lesions:
            network.lesion(*lesions)
    save_figure(network.plot(), path, overwrite=overwrite)
    out.print(f"wrote {path}", highlight=False, soft_wrap=True)


@told_in("extraction/classify.py:classify", "top")
def classify(
    images: Path | None = None,
    /,
    *,
    model: Annotated[ModelChoice, flat("Model")] = ModelChoice(),
    top: int = 5,
    csv: Path | None = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Name what the model sees, timestep by timestep.

    Parameters
    ----------
    images : path, optional
        An image, a folder, a table, or another stimulus set. Unless given, a baby turtle: the picture of the original's
        example, fetched at its first use.
    csv : path, optional
        Also write the table here.

    Examples
    --------
    `bltvs classify`

    `bltvs classify stimuli/ --model imagenet --csv seen.csv`
    """
    from .. import datasets
    from ..devices import pick_device
    from ..extraction.classify import classify as run
    from ..model.released.checkpoints import class_names
    from ..stimuli import StimulusSet

    where = str(pick_device(device))
    if csv is not None:
        check_outputs(csv, overwrite=overwrite)
    stimuli = StimulusSet.open(datasets.fetch(datasets.EXAMPLE) if images is None else images)
    network = model.load(where)
    try:
        names = class_names(model.model)
        if len(names) != network.num_classes:
            raise DataError(
                f"{model.model} has {network.num_classes} classes, not the {len(names)} of its usual data set"
            )
    except DataError as error:
        err.print(f"[yellow]class numbers instead of names:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        names = tuple(f"class {number}" for number in range(network.num_classes))
    result = run(network, stimuli, names, top)
    if model.weights == "untrained":
        err.print("[yellow]the weights are untrained: these classes mean nothing[/]")
    if csv is not None:
        with whole_file(csv, overwrite=overwrite) as table_file:
            result.assign(model=model.model, weights=model.weights).to_csv(table_file, index=False)
    for stimulus_id, part in result.groupby("stimulus_id", sort=False):
        table = Table(title=str(stimulus_id))
        table.add_column("timestep", justify="right")
        for rank in range(1, top + 1):
            table.add_column(f"top {rank}")
        for timestep, row in part.groupby("timestep"):
            cells = [f"{name} {p:.0%}" for name, p in zip(row["class_name"], row["probability"], strict=True)]
            table.add_row(str(timestep), *cells)
        out.print(table)
