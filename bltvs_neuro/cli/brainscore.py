"""``bltvs brainscore``: check, score, package."""

from __future__ import annotations

import os
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from ..durable import check_outputs
from ..errors import SpecError
from .base import Names, Table, err, flat, out, told_in
from .choices import BatchSize, ModelChoice, Output, Overwrite, Seconds


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The model as a subject of Brain-Score's experiments.

    Parameters
    ----------
    identifier : str, optional
        Name of the model on Brain-Score; chosen unless given.
    regions : str
        `anatomical`, `published`, or a JSON file `{"V1": "V1", "IT": "LOC"}`.
    streams : str
        `bu`, `td` or `all`.
    timestep : int, optional
        Record this timestep alone; the time course unless given.
    reduce : str
        `pool:7`, `mean`, `project:2048`, `units:500`, or `full`.
    timeline : str, optional
        START:STEP in milliseconds, e.g. `10:20`: when timestep 0 begins, how long each lasts.
    """

    identifier: str | None = None
    regions: str = "anatomical"
    streams: str = "all"
    timestep: int | None = None
    reduce: str = "pool:7"
    timeline: str | None = None
    batch_size: BatchSize = 8

    def given(self) -> dict[str, Any]:
        """Arguments of :func:`bltvs_neuro.brainscore.brain_model`."""
        from ..brainscore.subject.timeline import Timeline

        return {
            "regions": self.regions, "streams": self.streams, "timestep": self.timestep, "reduce": self.reduce,
            "timeline": Timeline.parse(self.timeline) if self.timeline else None, "batch_size": self.batch_size,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class OwnData:
    """Data of one's own as a benchmark.

    Parameters
    ----------
    stimuli : str, optional
        What was shown: a folder, a table or another stimulus set.
    metric : str
        `pls`, `ridge`, `rdm`, `linear`, `neuron_to_neuron`; repeat or use commas.
    region : str
        What the model records: V1, V2, V4, IT or an area; repeat or use commas.
    roi : str, optional
        Regions of interest to keep; repeat or use commas.
    degrees : float, optional
        How large the stimuli were shown, degrees of visual angle.
    average : bool
        Average over time.
    ceiling : bool
        Estimate the noise ceiling from the repetitions.
    fitting : str, optional
        For choices: stimuli with image_label to fit the readout to.
    """

    stimuli: str | None = None
    metric: Names = ("pls",)
    region: Names = ("IT",)
    roi: Names | None = None
    degrees: float | None = None
    time: Seconds = None
    average: bool = False
    ceiling: Annotated[bool, Parameter(negative="--no-ceiling")] = True
    fitting: str | None = None


def _prepare() -> None:
    """Set what Brain-Score reads while it is imported, and fail in a sentence if it is not there."""
    os.environ.setdefault("BS_INSTALL_DEPENDENCIES", "no")
    if not err.is_terminal:
        os.environ.setdefault("TQDM_DISABLE", "1")
    # deprecations inside of Brain-Score and of what it pins: nothing that a user could act on
    warnings.filterwarnings("ignore", module=r"(brainscore_core|brainscore_vision|sklearn|xarray)\b")
    from ..brainscore.environment import require

    require()


def score(
    benchmark: str,
    /,
    *,
    own: Annotated[OwnData, flat("Data of your own")] = OwnData(),
    output: Annotated[Output, Parameter(name="*")] = Output(),
    model: Annotated[ModelChoice, flat("Model")] = ModelChoice(),
    subject: Annotated[Subject, flat("The model as a subject")] = Subject(),
) -> None:
    """Score a model on a benchmark of Brain-Score, or on data of your own.

    Of your own data, folds, metrics and ceilings are Brain-Score's. Stimuli are matched by id. With an output, the scores
    go into OUTPUT.json and OUTPUT.csv.

    Parameters
    ----------
    benchmark : str
        A benchmark of Brain-Score, or a file of responses (.nc, ...) or choices (.csv).

    Examples
    --------
    `bltvs brainscore score MajajHong2015public.IT-pls --model imagenet`

    `bltvs brainscore score it.nc --stimuli images.csv --degrees 8 --region V4,IT --metric pls,rdm -o scores`

    `bltvs brainscore score it.nc --stimuli images.csv --degrees 8 --time 70:250ms`
    """
    _prepare()
    from ..brainscore.scores import scoring
    from ..brainscore.subject.commitment import brain_model
    from ..tables import SEPARATORS

    if output.output is not None:
        scoring.check_result(output.output, overwrite=output.overwrite)
    is_own = Path(benchmark).exists() or Path(benchmark).suffix in (".nc", *SEPARATORS)
    benchmarks: list[Any]
    if is_own:
        benchmarks, described = _own(Path(benchmark), own)
    else:
        benchmarks, described = [scoring.public_benchmark(benchmark)], {"benchmark": benchmark}
    made = brain_model(model.load(), subject.identifier, **subject.given())
    with err.status("scoring"):
        result = scoring.score(made, benchmarks, described=described)
    _show(result, made.identifier)
    if output.output is not None:
        written = result.save(output.output, overwrite=output.overwrite)
        out.print(f"wrote {written[0]} and {written[1]}", highlight=False, soft_wrap=True)


def _own(path: Path, own: OwnData) -> tuple[list[Any], dict[str, Any]]:
    from ..brainscore.scores.local import ChoiceBenchmark, local_benchmark
    from ..brainscore.subject.timeline import check_bin
    from ..datasets import sha256_file
    from ..neural import load_responses
    from ..stimuli import StimulusSet
    from ..tables import SEPARATORS, read_cells

    if own.stimuli is None or own.degrees is None:
        raise SpecError(
            f"{path} is scored with --stimuli (what was shown, matched by id) and --degrees (how large, in degrees of "
            "visual angle)"
        )
    shown = StimulusSet.open(own.stimuli)
    options = {key: value for key, value in asdict(own).items() if value is not None and key != "stimuli"}
    described: dict[str, Any] = {"path": str(path), "stimuli": shown.source, "options": options}
    if path.is_file():
        described["sha256"] = sha256_file(path)
    name = path.stem
    if path.suffix in SEPARATORS and own.fitting is not None:
        table = read_cells(path).frame()
        return [
            ChoiceBenchmark(table, shown, StimulusSet.open(own.fitting), visual_degrees=own.degrees, name=name)
        ], described
    responses = load_responses(path, roi=None if own.roi is None else list(own.roi))
    described["responses"] = {key: str(value) for key, value in responses.attrs.items()}
    window = None if own.time is None else check_bin([1000 * seconds for seconds in own.time])
    return [
        local_benchmark(
            responses, shown, region=region, metric=metric, visual_degrees=own.degrees, times=window,
            average=own.average, name=name, ceiling=own.ceiling,
        )
        for metric in own.metric
        for region in own.region
    ], described  # fmt: skip


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


@told_in("brainscore/submission/package.py:package", "directory", "install", "metadata")
def package(
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    model: Annotated[ModelChoice, flat("Models, several by commas")] = ModelChoice(),
    url: str | None = None,
    directory: str | None = None,
    install: str | None = None,
    metadata: Annotated[bool, Parameter(negative="--no-metadata")] = True,
    subject: Annotated[Subject, flat("The model as a subject")] = Subject(),
    overwrite: Overwrite = False,
) -> None:
    """Write a submission for Brain-Score: a plugin that needs nothing but Brain-Score, in a zip.

    Parameters
    ----------
    output : path
        The zip to write.
    url : str, optional
        Where the plugin fetches your weights, if the zip cannot hold them.

    Examples
    --------
    `bltvs brainscore package -o submission.zip`

    `bltvs brainscore package --model my_model/ --identifier my_model -o submission.zip`
    """
    check_outputs(output, overwrite=overwrite)
    _prepare()
    from ..brainscore.submission.package import Entry
    from ..brainscore.submission.package import package as run

    chosen, identifier = subject.given(), subject.identifier
    if Path(subject.regions).suffix == ".json":
        from ..brainscore.subject.regions import read_map

        chosen["regions"] = read_map(Path(subject.regions))
    chosen = {key: value for key, value in chosen.items() if value is not None}
    names = [name.strip() for name in model.model.split(",")]
    if len(names) > 1 and (identifier or url):
        raise SpecError("--identifier and --url are of one model; write a zip for each")
    entries = [
        Entry(name, model.weights, model.weights_seed, model.image_size, identifier, url, chosen) for name in names
    ]
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


def check(submission: Path, /, *, tests: Annotated[bool, Parameter(negative="--no-tests")] = True) -> int:
    """Run on a submission what Brain-Score runs on it, offline, in a copy of the installed brainscore_vision.

    The exit code is 1 if anything fails.

    Parameters
    ----------
    submission : path
        The zip that `bltvs brainscore package` wrote, or another.
    tests : bool
        Also load the models with their weights and run the tests.
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
        return 1
    count = sum(finding.ok for finding in findings)
    verdict = (
        f"{submission} can be submitted at brain-score.org"
        if tests
        else "its tests, which load the models, were not run"
    )
    out.print(f"{count} checks passed: {verdict}", highlight=False, soft_wrap=True)
    return 0
