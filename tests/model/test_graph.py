"""What is computed, when it exists, and how much of it is held."""

from __future__ import annotations

import weakref

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bltvs_neuro.errors import SpecError
from bltvs_neuro.extraction import record_tensors as record
from bltvs_neuro.extraction.sites import select_states
from bltvs_neuro.features.select import Select
from bltvs_neuro.model import BLT_VS, State, receptive_fields


def on_meta(**config) -> BLT_VS:
    with torch.device("meta"):
        return BLT_VS(**config)


def gmac(model: BLT_VS, **selection) -> float:
    """Multiply-accumulates of one image for a selection of sites, or for the logits."""
    images = torch.empty(1, 3, model.image_size, model.image_size, device="meta")
    with FlopCounterMode(display=False) as counter:
        if selection:
            model.run(images, outputs=select_states(model, Select(**selection)))
        else:
            model(images)
    return counter.get_total_flops() / 2e9


def test_no_convolution_is_computed_twice_or_for_nothing():
    imagenet = on_meta(timesteps=6, num_classes=1000, bio_unroll=False)
    assert gmac(imagenet) <= 64.5
    assert gmac(imagenet, areas="Retina:LOC") <= 70.3
    assert gmac(imagenet, areas="V1:LOC", streams="bu") <= 64.0
    ecoset = on_meta(timesteps=12, num_classes=565)
    assert gmac(ecoset) <= 92.4


@pytest.mark.parametrize("bio_unroll", [True, False])
def test_v1_at_its_onset_costs_three_areas(bio_unroll):
    model = on_meta(timesteps=6, num_classes=1000, bio_unroll=bio_unroll)
    convolutions = [model.connections[name].bu_conv for name in ("Retina", "LGN", "V1")]
    macs = sum(
        c.weight.numel() * model.shape(f"{name}/bu")[1] ** 2
        for name, c in zip(("Retina", "LGN", "V1"), convolutions, strict=True)
    )
    onset = model.onset("V1/bu")
    assert gmac(model, areas="V1", streams="bu", timesteps=onset) == pytest.approx(macs / 1e9, rel=1e-9)


def test_parameter_counts():
    for config, count in (
        (dict(timesteps=6, num_classes=1000, bio_unroll=False), 34_989_732),
        (dict(timesteps=12, num_classes=565), 27_332_427),
    ):
        assert sum(p.numel() for p in on_meta(**config).parameters()) == count


def test_onsets():
    simultaneous = on_meta()
    onsets = [simultaneous.onset(f"{area}/bu") for area in simultaneous.areas]
    assert onsets == [0, 1, 2, 3, 4, 3, 4, 4]
    assert [simultaneous.onset(f"{area}/td") for area in simultaneous.areas] == [None, *onsets[1:]]
    sweep = on_meta(bio_unroll=False)
    assert {sweep.onset(f"{area}/{stream}") for area in sweep.areas for stream in ("bu", "td")} == {0}
    without_skip = on_meta(skip_connections=False)
    assert [without_skip.onset(f"{area}/bu") for area in without_skip.areas] == [0, 1, 2, 3, 4, 5, 6, 6]


@pytest.mark.parametrize("config", [dict(bio_unroll=True), dict(bio_unroll=False), dict(topdown_connections=False)])
def test_constant_states_are_those_that_do_not_vary_over_images(config):
    torch.manual_seed(0)
    model = BLT_VS(timesteps=5, num_classes=7, image_size=128, **config).eval()
    for key, activations in record(model, torch.randn(2, 3, 128, 128)).items():
        same = torch.equal(activations[0], activations[1])
        assert model.graph.is_constant(State(*key)) == same, key


def test_receptive_fields_of_the_design():
    assert [f.size for f in receptive_fields(224)] == [7, 19, 35, 35, 67, 83, 99, 163]
    assert [f.size for f in receptive_fields(128)] == [5, 9, 17, 17, 33, 49, 65, 97]
    assert [f.stride for f in receptive_fields(224)] == [2, 4, 8, 8, 8, 8, 16, 32]
    assert [f.units for f in receptive_fields(128)] == [64, 32, 16, 16, 16, 16, 8, 4]
    assert receptive_fields(224)[2].degrees == pytest.approx(35 * 5 / 224)


