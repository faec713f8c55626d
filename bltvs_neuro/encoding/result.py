"""What a sweep found: labelled scores that can be saved, tabulated, mapped and drawn."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..durable import whole_file
from ..errors import DataError, SpecError, argument
from ..results import Result
from ..schema import FOLD, NEUROID, PART, SPACE
from .scores.score import Score
from .sweep.choice import nested_choice
from .sweep.partition import best_space, corrected_interval


class _OfNeuroids(Result):
    """Numbers per neuroid, which may have places in a volume."""

    def to_frame(self) -> pd.DataFrame:
        """A tidy table: one row per space (or part) and target, one column per quantity."""
        dims = {SPACE, PART, NEUROID, "time"}
        keep = [str(n) for n in self.dataset.data_vars if set(self.dataset[n].dims) <= dims]
        frame = self.dataset[keep].reset_coords().to_dataframe().reset_index()
        return frame.drop(columns=[c for c in (SPACE, NEUROID) if c in frame and c not in self.dataset.coords])

    def to_volume(self, name: str, **choice: Any) -> Any:
        """One quantity as a nibabel image in the space of the responses' volume.

        Parameters
        ----------
        name : str
            A quantity, such as ``"r2"`` or ``"q_value"``.
        **choice : int
            Positions in further dims: ``space=3``, ``time=0``.
        """
        array = self[name].isel(choice)
        if array.dims != (NEUROID,):
            raise SpecError(f"a map has one value per neuroid; {name} still has {array.dims}: choose with isel")
        return self.place(array.values)

    def place(self, values: np.ndarray) -> Any:
        """One value per neuroid as a nibabel image in the space of the responses' volume."""
        from ..neural.reading.nifti import to_volume

        attrs = {k: json.loads(self.dataset.attrs[k]) for k in ("volume_shape", "affine") if k in self.dataset.attrs}
        if len(attrs) < 2:
            raise DataError(
                "these responses came without a volume (i, j, k, affine and volume_shape): no map can be made"
            )
        coords = {k: v for k, v in self.dataset.coords.items() if v.dims == (NEUROID,)}
        like = xr.DataArray(np.zeros((1, len(values))), dims=("presentation", NEUROID), coords=coords, attrs=attrs)
        return to_volume(np.asarray(values, np.float64), like)

    def to_nifti(self, path: str | os.PathLike[str], name: str, *, overwrite: bool = False, **choice: Any) -> Path:
        """Write :meth:`to_volume` as ``.nii`` or ``.nii.gz``."""
        import nibabel

        volume = self.to_volume(name, **choice)
        with whole_file(path, overwrite=overwrite) as part:
            nibabel.save(volume, part)
        return Path(path)


