"""Figures as a whole: where they are drawn, styles of the reader's own, what is said of untrained weights."""

from __future__ import annotations

import ast
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import style
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import bltvs_neuro
from bltvs_neuro import figures
from bltvs_neuro.errors import SpecError
from bltvs_neuro.figures import (
    DARK_PALETTE,
    PALETTE,
    Sheet,
    area_styles,
    borders,
    contrasting,
    drawn,
    figure_of,
    in_order,
    ink,
    line_key,
    model_of,
    save_figure,
    score_scale,
)

PACKAGE = Path(bltvs_neuro.__file__).parent


@drawn
def sheet(ax=None, panels: int = 3, **caption) -> Sheet:
    made = Sheet(ax, panels, columns=2, size=(1.5, 1.5), share="xy")
    for axis in made.axes:
        axis.plot([0, 1], [0, 1], color=ink(), label="a line")
        axis.set_xlabel("timestep")
    made.key([line_key("a line", color=ink())], title="a title")
    made.caption("bars are intervals", **caption)
    return made


def test_panels_have_a_figure_of_their_own_the_place_of_an_axes_or_axes_that_are_given():
    own = sheet()
    assert len(figure_of(own.axes).axes) == 3 and own.bottom == list(own.axes[1:]) and own.left == list(own.axes[::2])
    figure = Figure(layout="constrained")
    left, right = figure.subplots(1, 2)
    within = sheet(right)
    assert figure_of(within.axes) is figure and right not in figure.axes and left in figure.axes
    figure.draw_without_rendering()
    assert all(axis.get_position().x0 >= 0 for axis in within.axes)
    assert min(axis.get_window_extent().x0 for axis in within.axes) > left.get_window_extent().x1
    three = Figure().subplots(1, 3)
    assert list(sheet(three).axes) == list(three)
    one = Figure().subplots()
    assert list(sheet(one, panels=1).axes) == [one]
    assert [t.get_text() for t in one.get_legend().get_texts()] == ["a line"]
    assert one.get_title() == "a title" and one.texts[0].get_text() == "Bars are intervals."
    with pytest.raises(SpecError, match="this figure has 3 panels; got 2 Axes"):
        sheet(three[:2])
    with pytest.raises(SpecError, match="give an Axes of a grid"):
        sheet(Figure().add_axes((0, 0, 1, 1)))


def test_a_style_of_the_reader_s_own_comes_first():
    axis = sheet(panels=1).axes[0]
    assert axis.xaxis.label.get_fontsize() == 8  # the package's
    with mpl.rc_context({"font.size": 14, "font.family": "monospace", "axes.labelcolor": "#123456"}):
        axis = sheet(panels=1).axes[0]
    assert (axis.xaxis.label.get_fontsize(), axis.xaxis.label.get_fontfamily()) == (14, ["monospace"])
    assert axis.xaxis.label.get_color() == "#123456"


def test_on_a_dark_background_nothing_is_drawn_in_black():
    with style.context("dark_background"):
        made = sheet(panels=1)
        assert to_rgb(made.axes[0].lines[0].get_color()) == (1, 1, 1)
        assert ink(0.0) == "#000000" and area_styles(["V1", "V4"])["V4"]["color"] == DARK_PALETTE[5]
        figure = figure_of(made.axes)
        assert to_rgb(figure.get_facecolor()) == (0, 0, 0)
        assert min(to_rgb(figure._supxlabel.get_color())) > 0.6
    assert area_styles(["V1", "V4"])["V4"]["color"] == PALETTE[5] and ink() == "#000000"


def test_no_plot_names_a_colour_that_one_background_swallows():
    names = {"color", "colors", "c", "edgecolor", "edgecolors", "facecolor", "ecolor", "markerfacecolor"}
    swallowed = []
    for path in (path for path in PACKAGE.rglob("*.py") if path.parent.name != "report"):
        calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
        for given in (given for call in calls for given in call.keywords if given.arg in names):
            colour = given.value.value if isinstance(given.value, ast.Constant) else ""
            if colour in ("black", "white", "k", "w") or str(colour)[:2] == "0.":
                swallowed.append(f"{path.name}:{given.lineno}")
    assert swallowed == []


def test_untrained_weights_are_told_in_every_caption(tmp_path):
    axes = sheet(provenance={"inputs": {"models": {"attrs": {"model": "m", "weights": "untrained"}}}}).axes
    told = figure_of(axes)._supxlabel
    assert told.get_text() == "Bars are intervals. Model: m, untrained weights."
    assert told.get_color() == figures.WARNING
    assert "untrained weights" in save_figure(axes, tmp_path / "f.svg").read_text()
    assert model_of({"store": {"model": "shapes", "weights": "exported"}}) == ("shapes", "exported")
    assert model_of({"a": {"b": 1}}) == ("", "")


def test_scores_of_one_side_have_a_scale_of_one_side():
    assert score_scale([-0.01, 0.4]) == {"cmap": "viridis", "vmin": 0, "vmax": 0.4}
    assert score_scale([-0.3, 0.4, np.nan]) == {"cmap": "RdBu_r", "vmin": -0.4, "vmax": 0.4}
    assert score_scale([0.1, 0.6], low=0.1) == {"cmap": "viridis", "vmin": 0.1, "vmax": 0.6}
    assert score_scale([np.nan])["vmax"] == 1
    made = sheet(panels=1)
    image = made.axes[0].imshow([[-0.01, 0.4]], **score_scale([-0.01, 0.4]))
    assert made.bar(image, "r").extend == "min"


def test_areas_go_from_the_eye_up_and_cells_are_outlined():
    assert in_order(["LOC", "V1", "V4", "V1"]) == ["V1", "V4", "LOC"]
    assert in_order(["layer2", "layer1"]) == ["layer2", "layer1"]
    square = borders(np.array([[True, False]]), np.array([0.0, 1.0, 2.0]), np.array([-0.5, 0.5]))
    assert sorted(map(sorted, square)) == sorted(
        map(sorted, [[(0, -0.5), (1, -0.5)], [(0, 0.5), (1, 0.5)], [(0, -0.5), (0, 0.5)], [(1, -0.5), (1, 0.5)]])
    )
    assert (contrasting("yellow"), contrasting("navy")) == ("black", "white")


def test_a_label_that_is_wider_than_panels_stands_once_in_the_middle():
    for size, labelled in ((2.0, 3), (0.6, 1)):
        made = Sheet(None, 3, columns=3, size=(size, 1.0), share="x")
        made.label_x("model timestep")
        assert [axis.get_xlabel() for axis in made.axes].count("model timestep") == labelled
    assert made.axes[1].get_xlabel() == "model timestep"


def test_a_key_names_each_label_once_and_only_what_there_is():
    made = sheet(panels=1)
    made.key([])
    assert len(figure_of(made.axes).legends) == 1
    made.key([line_key("a"), line_key("a"), line_key("b")])
    assert [t.get_text() for t in figure_of(made.axes).legends[-1].get_texts()] == ["a", "b"]
