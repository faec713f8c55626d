from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.figures import STREAM_COLOURS, borders, figure_of, save_figure
from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.rsa.figures.comparison import plot_matrix, plot_models, plot_time_course
from bltvs_neuro.rsa.figures.rdm import added_points, classical_scaling, plot_rdms, plot_trajectories
from bltvs_neuro.rsa.figures.time import plot_time_matrix
from bltvs_neuro.rsa.inference.options import Inference
from bltvs_neuro.rsa.result import RsaResult, compare_rdms
from bltvs_neuro.rsa.time import time_matrix

from .test_time import movie

N = 9
P = 36
IDS = [f"s{i}" for i in range(N)]


@pytest.fixture(scope="module")
def sites():
    rng = np.random.default_rng(0)
    rows = [
        (a, s, t) for a in ("V1", "V2", "IT") for s in ("bu", "td") for t in range(3) if not (s == "td" and a == "IT")
    ]
    a, s, t = zip(*rows, strict=True)
    return make_rdms(
        rng.gamma(2, 1, (len(rows), P)),
        IDS,
        metric="correlation",
        area=list(a),
        stream=list(s),
        timestep=list(t),
        name=[f"{x}/{y}@t{z}" for x, y, z in rows],
    )


@pytest.fixture(scope="module")
def brain(sites):
    rng = np.random.default_rng(1)
    values = np.concatenate([sites.values[8] + rng.gamma(1, 1, (4, P)) for _ in range(2)])
    return make_rdms(values, IDS, metric="correlation", subject=list("abcd") * 2, roi=["EVC"] * 4 + ["IT"] * 4)


@pytest.fixture(scope="module")
def result(sites, brain):
    return compare_rdms(sites, brain, inference=Inference(bootstrap=30))


def text(figure, tmp_path) -> str:
    return save_figure(figure, tmp_path / "figure.svg").read_text()


def test_time_course_shows_scores_intervals_and_ceiling(result, tmp_path):
    panels = result.plot_time_course()
    assert [a.get_title() for a in panels] == ["V1", "V2", "IT"]
    frame = result.to_frame()
    one = frame[(frame.target == 0) & (frame.area == "V2") & (frame.stream == "td")].sort_values("timestep")
    line = next(x for x in panels[1].lines if x.get_color() == STREAM_COLOURS["td"])
    np.testing.assert_allclose(line.get_ydata(), one["score"])
    band = panels[1].patches[0].get_extents().transformed(panels[1].transData.inverted())
    np.testing.assert_allclose((band.y0, band.y1), (one["ceiling_lower"].iloc[0], one["ceiling_upper"].iloc[0]))
    bars = next(c for c in panels[1].collections if len(c.get_paths()) == 3)
    heights = np.array([p.vertices[:, 1] for p in bars.get_paths()])
    assert heights.shape == (3, 2)
    svg = text(panels, tmp_path)
    for label in ("model timestep", "whitened correlation", "noise ceiling", "EVC"):
        assert f">{label}</text>" in svg  # text stays text
    said = " ".join(figure_of(panels)._supxlabel.get_text().split())
    assert said.startswith("Bars: 95 % intervals (bootstrap).") and said.endswith("9 stimuli, 4 subjects.")


def test_streams_and_targets_can_be_chosen(result):
    assert [a.get_title() for a in plot_time_course(result, stream="td", target=1)] == ["V1", "V2"]
    with pytest.raises(SpecError, match="unknown stream 'up'; valid: bu, td"):
        plot_time_course(result, stream="up")
    with pytest.raises(SpecError, match="there are targets 0 to 1; got 2"):
        plot_time_course(result, target=2)


def test_matrix_has_one_cell_per_site_and_timestep(result, tmp_path):
    panels = plot_matrix(result)
    assert [a.get_title() for a in panels] == ["EVC, bottom-up", "IT, bottom-up", "EVC, top-down", "IT, top-down"]
    values = np.ma.filled(panels[2].images[0].get_array(), np.nan)
    assert values.shape == (3, 3)
    assert np.isnan(values[2]).all()
    frame = result.to_frame()
    one = frame[(frame.target == 0) & (frame.area == "V2") & (frame.stream == "td") & (frame.timestep == 2)]
    np.testing.assert_allclose(values[1, 2], one["score"].iloc[0])
    assert ">area</text>" in text(panels, tmp_path)
    assert [t.get_text() for t in panels[0].get_yticklabels()] == ["V1", "V2", "IT"]  # from below
    assert panels[0].images[0].origin == "lower"


def test_a_winner_that_halves_of_the_data_do_not_support_has_a_broken_frame(result):
    def broken(changed) -> list[bool]:
        panels = plot_matrix(RsaResult(changed))
        frames = [p for a in panels for p in a.patches if isinstance(p, Rectangle) and p.get_linewidth() == 1.4]
        return [frame.get_linestyle() != "-" for frame in frames]

    sure = result.dataset.assign(
        chosen_share=result["chosen_share"] * 0 + 0.9, nested_ci_low=result["nested_ci_low"] * 0 + 0.1
    )
    assert broken(sure) == [False, False]
    assert broken(sure.assign(chosen_share=sure["chosen_share"] / 2)) == [True, True]
    assert broken(sure.assign(nested_ci_low=-sure["nested_ci_low"])) == [True, True]


