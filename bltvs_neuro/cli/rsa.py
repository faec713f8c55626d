"""``bltvs rsa``: compare a store with neural data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ..errors import SpecError, argument, counted, listed, unknown
from ..features.folds import OnMismatch
from ..features.select import Select
from ..options import Run, inherited
from ..rsa.inference.options import Inference, Missing
from .base import Table, err, escape, flat, out, told_in
from .choices import DataChoice, Output, Seconds, check_neural, interval_text, within

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from ..rsa import RsaResult, TimeMatrix

COMBINE = {"timestep": None, "mean": "mean_timesteps", "streams": "concat_streams"}
"""What an RDM of the model is computed from, and compute_rdms' word for it."""


@inherited
@dataclass(frozen=True, kw_only=True)
class Neural(DataChoice):
    """How neural data are read, and RDMs made of responses.

    Parameters
    ----------
    neural_metric : str
        Dissimilarity of neural patterns, for responses.
    folds : str, optional
        Coordinate whose values are the folds of a cross-validated metric, for responses: ``run``, ``session``.
    """

    time: Seconds = None
    neural_metric: str = "correlation"
    folds: Annotated[str | None, Parameter(name="--folds-by")] = None


@dataclass(frozen=True, kw_only=True)
class ModelRdms:
    """RDMs of the model.

    Parameters
    ----------
    metric : str
        Dissimilarity of the model's patterns.
    combine : {"timestep", "mean", "streams"}
        An RDM per timestep, of the mean over timesteps, or of both streams side by side.
    """

    metric: str = "correlation"
    combine: Literal["timestep", "mean", "streams"] = "timestep"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What figures show.

    Parameters
    ----------
    figures : str
        ``png``, ``pdf,svg``, or ``none``.
    categories : str
        Column of the store's stimuli for category bars; left out where there is none.
    noise_ceiling : bool
        Show the noise ceiling.
    """

    figures: str = "png"
    categories: str = "category"
    noise_ceiling: Annotated[bool, Parameter(negative="--no-noise-ceiling")] = True

    @property
    def formats(self) -> tuple[str, ...]:
        """Endings of the files."""
        return () if self.figures == "none" else tuple(self.figures.split(","))


@told_in("rsa/result.py:compare_rdms", "similarity", "on_mismatch", "missing")
def rsa(
    store: Path,
    /,
    *,
    neural: Annotated[tuple[str, ...], Parameter(consume_multiple=True)],
    output: Annotated[Output, Parameter(name="*")] = Output(),
    data: Annotated[Neural, flat("Neural data")] = Neural(),
    select: Annotated[Select, flat("Sites and timesteps")] = Select(),
    models: Annotated[ModelRdms, flat("Model RDMs")] = ModelRdms(),
    similarity: str = "corr_cov",
    inference: Annotated[Inference, flat("Inference")] = Inference(),
    on_mismatch: OnMismatch = "raise",
    missing: Missing = "raise",
    figures: Annotated[Figures, flat("Figures")] = Figures(),
    run: Annotated[Run, flat("Running")] = Run(),
) -> None:
    """Compare every site and timestep of a store with neural data: scores, noise ceiling, intervals, tests, figures.

    Stimuli are matched by id. Neural data over time (RDM movies, epochs) give a matrix of model timesteps against time per
    site, with cluster permutation tests and peak latencies. Results go into a folder,
    STORE_rsa unless given.

    Parameters
    ----------
    store : path
        A finished store, see `bltvs extract`.
    neural : str
        A file, a folder (also one with a file for each subject), or `kriegeskorte92`: see `bltvs neural`. Several, such as
        `--neural sub-*_betas.npy`, where each subject has a file.

    Examples
    --------
    `bltvs rsa acts.h5 --neural kriegeskorte92`

    `bltvs rsa acts.h5 --neural target_fmri.mat --roi IT --similarity spearman --areas V4:LOC -o rsa_it/`

    `bltvs rsa acts.h5 --neural betas.h5 --neural-metric crossnobis --folds-by run`

    `bltvs rsa acts.h5 --neural sub-01_betas.npy sub-02_betas.npy sub-03_betas.npy`
    """
    from ..rsa import compare_rdms, compute_rdms
    from ..rsa.comparing.similarity import similarity_name
    from ..rsa.rdms.metrics import METRICS
    from ..rsa.rdms.neural import brain_rdms
    from ..rsa.save import check_comparison, check_formats, check_time_matrix, save_comparison
    from ..store import open_store

    similarity_name(similarity)
    for what, got in (("metric", models.metric), ("neural metric", data.neural_metric)):
        if got not in METRICS:
            raise unknown(what, got, list(METRICS))
    check_formats(figures.formats)
    prefix = (output.output or Path(f"{store.stem}_rsa")) / "rsa"
    check_comparison(prefix, overwrite=output.overwrite)
    check_time_matrix(prefix, overwrite=output.overwrite)
    for one in neural:
        check_neural(one)
    with err.status("reading the neural data"):
        brain = brain_rdms(
            neural,
            metric=data.neural_metric,  # type: ignore[arg-type]
            folds=data.folds,
            on_mismatch=on_mismatch,
            options=data.given(),
        )
    brain = within(brain, data.time)
    with open_store(store) as acts:
        brain = data.matched(brain, acts.stimulus_ids.tolist())
        with err.status("computing the RDMs of the model"):
            rdms = compute_rdms(acts, metric=models.metric, sites=select, combine=COMBINE[models.combine], run=run)  # type: ignore[arg-type]
        bars = _categories(acts.stimuli, figures.categories)
        inference = _clusters(acts.stimuli, inference)
    if rdms.attrs.get("weights") == "untrained":
        err.print("[yellow]the store's weights are untrained: these scores say nothing about a trained model[/]")
    if "time" in brain.coords and len(set(brain["time"].values.tolist())) > 1:
        if "timestep" not in rdms.coords:
            raise SpecError(
                f"neural data over time are compared with timesteps: --combine {models.combine} leaves none"
            )
        _check_unused(inference)
        written = _over_time(
            rdms, brain, prefix, figures.formats, overwrite=output.overwrite, similarity=similarity, inference=inference,
            missing=missing, on_mismatch=on_mismatch, run=run,
        )  # fmt: skip
    else:
        with err.status(f"comparing {counted(len(rdms), 'RDM')} with {len(brain)} of {escape(', '.join(neural))}"):
            result = compare_rdms(
                rdms,
                brain,
                similarity=similarity,
                inference=inference,
                on_mismatch=on_mismatch,
                missing=missing,
                run=run,
            )
            written = save_comparison(
                result, rdms, brain, prefix, categories=bars, formats=figures.formats, ceiling=figures.noise_ceiling,
                overwrite=output.overwrite,
            )  # fmt: skip
        _show(result)
    out.print("\n".join(f"wrote {path}" for path in written), highlight=False, soft_wrap=True)


def _categories(stimuli: pd.DataFrame, column: str) -> dict[str, str] | None:
    from ..features.stores import stimulus_column
    from ..figures import MOST_CATEGORIES

    if column == "category" and column not in stimuli:
        return None
    names = stimulus_column(stimuli, column).astype(str)
    return (
        dict(zip(stimuli["stimulus_id"].astype(str), names, strict=True))
        if names.nunique() <= MOST_CATEGORIES
        else None
    )


def _clusters(stimuli: pd.DataFrame, inference: Inference) -> Inference:
    """The options with categories in place of the name of their column."""
    column = inference.clusters
    if column is None:
        return inference
    from ..features.stores import stimulus_column

    names = stimulus_column(stimuli, column)
    return replace(inference, clusters=names.set_axis(stimuli["stimulus_id"].astype(str)))


def _check_unused(inference: Inference) -> None:
    """Refuse what a comparison over time does not take: its test is of clusters, its intervals of latencies."""
    usual = Inference()
    given = [name for name in ("variance", "test", "correction") if getattr(inference, name) != getattr(usual, name)]
    if given:
        raise SpecError(f"{listed(map(argument, given))} have no meaning for neural data over time; leave them out")


def _over_time(
    models: xr.DataArray,
    brain: xr.DataArray,
    prefix: Path,
    formats: tuple[str, ...],
    *,
    overwrite: bool,
    **options: Any,
) -> list[Path]:
    from ..rsa import average_rdms, time_matrix
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
        label = f"{escape(name or 'brain')}: "
        with err.status(f"{label}{len(models)} model RDMs against {len(part)} over time"):
            matrix = time_matrix(models, part, **options)
        written += save_time_matrix(matrix, prefixes[name], formats=formats, overwrite=overwrite)
        _show_peaks(matrix, label)
    return written


def _show_peaks(matrix: TimeMatrix, label: str) -> None:
    """Print when each site fits best, and its clusters."""
    options, clusters = matrix.provenance["options"], matrix.clusters()
    test = {"labels": "permutations of stimuli", "sign_flip": "sign flips of subjects"}[options["time_test"]]
    table = Table(
        title=f"{label}{matrix.label}, {counted(matrix.values.sizes['subject'], 'subject')}",
        caption=f"p of the best cluster, by {test}, corrected over all sites, timesteps and times",
    )
    for column in ("site", "peak (ms)", "interval (ms)", "similarity", "p"):
        table.add_column(column, justify="left" if column == "site" else "right")
    rows: Any = matrix.peaks().itertuples()
    for row in rows:
        p = clusters.loc[clusters["site"] == row.site, "p_corrected"]
        table.add_row(
            row.site, _number(1000 * row.latency, ".0f"), interval_text(1000 * row.ci_low, 1000 * row.ci_high, ".0f"),
            _number(row.peak, ".3f"), f"{p.min():.3g}" if len(p) else "no cluster",
        )  # fmt: skip
    out.print(table)


def _show(result: RsaResult, most: int = 10) -> None:
    """Print the best models of each target."""
    frame, confidence = result.to_frame(), result.provenance["options"]["confidence"]
    correction, best = result.provenance["options"]["correction"], result.best(nested=True)
    for _, part in frame.groupby("target", sort=True):
        first = part.iloc[0]
        where = " ".join(str(first[k]) for k in ("roi", "time") if k in part)
        ceiling = f"ceiling {first.ceiling_lower:.3f} to {first.ceiling_upper:.3f}"
        table = Table(
            title=f"{where or 'brain'}: {result.label}, {counted(int(first.n_subjects), 'subject')}, "
            + (ceiling if first.ceiling_lower == first.ceiling_lower else "no ceiling (one subject)"),
            caption=f"best {min(most, len(part))} of {len(part)}; p corrected over all ({correction}); "
            "best in: share of bootstrap samples in which it is the best of all",
        )
        for column in ("model", "score", f"{100 * confidence:g} % interval", "p above 0", "p below ceiling", "best in"):
            table.add_column(column, justify="left" if column == "model" else "right")
        rows: Any = part.sort_values("score", ascending=False).head(most).itertuples()
        for row in rows:
            table.add_row(
                row.model, _number(row.score, ".3f"), interval_text(row.ci_low, row.ci_high, ".3f"),
                _number(row.p_zero_corrected, ".3g"), _number(row.p_below_ceiling_corrected, ".3g"),
                "" if row.best_share != row.best_share else f"{row.best_share:.0%}",
            )  # fmt: skip
        out.print(table)
        winner = best.loc[best["target"] == first.target].iloc[0]
        if winner["score"] == winner["score"]:
            ends = interval_text(winner["ci_low"], winner["ci_high"], ".3f")
            out.print(
                f"{winner['chosen']} is the best of all, and of {winner['stability']:.0%} of the halves of the data; what halves "
                f"choose scores {winner['score']:.3f} ({ends}) on the others",
                highlight=False, soft_wrap=True,
            )  # fmt: skip
        for column in ("reason", "p_zero_reason"):
            for reason, models in part[part[column] != ""].groupby(column, sort=False)["model"]:
                out.print(f"{listed(models)}: {reason}", highlight=False, soft_wrap=True)
    if frame["ci_cut"].any():
        out.print(
            f"{int(frame['ci_cut'].sum())} intervals end at the range of the similarity, -1 to 1",
            highlight=False,
            soft_wrap=True,
        )


def _number(value: float, form: str) -> str:
    return "-" if value != value else format(value, form)
