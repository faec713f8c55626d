"""``bltvs rsa``: compare a store with neural data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.table import Table

from ..errors import SpecError, argument, listed, unknown
from .common import Cluster, Overwrite, err, guarded, interval_text, joined, out, plain, reader_options

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from ..rsa import RsaResult

CHOICES = {"timestep": None, "mean": "mean_timesteps", "streams": "concat_streams"}
"""What an RDM of the model is computed from, and compute_rdms' word for it."""


@guarded
def rsa(
    store: Annotated[Path, typer.Argument(help="A finished store, see `bltvs extract`.")],
    neural: Annotated[str, typer.Option(help="A file, a folder, or 'kriegeskorte92': see `bltvs neural`.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A folder, or folder/prefix. Left out: STORE_rsa/ beside you."),
    ] = None,
    metric: Annotated[str, typer.Option(help="Dissimilarity of the model's patterns.")] = "correlation",
    similarity: Annotated[
        str, typer.Option(help="cosine, pearson, spearman, rho-a, tau-a, cosine_cov, corr_cov.")
    ] = "corr_cov",
    areas: Annotated[str, typer.Option(help="'all', 'V1:LOC' (both ends included) or 'V1,V4'.")] = "all",
    streams: Annotated[str, typer.Option(help="'all', 'bu' or 'td'.")] = "all",
    timesteps: Annotated[str, typer.Option(help="'all', '0:6' (0 to 5) or '0,2,5'.")] = "all",
    choose: Annotated[
        str,
        typer.Option(
            help="Model RDMs per 'timestep', of the 'mean' over timesteps, or of both 'streams' side by side."
        ),
    ] = "timestep",
    subject: Annotated[list[str] | None, typer.Option(help="Only this subject; may be repeated.")] = None,
    roi: Annotated[list[str] | None, typer.Option(help="Only this roi; may be repeated.")] = None,
    session: Annotated[list[str] | None, typer.Option(help="Only this session; may be repeated.")] = None,
    window: Annotated[
        str | None, typer.Option(help="Only neural times from:to, in milliseconds, as in '50:400'.")
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=0, help="Bootstrap samples.")] = 1000,
    variance: Annotated[
        str, typer.Option(help="'jackknife' (calibrated), or 'bootstrap' (rsatoolbox's dual bootstrap).")
    ] = "jackknife",
    over: Annotated[
        str, typer.Option(help="Generalise to 'both' stimuli and subjects, 'stimuli', 'subjects', or 'auto'.")
    ] = "auto",
    test: Annotated[str, typer.Option(help="'t', or 'sign_flip' over subjects.")] = "t",
    correction: Annotated[str, typer.Option(help="fdr, fdr_by, holm, bonferroni or none.")] = "fdr",
    level: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    permutations: Annotated[int, typer.Option(min=1, help="Sign flips of cluster tests (data over time).")] = 1000,
    on_mismatch: Annotated[str, typer.Option(help="Stimuli differ: 'raise', or 'intersect' them.")] = "raise",
    missing: Annotated[str, typer.Option(help="Missing dissimilarities: 'raise', or 'drop' the stimuli.")] = "raise",
    noise_ceiling: Annotated[
        bool, typer.Option("--noise-ceiling/--no-noise-ceiling", help="Show the ceiling in figures.")
    ] = True,
    categories: Annotated[
        str, typer.Option(help="Column of the store's stimuli for category bars; left out where there is none.")
    ] = "category",
    figures: Annotated[str, typer.Option(help="'png', 'pdf,svg', or 'none'.")] = "png",
    format: Annotated[str | None, typer.Option(help="Reader of the neural file: see `bltvs neural`.")] = None,
    stimuli: Annotated[Path | None, typer.Option(help="Stimulus ids in the file's order, where it has none.")] = None,
    neural_metric: Annotated[
        str, typer.Option(help="Dissimilarity of neural patterns, for responses.")
    ] = "correlation",
    folds: Annotated[str | None, typer.Option(help="Responses, cross-validated metrics: 'run', 'session', ...")] = None,
    option: Annotated[list[str] | None, typer.Option(help="name=value for the reader; may be repeated.")] = None,
    allow_pickle: Annotated[bool, typer.Option("--allow-pickle", help="Read a pickle that you trust.")] = False,
    overwrite: Overwrite = False,
    cluster: Cluster = None,
) -> None:
    """Compare every site and timestep of a store with neural data: scores, noise ceiling, intervals, tests, figures.

    Stimuli are matched by id. Neural data over time (RDM movies, epochs) give a matrix of model timesteps against time per
    site, with cluster permutation tests and peak latencies.

    Examples
    --------
    `bltvs rsa acts.h5 --neural kriegeskorte92`

    `bltvs rsa acts.h5 --neural target_fmri.mat --roi IT --similarity spearman --areas V4:LOC -o results/it`

    `bltvs rsa acts.h5 --neural betas.h5 --neural-metric crossnobis --folds run`
    """
    from ..rsa import compute_rdms
    from ..rsa.comparing.missing import Missing
    from ..rsa.comparing.similarity import similarity_name
    from ..rsa.rdms.metrics import METRICS
    from ..rsa.rdms.neural import brain_rdms
    from ..rsa.result import check_choices
    from ..rsa.save import check_comparison, check_formats, check_time_matrix, save_comparison
    from ..schema import spelled_out
    from ..store import open_store

    if choose not in CHOICES:
        raise unknown("choice of model RDMs", choose, list(CHOICES))
    similarity_name(similarity)
    for what, got in (("metric", metric), ("neural metric", neural_metric)):
        if got not in METRICS:
            raise unknown(what, got, list(METRICS))
    check_choices(bootstrap, variance, over, test, correction, level)
    for what, got, valid in (
        ("on_mismatch", on_mismatch, ("raise", "intersect")), ("missing", missing, get_args(Missing))
    ):  # fmt: skip
        if got not in valid:
            raise unknown(what, got, valid)
    check_formats(() if figures == "none" else figures.split(","))
    formats = () if figures == "none" else tuple(figures.split(","))
    prefix = _prefix(output, store)
    check_comparison(prefix, overwrite=overwrite)
    check_time_matrix(prefix, overwrite=overwrite)
    with err.status("reading the neural data"):
        given = dict(
            format=format, stimuli=stimuli, subject=subject, roi=roi, session=session,
            allow_pickle=True if allow_pickle else None,
        )  # fmt: skip
        own = reader_options(option)
        brain = brain_rdms(neural, metric=neural_metric, folds=folds, options=joined(given, own))  # type: ignore[arg-type]
    brain = _within(brain, window)
    with open_store(store) as acts:
        sites, named = _sites(acts.sites, areas, streams), bool(spelled_out(areas))
        with err.status(f"computing the RDMs of {len(sites)} sites"):
            models = compute_rdms(
                acts, metric=metric, sites=sites if named or len(sites) < len(acts.sites) else "all", timesteps=timesteps,  # type: ignore[arg-type]
                combine=CHOICES[choose], cluster=cluster,  # type: ignore[arg-type]
            )  # fmt: skip
        about = {key: acts.provenance.get(key) for key in ("model", "weights", "weights_sha256", "spec_sha256")}
        bars = _categories(acts.stimuli, categories)
    models.attrs |= {"store": store.name, **{key: value for key, value in about.items() if value is not None}}
    if about.get("weights") == "untrained":
        err.print("[yellow]the store's weights are untrained: these scores say nothing about a trained model[/]")
    options: dict[str, Any] = dict(similarity=similarity, seed=seed)
    if "time" in brain.coords and len(set(brain["time"].values.tolist())) > 1:
        if "timestep" not in models.coords:
            raise SpecError(f"neural data over time are compared with timesteps: --choose {choose} leaves none")
        written = _over_time(models, brain, prefix, permutations, bootstrap, formats, overwrite=overwrite, **options)
    else:
        from ..rsa import compare_rdms

        with err.status(f"comparing {len(models)} RDMs with {len(brain)} of {plain(neural)}"):
            result = compare_rdms(
                models, brain, bootstrap=bootstrap, variance=variance, over=over, test=test, correction=correction,  # type: ignore[arg-type]
                level=level, on_mismatch=on_mismatch, missing=missing, cluster=cluster, **options,  # type: ignore[arg-type]
            )  # fmt: skip
            written = save_comparison(
                result,
                models,
                brain,
                prefix,
                categories=bars,
                formats=formats,
                ceiling=noise_ceiling,
                overwrite=overwrite,
            )
        _show(result)
    out.print("\n".join(f"wrote {path}" for path in written), highlight=False, soft_wrap=True)


