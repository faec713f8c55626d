"""The transform against torchvision's own composition, bit for bit."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from bltvs_neuro.errors import SpecError, StimulusError
from bltvs_neuro.model.transform import Transform, symmetric

transforms = pytest.importorskip("torchvision.transforms")

SHAPES = [
    *((224, 224), (225, 225), (223, 223), (224, 225), (225, 224), (224, 227), (229, 224), (480, 640), (640, 480)),
    *((375, 500), (333, 517), (517, 333), (1, 1), (1, 7), (7, 1), (2, 3), (17, 31), (31, 17), (100, 100), (175, 175)),
    *((128, 130), (90, 1000), (1000, 90), (601, 599), (425, 425), (1200, 1601)),
]


def reference(size: int) -> object:
    """The transform of the released models, as torchvision spells it."""
    return transforms.Compose(
        [
            transforms.Resize(size, antialias=True),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Lambda(lambda x: 2 * x - 1),
        ]
    )


@pytest.mark.parametrize("size", [224, 128])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape[0]}x{shape[1]}")
def test_equal_to_torchvision_bit_for_bit(shape, size):
    rgb = np.random.default_rng(shape[0] * 10_000 + shape[1]).integers(0, 256, (*shape, 3), dtype=np.uint8)
    ours = symmetric(size)(rgb)
    theirs = reference(size)(Image.fromarray(rgb))
    assert ours.dtype == torch.float32
    assert torch.equal(ours, theirs)


def test_random_shapes_equal_torchvision():
    rng = np.random.default_rng(0)
    for _ in range(60):
        height, width = rng.integers(1, 400, 2)
        rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        assert torch.equal(symmetric(64)(rgb), reference(64)(Image.fromarray(rgb))), (height, width)


def test_scaling_all_values_equals_totensor():
    values = torch.arange(256, dtype=torch.uint8)
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    assert torch.equal(symmetric(224).scale(values), (2 * transforms.ToTensor()(picture) - 1).flatten())
    assert symmetric(224).scale(values)[[0, 255]].tolist() == [-1.0, 1.0]
    assert values.dtype == torch.uint8
    assert values[7] == 7


def test_crop_leaves_its_input_alone_and_is_contiguous():
    rgb = np.random.default_rng(0).integers(0, 256, (300, 260, 3), dtype=np.uint8)
    rgb.flags.writeable = False
    before = rgb.copy()
    cropped = symmetric(224).crop(rgb)
    assert (cropped.shape, cropped.dtype, cropped.flags.c_contiguous) == ((3, 224, 224), np.uint8, True)
    assert np.array_equal(rgb, before)
    square = symmetric(8).crop(before[:8, :8])
    assert not np.shares_memory(square, before)


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (np.zeros((4, 4, 3)), "uint8"),
        (np.zeros((4, 4), np.uint8), r"\(4, 4\)"),
        (np.zeros((4, 0, 3), np.uint8), r"\(4, 0, 3\)"),
        (np.zeros((1, 60_000, 3), np.uint8), "too narrow"),
    ],
)
def test_what_is_no_picture_is_refused(picture, why):
    with pytest.raises(StimulusError, match=why):
        symmetric(224).crop(picture)


def test_scale_refuses_what_was_scaled_before():
    with pytest.raises(StimulusError, match="float32"):
        symmetric(224).scale(torch.zeros(3))


def test_describe_is_json_and_the_transform_can_be_sent():
    transform = symmetric(128)
    assert json.loads(json.dumps(transform.describe()))["resize_short_side"] == 128
    assert pickle.loads(pickle.dumps(transform)) == transform


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_normalisation_of_other_models_equals_torchvision_bit_for_bit(interpolation):
    from bltvs_neuro.model.transform import IMAGENET_MEAN, IMAGENET_STD

    theirs = transforms.Compose(
        [
            transforms.Resize(73, interpolation=transforms.InterpolationMode(interpolation), antialias=True),
            transforms.CenterCrop(64),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )
    ours = Transform(64, 73, mean=IMAGENET_MEAN, std=IMAGENET_STD, interpolation=interpolation)
    rng = np.random.default_rng(1)
    for _ in range(20):
        height, width = rng.integers(20, 300, 2)
        rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        assert torch.equal(ours(rgb), theirs(Image.fromarray(rgb))), (height, width)
    batch = torch.from_numpy(np.stack([ours.crop(rgb), ours.crop(rgb[::-1])]))
    assert torch.equal(ours.scale(batch)[0], ours(rgb))
    assert ours.describe()["mean"] == list(IMAGENET_MEAN)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(resize=60), "at least the size it crops"),
        (dict(std=(1.0, 0.0, 1.0)), "std above 0"),
        (dict(std=(1.0, float("nan"), 1.0)), "std above 0"),
        (dict(mean=(0.5,)), "three numbers"),
        (dict(mean=0.5), "three numbers"),
        (dict(mean=None), "three numbers"),
        (dict(mean=(123.7, 116.3, 103.5)), "divide by 255"),
        (dict(mean=(float("nan"),) * 3), "three numbers"),
        (dict(interpolation="nearest"), "unknown interpolation"),
    ],
)
def test_transforms_that_make_no_sense(options, message):
    with pytest.raises(SpecError, match=message):
        Transform(**{"size": 64, "mean": (0.5,) * 3, "std": (0.5,) * 3} | options)


@pytest.mark.parametrize("given", [{}, {"mean": (0, 0, 0)}, {"std": (1, 1, 1)}])
def test_mean_and_std_are_never_chosen_in_silence(given):
    with pytest.raises(TypeError, match="required keyword-only argument"):
        Transform(64, **given)
    with pytest.raises(TypeError, match="positional"):
        Transform(64, 64, (0, 0, 0), (1, 1, 1))


def test_no_normalisation_is_mean_0_and_std_1():
    transform = Transform(8, mean=np.zeros(3), std=[1, 1, 1])
    assert transform == Transform(8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    assert hash(transform) == hash(transform.at(8))
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(transform.scale(values), values / 255)
    described = {"resize_short_side": 8, "interpolation": "bilinear, antialiased", "centre_crop": 8}
    assert transform.describe() == described | {"mean": [0.0] * 3, "std": [1.0] * 3}
