"""
Do encoding models find what is there? Simulated voxels
=======================================================

Do encoding models find what is there? Voxels that are made from known sites plus noise, and named as simulated.

Run ``uv run python analyses/10_simulated_voxels.py --store bltvs-demo/imagenet_untrained_92_objects.h5`` with any store of
BLT_VS that has V1 to LOC and both streams, such as that of ``bltvs demo``.

Makes, in ``analyses/10_simulated_voxels/`` (or ``--output``), every name beginning with ``simulated``:

- ``simulated_voxels.nc``: the responses, which ``bltvs encode STORE --neural simulated_voxels.nc`` reads too;
- ``simulated_recovery.csv``, ``simulated_r2.csv``, ``simulated_unique.csv`` and ``simulated_recovery.png``:
  which area, timestep and stream wins for voxels of each source; the R2 found where it is known; the unique variance of
  the stream that voxels follow and of the one that adds nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import t as student
from sklearn.decomposition import PCA

import bltvs_neuro as bn
from bltvs_neuro.neural import to_netcdf

HERE = Path(__file__).parent
SOURCES = [("V1/bu", 0), ("V2/td", 0), ("V4/bu", 2), ("V4/td", 3), ("LOC/bu", 5), ("LOC/td", 1)]
LEVELS = [0.0, 0.2, 0.4, 0.6, 0.8]
VOXELS = 100
COMPONENTS = 4
REPEATS = 20
"""Sets of voxels, each with folds of its own, whose unique variance is worked out."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, default=HERE / "10_simulated_voxels")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with bn.open_store(options.store) as acts:
        about = f"{acts.provenance['model']} ({acts.provenance['weights']} weights), {len(acts.stimulus_ids)} stimuli"
        winners, table = which_wins(acts, options.output)
        known = known_r2(acts)
        unique = unique_variance(acts)
    table.to_csv(options.output / "simulated_recovery.csv", index=False)
    known.to_csv(options.output / "simulated_r2.csv", index=False)
    unique.to_csv(options.output / "simulated_unique.csv", index=False)
    figure = draw(winners, table, known, unique, f"SIMULATED voxels; {about}")
    figure.savefig(options.output / "simulated_recovery.png", dpi=200)
    keys = ["voxels follow", "part", "adds nothing"]
    numbers = ["unique", "useless", "beyond", "ci_low", "ci_high", "zero inside"]
    summary = unique.groupby(keys, sort=False)[numbers].mean().reset_index()
    for frame in (table, known, summary):
        print(frame.round(4).to_string(index=False), end="\n\n")


def leading(acts: bn.store.Store, site: str, timestep: int, components: int = 8) -> np.ndarray:
    """The leading principal components of a site at a timestep over stimuli, each of variance one; (stimulus, component)."""
    x = acts.at(site, timestep).values.reshape(len(acts.stimulus_ids), -1).astype(np.float64)
    u, _, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    return u[:, :components] * np.sqrt(len(x))


def simulate(components: np.ndarray, r2: float, rng: np.random.Generator) -> np.ndarray:
    """Voxels that follow random mixtures of components; ``r2`` of their variance is signal, the rest noise."""
    signal = components @ rng.standard_normal((components.shape[1], VOXELS))
    signal /= signal.std(axis=0)
    return np.sqrt(r2) * signal + np.sqrt(1 - r2) * rng.standard_normal(signal.shape)


def responses(acts: bn.store.Store, values: np.ndarray, source: list[str]) -> xr.DataArray:
    return bn.make_responses(
        values.astype(np.float32),
        acts.stimulus_ids,
        neuroid_coords={"voxel": np.arange(values.shape[1]), "source": source, "subject": "simulated"},
        attrs={"simulated": "known sites plus noise", "source": "simulated_voxels.nc"},
    )