def test_models_are_ordered_by_score(result, tmp_path):
    axis = plot_models(result, target=1)
    labels = [t.get_text() for t in axis.get_yticklabels()]
    frame = result.to_frame()
    assert labels == frame[frame.target == 1].sort_values("score", ascending=False)["model"].tolist()
    assert (tmp_path / "figure.svg").name in str(save_figure(axis, tmp_path / "figure.svg"))


def test_heat_maps_follow_the_order_and_show_categories(sites, tmp_path):
    order = IDS[::-1]
    categories = {s: "face" if i < 4 else "place" for i, s in enumerate(IDS)}
    figure = plot_rdms(sites[:3], categories=categories, order=order, scale="value")
    image = np.ma.filled(figure[0].images[0].get_array(), np.nan)
    from scipy.spatial.distance import squareform

    expected = squareform(sites.values[0])[::-1, ::-1].copy()
    np.fill_diagonal(expected, np.nan)
    np.testing.assert_allclose(image, expected)
    svg = text(figure, tmp_path)
    assert ">face</text>" in svg
    assert ">dissimilarity (correlation)</text>" in svg
    ranks = np.ma.filled(plot_rdms(sites[:1])[0].images[0].get_array(), np.nan)
    assert (np.nanmin(ranks), np.nanmax(ranks)) == (0, 100)
    with pytest.raises(DataError, match="8 stimuli are in the RDMs but not in the categories"):
        plot_rdms(sites, categories={"s0": "a"})


def test_trajectories_keep_distances(sites, brain, tmp_path):
    figure = plot_trajectories(sites, brain, label="human")
    svg = text(figure, tmp_path)
    assert [t.get_text() for t in figure.texts if t.get_text() in ("EVC a", "IT d")] == ["EVC a", "IT d"]
    assert ">human</text>" in svg
    assert "squared distance" in svg
    points = np.random.default_rng(0).normal(size=(6, 2))
    d = np.linalg.norm(points[:, None] - points[None], axis=2)
    placed, share = classical_scaling(d)
    np.testing.assert_allclose(np.linalg.norm(placed[:, None] - placed[None], axis=2), d, atol=1e-10)
    np.testing.assert_allclose(share.sum(), 1)
    # a point that was placed is put where it lies, and one above the plane at its foot
    new = np.array([[0.3, -0.2]])
    away = np.sqrt(((points - new) ** 2).sum(axis=1) + 4.0)[:, None]
    foot = added_points(placed, d, away)
    np.testing.assert_allclose(added_points(placed, d, d), placed, atol=1e-10)
    np.testing.assert_allclose(
        np.linalg.norm(placed - foot, axis=1), np.linalg.norm(points - new, axis=1), atol=1e-10
    )  # fmt: skip
    with pytest.raises(DataError, match="timestep is missing"):
        plot_trajectories(sites.drop_vars("timestep"))


def test_time_matrix_marks_clusters_and_peaks(tmp_path):
    found = time_matrix(*movie(), inference=Inference(n_permutations=64, bootstrap=20))
    panels = plot_time_matrix(found)
    assert [a.get_title() for a in panels] == ["V1, bottom-up", "IT, bottom-up"]
    outlines = [
        [c for c in a.collections if isinstance(c, LineCollection) and len(c.get_segments()) > 1] for a in panels
    ]
    mask = found.significant(0.05).transpose("site", "timestep", "time").values
    assert [bool(lines) for lines in outlines] == [bool(m.any()) for m in mask]
    assert mask[0].any()
    assert len(outlines[0][0].get_segments()) == len(borders(mask[0], np.arange(99), np.arange(99)))
    time = found.values["time"].values
    edges = panels[0].collections[0].get_coordinates()[0, :, 0]
    np.testing.assert_allclose((edges[1:] + edges[:-1]) / 2, 1000 * time)
    svg = text(panels, tmp_path)
    assert ">time after onset (ms)</text>" in svg and "Outlined: clusters with p ≤ 0.05" in svg
    none = figure_of(plot_time_matrix(found, alpha=1e-9))._supxlabel.get_text()
    assert none.startswith("No cluster has p ≤ 1e-09, permutations of stimuli")


def test_models_without_timesteps_have_no_time_course(models92, human_it):
    result = compare_rdms(models92, human_it, inference=Inference(bootstrap=5))
    with pytest.raises(
        DataError, match="needs models with area, stream, timestep; they have no area, stream, timestep"
    ):
        result.plot_time_course()
    assert len(result.plot_models().get_yticklabels()) == 8


def test_the_legend_of_a_narrow_figure_stays_within_it(result):
    figure = figure_of(plot_time_course(result))
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
