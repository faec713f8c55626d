"""``bltvs train``, ``bltvs export`` and ``bltvs upload``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..errors import unknown
from .base import err, goes_on, out
from .choices import Overwrite

if TYPE_CHECKING:
    from ..training.running.loop import Progress as Done


def train(
    config: str,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    overwrite: bool = False,
    show: bool = False,
) -> None:
    """Train a model as a config says.

    Stopped (Ctrl-C) or killed at any moment, the same command goes on to the same numbers. At the end the
    run's folder holds `log.csv`, `evaluation/` and `model/`, which `--model` of every command and `load_model` take.

    Parameters
    ----------
    config : str
        A TOML file, or a recipe: shapes, imagenet, ecoset.
    output : path, optional
        Folder of the run; runs/NAME unless given.
    overwrite : bool
        Start anew, replacing an earlier run.
    show : bool
        Only print the config, to start your own from.

    Examples
    --------
    `bltvs train shapes -o runs/shapes`

    `bltvs train imagenet --show > mine.toml` and then `torchrun --nproc-per-node 8 $(which bltvs) train mine.toml`
    """
    from ..training.config import read_config
    from ..training.recipes import RECIPES
    from ..training.running.loop import train as run

    path = RECIPES.get(config, Path(config))
    if not path.exists() and path.suffix != ".toml":
        raise unknown("recipe", config, [*RECIPES, "or a file, NAME.toml"])
    if show:
        read_config(path)
        out.print(path.read_text("utf-8"), highlight=False, soft_wrap=True, markup=False, end="")
        return
    read = read_config(path)
    folder = output or Path("runs") / read.name
    with goes_on(), _shown() as progress:
        model = run(read, folder, overwrite=overwrite, progress=progress)
    out.print(
        f"model   {model}\nlog     {folder / 'log.csv'}\nnext    bltvs evaluate DATA --model {model}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def export(
    run: Path,
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    weights: Literal["best", "last"] = "best",
    overwrite: Overwrite = False,
) -> None:
    """Export the weights of a run as a folder that `load_model` and `--model` take.

    Parameters
    ----------
    run : path
        Folder of a run, finished or not.
    output : path
        Folder for the model.
    weights : {"best", "last"}
        Those of the lowest validation loss, or the last.

    Examples
    --------
    `bltvs export runs/shapes -o shapes-so-far --weights last`
    """
    from ..training.release.export import export_run

    folder = export_run(run, output, weights=weights, overwrite=overwrite)
    out.print(f"wrote {folder}; `bltvs evaluate DATA --model {folder}` scores it", highlight=False, soft_wrap=True)


def upload(model: Path, repo: str, /, *, private: bool = False) -> None:
    """Send an exported model to the Hugging Face hub, as the user of `hf auth login`.

    Parameters
    ----------
    model : path
        Folder of an exported model.
    repo : str
        Repository of the hub, `user/name`; made if it does not exist.
    private : bool
        Make it a private one.

    Examples
    --------
    `bltvs upload runs/shapes/model someone/blt_vs_shapes`
    """
    from ..training.release.upload import upload_model

    with err.status(f"uploading to {repo}"):
        address = upload_model(model, repo, private=private)
    out.print(address, highlight=False, soft_wrap=True)


@contextmanager
def _shown() -> Iterator[Callable[[Done], None]]:
    """Steps, loss, learning rate, images per second and time left of the epoch; one line for every epoch that ended."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[said]}"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("starting", total=None, count="", said="")

        def show(done: Done) -> None:
            if done.row is not None:
                tops = " ".join(f"{value:.1f}" for key, value in done.row.items() if key.startswith("val_top1"))
                err.print(
                    f"epoch {done.epoch}: loss {done.row['train_loss']:.3f}, validation {done.row['val_loss']:.3f}, top-1 "
                    f"over time {tops} %, learning rate {done.row['learning_rate']:.2g}",
                    highlight=False, soft_wrap=True,
                )  # fmt: skip
                return
            of = f" of {done.epochs}" if done.epochs else ""
            bar.update(
                task, description=f"epoch {done.epoch}{of}", completed=done.step, total=done.steps,
                count=f"{done.step}/{done.steps}", said=f"loss {done.loss:.3f}, {done.rate:.1f} images/s",
            )  # fmt: skip

        yield show