def which_wins(acts: bn.store.Store, folder: Path) -> tuple[xr.Dataset, pd.DataFrame]:
    """Fit every site and timestep to voxels of six sources, and count what wins."""
    rng = np.random.default_rng(0)
    values = np.concatenate([simulate(leading(acts, *source), 0.8, rng) for source in SOURCES], axis=1)
    names = [f"{site}@{step}" for site, step in SOURCES for _ in range(VOXELS)]
    voxels = responses(acts, values, names)
    to_netcdf(voxels, folder / "simulated_voxels.nc", overwrite=True)
    fit = bn.fit_encoding(acts, voxels, cv=bn.Folds(5, groups="stimulus_id"))
    fit.save(folder / "simulated_result.h5", overwrite=True)
    best = fit.best("r2")
    rows = []
    for site, step in SOURCES:
        here = np.flatnonzero(best["source"].values == f"{site}@{step}")
        area, stream = site.split("/")
        mean = fit["r2"].values[:, here].mean(axis=1)
        order = np.argsort(-mean)
        low, high = bootstrap(fit["r2"].values[order[0], here] - fit["r2"].values[order[1], here])
        rows.append(
            {
                "simulated source": f"{site}@{step}",
                "best on average": str(fit["name"].values[order[0]]),
                "lead over the next": mean[order[0]] - mean[order[1]],
                "lead, low": low,
                "lead, high": high,
                "next": str(fit["name"].values[order[1]]),
                "voxels with the right area": (best["area"].values[here] == area).mean(),
                "voxels with the right stream": (best["stream"].values[here] == stream).mean(),
                "voxels with the right timestep": (best["timestep"].values[here] == step).mean(),
                "voxels with all three right": (
                    (best["area"].values[here] == area)
                    & (best["stream"].values[here] == stream)
                    & (best["timestep"].values[here] == step)
                ).mean(),
            }
        )
    return best, pd.DataFrame(rows)


def known_r2(acts: bn.store.Store) -> pd.DataFrame:
    """R2 of least squares on components found inside each fold, beside that of one who knows the components.

    With so few stimuli no model reaches the share of signal that was put in; what an oracle reaches who knows the true
    components is worked out by plain least squares, on other noise.
    """
    components = leading(acts, "V4/td", 3, COMPONENTS)
    rows = []
    for level in LEVELS:
        values = simulate(components, level, np.random.default_rng(10))
        voxels = responses(acts, values, ["V4/td@3"] * VOXELS)
        fit = bn.fit_encoding(
            acts,
            voxels,
            sites=bn.Select("V4/td", timesteps=3),
            solver=bn.OLS(),
            cv=bn.Folds(5),
            transform=PCA(COMPONENTS, svd_solver="full"),
        )
        low, high = interval(fit["r2_fold"].values[0].mean(axis=1))
        draws = [oracle(components, level, np.random.default_rng(100 + i)) for i in range(20)]
        rows.append(
            {"simulated R2": level, "found": float(fit["r2"].values.mean()), "ci_low": low, "ci_high": high,
             "oracle": float(np.mean(draws)), "oracle inside": bool(low <= np.mean(draws) <= high)}
        )  # fmt: skip
    return pd.DataFrame(rows)


def oracle(components: np.ndarray, level: float, rng: np.random.Generator) -> float:
    """Mean R2 over five random folds of least squares on the true components."""
    y = simulate(components, level, rng)
    scores = []
    for test in np.array_split(rng.permutation(len(y)), 5):
        train = np.setdiff1d(np.arange(len(y)), test)
        x = np.column_stack([np.ones(len(y)), components])
        guess = x[test] @ np.linalg.lstsq(x[train], y[train], rcond=None)[0]
        left = ((y[test] - guess) ** 2).sum(axis=0) / ((y[test] - y[test].mean(axis=0)) ** 2).sum(axis=0)
        scores.append(1 - left)
    return float(np.mean(scores))


def unique_variance(acts: bn.store.Store) -> pd.DataFrame:
    """Unique variance of both streams of V4 for voxels that follow one of them, beyond that of a useless stream.

    The interval is that of the mean over voxels (folds share training rows: Nadeau & Bengio's correction). The share of
    both has no such interval; its range over voxels would say nothing of stimuli.
    """
    rows = []
    for stream in ("bu", "td"):
        for seed in range(REPEATS):
            values = simulate(leading(acts, f"V4/{stream}", 1), 0.8, np.random.default_rng(20 + seed))
            voxels = responses(acts, values, [f"V4/{stream}@1"] * VOXELS)
            shares = bn.partition_encoding(
                acts, voxels, sites=bn.Select("V4", timesteps=1), run=bn.Run(seed=seed), over="stream"
            )
            table = shares.unique()
            table.insert(0, "voxels follow", f"V4/{stream}@1")
            table.insert(1, "draw", seed)
            table["adds nothing"] = table["part"] != stream
            table["zero inside"] = (table["ci_low"] <= 0) & (table["ci_high"] >= 0)
            rows.append(table.drop(columns=["area", "timestep"]))
    return pd.concat(rows, ignore_index=True)