@pytest.mark.parametrize("size", [224, 128])
def test_receptive_fields_equal_the_gradient_s_extent(size):
    model = BLT_VS(timesteps=1, num_classes=3, bio_unroll=False, image_size=size)
    images = torch.zeros(1, 3, size, size, requires_grad=True)
    x = images
    for field, name in zip(receptive_fields(size), model.areas[:-1], strict=False):
        conv = model.connections[name].bu_conv
        torch.nn.init.constant_(conv.weight, 1 / conv.weight[0].numel())
        x = conv(x)
        assert x.shape[-1] == field.units
        middle = field.units // 2
        (gradient,) = torch.autograd.grad(x[0, 0, middle, middle], images, retain_graph=True)
        rows = gradient[0, 0].abs().sum(1).nonzero().flatten()
        assert len(rows) == field.size
        assert (rows[0] + rows[-1]) / 2 == middle * field.stride  # centres as the stores label them


def test_values_live_no_longer_than_needed():
    """At no time are more values held than a few states and edges, however many timesteps there are."""
    held = {}
    for timesteps in (3, 12):
        model = BLT_VS(timesteps=timesteps, num_classes=3, bio_unroll=False, image_size=128)
        alive, most = weakref.WeakSet(), [0]

        def watch(module, inputs, output, alive=alive, most=most):
            alive.add(output)
            most[0] = max(most[0], sum(t.numel() for t in alive))

        for cell in model.connections.values():
            cell.register_forward_hook(watch)
        with torch.no_grad():
            model(torch.zeros(1, 3, 128, 128))
        held[timesteps] = most[0]
    assert held[12] - held[3] == 9 * 3  # the logits that were asked for


def test_gradients_reach_the_image_and_every_parameter():
    model = BLT_VS(timesteps=3, num_classes=5, bio_unroll=False, image_size=128)
    images = torch.randn(1, 3, 128, 128, requires_grad=True)
    sum(out.sum() for out in model(images)).backward()
    assert images.grad.abs().sum() > 0
    missing = [name for name, p in model.named_parameters() if p.grad is None]
    # the schedule of the sweeps does not use the V4 to V1 skip, nor what would follow a retina's feedback
    assert {name.split(".")[2] for name in missing} <= {"skip_td_depthwise", "skip_td_pointwise", "layer_norm_td"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BLT_VS(image_size=225), r"unknown image_size 225.*224, 128"),
        (lambda: BLT_VS(readout_type="both"), "unknown readout_type 'both'"),
        (lambda: BLT_VS(timesteps=0), "timesteps must be a whole number from 1 to 1,000; got 0"),
        (lambda: BLT_VS(timesteps=10**6), "timesteps must be a whole number from 1 to 1,000; got 1000000"),
        (lambda: BLT_VS(num_classes=2.5), "num_classes must be a whole number from 1 to 1,000,000; got 2.5"),
        (lambda: BLT_VS(timesteps=3, readout_type="single"), "nothing reaches the readout within 3 timesteps"),
        (
            lambda: on_meta()(torch.empty(1, 3, 128, 128, device="meta")),
            r"must be \(batch, 3, 224, 224\); got \(1, 3, 128, 128\)",
        ),
        (lambda: on_meta()(torch.empty(3, 224, 224, device="meta")), "must be"),
        (lambda: on_meta().tap_name("V4/td", 2), "V4/td is not active at timestep 2: it exists at timesteps 3 to 11"),
        (lambda: on_meta().tap_name("V7/td", 2), "unknown area 'V7'"),
        (lambda: on_meta().tap_name("Retina/td", 2), "it never is"),
    ],
)
def test_errors(call, message):
    with pytest.raises(SpecError, match=message):
        call()
