"""Evaluation: accuracies, intervals, label order, layouts, and models that cannot be scored."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.model import BLT_VS
from bltvs_neuro.model.transform import symmetric
from bltvs_neuro.stimuli import StimulusSet
from bltvs_neuro.stimuli.shapes import CATEGORIES
from bltvs_neuro.training.evaluation.evaluate import Evaluation, evaluate
from bltvs_neuro.training.pictures.classes import folder_names, read_class_file
from bltvs_neuro.training.pictures.data import Labelled
from bltvs_neuro.training.pictures.labelled import open_for

NAMES = tuple("abcdefg")


class Answers(torch.nn.Module):
    """Three timesteps of logits that a table holds; a picture's red value is its row."""

    timesteps, num_classes, logit_timesteps, image_size = 3, 7, (1, 2, 4), 32
    transform, provenance = symmetric(32), {"model": "answers", "weights": "made"}

    def __init__(self, logits: np.ndarray) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(torch.from_numpy(logits.astype(np.float32)))  # (n, T, classes)

    def forward(self, images):
        rows = ((images[:, 0, 0, 0] + 1) / 2 * 255).round().long()
        return list(self.logits[rows].unbind(1))


@pytest.fixture(scope="module")
def answered():
    rng = np.random.default_rng(0)
    n = 100
    labels = rng.integers(0, 7, n)
    logits = rng.standard_normal((n, 3, 7))
    for at, gain in enumerate((0.3, 1.0, 2.0)):
        logits[np.arange(n), at, labels] += gain
    logits[5, 2] = 0.0  # a network that says the same of all classes is not right by chance
    pictures = np.repeat(np.arange(n, dtype=np.uint8), 32 * 32 * 3).reshape(n, 32, 32, 3)
    data = Labelled(StimulusSet.from_arrays(pictures), labels, NAMES)
    return evaluate(Answers(logits), data, batch_size=7, bootstrap=4000), labels, logits


def test_accuracy_over_time_against_plain_counting(answered):
    result, labels, logits = answered
    assert result.to_frame()["timestep"].tolist() == [1, 2, 4]
    for at in range(3):
        order = np.argsort(-logits[:, at], axis=1)
        first = order[:, 0] == labels
        five = (order[:, :5] == labels[:, None]).any(axis=1)
        if at == 2:
            first[5] = five[5] = False
        assert result.to_frame()["top1"][at] == pytest.approx(100 * first.mean())
        assert result.to_frame()["top5"][at] == pytest.approx(100 * five.mean())
        assert (result.pictures[f"rank_t{(1, 2, 4)[at]}"] == 1).sum() == first.sum()
    assert result.confusion.sum(axis=(1, 2)).tolist() == [100] * 3
    assert np.array_equal(result.confusion[0].sum(axis=1), np.bincount(labels, minlength=7))


def test_intervals_are_those_of_a_plain_bootstrap(answered):
    result, *_ = answered
    rng = np.random.default_rng(1)
    correct = np.stack([result.pictures[f"rank_t{t}"] == 1 for t in (1, 2, 4)], axis=1)
    samples = np.array([100 * correct[rng.integers(0, 100, 100)].mean(axis=0) for _ in range(4000)])
    low, high = np.percentile(samples, [2.5, 97.5], axis=0)
    np.testing.assert_allclose(result.to_frame()["top1_ci_low"], low, atol=1.01)
    np.testing.assert_allclose(result.to_frame()["top1_ci_high"], high, atol=1.01)
    gain = np.percentile(samples[:, -1] - samples[:, 0], [2.5, 97.5])
    np.testing.assert_allclose([result.gain["ci_low"], result.gain["ci_high"]], gain, atol=1.01)


def test_what_is_saved(answered, tmp_path):
    result, labels, _ = answered
    result.write(tmp_path)
    said = json.loads((tmp_path / "evaluation.json").read_text())
    assert said["provenance"]["model"] == {"model": "answers", "weights": "made"}
    assert said["provenance"]["pictures"]["n"] == 100
    saved = pd.read_csv(tmp_path / "accuracy.csv")
    np.testing.assert_allclose(saved["top1"], result.to_frame()["top1"], rtol=1e-5)
    confusion = pd.read_csv(tmp_path / "confusion.csv")
    assert confusion["pictures"].sum() == 300
    assert pd.read_csv(tmp_path / "pictures.csv")["class_name"].tolist() == [NAMES[label] for label in labels]
    assert Image.open(tmp_path / "accuracy.png").size[0] > 500
    again = Evaluation.load(tmp_path / "evaluation.nc")
    assert again.dataset.identical(result.dataset)
    pd.testing.assert_frame_equal(again.pictures, result.pictures)


def test_logits_that_are_not_finite_are_refused(answered):
    _, labels, logits = answered
    bad = logits.copy()
    bad[3, 1, 2] = np.nan
    pictures = np.repeat(np.arange(8, dtype=np.uint8), 32 * 32 * 3).reshape(8, 32, 32, 3)
    with pytest.raises(DataError, match="logits are not finite"):
        evaluate(Answers(bad), Labelled(StimulusSet.from_arrays(pictures), labels[:8], NAMES))


