"""Fewer multiplications, the same convolution: against the library's in float64, and every site against the plain model."""

from __future__ import annotations

import json
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import bltvs_neuro as bn
from bltvs_neuro.errors import SpecError
from bltvs_neuro.extraction import record_tensors as record
from bltvs_neuro.extraction.options import ExtractRun
from bltvs_neuro.model import BLT_VS
from bltvs_neuro.model.fast import winograd as winograd_module
from bltvs_neuro.model.fast.kernels import Fast
from bltvs_neuro.model.fast.small_maps import Gathered, Scattered
from bltvs_neuro.model.fast.winograd import POINTS, Winograd, cook_toom

from .reference import golden_images, golden_weights

GOLDEN = Path(__file__).parents[1] / "golden"


def rand(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=dtype)


@pytest.mark.parametrize("m", [1, 2, 4])
@pytest.mark.parametrize("r", [2, 3, 5])
def test_transforms_correlate_one_dimension(m, r):
    points = (0, 1, -1, 2, -2, Fraction(1, 2), -Fraction(1, 2))[: m + r - 2]
    outputs, kernel, tile = cook_toom(m, r, points)
    d, g = rand(m + r - 1), rand(r)
    expected = torch.stack([(d[i : i + r] * g).sum() for i in range(m)])
    torch.testing.assert_close(outputs @ ((kernel @ g) * (tile @ d)), expected, rtol=0, atol=1e-12)
    assert torch.equal(tile.float().double(), tile)  # no rounding before the first multiplication


