"""``bltvs evaluate``: accuracy over time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..errors import SpecError, argument
from ..options import check_samples
from .base import Table, err, flat, out, told_in
from .choices import BatchSize, Device, ModelChoice, Output, interval_text

if TYPE_CHECKING:
    from ..model import Network


@told_in("training/evaluation/evaluate.py:evaluate", "bootstrap")
def evaluate(
    data: str,
    /,
    *,
    model: Annotated[ModelChoice, flat("Model")] = ModelChoice(),
    output: Annotated[Output, Parameter(name="*")] = Output(),
    split: str = "test",
    classes: Path | None = None,
    n: Annotated[int, Parameter(name="-n")] = 2000,
    batch_size: BatchSize = 32,
    workers: int = 0,
    bootstrap: int = 1000,
    device: Device = "auto",
) -> None:
    """Score a model on labelled pictures: top-1 and top-5 at every timestep, with 95 % intervals and confusions.

    Published accuracies of released weights stand beside: of all pictures of their own test sets. Tables and figure go into
    MODEL-evaluation unless a folder is given.

    Parameters
    ----------
    data : str
        A folder with one folder per class, an HDF5 file, or `shapes`.
    split : str
        Of an HDF5 file or of shapes.
    classes : path, optional
        Folder (or category) of every logit, in order: JSON list or one per line.
    n : int
        Pictures of shapes.
    workers : int
        Decoding processes.

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
    if output.output is not None:
        check_evaluation(output.output, overwrite=output.overwrite)
    for name, count, least in (
        ("n", n, 1),
        ("batch_size", batch_size, 1),
        ("workers", workers, 0),
    ):
        if count < least:
            raise SpecError(f"{argument(name)} is at least {least}; got {count}")
    check_samples("bootstrap", bootstrap, least=1)
    check_source(data)
    network = model.load(where)
    name = str(network.provenance["model"])
    folder = output.output or Path(f"{name.replace(':', '_')}-evaluation")
    check_evaluation(folder, overwrite=output.overwrite)
    given = None if classes is None else read_class_file(classes)
    pictures = open_for(data, class_names(model.model), network.image_size, split=split, given=given, n=n)
    if model.weights == "untrained":
        err.print("[yellow]the weights are untrained: this is the accuracy of chance[/]")
    with err.status(f"0 of {len(pictures):,} pictures") as status:
        result = run(
            network, pictures, batch_size=batch_size, workers=workers, bootstrap=bootstrap,
            progress=lambda done, total: status.update(f"{done:,} of {total:,} pictures"),
        )  # fmt: skip
    result.write(folder, title=f"{name} on {Path(data).name}", overwrite=output.overwrite)
    found = result.to_frame()
    table = Table(title=f"{name}, {len(pictures):,} pictures, 95 % intervals over pictures")
    published = _published(network)
    for column in ("timestep", "top 1 (%)", "", "top 5 (%)", "", *(["published (%)"] if published else [])):
        table.add_column(column, justify="right")
    for row in found.to_dict("records"):
        table.add_row(
            str(row["timestep"]), f"{row['top1']:.2f}", interval_text(row['top1_ci_low'], row['top1_ci_high'], ".2f"),
            f"{row['top5']:.2f}", interval_text(row['top5_ci_low'], row['top5_ci_high'], ".2f"),
            *([published.get(row["timestep"], "-")] if published else []),
        )  # fmt: skip
    out.print(table)
    if len(found) > 1:
        gain = result.gain
        interval = interval_text(gain["ci_low"], gain["ci_high"], "+.2f")
        out.print(f"last timestep minus first: {gain['top1_gain']:+.2f} points, {interval}", highlight=False)
    out.print(f"tables and figure in {folder}", highlight=False, soft_wrap=True)


def _published(network: Network) -> dict[int, str]:
    """Published top-1 accuracies of released weights, by timestep; none where the weights are others."""
    if network.provenance["weights"] not in ("pretrained", "exported"):
        return {}
    accuracies = getattr(getattr(network, "checkpoint", None), "accuracies", ())
    return {
        timestep: f"{accuracy:.2f}" for timestep, accuracy in zip(network.logit_timesteps, accuracies, strict=False)
    }
