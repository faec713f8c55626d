"""Unique and shared variance of streams, over repeated data and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from bltvs_neuro.encoding import BandedRidge
from bltvs_neuro.encoding.fit import fit_encoding, partition_encoding
from bltvs_neuro.encoding.outputs.partition import plot_partition
from bltvs_neuro.encoding.result import PartitionResult
from bltvs_neuro.features.select import Select
from bltvs_neuro.options import Run

from .reference import make_store, simulate_responses

GRID = np.logspace(-1, 5, 13)


@pytest.fixture(scope="module")
def repeated_partitions() -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Twenty experiments: independent streams of V4, voxels that follow td, and what is found for bu and td."""
    found = []
    for seed in range(20):
        acts = {site: x for site, x in make_store(90, p=60, seed=seed).items() if site.startswith("V4")}
        responses = simulate_responses(acts, [("V4/td", 2)], per_source=40, seed=100 + seed)
        result = partition_encoding(
            acts,
            responses,
            sites=Select(timesteps=2),
            solver=BandedRidge(candidates=6, on_edge="ignore"),
            run=Run(seed=seed),
            over="stream",
        )
        table = result.unique().set_index("part")
        found.append((table.loc["bu"], table.loc["td"]))
    return found


def test_unique_variance_of_a_useless_stream_is_zero_within_its_interval_and_of_a_useful_one_is_not(
    repeated_partitions,
) -> None:
    useless, useful = (pd.DataFrame(rows) for rows in zip(*repeated_partitions, strict=True))
    covered = ((useless["ci_low"] <= 0) & (useless["ci_high"] >= 0)).sum()
    assert covered >= 17  # 19 of 20 are expected; 16 or fewer have probability 0.016
    assert (useful["ci_low"] > 0.1).all()
    error = useless["beyond"].std() / np.sqrt(20)
    assert abs(useless["beyond"].mean()) < 3 * error
    # as cross-validated it is below zero, by many standard errors: the test above can tell
    assert useless["unique"].mean() < -4 * useless["unique"].std() / np.sqrt(20)


def test_parts_of_a_partition_sum_to_the_joint_model_and_independent_streams_share_nothing() -> None:
    acts = make_store(300, p=40)
    responses = simulate_responses(acts, [("V4/td", 2)], per_source=80)
    found = partition_encoding(
        acts,
        responses,
        sites=Select("V4", timesteps=2),
        solver=BandedRidge(candidates=10, on_edge="ignore"),
        over="stream",
    )
    assert isinstance(found, PartitionResult)
    part = {str(p): found["variance"].values[0, i] for i, p in enumerate(found["part"].values)}
    assert part["td"].mean() > 0.4
    # nothing is shared: R2(bu) + R2(td) - R2(both) is what bu shows for responses of other stimuli, below zero by what
    # a ridge pays for features that tell nothing
    rng, ids = np.random.default_rng(0), acts["V4/bu"]["stimulus_id"].values
    chance = []
    for _ in range(19):
        shuffled = responses.assign_coords(stimulus_id=("presentation", rng.permutation(ids)))
        fit = fit_encoding(
            acts, shuffled, sites=Select("V4/bu", timesteps=2), solver=BandedRidge(on_edge="ignore", bands="stream")
        )
        chance.append(fit["r2"].values.mean() - part["bu"].mean())
    assert min(chance) < part["bu & td"].mean() < max(chance)
    assert max(chance) < 0.01  # so that the range tells
    table = found.unique(np.arange(40)).set_index("part")
    assert table.loc["td", "unique"] == pytest.approx(part["td"][:40].mean())
    assert table.loc["td", "beyond"] == pytest.approx(table.loc["td", "unique"] - table.loc["td", "useless"])
    both = fit_encoding(
        acts,
        responses,
        sites=Select("V4", timesteps=2),
        solver=BandedRidge(on_edge="ignore", candidates=10, bands="stream"),
    )
    np.testing.assert_allclose(found["total"].values, both["r2"].values, atol=1e-5)


def test_the_figure_of_a_partition_shows_what_the_table_says() -> None:
    acts = {site: x for site, x in make_store(60, p=20).items() if site.startswith("V4")}
    responses = simulate_responses(acts, [("V4/td", 2)], per_source=12)
    found = partition_encoding(
        acts,
        responses,
        sites=Select(timesteps="0:3"),
        solver=BandedRidge(candidates=4, on_edge="ignore"),
        over="stream",
    )
    some = np.arange(6)
    (axis,) = plot_partition(found, neuroids=some)
    table = found.unique(some)
    drawn = 0
    for line in axis.lines:
        if not str(line.get_label()).startswith("unique "):
            continue
        rows = table[
            table["part"] == {"bottom-up": "bu", "top-down": "td"}[str(line.get_label()).removeprefix("unique ")]
        ].set_index("timestep")
        (band,) = [c for c in axis.collections if c.get_facecolor()[0, :3] == pytest.approx(to_rgb(line.get_color()))]
        corners = band.get_paths()[0].vertices
        for step, value in zip(line.get_xdata(), line.get_ydata(), strict=True):
            if step in rows.index:
                assert value == pytest.approx(rows.loc[step, "beyond"])
                edges = corners[np.isclose(corners[:, 0], step), 1]
                assert (edges.min(), edges.max()) == pytest.approx(
                    (rows.loc[step, "ci_low"], rows.loc[step, "ci_high"])
                )
                drawn += 1
    assert drawn == len(table) > 2