def _prefix(output: Path | None, store: Path) -> Path:
    if output is None:
        return Path(f"{store.stem}_rsa") / "rsa"
    if output.is_dir() or (not output.suffix and not output.parent.name):
        return output / "rsa"
    return output


def _sites(available: tuple[str, ...], areas: str, streams: str) -> list[str]:
    from ..schema import parse_names, spelled_out

    split = [site.partition("/") for site in available]
    own = [list(dict.fromkeys(parts)) for parts in ([a for a, _, _ in split], [s for _, _, s in split if s])]
    wanted = parse_names(areas, own[0], "area")
    if not own[1]:  # a network without streams
        if streams != "all":
            raise SpecError(
                f"the store's sites have no streams; {argument('streams', 'all')} takes them; got {streams!r}"
            )
        return [site for site in available if site in wanted]
    flows = parse_names(streams, own[1], "stream")
    chosen = [site for site, (a, _, s) in zip(available, split, strict=True) if a in wanted and (not s or s in flows)]
    there = {site.partition("/")[0] for site in chosen}
    gone = [area for area in spelled_out(areas) if area not in there]
    if gone or not chosen:
        raise SpecError(
            f"the store has {listed(gone) or areas} in no stream of {listed(flows)}; it has {listed(available, most=24)}"
        )
    return chosen


