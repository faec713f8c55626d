"""The comparison of model RDMs with brains, in one call: scores, ceilings, intervals, tests; saved and drawn."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from ..cluster import map_tasks
from ..durable import whole_file
from ..errors import DataError, listed
from ..features.folds import OnMismatch
from ..foreign.netcdf import load_netcdf
from ..neural.align import align_rdms, rdm_stimulus_ids
from ..options import Run
from ..schema import RDM
from ..stats import LEAST_DOF, adjust_p_values
from ..stats.multiple import Correction
from .comparing.missing import Missing, drop_missing
from .comparing.similarity import SIMILARITIES, compare_vectors, similarity_name
from .inference.bootstrap import Bootstrap, best_share, bootstrap_rsa, bootstrap_scores
from .inference.ceiling import average_rdms
from .inference.jackknife import jackknife_rsa
from .inference.limits import bounded_interval, reasons
from .inference.options import Inference
from .inference.tests import model_tests
from .inference.variance import Over, Spread
from .provenance import describe, versions
from .rdms.convert import as_rdms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

TARGET_COORDS = ("roi", "time")
MODEL_COORDS = ("area", "stream", "timestep")
FORMAT = "bltvs_neuro.rsa.result/3"


def compare_rdms(
    rdms: Any,
    brain: Any,
    *,
    similarity: str = "corr_cov",
    inference: Inference = Inference(),
    missing: Missing = "raise",
    on_mismatch: OnMismatch = "raise",
    run: Run = Run(),
) -> RsaResult:
    """Compare model RDMs with the RDMs of brains.

    Parameters
    ----------
    rdms : xarray.DataArray or rsatoolbox.rdm.RDMs
        RDMs of models, as :func:`compute_rdms` gives them.
    brain : xarray.DataArray or rsatoolbox.rdm.RDMs
        RDMs with ``subject`` and, where they apply, ``roi``, ``time`` and ``session``. Each roi and time is compared on its
        own; sessions (and anything else that repeats within a subject) are averaged first. Without ``subject`` every
        RDM of a roi and time counts as a subject.
    similarity : str
        A name in :data:`SIMILARITIES`.
    inference : Inference
        Standard errors, intervals and tests.
    missing : {"raise", "drop"}
        What to do about NaN: refuse, or drop the stimuli whose dissimilarities are missing and say which.
    on_mismatch : {"raise", "intersect"}
        What to do when the sets of stimuli differ.
    run : Run
        Seed (the same samples serve every target, so that targets can be compared) and cluster (whose workers compare a
        roi and time each).

    Returns
    -------
    RsaResult

    Raises
    ------
    SpecError, DataError
        Unknown choices; stimuli that differ; NaN; one subject where subjects shall be resampled.

    References
    ----------
    Schütt et al. (2023), doi:10.7554/eLife.82566.

    Examples
    --------
    >>> from bltvs_neuro.neural import make_rdms
    >>> acts = bn.open_store("acts.h5")
    >>> rdms = bn.compute_rdms(acts)
    >>> noise = np.random.default_rng(0).normal(0, 0.01, (3, rdms.sizes["pair"]))
    >>> brain = make_rdms(
    ...     rdms.sel(rdm=0).values + noise, acts.stimulus_ids, metric="correlation", subject=["s1", "s2", "s3"]
    ... )
    >>> result = compare_rdms(rdms, brain, inference=bn.Inference(bootstrap=100))
    >>> result.best()[["area", "stream", "timestep"]].values.tolist()
    [['V1', 'bu', 0]]
    """
    kind = similarity_name(similarity)
    models, brains = as_rdms(rdms), as_rdms(brain)
    inputs = {"models": describe(models), "brain": describe(brains)}
    models, brains = align_rdms(models, brains, on_mismatch=on_mismatch, names=("the models", "the neural data"))
    models, brains = drop_missing(models, brains, missing)
    names = _model_names(models)
    targets = list(_targets(brains))
    with run.limited():
        tables = map_tasks(
            _compare, targets, shared=(models.values, names, kind, inference, run.seed), cluster=run.cluster
        )
    target_coords = [coords for coords, _ in targets]
    data = xr.concat(tables, dim="target", join="outer")
    for key in TARGET_COORDS:
        if key in brains.coords:
            data = data.assign_coords({key: ("target", [c[key] for c in target_coords])})
    for key in MODEL_COORDS:
        if key in models.coords and models[key].dims == (RDM,):
            data = data.assign_coords({key: ("model", models[key].values)})
    data = _correct(data, inference.correction)
    options = {
        "similarity": kind, **asdict(inference), "missing": missing, "on_mismatch": on_mismatch, "seed": run.seed,
    }  # fmt: skip
    provenance = {
        "format": FORMAT,
        "options": options,
        "inputs": inputs,
        "n_stimuli": len(rdm_stimulus_ids(models)),
        "interval": f"score ± t(dof) × standard error ({inference.variance}), confidence {inference.confidence}, "
        "within -1 to 1; none for dof below 1",
        "versions": versions(),
    }
    data.attrs = {"provenance": json.dumps(provenance, default=str)}
    return RsaResult(data)


def _compare(
    target: tuple[dict[str, Any], xr.DataArray],
    models: np.ndarray[Any, Any],
    names: list[str],
    kind: str,
    inference: Inference,
    seed: int,
) -> xr.Dataset:
    """Compare the models with the subjects of one roi and time."""
    coords, subjects = target
    over, bootstrap = inference.over, inference.bootstrap
    chosen: Over = ("both" if len(subjects) > 1 else "stimuli") if over == "auto" else over
    if over == "auto" and len(subjects) == 1:
        log.warning("%s: one subject; inference is over stimuli only and there is no noise ceiling", coords or "data")
    own = np.array([compare_vectors(v[None], v[None], kind)[0, 0] for v in subjects.values])
    if np.isnan(own).any():
        who = [str(s) for s in subjects["subject"].values[np.isnan(own)]]
        raise DataError(
            f"{_where(coords)}the RDM of subject {listed(who)} does not vary, so that no {kind} with it is defined; leave it out"
        )
    found: Spread
    if inference.variance == "bootstrap":
        found = bootstrap_rsa(models, subjects.values, kind, over=chosen, n_samples=bootstrap, seed=seed)
    else:
        found = jackknife_rsa(models, subjects.values, kind, over=chosen)
    undefined = np.flatnonzero(np.isnan(found.scores).any(axis=1))
    if len(undefined):
        log.warning("%s is undefined (NaN) for RDMs without variance: %s", kind, listed(names[i] for i in undefined))
    share = _best_share(found, models, subjects.values, kind, bootstrap, seed)
    return _table(found, share, names, [str(s) for s in subjects["subject"].values], inference, seed)


def _where(coords: dict[str, Any]) -> str:
    return f"{', '.join(f'{key} {value}' for key, value in coords.items())}: " if coords else ""


def _model_names(models: xr.DataArray) -> list[str]:
    names = (
        [str(n) for n in models["name"].values]
        if "name" in models.coords
        else [f"model {i}" for i in range(len(models))]
    )
    if len(set(names)) != len(names):
        raise DataError(f"the models' names repeat: {listed(sorted({n for n in names if names.count(n) > 1}))}")
    return names


def _targets(brain: xr.DataArray) -> Iterator[tuple[dict[str, Any], xr.DataArray]]:
    """Yield each roi and time with one RDM per subject."""
    keys = [k for k in TARGET_COORDS if k in brain.coords and brain[k].dims == (RDM,)]
    rows = list(zip(*(brain[k].values.tolist() for k in keys), strict=True)) if keys else [()] * len(brain)
    for key in dict.fromkeys(rows):
        part = brain.isel({RDM: [i for i, row in enumerate(rows) if row == key]})
        if "subject" not in part.coords:
            part = part.assign_coords(subject=(RDM, [str(i) for i in range(len(part))]))
        within = [str(c) for c in part.coords if part[c].dims == (RDM,) and c != "subject"]
        yield dict(zip(keys, key, strict=True)), average_rdms(part, over=within)


def _best_share(
    found: Spread, models: np.ndarray[Any, Any], data: np.ndarray[Any, Any], kind: str, n_samples: int, seed: int
) -> np.ndarray[Any, Any]:
    if isinstance(found, Bootstrap):
        return best_share(found.samples[found.over][:, : len(models)])
    if n_samples == 0 or SIMILARITIES[kind].family == "order":
        return np.full(len(models), np.nan)
    return best_share(bootstrap_scores(models, data, kind, over=found.over, n_samples=n_samples, seed=seed))


def _table(
    found: Spread,
    share: np.ndarray[Any, Any],
    names: list[str],
    subjects: list[str],
    inference: Inference,
    seed: int,
) -> xr.Dataset:
    se = np.sqrt(found.variance)
    ceiling_se = np.where(found.ceiling_dof >= LEAST_DOF, np.sqrt(found.ceiling_variance), np.nan)
    low, high, cut = bounded_interval(found.mean, se, found.dof, inference.confidence)
    p = model_tests(found, inference.test, seed=seed)
    return xr.Dataset(
        {
            "score": ("model", found.mean),
            "se": ("model", se),
            "ci_low": ("model", low),
            "ci_high": ("model", high),
            "ci_cut": ("model", cut),
            "reason": ("model", np.array(reasons(found), dtype=np.str_)),
            "p_zero": ("model", p.zero),
            "p_ceiling": ("model", p.ceiling),
            "p_pairwise": (("model", "model_b"), p.pairwise),
            "score_subject": (("model", "subject"), found.scores),
            "ceiling_lower": ((), found.ceiling.lower),
            "ceiling_upper": ((), found.ceiling.upper),
            "ceiling_lower_se": ((), ceiling_se[0]),
            "ceiling_upper_se": ((), ceiling_se[1]),
            "dof": ("model", found.dof),
            "zero_dof": ("model", found.zero_dof),
            "dof_pairwise": (("model", "model_b"), found.difference_dof),
            "best_share": ("model", share),
            "n_subjects": ((), len(subjects)),
        },
        coords={"model": names, "model_b": names, "subject": subjects},
    )


def _correct(data: xr.Dataset, method: Correction) -> xr.Dataset:
    for name in ("p_zero", "p_ceiling"):
        data[f"{name}_corrected"] = (data[name].dims, adjust_p_values(data[name].values, method))
    pairs = data["p_pairwise"].transpose("target", "model", "model_b").values
    a, b = np.triu_indices(pairs.shape[1], 1)
    corrected = np.ones_like(pairs)
    if len(a):
        once = adjust_p_values(pairs[:, a, b], method)
        corrected[:, a, b] = corrected[:, b, a] = once
    data["p_pairwise_corrected"] = (("target", "model", "model_b"), corrected)
    return data


@dataclass(frozen=True)
class RsaResult:
    """Scores of models against brains.

    Attributes
    ----------
    data : xarray.Dataset
        Dimensions ``target`` (coordinates roi, time), ``model`` (area, stream, timestep), ``subject``. ``score`` is the mean over
        subjects of the raw similarity on the data itself; ``se``, ``dof``, ``ci_low`` and ``ci_high`` say how it would vary
        over new stimuli and subjects. Intervals end at the range of similarities, -1 to 1 (``ci_cut`` says where they would
        have gone on). Intervals and p values are NaN where they would rest on fewer than one degree of freedom or the score is
        undefined, and ``reason`` says which. ``p_*`` are single tests, ``p_*_corrected`` hold for the family;
        ``best_share`` is how often a model was the best in bootstrap samples.
    """

    data: xr.Dataset

    @property
    def provenance(self) -> dict[str, Any]:
        """Options, inputs with their sha256, and versions."""
        return dict(json.loads(self.data.attrs["provenance"]))

    @property
    def similarity(self) -> str:
        """Name of the similarity."""
        return str(self.provenance["options"]["similarity"])

    @property
    def label(self) -> str:
        """The similarity, for axes."""
        return SIMILARITIES[self.similarity].label

    def best(self) -> pd.DataFrame:
        """The best model of each target, one row each."""
        frame = self.to_frame()
        known = frame.dropna(subset=["score"])
        return known.loc[known.groupby("target")["score"].idxmax()].reset_index(drop=True)

    def to_frame(self) -> pd.DataFrame:
        """One row per target and model, without the tests of pairs."""
        narrow = self.data.drop_vars(["p_pairwise", "p_pairwise_corrected", "dof_pairwise", "score_subject"])
        narrow = narrow.drop_vars([d for d in ("model_b", "subject") if d in narrow.coords])
        frame = narrow.assign_coords(target=np.arange(narrow.sizes["target"])).to_dataframe().reset_index()
        first = [c for c in ("target", *TARGET_COORDS, "model", *MODEL_COORDS) if c in frame]
        return frame[first + [c for c in frame if c not in first]].sort_values(["target", "model"], kind="stable")

    def pairs_frame(self) -> pd.DataFrame:
        """One row per target and pair of models: difference of scores and p values."""
        rows = []
        names = [str(n) for n in self.data["model"].values]
        score = self.data["score"].transpose("target", "model").values
        raw = self.data["p_pairwise"].transpose("target", "model", "model_b").values
        corrected = self.data["p_pairwise_corrected"].transpose("target", "model", "model_b").values
        for t in range(len(score)):
            for a, b in zip(*np.triu_indices(len(names), 1), strict=True):
                rows.append((t, names[a], names[b], score[t, a] - score[t, b], raw[t, a, b], corrected[t, a, b]))
        return pd.DataFrame(rows, columns=["target", "model", "model_b", "difference", "p", "p_corrected"])

    def to_csv(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write :meth:`to_frame` as CSV, in place of a file that is there if ``overwrite``."""
        target = Path(path)
        with whole_file(target, overwrite=overwrite) as part:
            self.to_frame().to_csv(part, index=False)
        return target

    def to_netcdf(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write everything, with provenance, as netCDF-4 (HDF5), in place of a file that is there if ``overwrite``."""
        target = Path(path)
        data = self.data.copy()
        for name in list(data.variables):
            if data[name].dtype.kind in "OUT":
                data[name] = data[name].astype(str)
        with whole_file(target, overwrite=overwrite) as part:
            # h5netcdf by name: the default engine differs between installations
            data.to_netcdf(part, engine="h5netcdf")
        return target

    def plot_time_course(self, **options: Any) -> Figure:
        """See :func:`bltvs_neuro.rsa.figures.comparison.plot_time_course`."""
        from .figures.comparison import plot_time_course

        return plot_time_course(self, **options)

    def plot_matrix(self, **options: Any) -> Figure:
        """See :func:`bltvs_neuro.rsa.figures.comparison.plot_matrix`."""
        from .figures.comparison import plot_matrix

        return plot_matrix(self, **options)

    def plot_models(self, **options: Any) -> Figure:
        """See :func:`bltvs_neuro.rsa.figures.comparison.plot_models`."""
        from .figures.comparison import plot_models

        return plot_models(self, **options)


def load_result(path: str | os.PathLike[str]) -> RsaResult:
    """Read a file that :meth:`RsaResult.to_netcdf` wrote.

    Raises
    ------
    DataError
        The file is not netCDF, or holds something else.
    """
    data = load_netcdf(Path(path))
    try:
        found = json.loads(str(data.attrs.get("provenance", "{}"))).get("format")
    except json.JSONDecodeError:
        found = None
    if found != FORMAT or "score" not in data:
        raise DataError(f"{path} holds no RSA result of format {FORMAT!r}; its format is {found!r}")
    for name in list(data.variables):
        if data[name].dtype.kind == "O":
            data[name] = data[name].astype(str)
        data[name].encoding = {}
    return RsaResult(data)
