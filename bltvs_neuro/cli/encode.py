"""``bltvs encode``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..durable import remove_stale
from ..errors import SpecError, unknown
from .common import Cluster, err, goes_on, guarded, joined, out, reader_options

if TYPE_CHECKING:
    from ..encoding import EncodingResult
    from ..encoding.sweep.run import Progress as Done

DATA, FEATURES, SOLVER, SCORES, RUN = "Neural data", "Feature spaces", "Solver and folds", "Scores and tests", "Running"


@guarded
def encode(
    store: Annotated[Path, typer.Argument(help="A finished store of `bltvs extract`.")],
    neural: Annotated[Path, typer.Option(help="File or folder of responses.", rich_help_panel=DATA)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder; STORE_NEURAL[_ROI]_encoding if left out.")
    ] = None,
    format: Annotated[str | None, typer.Option(help="Reader, if the file does not tell.", rich_help_panel=DATA)] = None,
    roi: Annotated[str | None, typer.Option(help="'V1', 'V1,V2'; needs labels.", rich_help_panel=DATA)] = None,
    subject: Annotated[str | None, typer.Option(help="'subj01'.", rich_help_panel=DATA)] = None,
    session: Annotated[str | None, typer.Option(help="'1' or '1,2'.", rich_help_panel=DATA)] = None,
    stimuli: Annotated[
        Path | None,
        typer.Option(help="List of the stimulus of each presentation, or JSON {old: new}.", rich_help_panel=DATA),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="An option of the reader, 'mask=m.nii.gz'; repeat.", rich_help_panel=DATA)
    ] = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Read pickles of a source you trust.", rich_help_panel=DATA)
    ] = False,
    time: Annotated[str | None, typer.Option(help="Seconds to keep, '0:0.5'.", rich_help_panel=DATA)] = None,
    repetitions: Annotated[
        str, typer.Option(help="'average' over repeats, or 'single' presentations.", rich_help_panel=DATA)
    ] = "average",
    on_mismatch: Annotated[
        str, typer.Option(help="Stimuli on one side only: 'raise' or 'intersect'.", rich_help_panel=DATA)
    ] = "raise",
    bad_targets: Annotated[
        str, typer.Option(help="With NaN or constant: 'mark' or 'raise'.", rich_help_panel=DATA)
    ] = "mark",
    areas: Annotated[str, typer.Option(help="'all', 'V1:LOC' or 'V1,V4/td'.", rich_help_panel=FEATURES)] = "all",
    streams: Annotated[str, typer.Option(help="'all', 'bu' or 'td'.", rich_help_panel=FEATURES)] = "all",
    timesteps: Annotated[str, typer.Option(help="'all', '0:6' or '0,2,5'.", rich_help_panel=FEATURES)] = "all",
    bands: Annotated[
        str | None, typer.Option(help="For banded: 'stream', 'area' or 'timestep'.", rich_help_panel=FEATURES)
    ] = None,
    scale: Annotated[str, typer.Option(help="'none' or 'zscore', per fold.", rich_help_panel=FEATURES)] = "none",
    transform: Annotated[
        str | None, typer.Option(help="'pca:100' or 'project:500', per fold.", rich_help_panel=FEATURES)
    ] = None,
    solver: Annotated[
        str, typer.Option(help="'ridge', 'banded', 'banded_hyper_gradient', 'pls' or 'ols'.", rich_help_panel=SOLVER)
    ] = "ridge",
    by: Annotated[str, typer.Option(help="Alpha by 'auto', 'gcv', 'loo' or 'kfold'.", rich_help_panel=SOLVER)] = "auto",
    alphas: Annotated[
        str | None, typer.Option(help="'1e-2:1e6:20' (log-spaced) or '1,10,100'.", rich_help_panel=SOLVER)
    ] = None,
    cv: Annotated[int, typer.Option(help="Folds that score.", rich_help_panel=SOLVER)] = 5,
    inner_cv: Annotated[int, typer.Option(help="Folds within them, for kfold.", rich_help_panel=SOLVER)] = 5,
    groups: Annotated[
        str, typer.Option(help="What no fold splits: 'stimulus_id,run'.", rich_help_panel=SOLVER)
    ] = "stimulus_id",
    components: Annotated[int, typer.Option(help="Of PLS.", rich_help_panel=SOLVER)] = 25,
    candidates: Annotated[int, typer.Option(help="Shares tried by banded ridge.", rich_help_panel=SOLVER)] = 100,
    weights: Annotated[str, typer.Option(help="'dual' keeps coefficients.", rich_help_panel=SOLVER)] = "none",
    score: Annotated[str, typer.Option(help="In figures and maps: 'r2' or 'r'.", rich_help_panel=SCORES)] = "r2",
    ceiling: Annotated[
        str | None,
        typer.Option(
            help="'split_half', 'ncsnr', 'repetition_variance'; 'given' takes the data's ncsnr.", rich_help_panel=SCORES
        ),
    ] = None,
    permutations: Annotated[int, typer.Option(help="For p and q values.", rich_help_panel=SCORES)] = 0,
    partition: Annotated[
        str | None, typer.Option(help="Unique variance of each 'stream', 'area', 'timestep'.", rich_help_panel=SCORES)
    ] = None,
    generalise: Annotated[
        list[str] | None, typer.Option(help="Over neural time, from 'V4/td:3'; repeat.", rich_help_panel=SCORES)
    ] = None,
    memory: Annotated[str, typer.Option(help="Beside the responses.", rich_help_panel=RUN)] = "2GiB",
    dtype: Annotated[str, typer.Option(help="'float32' or 'float64'.", rich_help_panel=RUN)] = "float32",
    device: Annotated[str | None, typer.Option(help="numpy if left out; 'cuda', 'auto'.", rich_help_panel=RUN)] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the algebra.", rich_help_panel=RUN)] = None,
    seed: Annotated[int, typer.Option(help="Of folds, shares, shuffles.", rich_help_panel=RUN)] = 0,
    figures: Annotated[bool, typer.Option(help="Draw.", rich_help_panel=RUN)] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start anew, replacing earlier results.", rich_help_panel=RUN)
    ] = False,
    cluster: Cluster = None,
) -> None:
    """Predict voxels and electrodes from areas, timesteps and streams, cross-validated over stimuli.

    Writes the result, tables, figures and (for volumes) maps into a folder. Stopped or killed, the same command goes on
    after the last finished feature space.

    Examples
    --------
    `bltvs encode acts.h5 --neural betas.h5 --roi V1`

    `bltvs encode nsd.h5 --neural nsd/ --subject subj01 --ceiling given --permutations 1000 -o nsd_subj01`

    `bltvs encode acts.h5 --neural P1-epo.fif --areas V1,V4 --time 0:0.4 --generalise V4/td:3`

    `bltvs encode acts.h5 --neural betas.nii.gz --option mask=mask.nii.gz --partition stream`
    """
    from threadpoolctl import threadpool_limits

    from ..encoding import fit_encoding, partition_encoding, temporal_generalisation
    from ..encoding.fit import partition_spaces
    from ..encoding.outputs.files import check_encoding, write_encoding, write_generalisation, write_partition
    from ..encoding.scores.ceiling import CEILINGS
    from ..encoding.scores.time import check_generalisation
    from ..encoding.sweep.plan import Choices
    from ..encoding.sweep.spaces import Over
    from ..store import open_store

    for what, chosen, valid in (
        ("score", score, ("r2", "r")), ("partition", partition, (None, *get_args(Over))),
        ("bands", bands, (None, *get_args(Over))), ("noise ceiling", ceiling, (None, *CEILINGS, "given")),
    ):  # fmt: skip
        if chosen not in valid:
            raise unknown(what, chosen, [name for name in valid if name])
    pairs = [read_pair(text) for text in generalise or ()]
    transformer = read_transform(transform, seed)
    shared: dict[str, Any] = dict(
        groups=tuple(groups.split(",")), repetitions=repetitions, on_mismatch=on_mismatch, bad_targets=bad_targets, cv=cv,
        inner_cv=inner_cv, by=by, alphas=read_alphas(alphas), memory=memory, dtype=dtype, device=device, seed=seed,
    )  # fmt: skip
    Choices(
        **shared, solver=solver, n_components=components, n_iter=candidates, scale=scale, transform=transformer,  # type: ignore[arg-type]
        weights=weights, n_permutations=permutations,  # type: ignore[arg-type]
    ).check()  # fmt: skip
    spaces: dict[str, Any] = dict(sites=areas, streams=streams, timesteps=timesteps)
    folder = output or Path("_".join(filter(None, [store.stem, neural.name.split(".")[0], roi, "encoding"])))
    parts = folder / "parts"
    replace = overwrite or parts.is_dir()  # an unfinished result of this very sweep: others are refused below
    before = check_encoding(folder, overwrite=replace)
    with open_store(store) as acts, threadpool_limits(threads) if threads else nullcontext():
        with err.status("reading the responses"):
            responses = read_responses(
                neural, dict(format=format, roi=roi, subject=subject, session=session, stimuli=stimuli), option,
                allow_pickle=allow_pickle, time=time,
            )  # fmt: skip
        if partition is not None:
            partition_spaces(acts, partition, areas, timesteps, streams)  # type: ignore[arg-type]
        for site, timestep in pairs:
            check_generalisation(acts, responses, site, timestep)
        if bands is not None and figures:
            err.print("figures need a feature space per site and timestep: none are drawn of bands", highlight=False)
        if overwrite:
            _remove_parts(parts)
        with goes_on():
            with sweep_progress("encoding") as show:
                result = fit_encoding(
                    acts, responses, **spaces, **shared, bands=bands, solver=solver, n_components=components,  # type: ignore[arg-type]
                    n_iter=candidates, scale=scale, transform=transformer, weights=weights,  # type: ignore[arg-type]
                    ceiling=read_ceiling(ceiling, responses), n_permutations=permutations,
                    progress=show, resume_path=parts / "encoding", cluster=cluster,
                )  # fmt: skip
            written = write_encoding(result, folder, score=score, figures=figures, overwrite=replace)
            if partition is not None:
                with sweep_progress(f"partition by {partition}") as show:
                    shares = partition_encoding(
                        acts, responses, over=partition, **spaces, **shared, n_iter=min(candidates, 20),  # type: ignore[arg-type]
                        progress=show, resume_path=parts / "partition", cluster=cluster,
                    )  # fmt: skip
                written += write_partition(shares, folder, overwrite=replace)
            for site, timestep in pairs:
                with err.status(f"generalisation over time from {site} at timestep {timestep}"):
                    matrix = temporal_generalisation(acts, responses, site, timestep, **shared)
                written += write_generalisation(matrix, folder, f"{site} t{timestep}", overwrite=replace)
    remove_stale(before, written)
    _remove_parts(parts)
    show_result(result, score)
    out.print(f"wrote {len(written)} files into {folder}", highlight=False, soft_wrap=True)


def read_responses(
    path: Path, common: dict[str, Any], options: list[str] | None, *, allow_pickle: bool, time: str | None
) -> Any:
    """Responses as the options choose them."""
    from ..neural import load_responses

    pickles = True if allow_pickle else None
    responses = load_responses(path, **joined({**common, "allow_pickle": pickles}, reader_options(options)))
    if time is None:
        return responses
    if "time" not in responses.dims:
        raise SpecError("--time is for responses with time; these have none")
    first, colon, last = time.partition(":")
    try:
        low, high = float(first or "-inf"), float(last or "inf")
    except ValueError:
        low, high = 1.0, 0.0
    kept = responses[..., (responses["time"].values >= low) & (responses["time"].values <= high)]
    if not colon or not kept.sizes["time"]:
        seconds = responses["time"].values
        raise SpecError(f"--time is written FIRST:LAST in seconds, within {seconds[0]:g}:{seconds[-1]:g}; got {time!r}")
    return kept


def read_alphas(text: str | None) -> list[float] | None:
    """Positive numbers from ``"1,10,100"`` or ``"1e-2:1e6:20"``, ends and number on a logarithmic scale."""
    import numpy as np

    if text is None or text == "auto":
        return None
    try:
        if ":" in text:
            low, high, number = text.split(":")
            return [float(a) for a in np.geomspace(float(low), float(high), int(number))]
        return [float(a) for a in text.split(",")]
    except ValueError:
        raise SpecError(f"alphas are written '1,10,100' or 'LOW:HIGH:NUMBER' (log-spaced); got {text!r}") from None


def read_transform(text: str | None, seed: int) -> Any:
    """A scikit-learn transformer from ``"pca:100"`` or ``"project:500"``."""
    if text is None:
        return None
    name, _, number = text.partition(":")
    if name not in ("pca", "project") or not number.isdecimal() or int(number) < 1:
        raise SpecError(f"a transform is written 'pca:NUMBER' or 'project:NUMBER'; got {text!r}")
    if name == "pca":
        from sklearn.decomposition import PCA

        return PCA(int(number), svd_solver="full", random_state=seed)
    from sklearn.random_projection import GaussianRandomProjection

    return GaussianRandomProjection(int(number), random_state=seed)


def read_ceiling(text: str | None, responses: Any) -> Any:
    """The name of a way to estimate it, or ``"given"``: from the ncsnr that came with the data."""
    if text != "given":
        return text
    from ..encoding import ceiling_from_ncsnr

    if "ncsnr" not in responses.coords:
        raise SpecError("these data came without ncsnr: use --ceiling split_half, ncsnr or repetition_variance")
    import numpy as np

    counts = np.unique(responses["stimulus_id"].values.astype(str), return_counts=True)[1]
    # the noise of the means is that of the harmonic mean number of repetitions
    limits = ceiling_from_ncsnr(responses["ncsnr"].values, float(len(counts) / (1 / counts).sum()))
    return limits if "time" not in responses.dims else np.repeat(limits[:, None], responses.sizes["time"], axis=1)


def read_pair(text: str) -> tuple[str, int]:
    """Site and timestep from ``"V4/td:3"``."""
    site, _, step = text.rpartition(":")
    if not site or not step.isdecimal():
        raise SpecError(f"a site and its timestep are written 'V4/td:3'; got {text!r}")
    return site, int(step)


def _remove_parts(parts: Path) -> None:
    from ..encoding.sweep.finished_spaces import remove_parts

    for name in ("encoding", "partition"):
        remove_parts(parts / name)
    with contextlib.suppress(OSError):  # something that is not ours lies there
        parts.rmdir()


@contextmanager
def sweep_progress(what: str) -> Iterator[Callable[[Done], None]]:
    """Show feature spaces done and time left on standard error."""
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[label]}"), TimeElapsedColumn(), TextColumn("{task.fields[left]}"),
    )  # fmt: skip
    with Progress(*columns, console=err, transient=not err.is_terminal) as bar:
        task = bar.add_task(what, total=None, label="", left="")

        def show(done: Done) -> None:
            minutes, seconds = divmod(round(done.seconds_left), 60)
            bar.update(
                task, completed=done.done, total=done.total, label=done.label, left=f"{minutes}:{seconds:02d} left"
            )

        yield show


def show_result(result: EncodingResult, score: str) -> None:
    """The best timestep of every area and stream, and how targets were dealt with."""
    import numpy as np

    values = result[score].values
    values = values.reshape(len(values), -1)
    good = np.isfinite(values).all(axis=0)
    table = Table(title=f"mean {score} over {int(good.sum())} of {good.size} targets")
    for column in ("feature space", f"mean {score}", "best for", "above chance (q <= 0.05)"):
        table.add_column(column)
    means = values[:, good].mean(axis=1)
    won = (
        np.bincount(values[:, good].argmax(axis=0), minlength=len(values)) if good.any() else np.zeros(len(values), int)
    )
    above = result.above_chance().values.reshape(len(values), -1) if "q_value" in result.dataset else None
    for i in np.argsort(-means)[:10]:
        chance = "" if above is None else str(int(above[i].sum()))
        table.add_row(str(result["name"].values[i]), f"{means[i]:.4f}", str(won[i]), chance)
    out.print(table)
    status, count = np.unique(result["status"].values, return_counts=True)
    if any(status != "fitted"):
        out.print(", ".join(f"{n} targets {s}" for s, n in zip(status, count, strict=True)), highlight=False)
    if "ceiling" in result.dataset:
        without = int((~(result["ceiling"].values > 0)).sum())
        if without:
            out.print(
                f"{without} targets have no noise ceiling above 0: their normalised scores are NaN", highlight=False
            )
