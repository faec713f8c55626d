"""Parameters and multiply-accumulates of the six models of the published table, and of CORnet-RT."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bltvs_neuro.model import BLT_VS
from bltvs_neuro.model.measure.macs import count_macs, measure_macs
from bltvs_neuro.model.others.zoo import build

from .reference import Loop

PUBLISHED = {
    "imagenet": (34_989_732, "1.582e+11"),
    "ecoset": (27_332_427, "1.115e+11"),
    "b_vs": (11_618_111, "5.144e+09"),
    "cornet_s": (53_193_461, "1.646e+10"),
    "cornet_rt": (4_985_781, "3.154e+09"),
    "resnet50": (24_665_717, "4.133e+09"),
    "vnet": (28_446_901, "2.398e+10"),
}
"""Parameters and operations, with 565 classes but for "imagenet"."""
EXACT = {
    "imagenet": 63_632_989_952, "ecoset": 64_903_767_712, "b_vs": 5_144_418_272, "cornet_s": 16_431_524_352,
    "cornet_rt": 2_661_624_320, "resnet50": 4_088_293_376, "vnet": 23_982_090_240,
}  # fmt: skip
BLT_VS_CONFIGS = {
    "imagenet": dict(timesteps=6, num_classes=1000, bio_unroll=False),
    "ecoset": dict(timesteps=12, num_classes=565),
}


def on_meta(name):
    with torch.device("meta"):
        return BLT_VS(**BLT_VS_CONFIGS[name]) if name in BLT_VS_CONFIGS else build(name, num_classes=565)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_both_counts(name):
    model = on_meta(name)
    parameters, published = PUBLISHED[name]
    assert sum(p.numel() for p in model.parameters()) == parameters
    macs = measure_macs(model)
    assert f"{macs.published:.3e}" == published
    assert macs.exact == count_macs(model) == EXACT[name]
    assert macs.exact <= macs.original <= macs.published


@pytest.mark.parametrize("name", BLT_VS_CONFIGS)
def test_the_original_s_count_is_that_of_the_plain_loop(name):
    model = on_meta(name)
    config = BLT_VS_CONFIGS[name]
    loop = Loop(dict(model.state_dict()), config["timesteps"], config["num_classes"], config.get("bio_unroll", True))
    with FlopCounterMode(display=False) as counter:
        loop(torch.empty(1, 3, 224, 224, device="meta"))
    assert measure_macs(model).original == counter.get_total_flops() // 2


def test_exact_counts_are_those_of_the_layers_that_ran():
    model = build("resnet50", image_size=64)
    counted = []

    def count(layer, inputs, output):
        each = layer.weight[0].numel()
        counted.append(each * output[0].numel())

    for layer in model.network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        model(torch.zeros(1, 3, 64, 64))
    for layer in model.network.modules():
        layer._forward_hooks.clear()
    assert measure_macs(model).exact == sum(counted)