def interval(per_fold: np.ndarray) -> tuple[float, float]:
    """95 % of the mean over folds (Student's t; folds share training rows: a rough guide)."""
    half = student.ppf(0.975, len(per_fold) - 1) * per_fold.std(ddof=1) / np.sqrt(len(per_fold))
    return float(per_fold.mean() - half), float(per_fold.mean() + half)


def bootstrap(values: np.ndarray, n: int = 2000) -> tuple[float, float]:
    """95 % of the mean over voxels."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (n, len(values)))].mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def draw(best: xr.Dataset, table: pd.DataFrame, known: pd.DataFrame, unique: pd.DataFrame, title: str):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 3.9), layout="constrained")
    axes = figure.subplots(1, 3, width_ratios=[1.7, 1, 1.1])
    sites = [f"{area}/{stream}" for area in ("V1", "V2", "V3", "V4", "LOC") for stream in ("bu", "td")]
    won = np.array([f"{a}/{s}" for a, s in zip(best["area"].values, best["stream"].values, strict=True)])
    source = best["source"].values.astype(str)
    shares = np.array([[100 * (won[source == n] == site).mean() for site in sites] for n in table["simulated source"]])
    mesh = axes[0].imshow(shares, cmap="Greens", vmin=0, vmax=100, aspect="auto")
    for (i, j), value in np.ndenumerate(shares):
        if value >= 1:
            axes[0].text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=8, color="w" if value > 60 else "k")
    axes[0].set_xticks(range(len(sites)), sites, rotation=60)
    labels = [f"{row['simulated source']}\n(on average: {row['best on average']})" for _, row in table.iterrows()]
    axes[0].set_yticks(range(len(labels)), labels, fontsize=8)
    axes[0].set(title="best site of each voxel", ylabel="simulated from")
    figure.colorbar(mesh, ax=axes[0], label="% of voxels")
    axes[1].plot([0, 1], [0, 1], color="0.7", linewidth=1, label="simulated")
    axes[1].plot(known["simulated R2"], known["oracle"], "s", color="0.4", fillstyle="none", label="oracle")
    error = [known["found"] - known["ci_low"], known["ci_high"] - known["found"]]
    axes[1].errorbar(
        known["simulated R2"], known["found"], error, fmt="o", color="#0072B2", capsize=2, markersize=4, label="found"
    )
    axes[1].set(xlabel="simulated $R^2$", ylabel="cross-validated $R^2$", title="known $R^2$")
    axes[1].legend(frameon=False, fontsize=8)
    sources = list(dict.fromkeys(unique["voxels follow"]))
    for place, (nothing, source) in enumerate((n, s) for n in (False, True) for s in sources):
        part = unique[(unique["voxels follow"] == source) & (unique["adds nothing"] == nothing)]
        x = place + np.linspace(-0.32, 0.32, len(part))
        error = [part["beyond"] - part["ci_low"], part["ci_high"] - part["beyond"]]
        colour = "0.45" if nothing else "#0072B2"
        axes[2].errorbar(x, part["beyond"], error, fmt="o", markersize=2.5, linewidth=0.8, color=colour)
        inside = f"zero inside:\n{part['zero inside'].sum()} of {len(part)}"
        axes[2].text(place, 1.01, inside, ha="center", va="bottom", fontsize=7, transform=axes[2].get_xaxis_transform())
    names = [f"{s.split('/')[1].split('@')[0]}, followed" for s in sources]
    names += [f"{'td' if 'bu' in s else 'bu'}, useless" for s in sources]
    axes[2].set_xticks(range(len(names)), names, rotation=30)
    axes[2].axhline(0, color="0.5", linewidth=0.8)
    axes[2].set_title("V4: unique variance", pad=26)
    axes[2].set_ylabel("$R^2$ beyond a useless stream's")
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=9)
    return figure


if __name__ == "__main__":
    main()
