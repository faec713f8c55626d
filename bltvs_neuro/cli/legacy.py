"""The commands of the main job: extract, info, verify, neural, classify, models, demo, brainscore."""

from __future__ import annotations

from typing import Annotated

import typer

from . import brainscore, evaluate, models, neural, probes, report, training
from .common import Settings, set_up_logging

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Activation extraction and brain comparison for BLT_VS, a recurrent model of the human ventral stream.\n\n"
    "Start with `bltvs demo`.",
)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"bltvs_neuro {version('bltvs_neuro')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say more; -vv says everything.")] = 0,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Set what holds for every command."""
    Settings.debug = debug
    set_up_logging(verbose)


app.command("neural")(neural.neural)
app.command("report")(report.report)
app.command("classify")(models.classify)
app.command("models")(models.models)
app.command("decode")(probes.decode)
app.command("drive")(probes.drive)
app.add_typer(brainscore.app, name="brainscore")
app.command("evaluate")(evaluate.evaluate)
app.command("train")(training.train)
app.command("export")(training.export)
app.command("upload")(training.upload)
