"""Pictures of networks: what is written in them is what the network says."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import bltvs_neuro as bn
from bltvs_neuro.figures import WARNING
from bltvs_neuro.model import BLT_VS
from tests.running import bltvs

from .recurrent import KINDS, TRANSFORM, made


def written(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def patches(ax: Axes, kind: type) -> list:
    return [patch for patch in ax.patches if isinstance(patch, kind)]


@pytest.fixture(scope="module")
def blt():
    with torch.device("meta"):
        return BLT_VS(timesteps=7, num_classes=5, image_size=128)


def test_the_diagram_of_blt_vs(blt):
    ax = blt.plot()
    texts = written(ax)
    assert [text for text in texts if text in blt.areas] == list(blt.areas)
    assert "576 × 16 × 16" in texts and "t 2 to 6\nconstant to 2" in texts  # V1, and its top-down stream
    assert len(patches(ax, FancyBboxPatch)) == 15  # the retina has no top-down stream here
    used = [one for one in blt.intact.connections() if blt.intact.used_at(*one)]
    gates = len(blt.areas) - 2
    assert len(patches(ax, FancyArrowPatch)) == len(used) + gates


def test_lesions_are_drawn_where_they_are(blt):
    with blt.lesion("td:LOC->V4@5:", "V2/td[0:8]@4=noise(1)", "skip:V1->V4"):
        ax = blt.plot()
        red = [text.get_text() for text in ax.texts if text.get_color() == WARNING]
        assert sorted(red) == ["0", "0 @5:7", "[0:8] noise(1,seed=0) @4"]
        assert "t 5 to 6" in written(ax)  # V4's onset without the skip
    assert not [text for text in blt.plot().texts if text.get_color() == WARNING]


def test_layers_in_order_on_axes_of_one_s_own():
    ax = Figure().add_subplot()
    model = bn.wrap(made("CORnet-RT"), KINDS["CORnet-RT"][1], TRANSFORM, "rt", timesteps="calls")
    with model.lesion("V2/bu@2:=0.5"):
        assert model.plot(ax) is ax
    texts = written(ax)
    assert [text for text in texts if text in model.areas] == ["V1", "V2", "V4", "IT", "logits"]
    assert "8 × 2 × 2\nt 0 to 4\nconstant to 2" in texts and "0.5 @2:5" in texts
    assert len(patches(ax, FancyArrowPatch)) == 4 + 4  # on to the next, and back to itself


def test_the_command_draws_one_model(tmp_path):
    path = tmp_path / "graph.svg"
    assert bltvs("models", "ecoset", "--graph", path, "--lesion", "td:*@4:").exit_code == 0
    assert "Readout" in path.read_text() and "0 @4:12" in path.read_text()
    assert bltvs("models", "ecoset", "--graph", path).exit_code != 0
    for arguments, message in (
        (["b_vs", "vnet"], "a picture is of one model; got b_vs, vnet"),
        ([], "a picture is of one model; got none"),
    ):
        assert message in bltvs("models", *arguments, "--graph", tmp_path / "x.png").stderr
    assert "unknown ending of a figure" in bltvs("models", "b_vs", "--graph", tmp_path / "x.gif").stderr


def test_the_command_lists_and_measures_a_network_of_one_s_own(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import bltvs_neuro as bn\nfrom tests.model.recurrent import TRANSFORM, made\n"
        "def make():\n    return bn.wrap(made('CORnet-RT'), ['V1', 'IT'], TRANSFORM, 'rt', timesteps='calls')\n"
    )
    source = f"{tmp_path / 'mine.py'}:make"
    listed = bltvs("models", source)
    assert listed.exit_code == 0 and "each layer its own clock" in listed.output
    measured = bltvs("models", "--measure", source, "--csv", tmp_path)
    assert measured.exit_code == 0, measured.output
    fields = pd.read_csv(tmp_path / "fields.csv")
    assert list(zip(fields["area"], fields["timestep"], strict=True)) == [("V1", 0), ("V1", 4), ("IT", 3), ("IT", 4)]
    assert (fields["weights"] == "the file's weights").all() and fields["size"].notna().all()
    assert bltvs("models", source, "--graph", tmp_path / "g.svg", "--lesion", "IT/bu@4").exit_code == 0