def _within(brain: xr.DataArray, window: str | None) -> xr.DataArray:
    if window is None:
        return brain
    if "time" not in brain.coords:
        raise SpecError("these neural data have no time: leave --window out")
    first, colon, last = window.partition(":")
    try:
        low, high = float(first or "-inf") / 1000, float(last or "inf") / 1000
    except ValueError:
        colon = ""
    if not colon:
        raise SpecError(f"a window is written from:to in milliseconds, as in '50:400'; got {window!r}")
    time = brain["time"].values.astype(float)
    inside = (time >= low - 1e-9) & (time <= high + 1e-9)
    if not inside.any():
        raise SpecError(f"no neural time lies in {window} ms; there are {1000 * time.min():g} to {1000 * time.max():g}")
    return brain.isel(rdm=inside.nonzero()[0])


def _categories(stimuli: pd.DataFrame, column: str) -> dict[str, str] | None:
    from ..figures import PALETTE

    if column not in stimuli:
        if column != "category":
            raise unknown("column of the stimuli", column, [c for c in stimuli if c != "stimulus_id"])
        return None
    names = stimuli[column].astype(str)
    return (
        dict(zip(stimuli["stimulus_id"].astype(str), names, strict=True)) if names.nunique() <= len(PALETTE) else None
    )