def test_the_classical_transform_of_two_outputs_and_three_taps():
    """Lavin and Gray's F(2, 3), up to the scale and sign that tile and kernel may share."""
    outputs, kernel, tile = cook_toom(2, 3, (0, 1, -1))
    published_tile = torch.tensor([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], dtype=torch.float64)
    published_kernel = torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], dtype=torch.float64)
    for row in range(4):
        torch.testing.assert_close(
            tile[row, :, None] * kernel[row],
            published_tile[row, :, None] * published_kernel[row] * (-1 if row == 3 else 1),
        )
    assert outputs.tolist() == [[1, 1, 1, 0], [0, 1, -1, 1]]


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("height, width", [(8, 8), (7, 9), (1, 5), (28, 28)])  # noqa: PT006
@pytest.mark.parametrize("padding", [0, 1, 2, 4])
def test_winograd_equals_the_library_s_convolution(size, height, width, padding):
    if min(height, width) + 2 * padding < size:
        pytest.skip("the kernel is larger than the map")
    x, weight, bias = rand(2, 6, height, width), rand(5, 6, size, size), rand(5)
    for b in (bias, None):
        got = Winograd(weight, b, padding)(x)
        expected = F.conv2d(x, weight, b, padding=padding)
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("size", [3, 5])
def test_rounding_of_float32_is_within_a_few_millionths(size):
    x, weight = rand(1, 256, 16, 16), rand(32, 256, size, size)
    expected = F.conv2d(x, weight, padding=size // 2)
    got = Winograd(weight.float(), None, size // 2)(x.float())
    error = (got - expected) / expected.std()
    assert error.square().mean().sqrt() < 1e-5
    assert error.abs().max() < 1e-4


@pytest.mark.parametrize("x", [rand(3, 4, 14, 14), rand(2, 4, 7, 5)])
@pytest.mark.parametrize("size", [3, 5])
def test_one_matrix_product_equals_the_library_s_strided_convolutions(x, size):
    weight, bias = rand(6, 4, size, size), rand(6)
    for b in (bias, None):
        torch.testing.assert_close(
            Gathered(weight, b, 2, size // 2)(x), F.conv2d(x, weight, b, 2, size // 2), rtol=0, atol=1e-10
        )
        turned = weight.transpose(0, 1)  # (C_in, C_out, r, r)
        torch.testing.assert_close(
            Scattered(turned, b, 2, size // 2, 1)(x),
            F.conv_transpose2d(x, turned, b, 2, size // 2, 1),
            rtol=0,
            atol=1e-10,
        )


def test_memory_is_bounded_by_chunks_that_change_no_bit(monkeypatch):
    weight, x = rand(5, 6, 3, 3), rand(7, 6, 8, 8)
    whole = Winograd(weight, None, 1)(x)
    monkeypatch.setattr(winograd_module, "CHUNK_BYTES", 1)  # one image at a time
    torch.testing.assert_close(Winograd(weight, None, 1)(x), whole, rtol=0, atol=1e-12)
    strided = Gathered(weight, None, 2, 1)(x)
    monkeypatch.setattr("bltvs_neuro.model.fast.small_maps.CHUNK_BYTES", 1)
    torch.testing.assert_close(Gathered(weight, None, 2, 1)(x), strided, rtol=0, atol=1e-12)


EVERY_KIND = [
    nn.Conv2d(32, 40, 3, padding=1),
    nn.Conv2d(40, 32, 5, padding=2, bias=False),
    nn.ConvTranspose2d(32, 40, 5, 1, 2),
    nn.ConvTranspose2d(32, 40, 3, 1, 0),
    nn.Conv2d(32, 40, 5, 2, 2),
    nn.ConvTranspose2d(32, 40, 5, 2, 2, 1),
    nn.ConvTranspose2d(32, 40, 3, 2, 1, 1),
]
OTHERS = [
    nn.Conv2d(32, 32, 1),
    nn.Conv2d(32, 32, 7, padding=3),
    nn.Conv2d(32, 32, (3, 5), padding=(1, 2)),
    nn.Conv2d(32, 32, 3, padding=1, groups=32),
    nn.Conv2d(32, 32, 3, padding=2, dilation=2),
    nn.Conv2d(32, 32, 3, padding="same"),
    nn.Conv2d(32, 32, 3, padding=1, padding_mode="reflect"),
    nn.Conv2d(3, 32, 3, padding=1),
    nn.ConvTranspose2d(32, 32, 3, 1, 1, dilation=2),
]


@pytest.mark.parametrize("module", EVERY_KIND, ids=str)
def test_modules_are_replaced_and_put_back(module):
    x = rand(2, module.in_channels, 8, 8).float()
    fast = Fast(nn.Sequential(module))
    assert list(fast.kernels) == ["0"]
    with torch.no_grad():
        expected = module(x)
        with fast.active(), fast.active():
            got = module(x)
        assert torch.equal(module(x), expected)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4 * float(expected.std()))
    assert not torch.equal(got, expected)  # other roundings: it was not the plain one
    assert "forward" not in vars(module)


@pytest.mark.parametrize("module", OTHERS, ids=str)
def test_what_has_no_faster_form_stays(module):
    assert Fast(nn.Sequential(module)).kernels == {}


def test_large_strided_maps_and_gradients_take_the_plain_form():
    module = nn.Conv2d(32, 32, 3, 2, 1)
    x = rand(1, 32, 40, 40).float()
    with Fast(nn.Sequential(module)).active():
        with torch.no_grad():
            assert torch.equal(module(x), F.conv2d(x, module.weight, module.bias, 2, 1))
        module(x).sum().backward()
    assert module.weight.grad.abs().sum() > 0


def test_an_error_inside_puts_everything_back():
    module = nn.Conv2d(32, 32, 3)
    with pytest.raises(RuntimeError, match="mine"), Fast(nn.Sequential(module)).active():
        raise RuntimeError("mine")
    assert "forward" not in vars(module)


def test_other_devices_and_types_are_refused():
    with torch.device("meta"):
        module = nn.Conv2d(32, 32, 3)
    with pytest.raises(SpecError, match="'fast' is float32 on a CPU; the model is torch.float32 on meta"):
        Fast(module)
    with pytest.raises(SpecError, match="torch.float64"):
        Fast(nn.Conv2d(32, 32, 3).double())


def test_every_point_set_is_used():
    assert set(POINTS) == {3, 5}
    for size, points in POINTS.items():
        assert len(set(points)) == winograd_module.OUTPUTS + size - 2


@pytest.mark.parametrize(
    "config", [dict(bio_unroll=False, timesteps=2), dict(timesteps=6)], ids=["sweep", "simultaneous"]
)
def test_every_site_at_128_pixels_is_within_a_ten_thousandth(config):
    model = BLT_VS(image_size=128, num_classes=20, **config).eval()
    model.load_state_dict(golden_weights({key: value.shape for key, value in model.state_dict().items()}))
    images = golden_images(128, 1)
    expected = record(model, images)
    fast = Fast(model)
    assert {name.split(".", 1)[1] for name in fast.kernels} >= {"V3.bu_conv", "V2.td_conv", "V4.bu_conv", "LOC.td_conv"}
    with fast.active():
        got = record(model, images)
    assert set(got) == set(expected)
    for key, value in got.items():
        scale = max(1.0, float(expected[key].abs().max()))
        torch.testing.assert_close(value, expected[key], rtol=0, atol=1e-4 * scale, msg=str(key))
    assert any(not torch.equal(got[key], expected[key]) for key in got)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["imagenet_224", "ecoset_224"])
def test_every_site_is_within_a_ten_thousandth_of_the_original(name):
    golden = json.loads((GOLDEN / f"{name}.json").read_text())
    model = BLT_VS(**golden["config"]).eval().to(memory_format=torch.channels_last)
    model.load_state_dict(golden_weights({key: value.shape for key, value in model.state_dict().items()}))
    with Fast(model).active():
        recorded = record(model, golden_images(224).contiguous(memory_format=torch.channels_last))
    assert len(recorded) == sum(value is not None for value in golden["sites"].values())
    for (area, stream, t), activations in recorded.items():
        key = f"{area}/{stream}/{t}"
        want, got = golden["sites"][key], activations.contiguous().numpy()
        index = np.random.RandomState(zlib.crc32(key.encode())).randint(0, got.size, 8)
        scale = 1e-4 * max(1.0, np.abs(got).max())
        np.testing.assert_allclose(got.ravel()[index], want["samples"], rtol=0, atol=scale, err_msg=key)
    logits = [recorded["Readout", "bu", t] for t in range(model.timesteps) if ("Readout", "bu", t) in recorded]
    np.testing.assert_allclose(np.stack([out[:, :8] for out in logits]), golden["logits"], rtol=0, atol=1e-4)
    assert [out.argmax(1).tolist() for out in logits] == golden["argmax"]


def test_a_store_says_how_far_it_is_from_float32(tmp_path):
    torch.manual_seed(0)
    model = BLT_VS(timesteps=2, num_classes=7, bio_unroll=False, image_size=128, width=0.25).eval()
    stimuli = bn.StimulusSet.synthetic(3, size=64)
    stores = {}
    for precision in ("float32", "fast"):
        path = bn.extract(
            model, stimuli, tmp_path / f"{precision}.h5", "V2:V4", reduce="pool:2", run=ExtractRun(precision=precision)
        )
        with bn.open_store(path) as store:
            stores[precision] = {site: store[site].values for site in store}
            about = store.provenance
    assert about["precision"] == "fast" and about["memory_format"] == "channels_last"
    assert set(about["deviation_from_float32"]) == set(stores["fast"])
    assert 0 < max(about["deviation_from_float32"].values()) < 1e-3
    for site, values in stores["fast"].items():
        np.testing.assert_allclose(values, stores["float32"][site], rtol=0, atol=1e-4)
    assert all("forward" not in vars(module) for module in model.modules())
    assert next(model.parameters()).is_contiguous()
