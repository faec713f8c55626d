"""What the page shows of each kind of result: a choice for each target, stream, site or part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from ..encoding.result import EncodingResult, Generalisation, PartitionResult
from ..encoding.scores.images import EVERY
from ..errors import counted
from ..figures import STREAM_NAMES, at_time, in_order, milliseconds, site_title, sites_in_order
from ..probes import Decoding
from ..rsa.result import RsaResult
from ..rsa.time import TimeMatrix
from ..schema import NEUROID
from .figures import ALPHA, Option, Series, bars, course, matrix

NAMES = {"r2": "mean R²", "r": "mean r", "r2_normalised": "mean R² / ceiling"}
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
    outlined = result.significant(ALPHA).transpose("site", "timestep", "time").values
    x, y = milliseconds(data["time"].values), data["timestep"].values.astype(int)
    held = [str(s) for s in data["site"].values]
    peaks, upper = result.peaks().set_index("site"), float(data["ceiling"].sel(bound="upper").max())
    for site in sites_in_order(held):
        at, one = held.index(site), peaks.loc[site]
        values = mean.isel(site=at).values
        best = [int(np.nanargmax(row)) if np.isfinite(row).any() else -1 for row in values]
        rows = [(y[i], x[j], values[i, j], "yes" if outlined[at, i, j] else "no") for i, j in enumerate(best) if j >= 0]
        low, high, peak = (milliseconds(one[name]) for name in ("ci_low", "ci_high", "latency"))
        told = f"Peak at {peak:g} ms ({low:g} to {high:g}), {one['peak']:.3f}. " if one["peak"] == one["peak"] else ""
        clusters = f"Outlined: clusters with p ≤ {ALPHA:g}, corrected over all sites. " if outlined[at].any() else ""
        subjects = counted(data.sizes["subject"], "subject")
        columns = ("timestep", "highest at (ms)", result.label, "within a cluster")
        yield matrix(site_title(site), values, x, y, titles=("time after onset (ms)", "timestep", result.label),
                     said=f"{told}{clusters}Noise ceiling at most {upper:.3f}. Mean of {subjects}.",
                     table=(columns, rows), outlined=outlined[at])  # fmt: skip


def encoding_options(result: EncodingResult) -> Iterator[Option]:
    """Mean scores of all neuroids and of each roi, by area and stream over timesteps, or over neural time."""
    frame = result.summary()
    sites = all(key in frame for key in ("area", "stream", "timestep"))
    for score in NAMES:
        if score in frame:
            for roi, part in frame.groupby("roi", sort=False):
                where = "all neuroids" if roi == EVERY else str(roi)
                label = f"{NAMES[score].removeprefix('mean ')}, {where}"
                shown = _over_time if "time" in part and sites else _over_timesteps if sites else _of_spaces
                yield from shown(part, score, label)


def _over_time(part: pd.DataFrame, score: str, label: str) -> Iterator[Option]:
    """A choice per site, a line per timestep."""
    part = part.assign(site=part["area"].astype(str) + "/" + part["stream"].astype(str))
    for site in sites_in_order(part["site"]):
        mine = part[part["site"] == site]
        lines = {int(step): mine[mine["timestep"] == step] for step in sorted(set(mine["timestep"]))}
        series = [
            Series(f"timestep {step}", milliseconds(rows["time"]).tolist(), rows[score].to_numpy())
            for step, rows in lines.items()
        ]
        yield course(f"{label}, {site_title(site)}", series, x="time after onset (ms)", y=NAMES[score],
                     said=f"Means of {counted(int(part['n_neuroids'].max()), 'target')}.")  # fmt: skip


def _over_timesteps(part: pd.DataFrame, score: str, label: str) -> Iterator[Option]:
    """A choice per stream, a line per area."""
    for stream, rows in part.groupby("stream", sort=False):
        told = STREAM_NAMES.get(str(stream), str(stream))
        series = _by_area(rows, score, f"{score}_ci_low", f"{score}_ci_high")
        yield course(", ".join(filter(None, (label, told))), series, x="timestep", y=NAMES[score],
                     said=_targets(rows), reference=_ceiling(rows, score))  # fmt: skip


def _of_spaces(part: pd.DataFrame, score: str, label: str) -> Iterator[Option]:
    """A bar per feature space, of sites that are joined."""
    part = part.groupby("name", sort=False).mean(numeric_only=True).reset_index()  # over time, where there is any
    names = {"name": "features", score: NAMES[score], f"{score}_ci_low": "ci_low", f"{score}_ci_high": "ci_high"}
    table: dict[str, Any] = {name: part[column].to_numpy() for column, name in names.items()}
    yield bars(label, table, said=_targets(part), reference=_ceiling(part, score))


def _targets(part: pd.DataFrame) -> str:
    """How many targets means are of, and how many of them are above chance."""
    said = f"Means of {counted(int(part['n_neuroids'].max()), 'target')}; error bars: 95 % intervals over images."
    if "n_fdr" in part:
        said += f" At most {int(part['n_fdr'].max())} targets are above chance at one timestep (false discovery rate {ALPHA:g})."
    return said


def _ceiling(part: pd.DataFrame, score: str) -> tuple[str, tuple[float]] | None:
    """The mean noise ceiling in the unit of a score."""
    if "ceiling" not in part or score == "r":
        return None
    return (
        ("noise ceiling", (1.0,))
        if score == "r2_normalised"
        else ("mean noise ceiling", (float(part["ceiling"].mean()),))
    )


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
    table, classes = result.to_frame(), [str(name) for name in result["class_name"].values]
    counts = result.confusion[-1]
    steps = table["timestep"].astype(int).tolist()
    lines = [
        Series(f"top {k}", steps, *(table[f"top{k}{end}"].to_numpy() for end in ("", "_ci_low", "_ci_high")))
        for k in (1, 5) if k < len(classes)
    ]  # fmt: skip
    n = int(counts.sum())
    yield course("accuracy", lines, x="timestep", y="correct (%)", said=f"95 % intervals over {n:,} pictures.",
                 reference=("chance of top 1", (100 / len(classes),)))  # fmt: skip
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = [(classes[i], classes[j], int(v)) for (i, j), v in np.ndenumerate(counts) if v]
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