def _over_time(
    models: xr.DataArray, brain: xr.DataArray, prefix: Path, permutations: int, bootstrap: int, formats: tuple[str, ...],
    *, similarity: str, seed: int, overwrite: bool,
) -> list[Path]:  # fmt: skip
    import numpy as np

    from ..rsa import average_rdms, peak_latency, time_matrix
    from ..rsa.provenance import describe
    from ..rsa.save import check_time_matrix, save_time_matrix

    rois = [str(r) for r in brain["roi"].values] if "roi" in brain.coords else [""] * len(brain)
    prefixes = {
        name: prefix.with_name(f"{prefix.name}_{name}" if name and len(set(rois)) > 1 else prefix.name) for name in rois
    }
    for one in prefixes.values():
        check_time_matrix(one, overwrite=overwrite)
    written: list[Path] = []
    for name in dict.fromkeys(rois):
        part = brain.isel(rdm=[i for i, r in enumerate(rois) if r == name])
        if "subject" not in part.coords:
            raise SpecError("data over time need a subject per RDM; this file names none")
        others = [str(c) for c in part.coords if part[c].dims == ("rdm",) and c not in ("subject", "time")]
        part = average_rdms(part, others or "session")
        label = f"{plain(name or 'brain')}: "
        with err.status(f"{label}{len(models)} model RDMs against {len(part)} over time"):
            matrix = time_matrix(models, part, similarity=similarity)
            several = matrix.values.sizes["subject"] > 1
            sites = [str(s) for s in matrix.values["site"].values]
            tests = (
                {
                    s: matrix.cluster_test(s, n_permutations=permutations, seed=seed)
                    for s in sites
                    if matrix.site(s).size
                }
                if several
                else {}
            )
            peaks = peak_latency(matrix, n_samples=max(bootstrap, 1), seed=seed)
        if not several:
            err.print(f"[yellow]{label}one subject: no cluster test, no intervals of latencies[/]")
        options = {"similarity": similarity, "permutations": permutations, "bootstrap": bootstrap, "seed": seed}
        written += save_time_matrix(
            matrix, tests, peaks, prefixes[name], formats=formats, overwrite=overwrite,
            provenance={"options": options, "inputs": {"models": describe(models), "brain": describe(part)}},
        )  # fmt: skip
        table = Table(title=f"{label}{similarity}, {matrix.values.sizes['subject']} subjects")
        for column in ("site", "peak (ms)", "interval (ms)", "similarity", "smallest cluster p"):
            table.add_column(column, justify="left" if column == "site" else "right")
        listed_rows: Any = peaks.itertuples()
        for row in listed_rows:
            p = tests[row.site].p_values if row.site in tests else np.zeros(0)
            table.add_row(
                row.site, _number(1000 * row.latency, ".0f"), interval_text(1000 * row.ci_low, 1000 * row.ci_high, ".0f"),
                _number(row.peak, ".3f"), f"{p.min():.3g}" if len(p) else "no cluster",
            )  # fmt: skip
        out.print(table)
    return written


def _show(result: RsaResult, most: int = 10) -> None:
    """Print the best models of each target."""
    frame, level = result.to_frame(), result.provenance["options"]["level"]
    correction = result.provenance["options"]["correction"]
    for _, part in frame.groupby("target", sort=True):
        first = part.iloc[0]
        where = " ".join(str(first[k]) for k in ("roi", "time") if k in part)
        ceiling = f"ceiling {first.ceiling_lower:.3f} to {first.ceiling_upper:.3f}"
        table = Table(
            title=f"{where or 'brain'}: {result.label}, {int(first.n_subjects)} subjects, "
            + (ceiling if first.ceiling_lower == first.ceiling_lower else "no ceiling (one subject)"),
            caption=f"best {min(most, len(part))} of {len(part)}; p corrected over all ({correction}); "
            "wins: share of bootstrap samples in which it is the best",
        )
        for column in ("model", "score", f"{100 * level:g} % interval", "p > 0", "p = ceiling", "wins"):
            table.add_column(column, justify="left" if column == "model" else "right")
        rows: Any = part.sort_values("score", ascending=False).head(most).itertuples()
        for row in rows:
            table.add_row(
                row.model, _number(row.score, ".3f"), interval_text(row.ci_low, row.ci_high, ".3f"),
                _number(row.p_zero_corrected, ".3g"), _number(row.p_ceiling_corrected, ".3g"),
                "" if row.best_share != row.best_share else f"{row.best_share:.0%}",
            )  # fmt: skip
        out.print(table)
        for reason, models in part[part["reason"] != ""].groupby("reason", sort=False)["model"]:
            out.print(f"no interval of {listed(models)}: {reason}", highlight=False, soft_wrap=True)
    if frame["ci_cut"].any():
        out.print(
            f"{int(frame['ci_cut'].sum())} intervals end at the range of the similarity, -1 to 1",
            highlight=False,
            soft_wrap=True,
        )


def _number(value: float, form: str) -> str:
    return "-" if value != value else format(value, form)
