"""The drawn data set: a function of split, number and seed; balanced; objects that are there and partly covered."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from bltvs_neuro.errors import SpecError, StimulusError
from bltvs_neuro.stimuli import StimulusSet
from bltvs_neuro.stimuli.outlines import OUTLINES, placed
from bltvs_neuro.stimuli.shapes import CATEGORIES, MAX_OCCLUSION, VERSION, draw

MEANS = [114.303, 120.616, 102.036, 114.659]
OCCLUSIONS = [0.5641, 0.5641, 0.2828, 0.0]


def test_a_picture_depends_on_split_number_and_seed_alone():
    first = draw(7, "train", seed=3)
    draw(8, "train", seed=3)
    assert np.array_equal(draw(7, "train", seed=3).pixels, first.pixels)
    for other in (draw(17, "train", seed=3), draw(7, "val", seed=3), draw(7, "train", seed=4)):
        assert other.label == first.label
        assert not np.array_equal(other.pixels, first.pixels)


def test_the_drawing_has_not_changed():
    """The checkpoint was trained on these: whoever changes them raises VERSION and trains anew."""
    assert VERSION == 1
    drawn = [draw(index, "test", seed=0) for index in range(4)]
    # up to single pixels of edges, where versions of Pillow may round differently
    means = [float(drawing.pixels.mean()) for drawing in drawn]
    assert means == pytest.approx(MEANS, abs=0.3)
    assert [drawing.occlusion for drawing in drawn] == pytest.approx(OCCLUSIONS, abs=0.01)


def test_ten_categories_in_turn_and_never_hidden():
    drawn = [draw(index, "val", size=64) for index in range(60)]
    assert [CATEGORIES[d.label] for d in drawn[:10]] == list(CATEGORIES)
    assert [d.label for d in drawn] == [index % 10 for index in range(60)]
    occlusion = np.array([d.occlusion for d in drawn])
    assert 0 <= occlusion.min() < 0.1
    assert 0.5 < occlusion.max() <= MAX_OCCLUSION
    for d in drawn:  # the object is warm, everything else is cold: red exceeds blue on the part that is to be seen
        red, blue = d.pixels[..., 0].astype(int), d.pixels[..., 2].astype(int)
        assert ((red - blue) > 20).mean() > 0.01


@pytest.mark.parametrize("name", list(OUTLINES))
def test_outlines_are_closed_paths_within_a_circle(name):
    for seed in range(5):
        path = OUTLINES[name](np.random.default_rng(seed))
        assert path.ndim == 2 and path.shape[1] == 2
        assert 0.8 < np.hypot(*path.T).max() <= 1.1
        x, y = path.T
        area = 0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))
        turned = placed(path, (3.0, 4.0), 2.0, 1.0, 1.3)
        u, v = turned.T
        assert 0.5 * np.sum(u * np.roll(v, -1) - v * np.roll(u, -1)) == pytest.approx(4 * area)
        assert abs(area) > 0.5


def test_as_a_stimulus_set():
    stimuli = StimulusSet.shapes(12, split="test", size=32)
    assert stimuli.ids[11] == "shapes_test_000011"
    assert list(stimuli.metadata["category"][:2]) == ["disc", "ring"]
    assert np.array_equal(pickle.loads(pickle.dumps(stimuli)).load(3), draw(3, "test", size=32).pixels)
    assert stimuli == StimulusSet.shapes(12, split="test", size=32)
    assert stimuli != StimulusSet.shapes(12, split="val", size=32)
    assert len(StimulusSet.open("shapes")) == 100


def test_errors():
    with pytest.raises(SpecError, match="unknown split 'dev'"):
        draw(0, "dev")
    with pytest.raises(SpecError, match="unknown split 'dev'"):
        StimulusSet.shapes(3, split="dev")
    with pytest.raises(StimulusError, match="got -1, 0 and"):
        draw(-1)
    with pytest.raises(StimulusError, match="1 to 10,000,000 pictures; got 1,000,000,000,000"):
        StimulusSet.shapes(10**12)
    with pytest.raises(StimulusError, match="1 to 10,000,000 pictures; got 0"):
        StimulusSet.shapes(0)
