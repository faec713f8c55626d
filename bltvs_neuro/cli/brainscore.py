"""``bltvs brainscore``: check, score, package."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ..durable import check_outputs
from ..errors import SpecError
from ..tables import SEPARATORS, read_cells
from .common import ImageSize, ModelName, Overwrite, Seed, Weights, chosen_model, err, guarded, out

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Brain-Score: check and write submissions, score models on its benchmarks and on your own data.",
)

Regions = Annotated[str, typer.Option(help='\'anatomical\', \'published\', or a JSON file {"V1": "V1", "IT": "LOC"}.')]
Streams = Annotated[str, typer.Option(help="'bu', 'td' or 'all'.")]
Timestep = Annotated[int | None, typer.Option(help="Record this timestep alone; the time course if left out.")]
Reduce = Annotated[str, typer.Option(help="'pool:7', 'mean', 'project:2048', 'units:500', or 'full'.")]
TimelineText = Annotated[
    str | None,
    typer.Option(
        "--timeline", help="START:STEP in milliseconds, e.g. '10:20': when timestep 0 begins, how long each lasts."
    ),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Images per forward pass.")]
Identifier = Annotated[str | None, typer.Option(help="Name of the model on Brain-Score; chosen if left out.")]


def _prepare() -> None:
    """Set what Brain-Score reads while it is imported, and fail in a sentence if it is not there."""
    os.environ.setdefault("BS_INSTALL_DEPENDENCIES", "no")
    if not err.is_terminal:
        os.environ.setdefault("TQDM_DISABLE", "1")
    # deprecations inside of Brain-Score and of what it pins: nothing that a user could act on
    warnings.filterwarnings("ignore", module=r"(brainscore_core|brainscore_vision|sklearn|xarray)\b")
    from ..brainscore.environment import require

    require()


def _options(
    regions: str, streams: str, timestep: int | None, reduce: str, timeline: str | None, batch_size: int
) -> dict[str, Any]:
    from ..brainscore.subject.timeline import Timeline

    return dict(
        regions=regions, streams=streams, timestep=timestep, reduce=reduce,
        timeline=Timeline.parse(timeline) if timeline else None, batch_size=batch_size,
    )  # fmt: skip


@app.command("score")
@guarded
def score(
    benchmark: Annotated[
        str, typer.Argument(help="A benchmark of Brain-Score, or a file of responses (.nc, ...) or choices (.csv).")
    ],
    stimuli: Annotated[
        str | None, typer.Option(help="Of your own data: a folder, a table or another stimulus set.")
    ] = None,
    metric: Annotated[
        str,
        typer.Option(help="Of your own data: 'pls', 'ridge', 'rdm', 'linear', 'neuron_to_neuron'; several by commas."),
    ] = "pls",
    region: Annotated[
        str, typer.Option(help="What the model records: V1, V2, V4, IT or an area; several by commas.")
    ] = "IT",
    roi: Annotated[str | None, typer.Option(help="Take the neuroids of this roi only.")] = None,
    degrees: Annotated[
        float | None, typer.Option(help="How large the stimuli were shown, degrees of visual angle.")
    ] = None,
    times: Annotated[str | None, typer.Option(help="Time bins to keep, 'START:END' in milliseconds.")] = None,
    average: Annotated[bool, typer.Option("--average", help="Average over time.")] = False,
    ceiling: Annotated[bool, typer.Option(help="Estimate the noise ceiling from the repetitions.")] = True,
    fitting: Annotated[
        str | None, typer.Option(help="For choices: stimuli with image_label to fit the readout to.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write OUTPUT.json and OUTPUT.csv.")] = None,
    model: ModelName = "imagenet",
    weights: Weights = "pretrained",
    seed: Seed = 0,
    image_size: ImageSize = None,
    identifier: Identifier = None,
    regions: Regions = "anatomical",
    streams: Streams = "all",
    timestep: Timestep = None,
    reduce: Reduce = "pool:7",
    timeline: TimelineText = None,
    batch_size: BatchSize = 8,
    overwrite: Overwrite = False,
) -> None:
    """Score a model on a benchmark of Brain-Score, or on data of your own.

    Of your own data, folds, metrics and ceilings are Brain-Score's. Stimuli are matched by id.

    Examples
    --------
    `bltvs brainscore score MajajHong2015public.IT-pls --model imagenet`

    `bltvs brainscore score it.nc --stimuli images.csv --degrees 8 --region V4,IT --metric pls,rdm -o scores`

    `bltvs brainscore score it.nc --stimuli images.csv --degrees 8 --times 70:250`
    """
    _prepare()
    from ..brainscore.scores import scoring
    from ..brainscore.subject.commitment import brain_model

    if output is not None:
        scoring.check_result(output, overwrite=overwrite)
    own = Path(benchmark).exists() or Path(benchmark).suffix in (".nc", *SEPARATORS)
    benchmarks: list[Any]
    if own:
        choices = dict(
            metric=metric,
            region=region,
            roi=roi,
            degrees=degrees,
            times=times,
            average=average,
            ceiling=ceiling,
            fitting=fitting,
        )
        benchmarks, described = _own(Path(benchmark), stimuli, **choices)
    else:
        benchmarks, described = [scoring.public_benchmark(benchmark)], {"benchmark": benchmark}
    chosen = _options(regions, streams, timestep, reduce, timeline, batch_size)
    subject = brain_model(chosen_model(model, weights, seed, image_size), identifier, **chosen)
    with err.status("scoring"):
        result = scoring.score(subject, benchmarks, described=described)
    _show(result, subject.identifier)
    if output is not None:
        written = result.save(output, overwrite=overwrite)
        out.print(f"wrote {written[0]} and {written[1]}", highlight=False, soft_wrap=True)


def _own(path: Path, stimuli: str | None, **given: Any) -> tuple[list[Any], dict[str, Any]]:
    from ..brainscore.scores.local import ChoiceBenchmark, local_benchmark
    from ..datasets import sha256_file
    from ..neural import load_responses
    from ..stimuli import StimulusSet

    if stimuli is None or given["degrees"] is None:
        raise SpecError(
            f"{path} is scored with --stimuli (what was shown, matched by id) and --degrees (how large, in degrees of "
            "visual angle)"
        )
    shown = StimulusSet.open(stimuli)
    options = {key: value for key, value in given.items() if value is not None}
    described: dict[str, Any] = {"path": str(path), "stimuli": shown.source, "options": options}
    if path.is_file():
        described["sha256"] = sha256_file(path)
    name = path.stem
    if path.suffix in SEPARATORS and given["fitting"] is not None:
        table = read_cells(path).frame()
        return [
            ChoiceBenchmark(
                table, shown, StimulusSet.open(given["fitting"]), visual_degrees=given["degrees"], name=name
            )
        ], described
    responses = load_responses(path, roi=given["roi"])
    described["responses"] = {key: str(value) for key, value in responses.attrs.items()}
    window = None if given["times"] is None else _window(given["times"])
    return [
        local_benchmark(
            responses, shown, region=region.strip(), metric=metric.strip(), visual_degrees=given["degrees"], times=window,
            average=given["average"], name=name, ceiling=given["ceiling"],
        )
        for metric in given["metric"].split(",")
        for region in given["region"].split(",")
    ], described  # fmt: skip


def _window(text: str) -> tuple[float, float]:
    from ..brainscore.subject.timeline import check_bin

    return check_bin(text.split(":"))


def _show(result: Any, identifier: str) -> None:
    table = Table(title=f"{identifier}: score = normalised by the ceiling, raw = as the metric gives it")
    timed = result.table["time_bin_start"].notna().any()
    names = ["benchmark", "region", *(["ms"] if timed else []), "score", "raw", "error", "ceiling"]
    for name in names:
        table.add_column(name, justify="left" if name in ("benchmark", "region") else "right")
    for row in result.table.to_dict("records"):
        window = [f"{row['time_bin_start']:g}-{row['time_bin_end']:g}"] if timed else []
        numbers = [
            "" if row[name] != row[name] else f"{row[name]:.3f}" for name in ("score", "raw", "error", "ceiling")
        ]
        table.add_row(row["benchmark"], row["region"], *window, *numbers)
    out.print(table)


@app.command("package")
@guarded
def package(
    output: Annotated[Path, typer.Option("--output", "-o", help="The zip to write.")],
    model: Annotated[
        str, typer.Option(help="Checkpoints or folders of exported models; several by commas.")
    ] = "imagenet",
    weights: Weights = "pretrained",
    url: Annotated[
        str | None, typer.Option(help="Where the plugin fetches your weights, if the zip cannot hold them.")
    ] = None,
    identifier: Identifier = None,
    directory: Annotated[str | None, typer.Option(help="Name of the plugin's folder.")] = None,
    install: Annotated[
        str | None, typer.Option(help="A requirement that installs bltvs_neuro, instead of carrying its files.")
    ] = None,
    metadata: Annotated[
        bool, typer.Option(help="Write metadata.yml; submissions with one are not merged automatically.")
    ] = True,
    seed: Seed = 0,
    image_size: ImageSize = None,
    regions: Regions = "anatomical",
    streams: Streams = "all",
    timestep: Timestep = None,
    reduce: Reduce = "pool:7",
    timeline: TimelineText = None,
    batch_size: BatchSize = 8,
    overwrite: Overwrite = False,
) -> None:
    """Write a submission for Brain-Score: a plugin that needs nothing but Brain-Score, in a zip.

    Examples
    --------
    `bltvs brainscore package -o submission.zip`

    `bltvs brainscore package --model my_model/ --identifier my_model -o submission.zip`
    """
    check_outputs(output, overwrite=overwrite)
    _prepare()
    from ..brainscore.submission.package import Entry
    from ..brainscore.submission.package import package as run

    chosen = _options(regions, streams, timestep, reduce, timeline, batch_size)
    if Path(regions).suffix == ".json":
        from ..brainscore.subject.regions import read_map

        chosen["regions"] = read_map(Path(regions))
    chosen = {key: value for key, value in chosen.items() if value is not None}
    names = [name.strip() for name in model.split(",")]
    if len(names) > 1 and (identifier or url):
        raise SpecError("--identifier and --url are of one model; write a zip for each")
    entries = [Entry(name, weights, seed, image_size, identifier, url, chosen) for name in names]
    path = run(output, entries, directory=directory, install=install, metadata=metadata, overwrite=overwrite)
    out.print(
        f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB); `bltvs brainscore check {path}` runs Brain-Score's checks on it",
        highlight=False,
        soft_wrap=True,
    )
    if metadata:
        out.print(
            "it holds metadata.yml, which Brain-Score looks at before merging (--no-metadata leaves it out)",
            highlight=False,
            soft_wrap=True,
        )


@app.command("check")
@guarded
def check(
    submission: Annotated[Path, typer.Argument(help="The zip that `bltvs brainscore package` wrote, or another.")],
    tests: Annotated[bool, typer.Option(help="Also load the models with their weights and run the tests.")] = True,
) -> None:
    """Run on a submission what Brain-Score runs on it, offline, in a copy of the installed brainscore_vision.

    The exit code is 1 if anything fails.
    """
    _prepare()
    from ..brainscore.submission.check import check as run

    with err.status("running Brain-Score's checks"):
        findings = run(submission, tests=tests)
    for finding in findings:
        word = "[green]ok[/]  " if finding.ok else "[yellow]note[/]" if finding.note else "[red]FAIL[/]"
        out.print(Text.from_markup(word), finding.what, finding.detail, highlight=False, soft_wrap=True)
    failed = [finding for finding in findings if not finding.ok and not finding.note]
    if failed:
        err.print(f"[bold red]{len(failed)} of {len(findings)} checks failed[/]", highlight=False)
        raise typer.Exit(1)
    count = sum(finding.ok for finding in findings)
    verdict = (
        f"{submission} can be submitted at brain-score.org"
        if tests
        else "its tests, which load the models, were not run"
    )
    out.print(f"{count} checks passed: {verdict}", highlight=False, soft_wrap=True)