def folders(root, names, n=2):
    for name in names:
        (root / name).mkdir(parents=True)
        for at in range(n):
            Image.new("RGB", (40, 36), (at, 0, 0)).save(root / name / f"{at}.png")
    return root


def test_folders_by_class_name_in_the_order_of_the_logits(tmp_path):
    root = folders(tmp_path / "val", ["zebra", "ant"])
    data = open_for(str(root), ("dog", "zebra", "ant"), 32)
    assert dict(zip(data.stimuli.ids, data.labels.tolist(), strict=True)) == {
        "ant/0.png": 2, "ant/1.png": 2, "zebra/0.png": 1, "zebra/1.png": 1,
    }  # fmt: skip
    folders(root, ["cow"])
    with pytest.raises(DataError, match=r"1 folder is in the data but not in the model's classes: cow"):
        open_for(str(root), ("dog", "zebra", "ant"), 32)
    Image.new("RGB", (8, 8)).save(root / "loose.png")
    with pytest.raises(DataError, match="1 picture lies in no class's folder: loose.png"):
        open_for(str(root), ("dog", "zebra", "ant", "cow"), 32)


def test_imagenet_s_folders(tmp_path):
    wnids = [f"n{number:08d}" for number in range(5000, 6000)]
    classes = [f"name {number}" for number in range(1000)]
    assert folder_names(wnids[::-1], classes) == tuple(wnids)  # all of them tell the order
    with pytest.raises(DataError, match="the model has 10 classes"):
        folder_names(wnids[:3], classes[:10])
    mapping = tmp_path / "LOC_synset_mapping.txt"
    mapping.write_text("".join(f"{wnid} word, words\n" for wnid in wnids))
    assert folder_names(wnids[7:9], classes, read_class_file(mapping))[8] == wnids[8]
    with pytest.raises(DataError, match="n99999999"):
        folder_names(["n99999999"], classes, read_class_file(mapping))
    pytest.importorskip("timm")
    real = folder_names(["n01440764", "n15075141"], classes)
    assert (real.index("n01440764"), real.index("n15075141")) == (0, 999)  # tench, toilet tissue


def test_ecoset_s_numbered_folders():
    assert folder_names(["0002_house", "0001_man"], ("man", "house", "car")) == ("0001_man", "0002_house", "car")


def ecoset_file(path, labels, categories=None):
    with h5py.File(path, "w") as file:
        file["test/data"] = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones(
            (1, 16, 16, 3), np.uint8
        )
        file["test/labels"] = np.asarray(labels)
        if categories is not None:
            file["categories"] = np.array(categories, dtype=object)
    return path


def test_ecoset_hdf5(tmp_path):
    data = open_for(str(ecoset_file(tmp_path / "a.h5", [2, 0, 1])), ("man", "house", "car"), 32)
    assert data.labels.tolist() == [2, 0, 1]
    assert data.stimuli.load(2)[0, 0, 0] == 2
    with pytest.raises(DataError, match="has no split 'val'.*it has: test"):
        open_for(str(tmp_path / "a.h5"), ("man", "house", "car"), 32, split="val")
    with pytest.raises(DataError, match="labels run from 0 to 2, but there are 2 classes"):
        open_for(str(tmp_path / "a.h5"), ("man", "house"), 32)
    ecoset_file(tmp_path / "b.h5", [0, 1], ["house", "man"])
    with pytest.raises(DataError, match="differ first at label 0"):
        open_for(str(tmp_path / "b.h5"), ("man", "house"), 32)
    for path in ("no.h5", "no"):
        with pytest.raises(DataError, match="no"):
            open_for(str(tmp_path / path), ("man", "house"), 32)


def test_labels_that_are_none(tmp_path):
    names = ("man", "house", "car")
    for labels, message in (
        (np.zeros(0, int), "there are no pictures"),
        (np.array([0, 2**63 + 1], np.uint64), "labels run from 0 to 9223372036854775809"),
    ):
        with pytest.raises(DataError, match=message):
            open_for(str(ecoset_file(tmp_path / f"{len(labels)}.h5", labels)), names, 32)
    data = open_for(str(ecoset_file(tmp_path / "ok.h5", np.array([2, 0], np.uint64))), names, 32)
    assert data.labels.dtype == np.int64
    assert data.labels.tolist() == [2, 0]


def test_an_unknown_split_of_shapes():
    with pytest.raises(SpecError, match="unknown split 'foo'; valid: train, val, test"):
        open_for("shapes", CATEGORIES, 32, split="foo")


def test_shapes_are_for_models_that_know_them():
    with pytest.raises(DataError, match="the model knows other classes"):
        open_for("shapes", NAMES, 128)


def test_a_real_model(tmp_path):
    torch.manual_seed(0)
    model = BLT_VS(timesteps=6, num_classes=10, add_feats=2, image_size=128, width=0.04)  # simultaneous schedule
    from bltvs_neuro.stimuli.shapes import CATEGORIES

    result = evaluate(model, open_for("shapes", CATEGORIES, 128, n=20), batch_size=8, bootstrap=10)
    assert result.to_frame()["timestep"].tolist() == [4, 5]
    assert not model.training