class EncodingResult(_OfNeuroids):
    """Scores of feature spaces, per target.

    Attributes
    ----------
    dataset : xarray.Dataset
        With dims space, fold, neuroid (and time, band): ``r``, ``r2`` (mean over the folds that define them), ``r_fold``,
        ``r2_fold``, ``alpha`` (per fold), ``r2_inner`` (what the training rows of each fold expect), ``r_se``, ``r2_se`` (over
        images), ``influence_r`` and ``influence_r2`` of every row on means over neuroids (:meth:`summary`), and where asked for
        ``ceiling``, ``r_normalised``, ``r2_normalised``, ``p_value``, ``q_value``, ``p_fwer``, ``gamma``, ``share``
        (product-measure R2 of each band), ``dual`` and ``dual_alpha``. Coordinates: what ``test`` p values are of, for which
        ``family`` and by which ``correction`` q values hold; on space area, stream, timestep, name, n_features, n_constant; on
        neuroid those
        of the responses, ``status`` (:data:`bltvs_neuro.encoding.sweep.targets.STATUSES`) and ``n_folds``, the number of
        folds that have a score.
    """

    kind = "encoding"

    def plot_scores(self, score: str = "r2", **options: Any) -> np.ndarray:
        """See :func:`bltvs_neuro.encoding.outputs.scores.plot_scores`."""
        from .outputs.scores import plot_scores

        return plot_scores(self, score, **options)

    def plot_best(self, score: str = "r2", **options: Any) -> np.ndarray:
        """See :func:`bltvs_neuro.encoding.outputs.scores.plot_best`."""
        from .outputs.scores import plot_best

        return plot_best(self, score, **options)

    def plot_best_timestep(self, score: str = "r2", **options: Any) -> np.ndarray:
        """See :func:`bltvs_neuro.encoding.outputs.scores.plot_best_timestep`."""
        from .outputs.scores import plot_best_timestep

        return plot_best_timestep(self, score, **options)

    def summary(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """Scores of all neuroids together and of each roi; see :func:`bltvs_neuro.encoding.summary.summarise`."""
        from .summary import summarise

        return summarise(self, confidence=confidence)

    def difference(
        self, first: str, second: str, *, other: EncodingResult | None = None, score: Score = "r2",
        confidence: float = 0.95,
    ) -> pd.DataFrame:  # fmt: skip
        """How far one feature space is ahead of another; see :func:`bltvs_neuro.encoding.summary.difference_of`."""
        from .summary import difference_of

        return difference_of(self, first, second, other=other, score=score, confidence=confidence)

    def above_chance(self, alpha: float = 0.05) -> xr.DataArray:
        """Targets predicted above chance, false discovery rate ``alpha`` over all spaces and targets; bool (space, ...)."""
        return self["q_value"] <= alpha

    @property
    def can_nest(self) -> bool:
        """Whether training rows alone tell feature spaces apart: not with partial least squares, which has no criterion."""
        return "r2_inner" in self.dataset

    def best(
        self, score: str = "r2", *, nested: bool = False, by: str | None = None, confidence: float = 0.95
    ) -> xr.Dataset:
        """The best feature space of each target, or of each roi.

        Parameters
        ----------
        score : {"r", "r2"}
        nested : bool
            Choose area, stream and timestep within the training rows of each fold, and score what was chosen by its test
            rows (:mod:`bltvs_neuro.encoding.sweep.choice`): scores of a choice that had no part in them, and margins that
            are above zero no more often than they should where all are equal. Otherwise by all folds.
        by : str, optional
            A coordinate on neuroid, such as ``"roi"``: choose for the mean over its neuroids.
        confidence : float
            Of nested intervals.

        Returns
        -------
        Dataset
            Over neuroid or ``by`` (and time): ``space`` (position; -1 where there are no scores), ``chosen`` (its name), area,
            stream and timestep of the winner where spaces have them. Nested: ``score``, ``ci_low``, ``ci_high``, ``stability``
            (share of folds that chose it), ``margin`` (over what came second), ``margin_ci_low``, ``margin_ci_high``. Else
            ``margin``, ``standard_error`` and ``agreement``
            (see :func:`bltvs_neuro.encoding.sweep.partition.best_space`).

        Raises
        ------
        SpecError
            A solver without a criterion was to be nested.
        """
        outer = self._folds(f"{score}_fold", by)
        dims, shape = outer.dims[2:], outer.shape[2:]

        def flat(values: xr.DataArray) -> np.ndarray:
            return values.values.reshape(
                *values.shape[:2], -1
            )  # (space, fold, neuroid[, time]) -> (space, fold, target)

        if nested:
            if not self.can_nest:
                raise SpecError("a nested choice needs a solver with a criterion on training rows; pls has none")
            found: Any = nested_choice(
                flat(self._folds("r2_inner", by)), flat(outer), self["n_test"].values, confidence=confidence
            )
            winner = found.space
        else:
            found = best_space(flat(outer))
            winner = found.winner
        about = {"test", "family", "correction"}  # of p values
        out = xr.Dataset(coords={k: v for k, v in outer.coords.items() if set(v.dims) <= set(dims) and k not in about})
        out["space"] = (dims, winner.reshape(shape))
        for key in found._fields[1:]:
            out[key] = (dims, getattr(found, key).reshape(shape))
        for name, key in (("chosen", "name"), ("area", "area"), ("stream", "stream")):
            if key in self.dataset.coords:
                names = np.where(winner >= 0, self.dataset[key].values.astype(str)[winner], "")
                out[name] = (dims, names.reshape(shape))
        if "timestep" in self.dataset.coords:
            steps = np.where(winner >= 0, self.dataset["timestep"].values[winner].astype(float), np.nan)
            out["timestep"] = (dims, steps.reshape(shape))
        return out

    def _folds(self, key: str, by: str | None) -> xr.DataArray:
        """Scores per fold, of neuroids or as means over those with one value of a coordinate."""
        values = self[key]
        if by is None:
            return values
        if by not in self.dataset.coords or self.dataset[by].dims != (NEUROID,):
            raise SpecError(f"{argument('by')} is a coordinate of the neuroids; got {by!r}")
        labels = self.dataset[by].values.astype(str)
        names = list(dict.fromkeys(labels.tolist()))
        means = [values.isel({NEUROID: labels == name}).mean(NEUROID, skipna=True) for name in names]
        joined = xr.concat([one.reset_coords(drop=True) for one in means], dim=by).assign_coords({by: names})
        return joined.transpose(SPACE, FOLD, by, ...)


class Generalisation(_OfNeuroids):
    """How far mappings generalise over time.

    Attributes
    ----------
    dataset : xarray.Dataset
        ``r`` (neuroid, time_train, time_test), times in seconds; NaN where nothing was fitted.
    """

    kind = "generalisation"

    def to_frame(self) -> pd.DataFrame:
        """One row per neuroid and pair of times."""
        return self["r"].reset_coords(drop=True).to_dataframe().reset_index()

    def plot(self, **options: Any) -> np.ndarray:
        """Draw the mean over neuroids; see :func:`bltvs_neuro.encoding.outputs.scores.plot_time_matrix`."""
        from .outputs.scores import plot_time_matrix

        return plot_time_matrix(self["r"].mean(NEUROID), provenance=self.provenance, **options)


class PartitionResult(_OfNeuroids):
    """Unique and shared variance.

    Attributes
    ----------
    dataset : xarray.Dataset
        ``variance`` (space, part, neuroid[, time]) and ``variance_fold``; ``part`` names what is shared by exactly these
        bands: ``"bu"`` is unique to bu, ``"bu & td"`` shared. ``total`` is their sum, the R2 of all bands. ``useless`` and
        ``useless_fold`` are what a unique part shows in responses simulated without its band (NaN for shared parts);
        ``linear``, how nearly a band is linear in the others.
    """

    kind = "partition"

    def plot(self, **options: Any) -> np.ndarray:
        """See :func:`bltvs_neuro.encoding.outputs.partition.plot_partition`."""
        from .outputs.partition import plot_partition

        return plot_partition(self, **options)

    def unique(self, neuroids: np.ndarray | None = None, *, confidence: float = 0.95) -> pd.DataFrame:
        """Mean unique variance over neuroids, beyond that of a useless band, with an interval.

        Parameters
        ----------
        neuroids : array of positions or bool, optional
            Which to average over; default all that were fitted.
        confidence : float
            Of the interval.

        Returns
        -------
        DataFrame
            One row per partition, band (and time): ``unique`` (as cross-validated), ``useless`` (what a band that adds
            nothing shows), ``beyond`` (their difference), ``ci_low`` and ``ci_high``: the interval of ``beyond``, from its
            means over neuroids in each fold (:func:`bltvs_neuro.encoding.sweep.partition.corrected_interval`); ``linear``,
            how nearly the band is a linear function of the others (:mod:`bltvs_neuro.encoding.sweep.linear`).

        Raises
        ------
        DataError
            The result is of an older version, without simulated responses.
        """
        labels = [k for k in ("area", "stream", "timestep") if k in self.dataset.coords]
        rows = []
        for i, name, time, values in self.unique_by_space(neuroids, confidence=confidence):
            row = {k: self.dataset[k].values[i] for k in labels} | {PART: name}
            rows.append(row | ({} if time is None else {"time": time}) | values)
        return pd.DataFrame(rows)

    def unique_by_space(
        self, neuroids: np.ndarray | None = None, *, confidence: float = 0.95
    ) -> Iterator[tuple[int, str, Any, dict[str, float]]]:
        """What :meth:`unique` tabulates: number of the space, band, time (None without), and the values by name."""
        if "useless_fold" not in self.dataset:
            raise DataError("this partition was saved without simulated responses: run partition_encoding again")
        raw, null = (self.dataset[k] if neuroids is None else self.dataset[k].isel({NEUROID: neuroids})
                     for k in ("variance_fold", "useless_fold"))  # fmt: skip
        raw, null = raw.mean(NEUROID, skipna=True), null.mean(NEUROID, skipna=True)
        n_test = self.dataset["n_test"].values
        for i, part in np.ndindex(raw.sizes[SPACE], raw.sizes[PART]):
            name = str(raw[PART].values[part])
            for at in range(raw.sizes.get("time", 1)):
                where = {SPACE: i, PART: part} | ({"time": at} if "time" in raw.dims else {})
                one, other = raw.isel(where).values, null.isel(where).values
                there = np.isfinite(one) & np.isfinite(other)
                if not there.any():  # shared parts, and neuroids without scores
                    continue
                one, other = one[there], other[there]
                low, high = (
                    corrected_interval(one - other, n_test, confidence=confidence) if len(one) > 1 else (np.nan, np.nan)
                )
                means = {"unique": one.mean(), "useless": other.mean(), "beyond": (one - other).mean()}
                time = raw["time"].values[at] if "time" in raw.dims else None
                linear = float(self.dataset["linear"].values[i, part])
                yield i, name, time, {**means, "ci_low": low, "ci_high": high, "linear": linear}
