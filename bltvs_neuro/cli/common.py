"""What the commands share: errors as one sentence, progress, and how a model is chosen."""

from __future__ import annotations

import functools
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer
from rich.console import Console
from rich.logging import RichHandler
from typer.models import OptionInfo

from ..durable import reason
from ..errors import BltvsError, SpecError, spelled_as
from . import signals

if TYPE_CHECKING:
    from ..model import Network

out = Console(markup=False)  # names of files and labels may hold brackets
err = Console(stderr=True)

ModelName = Annotated[
    str,
    typer.Option("--model", help="A name that `bltvs models` lists, 'torchvision:NAME', 'timm:NAME', or a folder."),
]
Layers = Annotated[
    str | None, typer.Option(help="Layers of a torchvision or timm model to call areas: 'layer1,layer4.0'.")
]
Weights = Annotated[
    str, typer.Option(help="'pretrained', 'untrained' (random, stamped as such), or a file of weights.")
]
Seed = Annotated[int, typer.Option(help="Seed of untrained weights.")]
ImageSize = Annotated[int | None, typer.Option(help="128 for the small variant (with untrained or own weights).")]
Device = Annotated[str, typer.Option(help="'auto', 'cpu', 'cuda', 'cuda:1'; 'all' takes every GPU.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace earlier results.")]
Cluster = Annotated[
    str | None,
    typer.Option("--cluster", help="Dask scheduler, 'tcp://host:8786'; 'local:4' starts four processes here."),
]

Command = TypeVar("Command", bound=Callable[..., Any])


class Settings:
    """What the options before the command set."""

    debug = False


def guarded(command: Command) -> Command:
    """Turn the package's and the system's errors into one sentence and an exit code; anything else keeps its traceback.

    Errors name the options of this command (:func:`bltvs_neuro.errors.argument`).
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            with signals.at_work(), spelled_as(flags_of(command)):
                return command(*args, **kwargs)
        except BrokenPipeError:  # the reader of our output has gone, as in `bltvs info x | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except (KeyboardInterrupt, Exception) as error:
            if Settings.debug:
                raise
            # where a signal has come, other errors are what became of it in code that wraps all that it catches
            if isinstance(error, KeyboardInterrupt) or signals.arrived():
                notes = "; ".join(["[bold]interrupted[/]", *map(plain, getattr(error, "__notes__", ()))])
                err.print(notes, highlight=False, soft_wrap=True)
                raise typer.Exit(signals.exit_code()) from None
            said = _sentence(error)
            if said is None:
                raise
            err.print(f"[bold red]error:[/] {plain(said)}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from None

    return run  # type: ignore[return-value]


def _sentence(error: BaseException) -> str | None:
    """An error that needs no traceback: the package's own, and the machine's, such as a full disk wherever it was met."""
    if isinstance(error, OSError) and error.errno is not None:
        return str(BltvsError(f"{error.filename}: {reason(error)}" if error.filename else reason(error)))
    return str(error) if isinstance(error, BltvsError) else None


@contextmanager
def goes_on(how: str = "what was finished is kept: the same command goes on from there") -> Iterator[None]:
    """Say, when this is interrupted, how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        error.add_note(how)
        raise


def flags_of(command: Callable[..., Any]) -> dict[str, str]:
    """The options of a command by the name of the argument in Python, for :func:`bltvs_neuro.errors.spelled_as`."""
    flags: dict[str, str] = {}
    for name, hint in get_type_hints(command, include_extras=True).items():
        for extra in getattr(hint, "__metadata__", ()):
            if isinstance(extra, OptionInfo):
                # in an Annotated, typer keeps the first declaration as the default
                parts = [str(part) for part in (extra.default, *(extra.param_decls or ()))]
                declared = [part for part in parts if part.startswith("--")]
                flags[name] = declared[0].split("/")[0] if declared else f"--{name.replace('_', '-')}"
                no = declared[0].partition("/")[2] if declared else f"--no-{name.replace('_', '-')}"
                if hint.__origin__ is bool and no:
                    flags[f"{name}=False"] = no
    if "overwrite" in flags:
        flags["resume=False"] = flags["overwrite"]
    if "option" in flags:  # a reader's own options
        flags["*"] = "--option {name}="
    return flags


def plain(text: object) -> str:
    """Text as it is, where the console would take brackets for markup."""
    from rich.markup import escape

    return escape(str(text))


def set_up_logging(verbose: int) -> None:
    """Show the package's log on standard error: warnings, and with ``-v`` what it does."""
    handler = RichHandler(console=err, show_time=False, show_path=False, rich_tracebacks=False)
    logger = logging.getLogger("bltvs_neuro")
    logger.handlers[:] = [handler]
    logger.setLevel([logging.WARNING, logging.INFO, logging.DEBUG][min(verbose, 2)])
    logger.propagate = False
    warnings.showwarning = _say


def _say(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """The package's warnings as one sentence; others as Python words them."""
    from .. import errors

    if category.__module__.startswith(errors.__name__.rpartition(".")[0]):
        err.print(f"[yellow]warning:[/] {plain(str(message))}", highlight=False, soft_wrap=True)
    else:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno))


def chosen_model(
    name: str, weights: str, seed: int, image_size: int | None, device: str = "cpu", layers: str | None = None
) -> Network:
    """Load the model that the options name."""
    from ..model.released.checkpoints import load_model

    with err.status("loading the model"):
        chosen = None if layers is None else [layer.strip() for layer in layers.split(",")]
        return load_model(name, weights=weights, seed=seed, image_size=image_size, layers=chosen, device=device)


def blank_model(name: str, image_size: int | None, lesions: list[str] | None) -> Network | None:
    """The model without weights, under its lesions, on which choices are tried before any weights are fetched.

    None for a model of another package, which is only known when it has run once.
    """
    import torch

    from ..model import BLT_VS
    from ..model.others.zoo import in_zoo
    from ..model.released.checkpoints import find_checkpoint

    if in_zoo(name) and not Path(name).is_dir():
        return None
    config = dict(find_checkpoint(name).config) | ({} if image_size is None else {"image_size": image_size})
    with torch.device("meta"):
        network = BLT_VS(**config)
    if lesions:
        network.lesion(*lesions)
    return network


def interval_text(low: float, high: float, form: str) -> str:
    """``"0.1 to 0.3"``, or ``"-"`` where there is no interval."""
    return "-" if low != low or high != high else f"{low:{form}} to {high:{form}}"


def reader_options(pairs: list[str] | None) -> dict[str, str]:
    """Options of a reader from ``name=value``, as text: the reader's annotations say how it is read."""
    found: dict[str, str] = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        name = name.replace("-", "_")
        if not name or not equals:
            raise SpecError(f"an option is written name=value; got {pair!r}")
        if name in found:
            raise SpecError(f"--option {name}=... is given twice; several values are written A,B")
        found[name] = value
    return found


def joined(given: dict[str, Any], own: dict[str, str]) -> dict[str, Any]:
    """What a command's options and ``--option`` give a reader; refuses what both give."""
    given = {name: value for name, value in given.items() if value is not None}
    twice = [name for name in own if name in given]
    if twice:
        raise SpecError(
            f"{', '.join(f'--{name}' for name in twice)} and --option {twice[0]}=... say the same thing twice"
        )
    return {**given, **own}
