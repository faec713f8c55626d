"""What the page shows of each kind of result: a choice for each target, stream, site or part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..encoding.result import EncodingResult, Generalisation, PartitionResult
from ..encoding.scores.ceiling import normalise_r, normalise_r2
from ..encoding.sweep.partition import corrected_interval
from ..errors import counted
from ..figures import STREAM_NAMES, at_time, in_order, milliseconds, site_title, sites_in_order
from ..probes import Decoding
from ..rsa.result import RsaResult
from ..rsa.time import TimeMatrix
from ..schema import NEUROID
from .figures import ALPHA, Option, Series, bars, course, matrix

NAMES = {"r2": "mean R²", "r": "mean r", "r2_normalised": "mean R² / ceiling", "r_normalised": "mean r / ceiling"}
HOLLOW = f"Hollow: p > {ALPHA:g}, corrected."


def rsa_options(result: RsaResult) -> Iterator[Option]:
    """A choice for each target and stream: scores over timesteps, with ceilings; bars where models have no timesteps."""
    data, about = result.dataset, result.provenance
    timed = all(key in data.coords for key in ("area", "stream", "timestep"))
    confidence = about["options"].get("confidence", 0.95)
    for t in range(data.sizes["target"]):
        target = data.isel(target=t)
        where = ", ".join(str(target[key].item()) if key == "roi" else at_time(float(target[key]))
                          for key in ("roi", "time") if key in target.coords) or "brain"  # fmt: skip
        ceiling = float(target["ceiling_lower"]), float(target["ceiling_upper"])
        told = f"Noise ceiling {ceiling[0]:.3f} to {ceiling[1]:.3f}. " if ceiling[0] == ceiling[0] else ""
        said = (
            f"{told}Error bars: {confidence:.0%} intervals. {HOLLOW} {about.get('n_stimuli')} stimuli, "
            f"{counted(int(target['n_subjects']), 'subject')}."
        )
        frame = target.reset_coords()[["score", "ci_low", "ci_high", "p_zero_corrected"]].to_dataframe().reset_index()
        frame = frame.drop_duplicates("model")
        reference = ("noise ceiling", ceiling)
        if not timed:
            columns = {"model": "model", "score": result.label, "ci_low": "ci_low", "ci_high": "ci_high",
                       "p_zero_corrected": "p_corrected"}  # fmt: skip
            table = {name: frame[column].to_numpy() for column, name in columns.items()}
            yield bars(where, table, said=said, reference=reference)
            continue
        for key in ("area", "stream", "timestep"):
            frame[key] = target[key].to_series().reindex(frame["model"]).to_numpy()
        for stream, part in frame.groupby("stream", sort=False):
            label = f"{where}, {STREAM_NAMES.get(str(stream), str(stream))}"
            series = _by_area(part, "score", "ci_low", "ci_high", "p_zero_corrected")
            yield course(label, series, x="timestep", y=result.label, said=said, reference=reference)


def _by_area(frame: pd.DataFrame, *columns: str) -> list[Series]:
    """A line per area, from V1 up, of columns y, low, high and p."""
    lines = []
    for area in in_order(frame["area"]):
        rows = frame[frame["area"].astype(str) == area].sort_values("timestep")
        lines.append(Series(area, rows["timestep"].astype(int).tolist(), *(rows[name].to_numpy() for name in columns)))
    return lines


def rsa_time_options(result: TimeMatrix) -> Iterator[Option]:
    """A choice for each site: timesteps against neural time, with outlines of clusters."""
    data, mean = result.dataset, result.mean.transpose("site", "timestep", "time")
    x, y = milliseconds(data["time"].values), data["timestep"].values.astype(int)
    held = [str(s) for s in data["site"].values]
    upper = float(data["ceiling"].sel(bound="upper").max())
    for site in sites_in_order(held):
        values, rows = mean.isel(site=held.index(site)).values, []
        p = None
        if "p_cluster" in data:
            tested = data["p_cluster"].transpose("site", "timestep", "time").values[held.index(site)]
            p = None if np.isnan(tested).all() else tested
        for at, step in enumerate(y):
            if np.isfinite(values[at]).any():
                peak = int(np.nanargmax(values[at]))
                rows.append((step, x[peak], values[at, peak], np.nan if p is None else float(np.nanmin(p[at]))))
        best = max(rows, key=lambda row: row[2], default=None)
        peak_said = f"Highest: timestep {best[0]} at {best[1]:g} ms, {best[2]:.3f}. " if best else ""
        outlined = f"Outlined: clusters with p ≤ {ALPHA:g}. " if p is not None and (p <= ALPHA).any() else ""
        said = f"{peak_said}{outlined}Noise ceiling at most {upper:.3f}. Mean of {counted(data.sizes['subject'], 'subject')}."
        columns = ("timestep", "peak (ms)", result.label, "smallest cluster p")
        yield matrix(site_title(site), values, x, y, titles=("time after onset (ms)", "timestep", result.label),
                     said=said, table=(columns, rows), outlined=None if p is None else p <= ALPHA)  # fmt: skip


def encoding_options(result: EncodingResult) -> Iterator[Option]:
    """Mean scores over neuroids, for each score and roi, by area and stream over timesteps, or over neural time."""
    data = result.dataset
    rois: list[str | None] = [None]
    if "roi" in data.coords and data["roi"].dims == (NEUROID,):
        named = list(dict.fromkeys(str(r) for r in data["roi"].values))
        rois += named if len(named) > 1 else []
    for score in NAMES:
        if score in data:
            for roi in rois:
                chosen = np.ones(data.sizes[NEUROID], bool) if roi is None else data["roi"].values.astype(str) == roi
                yield from _encoding(result, score, np.flatnonzero(chosen), roi or "all neuroids")


def _encoding(result: EncodingResult, score: str, neuroids: np.ndarray, label: str) -> Iterator[Option]:
    data = result.dataset.isel({NEUROID: neuroids})
    known = np.isfinite(np.moveaxis(data[score].values, data[score].dims.index(NEUROID), 0)).reshape(len(neuroids), -1)
    count = counted(int(known.any(axis=1).sum()), "target")
    sites = all(key in data.coords for key in ("area", "stream", "timestep"))
    name = f"{NAMES[score].removeprefix('mean ')}, {label}"
    if "time" in data[score].dims and sites:
        for site in sites_in_order(f"{a}/{s}" for a, s in zip(data["area"].values, data["stream"].values, strict=True)):
            at = [i for i in range(data.sizes["space"])
                  if f"{data['area'].values[i]}/{data['stream'].values[i]}" == site]  # fmt: skip
            means = data[score].isel(space=at).mean(NEUROID, skipna=True).values
            x = milliseconds(data["time"].values).tolist()
            steps = data["timestep"].values[at]
            series = [Series(f"timestep {int(t)}", x, y) for t, y in zip(steps, means, strict=True)]
            yield course(f"{name}, {site_title(site)}", series, x="time after onset (ms)", y=NAMES[score],
                         said=f"Means of {count}.")  # fmt: skip
        return
    frame = _encoding_frame(data, score)
    said = f"Means of {count}; error bars: 95 % intervals over folds."
    if "above chance" in frame:
        said += f" Targets above chance (false discovery rate {ALPHA:g}): {frame['above chance'].max():.0f} % at most."
    reference = _mean_ceiling(data, score)
    if not sites:
        columns = {"name": "features", "score": NAMES[score], "low": "ci_low", "high": "ci_high"}
        kept = frame[[c for c in (*columns, "above chance") if c in frame]].rename(columns=columns)
        yield bars(name, {str(c): kept[c].to_numpy() for c in kept}, said=said, reference=reference)
        return
    for stream in dict.fromkeys(frame["stream"]):
        part = frame[frame["stream"] == stream]
        told = STREAM_NAMES.get(str(stream), str(stream))
        yield course(", ".join(filter(None, (name, told))), _by_area(part, "score", "low", "high"), x="timestep",
                     y=NAMES[score], said=said, reference=reference)  # fmt: skip


def _encoding_frame(data: xr.Dataset, score: str) -> pd.DataFrame:
    """One row per feature space: its labels, the mean score and its interval over folds, per cent above chance."""
    rest = [dim for dim in data[score].dims if dim != "space"]
    base = score.removesuffix("_normalised")
    per_fold = data[f"{base}_fold"].values
    if base != score:
        normalise = normalise_r if base == "r" else normalise_r2
        per_fold = normalise(per_fold, data["ceiling"].values)
    folds = np.moveaxis(per_fold, 1, -1).reshape(len(per_fold), -1, per_fold.shape[1])  # (space, target, fold)
    rows = []
    for i, values in enumerate(folds):
        known = np.isfinite(values)
        means = np.where(known, values, 0).sum(axis=0)[known.any(axis=0)] / known.sum(axis=0)[known.any(axis=0)]
        low, high = corrected_interval(means, data["n_test"].values) if len(means) > 1 else (np.nan, np.nan)
        row: dict[str, Any] = {k: data[k].values[i] for k in ("name", "area", "stream", "timestep") if k in data.coords}
        row |= {"score": float(data[score].isel(space=i).mean(rest, skipna=True)), "low": low, "high": high}
        if "q_value" in data:
            q = data["q_value"].isel(space=i).values
            row["above chance"] = 100 * float((q[np.isfinite(q)] <= ALPHA).mean()) if np.isfinite(q).any() else np.nan
        rows.append(row)
    frame = pd.DataFrame(rows)
    return frame if "name" in frame else frame.assign(name=[str(i) for i in range(len(frame))])


def _mean_ceiling(data: xr.Dataset, score: str) -> tuple[str, tuple[float]] | None:
    """The mean noise ceiling in the unit of a score."""
    if "ceiling" not in data:
        return None
    limits = data["ceiling"].values
    limits = limits[limits > 0]
    if not len(limits) or score.endswith("_normalised"):
        return ("noise ceiling", (1.0,)) if len(limits) else None
    return "mean noise ceiling", (float(np.mean(np.sqrt(limits) if score == "r" else limits)),)


def partition_options(result: PartitionResult) -> Iterator[Option]:
    """Unique and shared variance over timesteps, a line per part, a choice for each panel."""
    data = result.dataset
    parts = [str(part) for part in data["part"].values]
    frame = result.unique()
    keys = [k for k in ("area", "stream") if k in data.coords]
    panels = ["/".join(str(data[k].values[i]) for k in keys) for i in range(data.sizes["space"])]
    shared = data["variance"].isel(part=[i for i, part in enumerate(parts) if " & " in part])
    rest = [dim for dim in data["total"].dims if dim != "space"]
    added = {
        "shared": shared.sum("part").mean(rest, skipna=True).values,
        "all together": data["total"].mean(rest, skipna=True).values,
    }
    steps = data["timestep"].values.astype(int) if "timestep" in data.coords else np.zeros(len(panels), int)
    said = (
        "Unique: beyond what a useless band shows, 95 % intervals over folds. All together: R² of all bands, which is unique "
        "parts plus shared ones; these may be negative."
    )
    timed = "time" in data.dims
    for panel in sites_in_order(panels):
        at = [i for i, name in enumerate(panels) if name == panel]
        own = frame
        for key, value in zip(keys, panel.split("/"), strict=False):
            own = own[own[key].astype(str) == value]
        lines = []
        for part in dict.fromkeys(own["part"]):
            rows = own[own["part"] == part]
            if timed:  # means over time, as those of the other parts
                rows = rows.groupby([k for k in ("timestep",) if k in rows] or (lambda _: 0)).mean(numeric_only=True)
                rows = rows.reset_index().assign(ci_low=np.nan, ci_high=np.nan)
            x = rows["timestep"].astype(int).tolist() if "timestep" in rows else [0] * len(rows)
            lines.append(Series(f"unique {STREAM_NAMES.get(str(part), str(part))}", x, rows["beyond"].to_numpy(),
                                rows["ci_low"].to_numpy(), rows["ci_high"].to_numpy()))  # fmt: skip
        lines += [Series(name, steps[at].tolist(), values[at]) for name, values in added.items()]
        label = site_title(panel) if "/" in panel else STREAM_NAMES.get(panel, panel) or "all"
        if "timestep" in data.coords:
            yield course(label, lines, x="timestep", y="cross-validated R²", said=said)
        else:
            table: dict[str, Any] = {"part": [line.name for line in lines], "R²": [float(line.y[0]) for line in lines]}
            for name in ("low", "high"):
                values = [getattr(line, name) for line in lines]
                table[f"ci_{name}"] = [np.nan if v is None else float(v[0]) for v in values]
            yield bars(label, table, said=said)


def decoding_options(result: Decoding) -> Iterator[Option]:
    """Accuracy over timesteps for each stream, then the generalisation of each site."""
    frame, chance = result.time_course(), ("chance", (result.chance,))
    frame[["area", "stream"]] = frame["site"].str.split("/", expand=True)
    frame["low"], frame["high"] = frame["accuracy"] - frame["sem"], frame["accuracy"] + frame["sem"]
    tested = bool(frame["p_corrected"].notna().any())
    said = f"Error bars: a standard error over folds. {HOLLOW * tested}".strip()
    for stream, part in frame.groupby("stream", sort=False):
        columns = ("accuracy", "low", "high", *["p_corrected"] * tested)
        label = STREAM_NAMES.get(str(stream), str(stream))
        yield course(label, _by_area(part, *columns), x="timestep", y="balanced accuracy", said=said, reference=chance)
    table = result.dataset["accuracy"]
    steps = table["train_timestep"].values.astype(int)
    for site in sites_in_order(frame["site"]):
        values = table.sel(site=site).values
        rows = [(steps[i], steps[j], v) for (i, j), v in np.ndenumerate(values) if v == v]
        yield matrix(f"generalisation, {site_title(site)}", values, steps, steps, low=result.chance,
                     titles=("test timestep", "training timestep", "balanced accuracy"),
                     said=f"The middle or lower end of the scale is chance, {result.chance:.3g}.",
                     table=(("training timestep", "test timestep", "balanced accuracy"), rows))  # fmt: skip


def generalisation_options(result: Generalisation) -> Iterator[Option]:
    """Mean over neuroids."""
    mean = result["r"].mean(NEUROID, skipna=True)
    y, x = (milliseconds(mean[name].values) for name in ("time_train", "time_test"))
    rows = [(y[i], float(np.nanmax(row)), x[int(np.nanargmax(row))]) for i, row in enumerate(mean.values)
            if np.isfinite(row).any()]  # fmt: skip
    yield matrix("mean over neuroids", mean.values, x, y, titles=("tested at (ms)", "trained at (ms)", "mean r"),
                 said="A mapping fitted at one time, tested at every other.",
                 table=(("trained at (ms)", "highest r", "tested at (ms)"), rows))  # fmt: skip


def evaluation_options(result: Any) -> Iterator[Option]:
    """Accuracy over timesteps; what is taken for what at the last."""
    table, classes = result.table, result.classes
    steps = table["timestep"].astype(int).tolist()
    lines = [
        Series(f"top {k}", steps, *(table[f"top{k}{end}"].to_numpy() for end in ("", "_ci_low", "_ci_high")))
        for k in (1, 5) if k < len(classes)
    ]  # fmt: skip
    n = int(result.counts.sum())
    yield course("accuracy", lines, x="timestep", y="correct (%)", said=f"95 % intervals over {n:,} pictures.",
                 reference=("chance of top 1", (100 / len(classes),)))  # fmt: skip
    share = 100 * result.counts / np.maximum(result.counts.sum(axis=1, keepdims=True), 1)
    rows = [(classes[i], classes[j], int(v)) for (i, j), v in np.ndenumerate(result.counts) if v]
    places = np.arange(len(classes))
    option = matrix("confusions at the last timestep", share, places, places,
                    titles=("taken for", "class", "pictures of the class (%)"), said="Classes in the order of the table.",
                    table=(("class", "taken for", "pictures"), rows[:2000]))  # fmt: skip
    for axis in ("xaxis", "yaxis"):
        option.figure["layout"][axis] |= (
            {"tickvals": places.tolist(), "ticktext": [_short(c) for c in classes]} if len(classes) <= 40
            else {"showticklabels": False, "tickvals": []}
        )  # fmt: skip
    yield option


def _short(name: str) -> str:
    from .figures import safe

    return safe(name if len(name) <= 24 else f"{name[:23]}…")
