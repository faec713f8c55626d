"""``bltvs encode``."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ..durable import remove_stale
from ..encoding.solvers.estimators import PLS, SOLVERS, BandedRidge, Over, Solver
from ..errors import SpecError, argument, counted
from ..features.folds import Folds, OnMismatch
from ..features.select import Select
from ..options import Run, inherited
from .base import Table, err, flat, goes_on, out, shown, told_in
from .choices import DataChoice, Output, Seconds, check_neural, within

if TYPE_CHECKING:
    from ..encoding import EncodingResult


def _read_alphas(_: object, tokens: Sequence[Any]) -> list[float]:
    return read_alphas(tokens[0].value)


@inherited
@dataclass(eq=False, repr=False, kw_only=True)
class SolverOptions(BandedRidge, PLS):
    """The options of all solvers.

    Parameters
    ----------
    solver : {"ridge", "banded", "pls", "ols"}
        Ridge, banded ridge, partial least squares or ordinary least squares.
    alphas : str, optional
        Candidate penalties, ``1e-2:1e6:20`` (log-spaced) or ``1,10,100``. Default: a grid in units of the features'
        variance.
    bands : {"stream", "area", "timestep"}
        Of banded ridge: sites that differ in this only are the bands of one model.
    """

    solver: Literal["ridge", "banded", "pls", "ols"] = "ridge"
    alphas: Annotated[Sequence[float] | None, Parameter(converter=_read_alphas, n_tokens=1)] = None
    window: Annotated[int | None, Parameter(parse=False)] = 1
    on_edge: Annotated[Literal["warn", "ignore"], Parameter(parse=False)] = "warn"
    bands: Over = "stream"

    def made(self) -> Solver:
        """The solver that was chosen; refuses options of others."""
        kind = SOLVERS[self.solver]
        own = {option.name for option in dataclasses.fields(kind)}  # type: ignore[arg-type]
        given = {option.name: getattr(self, option.name) for option in dataclasses.fields(self)}
        for option in dataclasses.fields(self):
            if option.name not in own | {"solver"} and given[option.name] != option.default:
                raise SpecError(f"{argument(option.name)} is no option of {argument('solver', self.solver)}")
        return kind(**{name: value for name, value in given.items() if name in own})


@inherited
@dataclass(frozen=True, kw_only=True)
class Responses(DataChoice):
    """How responses are read."""

    time: Seconds = None

    def read(self, paths: tuple[Path, ...], stimulus_ids: Sequence[str], on_mismatch: OnMismatch) -> Any:
        """The responses, as the options choose them."""
        from ..neural import load_responses

        with err.status("reading the responses"):
            responses = load_responses(paths, on_mismatch=on_mismatch, **self.given())
        return self.matched(within(responses, self.time), stimulus_ids)


@dataclass(frozen=True, kw_only=True)
class Also:
    """What is worked out and drawn beside the scores.

    Parameters
    ----------
    partition : {"stream", "area", "timestep"}, optional
        Unique variance of each of these.
    generalise : str, optional
        Generalisation over neural time from a site at a timestep, such as ``V4/td@3``; may be repeated.
    fwer : bool
        p values that hold for all feature spaces and targets together, beside the false discovery rate; takes many times as
        long.
    score : {"r2", "r"}
        The score in figures, maps and the summary.
    figures : bool
        Draw figures.
    """

    partition: Over | None = None
    generalise: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    fwer: Annotated[bool, Parameter(negative="")] = False
    score: Literal["r2", "r"] = "r2"
    figures: Annotated[bool, Parameter(negative="--no-figures")] = True


@told_in("encoding/fit.py:fit_encoding", "n_permutations")
def encode(
    store: Path,
    /,
    *,
    neural: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)],
    output: Annotated[Output, Parameter(name="*")] = Output(),
    data: Annotated[Responses, flat("Neural data")] = Responses(),
    select: Annotated[Select, flat("Feature spaces")] = Select(),
    transform: str | None = None,
    solver: Annotated[SolverOptions, flat("Solver")] = SolverOptions(),
    cv: Annotated[Folds, flat("Presentations and folds")] = Folds(),
    ceiling: Literal["split_half", "ncsnr", "repetition_variance", "given"] | None = None,
    n_permutations: int = 0,
    also: Annotated[Also, flat("Beside the scores")] = Also(),
    run: Annotated[Run, flat("Running")] = Run(),
) -> None:
    """Predict voxels and electrodes from areas, timesteps and streams, cross-validated over stimuli.

    Writes the result, tables, figures and (for volumes) maps into a folder, STORE_NEURAL[_ROI]_encoding unless given.
    Stopped or killed, the same command goes on after the last finished feature space.

    Parameters
    ----------
    store : path
        A finished store of `bltvs extract`.
    neural : path
        File or folder of responses. Several, such as `--neural sub-*_betas.npy`, where each subject has a file.
    transform : str, optional
        `zscore`, `pca:100` or `project:500`, fitted on the training rows of each fold.
    ceiling : {"split_half", "ncsnr", "repetition_variance", "given"}, optional
        Noise ceiling of R2, from the repetitions; `given` takes the ncsnr that came with the data.

    Examples
    --------
    `bltvs encode acts.h5 --neural betas.h5 --roi V1`

    `bltvs encode nsd.h5 --neural nsd/ --subject subj01 --ceiling given --n-permutations 1000 -o nsd_subj01`

    `bltvs encode acts.h5 --neural P1-epo.fif --areas V1,V4 --time 0:400ms --generalise V4/td@3`

    `bltvs encode acts.h5 --neural sub-01_betas.npy sub-02_betas.npy --stimuli trials.txt`

    `bltvs encode acts.h5 --neural betas.nii.gz --option mask=mask.nii.gz --partition stream`
    """
    from ..encoding import fit_encoding, partition_encoding, temporal_generalisation
    from ..encoding.fit import PARTITION_SOLVER, partition_spaces
    from ..encoding.outputs.files import check_encoding, write_encoding, write_generalisation, write_partition
    from ..encoding.scores.time import check_generalisation
    from ..encoding.sweep.orders import Permutations
    from ..encoding.sweep.plan import Asked
    from ..store import open_store

    chosen, transformer = solver.made(), read_transform(transform, run.seed)
    permutations = Permutations(n_permutations, also.fwer)
    Asked(chosen, cv, run, transformer, permutations)  # refused before any file is read
    roi = None if data.roi is None else "_".join(data.roi)
    files = neural[0].name.split(".")[0] + (f"_and_{len(neural) - 1}_more" if len(neural) > 1 else "")
    folder = output.output or Path("_".join(filter(None, [store.stem, files, roi, "encoding"])))
    parts = folder / "parts"
    replace = output.overwrite or parts.is_dir()  # an unfinished result of this very sweep: others are refused below
    before = check_encoding(folder, overwrite=replace)
    for one in neural:
        check_neural(one)
    with open_store(store) as acts, goes_on():
        responses = data.read(neural, acts.stimulus_ids.tolist(), cv.on_mismatch)
        if also.partition is not None:
            partition_spaces(acts, also.partition, select)
        for site in also.generalise:
            check_generalisation(acts, responses, site)
        if isinstance(chosen, BandedRidge) and also.figures:
            err.print("figures need a feature space per site and timestep: none are drawn of bands", highlight=False)
        if output.overwrite:
            _remove_parts(parts)
        with shown("encoding"):
            result = fit_encoding(
                acts, responses, sites=select, solver=chosen, cv=cv, transform=transformer,
                ceiling=read_ceiling(ceiling, responses), n_permutations=permutations, run=run,
                resume_path=parts / "encoding",
            )  # fmt: skip
        written = write_encoding(result, folder, score=also.score, figures=also.figures, overwrite=replace)
        if also.partition is not None:
            banded = chosen if isinstance(chosen, BandedRidge) else PARTITION_SOLVER
            with shown(f"partition by {also.partition}"):
                shares = partition_encoding(
                    acts, responses, over=also.partition, sites=select, solver=banded, cv=cv, run=run,
                    resume_path=parts / "partition",
                )  # fmt: skip
            written += write_partition(shares, folder, overwrite=replace)
        for site in also.generalise:
            with err.status(f"generalisation over time from {site}"):
                matrix = temporal_generalisation(
                    acts, responses, site, **({} if isinstance(chosen, BandedRidge) else {"solver": chosen}), cv=cv, run=run
                )  # fmt: skip
            written += write_generalisation(matrix, folder, site, overwrite=replace)
    remove_stale(before, written)
    _remove_parts(parts)
    show_result(result, also.score)
    out.print(f"wrote {counted(len(written), 'file')} into {folder}", highlight=False, soft_wrap=True)


def read_alphas(text: str) -> list[float]:
    """Positive numbers from ``"1,10,100"`` or ``"1e-2:1e6:20"``, ends and number on a logarithmic scale."""
    import numpy as np

    try:
        if ":" in text:
            low, high, number = text.split(":")
            return [float(a) for a in np.geomspace(float(low), float(high), int(number))]
        return [float(a) for a in text.split(",")]
    except ValueError:
        raise SpecError(f"alphas are written '1,10,100' or 'LOW:HIGH:NUMBER' (log-spaced); got {text!r}") from None


def read_transform(text: str | None, seed: int) -> Any:
    """What ``transform=`` takes, from ``"zscore"``, ``"pca:100"`` or ``"project:500"``."""
    if text is None or text == "zscore":
        return text
    name, _, number = text.partition(":")
    if name not in ("pca", "project") or not number.isdecimal() or int(number) < 1:
        raise SpecError(f"a transform is written 'zscore', 'pca:NUMBER' or 'project:NUMBER'; got {text!r}")
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


def _remove_parts(parts: Path) -> None:
    from ..encoding.sweep.finished_spaces import remove_parts

    for name in ("encoding", "partition"):
        remove_parts(parts / name)
    with contextlib.suppress(OSError):  # something that is not ours lies there
        parts.rmdir()


def show_result(result: EncodingResult, score: str) -> None:
    """The best timestep of every area and stream, and how targets were dealt with."""
    import numpy as np

    from ..encoding.scores.ceiling import LEAST_CEILING

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
        out.print(", ".join(f"{counted(n, 'target')} {s}" for s, n in zip(status, count, strict=True)), highlight=False)
    if "ceiling" in result.dataset:
        without = int((~(result["ceiling"].values >= LEAST_CEILING)).sum())
        if without:
            out.print(
                f"{without} targets have no noise ceiling of {LEAST_CEILING} or more: their normalised scores are NaN (the "
                "means of summary.csv count them)",
                highlight=False, soft_wrap=True,
            )  # fmt: skip
