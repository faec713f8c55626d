"""The models beside BLT_VS: published counts, plain reimplementations, and wrapped networks that overwrite themselves."""

from __future__ import annotations

import hashlib

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from bltvs_neuro import load_model
from bltvs_neuro.errors import SpecError, WeightsError
from bltvs_neuro.extraction import record_tensors as record
from bltvs_neuro.features.select import Select
from bltvs_neuro.model import State
from bltvs_neuro.model.others.cornet import CORnet_S
from bltvs_neuro.model.others.feedforward import B_VS, VNet
from bltvs_neuro.model.others.wrapped import Wrapped, wrap
from bltvs_neuro.model.others.zoo import ZOO, build
from bltvs_neuro.model.released import fetched
from bltvs_neuro.model.released.weights import weights_sha256
from bltvs_neuro.model.transform import IMAGENET_MEAN, Transform, symmetric

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def randomised(model):
    """Norms that do something: weights, biases and statistics away from 1 and 0."""
    generator = torch.Generator().manual_seed(1)
    for name, value in model.state_dict().items():
        if value.ndim == 1 and value.is_floating_point():
            value.copy_(
                torch.rand(value.shape, generator=generator) + (0.5 if "var" in name or "weight" in name else 0)
            )
    return model.eval()


@pytest.mark.parametrize("name", [*ZOO, "torchvision:mobilenet_v3_small", "timm:test_vit"])
def test_every_model_is_a_network(name):
    if name.startswith("timm"):
        pytest.importorskip("timm")
    size = {"resnet50": 64, "timm:test_vit": 160}.get(name, 128)
    model = load_model(name, "untrained", seed=2, image_size=size)
    assert model.transform.size == size
    assert model.provenance["weights"] == "untrained"
    images = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    got = record(model, images)
    assert list(got) == list(model.states())
    for (area, stream, _), value in got.items():
        assert value.shape[1:] == model.shape(f"{area}/{stream}"), area
        assert value.is_contiguous()
    with torch.no_grad():
        (logits,) = model(images)
    assert torch.equal(logits, list(got.values())[-1])
    assert logits.shape == (1, model.num_classes)
    assert record(model, images, model.usual_areas).keys() <= got.keys()
    if name == "b_vs":
        again = load_model(name, "untrained", seed=2, image_size=size)
        assert weights_sha256(again) == model.provenance["weights_sha256"]
    with pytest.raises(SpecError, match="unknown stream 'td'"):
        record(model, images, Select(streams="td"))


@pytest.mark.parametrize(("model", "pooled"), [(B_VS(7, 128), ()), (VNet(7, 64), (2, 3, 6, 7, 8, 9))])
def test_feedforward_models_are_their_plain_loops(model, pooled):
    state = randomised(model).state_dict()
    images = torch.randn(1, 3, model.image_size, model.image_size, generator=torch.Generator().manual_seed(0))
    got, x = record(model, images), images
    for at, (key, area) in enumerate(zip(model.connections, model.areas, strict=True)):
        weight, bias = state[f"connections.{key}.weight"], state[f"connections.{key}.bias"]
        if key == "Readout" and weight.ndim == 2:
            x = F.adaptive_avg_pool2d(x, 1).flatten(1) @ weight.T + bias
        else:
            stride = 2 if area in ("Retina", "LGN", "V1", "LOC", "Readout") else 1
            x = F.conv2d(F.max_pool2d(x, 2) if at in pooled else x, weight, bias, stride, weight.shape[-1] // 2)
            norm = f"layernorms.norm_{key}"
            x = F.group_norm(F.relu(x), 1, state[f"{norm}.weight"], state[f"{norm}.bias"])
            x = x.mean((2, 3)) if key == "Readout" else x
        torch.testing.assert_close(got[area, "bu", 0], x)


def test_cornet_s_is_its_plain_loop():
    model = randomised(CORnet_S(5, 64))
    w = model.state_dict()

    def norm(name, x):
        stats = (w[f"{name}.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *stats)

    def conv(name, x, stride=1):
        kernel = w[f"{name}.weight"]
        return F.conv2d(x, kernel, None, stride, kernel.shape[-1] // 2)

    got = record(model, IMAGES)
    assert [(area, t) for area, _, t in got] == [
        ("V1", 0), *(("V2", t) for t in range(2)), *(("V4", t) for t in range(4)), *(("IT", t) for t in range(2)),
        ("decoder", 0),
    ]  # fmt: skip
    x = F.max_pool2d(F.relu(norm("V1.norm1", conv("V1.conv1", IMAGES, 2))), 3, 2, 1)
    x = F.relu(norm("V1.norm2", conv("V1.conv2", x)))
    torch.testing.assert_close(got["V1", "bu", 0], x)
    for area, times in (("V2", 2), ("V4", 4), ("IT", 2)):
        x = conv(f"{area}.conv_input", x)
        for t in range(times):
            skip = norm(f"{area}.norm_skip", conv(f"{area}.skip", x, 2)) if t == 0 else x
            x = F.relu(norm(f"{area}.norm1_{t}", conv(f"{area}.conv1", x)))
            x = F.relu(norm(f"{area}.norm2_{t}", conv(f"{area}.conv2", x, 2 if t == 0 else 1)))
            x = F.relu(norm(f"{area}.norm3_{t}", conv(f"{area}.conv3", x)) + skip)
            torch.testing.assert_close(got[area, "bu", t], x)
    logits = F.adaptive_avg_pool2d(x, 1).flatten(1) @ w["decoder.linear.weight"].T + w["decoder.linear.bias"]
    torch.testing.assert_close(got["decoder", "bu", 0], logits)


@pytest.mark.parametrize("name", ["cornet_rt", "cornet_r", "cornet_z"])
def test_the_other_cornets_are_their_plain_loops(name):
    model = randomised(build(name, num_classes=5, image_size=64))
    w, areas = model.state_dict(), ("V1", "V2", "V4", "IT")

    def conv(name, x, stride):
        kernel = w[f"{name}.weight"]
        return F.conv2d(x, kernel, w.get(f"{name}.bias"), stride, kernel.shape[-1] // 2)

    def norm(name, x):
        return F.relu(F.group_norm(x, 32, w[f"{name}.weight"], w[f"{name}.bias"]))

    def area(name, below, state):
        drive = norm(f"{name}.norm_input", conv(f"{name}.conv_input", below, 4 if name == "V1" else 2))
        return norm(f"{name}.norm1", conv(f"{name}.conv1", drive + state, 1))

    got, expected = record(model, IMAGES), {}
    if name == "cornet_z":
        x = IMAGES
        for at in areas:
            x = F.max_pool2d(F.relu(conv(f"{at}.conv", x, 2 if at == "V1" else 1)), 3, 2, 1)
            expected[at, 0] = x
    else:
        now = {}
        for t in range(5):
            before, now = now, dict(now)
            for below, at in zip((None, *areas), areas, strict=False):
                source = IMAGES if below is None else (before if name == "cornet_rt" else now).get(below)
                if t == 0 and below is not None:  # silence
                    now[at] = norm(f"{at}.norm1", conv(f"{at}.conv1", torch.zeros(2, *model.shape(f"{at}/bu")), 1))
                else:
                    now[at] = area(at, source, before.get(at, 0.0))
                expected[at, t] = now[at]
        constant = {(s.area, s.timestep) for s in model.states() if model.is_constant(s)}
        late = {"V2": 1, "V4": 2, "IT": 3} if name == "cornet_rt" else {"V2": 1, "V4": 1, "IT": 1}
        assert constant == {(at, t) for at, first in late.items() for t in range(first)}
    assert len(got) == len(expected) + 1
    for (at, t), value in expected.items():
        torch.testing.assert_close(got[at, "bu", t], value, rtol=0, atol=1e-5)
    logits = expected["IT", max(t for _, t in expected)].mean((2, 3)) @ w["decoder.linear.weight"].T
    torch.testing.assert_close(got["decoder", "bu", 0], logits + w["decoder.linear.bias"])


def test_of_cornet_rt_only_what_is_wanted_is_computed():
    model, calls = build("cornet_rt", num_classes=5, image_size=64), []
    for at in ("V1", "V2", "V4", "IT"):
        model.get_submodule(at).register_forward_hook(lambda *_, at=at: calls.append(at))
    record(model, IMAGES, "V2/bu@1")
    assert calls == ["V2", "V1", "V2"]
    calls.clear()
    record(model, IMAGES, "decoder")
    assert (calls.count("IT"), calls.count("V1")) == (5, 4)


def test_a_training_checkpoint_of_cornet_s_is_read(tmp_path):
    model = randomised(CORnet_S(5, 64))
    state = {f"module.{key}": value for key, value in model.state_dict().items() if "num_batches" not in key}
    torch.save({"epoch": 43, "state_dict": state, "optimizer": {"lr": 0.1}}, tmp_path / "w.pth")
    loaded = load_model("cornet_s", tmp_path / "w.pth", num_classes=5, image_size=64)
    assert torch.equal(record(loaded, IMAGES)["IT", "bu", 1], record(model, IMAGES)["IT", "bu", 1])
    assert loaded.provenance["file_sha256"] == hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    with pytest.raises(WeightsError, match=r"decoder\.linear\.weight \(5, 512\) instead of \(6, 512\)"):
        load_model("cornet_s", tmp_path / "w.pth", num_classes=6)


def test_what_is_recorded_of_a_network_is_not_overwritten_by_what_follows():
    model = build("torchvision:resnet18", image_size=64, layers=("layer1.0.bn2", "layer1.0", "conv1", "bn1"))
    assert model.areas == ("conv1", "bn1", "layer1.0.bn2", "layer1.0", "logits")  # as they are computed
    network = randomised(model.network)
    got = record(model, IMAGES)
    conv = network.conv1(IMAGES)
    torch.testing.assert_close(got["conv1", "bu", 0], conv)
    before = network.bn1(conv)
    assert (before < 0).any()
    torch.testing.assert_close(got["bn1", "bu", 0], before)  # a rectification in place follows
    block, x = network.layer1[0], F.max_pool2d(F.relu(before), 3, 2, 1)
    inner = block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x)))))
    torch.testing.assert_close(got["layer1.0.bn2", "bu", 0], inner)  # the skip is added in place
    torch.testing.assert_close(got["layer1.0", "bu", 0], F.relu(inner + x))


def test_nothing_beyond_the_last_layer_that_is_wanted_is_computed_and_no_hook_stays():
    model = build("torchvision:resnet18", image_size=64, layers=("layer1", "layer3"))
    calls = []
    model.network.layer2.register_forward_hook(lambda *_: calls.append("layer2"))
    record(model, IMAGES, "layer1")
    assert calls == []
    record(model, IMAGES, "layer3")
    assert calls == ["layer2"]
    assert sum(len(m._forward_hooks) for m in model.modules()) == 1


def test_what_a_hook_returns_is_what_the_network_goes_on_with():
    for model, area, last in (
        (build("torchvision:resnet18", image_size=64), "layer2.0", "logits"),
        (B_VS(7, 128), "V1", "Readout"),
        (CORnet_S(5, 64), "V4", "decoder"),
    ):
        images = torch.randn(1, 3, model.image_size, model.image_size)
        handle = model.tap(State(area, "bu", 0)).register_forward_hook(
            lambda module, inputs, out: torch.zeros_like(out)
        )
        silent = record(model, images)
        handle.remove()
        assert not torch.equal(silent[last, "bu", 0], record(model, images)[last, "bu", 0])
        assert not silent[area, "bu", 0].any()


def test_tokens_and_channels_last():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.nhwc, self.back, self.head = nn.Identity(), nn.Identity(), nn.Identity(), nn.Linear(5, 3)
            self.embed = nn.Conv2d(3, 5, 8, 8)

        def forward(self, x):
            x = self.embed(x)  # (B, 5, 8, 8)
            x = self.nhwc(x.permute(0, 2, 3, 1))
            x = self.tokens(x.flatten(1, 2))
            return self.head(self.back(x.transpose(1, 2)).mean(2))

    model = Wrapped(Odd(), ("embed", "nhwc", "tokens"), symmetric(64))
    got = record(model, IMAGES)
    assert [model.shape(f"{a}/bu") for a in model.areas] == [(5, 8, 8), (5, 8, 8), (5, 64), (3,)]
    assert torch.equal(got["embed", "bu", 0], got["nhwc", "bu", 0])
    assert torch.equal(got["embed", "bu", 0].flatten(2), got["tokens", "bu", 0])
    assert tuple(model.grid("embed/bu")) == tuple(model.grid("nhwc/bu")) == (8, 3.5)
    handle = model.tap(State("tokens", "bu", 0)).register_forward_hook(lambda module, inputs, out: 2 * out)
    torch.testing.assert_close(
        record(model, IMAGES)["logits", "bu", 0] - model.network.head.bias,
        2 * (got["logits", "bu", 0] - model.network.head.bias),
    )
    handle.remove()


def test_a_network_of_one_s_own_says_what_it_is():
    network = torchvision.models.resnet18(num_classes=4)
    transform = Transform(64, 70, mean=IMAGENET_MEAN, std=(0.5, 0.5, 0.5))
    model = wrap(network, ["layer2"], transform, "mine")
    assert (model.transform, model.image_size, model.num_classes) == (transform, 64, 4)
    assert model.provenance["model"] == "mine"
    assert model.provenance["weights_sha256"] == weights_sha256(model)
    torch.testing.assert_close(model(IMAGES)[0], network.eval()(IMAGES))


def test_positions_follow_from_kernels_strides_and_paddings():
    known = {"features.0": (4, 3), "features.2": (8, 7), "features.4": (8, 7), "features.12": (32, 31)}
    model = build("torchvision:alexnet", layers=tuple(known))
    assert {a: tuple(model.grid(f"{a}/bu")) for a in known} == known
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.ZeroPad2d((2, 1, 2, 1)), nn.Conv2d(3, 2, 4, stride=2), nn.ReLU(), nn.AvgPool2d(3, 2, 1),
        nn.Conv2d(2, 2, 3, dilation=2, padding="same"), nn.Flatten(), nn.LazyLinear(3),
    )  # fmt: skip
    network(torch.zeros(1, 3, 48, 48))
    model = Wrapped(network, ("1", "3", "4"), symmetric(48))
    images = torch.rand(1, 3, 48, 48, requires_grad=True)
    for weights in (network[1].weight, network[4].weight):
        nn.init.constant_(weights, 0.1)
    for area in model.areas[:-1]:
        (value,) = model.run(images, [State(area, "bu", 0)]).values()
        grid, at = model.grid(f"{area}/bu"), value.shape[-1] // 2
        (gradient,) = torch.autograd.grad(value[0, 0, at, at], images)
        rows = gradient[0, 0].sum(1).nonzero().flatten()
        assert (rows[0] + rows[-1]).item() / 2 == grid.centres(at + 1)[-1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build("resnet51"), r"unknown model 'resnet51' \(did you mean 'resnet50'\?\)"),
        (lambda: build("torchvision:resnet19"), "unknown torchvision model 'resnet19'"),
        (lambda: build("torchvision:fcn_resnet50"), "unknown torchvision model"),
        (lambda: build("torchvision:resnet18", layers=("layer1.0.relu",)), "'layer1.0.relu' is called 2 times"),
        (lambda: build("torchvision:resnet18", layers=("layer9",)), "unknown layer 'layer9'"),
        (lambda: build("torchvision:resnet18", layers=("fc", "fc")), "named once each"),
        (lambda: build("torchvision:vit_b_32", image_size=100), "does not take images of 100 x 100 px"),
        (lambda: build("b_vs", layers=("V1",)), "b_vs has areas"),
        (lambda: build("b_vs", image_size=100), "unknown image_size 100"),
        (lambda: build("vnet", num_classes=0), "num_classes must be a whole number from 1"),
        (lambda: load_model("torchvision:resnet18", "untrained", num_classes=-2), "num_classes must be a whole number"),
        (
            lambda: load_model("torchvision:resnet18", "untrained", image_size=0),
            "image_size must be a whole number.*; got 0",
        ),
        (lambda: load_model("shapes", "untrained", image_size=0), "image_size must be a whole number from 1 .*; got 0"),
        (
            lambda: load_model("cornet_s", "untrained", image_size=128.0),
            "image_size must be a whole number .*; got 128.0",
        ),
        (lambda: load_model("shapes", "untrained", seed=2**70), "seed= is an integer from 0"),
        (
            lambda: load_model("timm:resnet18.bogus", "untrained"),
            r"timm has no model 'resnet18.bogus' \(did you mean resnet18\.",
        ),
        (lambda: build("vnet", image_size=32), "too small"),
        (lambda: load_model("ecoset", "untrained", layers=("V1",)), "ecoset has areas"),
        (lambda: load_model("ecoset", num_classes=5), "have 565 classes"),
        (lambda: build("b_vs", image_size=224, transform=symmetric(128)), "gives 128 px, and the model takes 224 px"),
        (lambda: load_model("resnet50", num_classes=5), "have 1000 classes"),
        (lambda: load_model("resnet50", "IMAGENET1K_V9"), r"unknown weights 'IMAGENET1K_V9'.*IMAGENET1K_V1"),
        (lambda: load_model("timm:resnet19"), "timm has no model 'resnet19'"),
    ],
)
def test_errors(call, message):
    with pytest.raises(SpecError, match=message):
        call()


@pytest.mark.parametrize("name", ["cornet_s", "cornet_rt", "cornet_r", "cornet_z", "b_vs", "vnet"])
def test_weights_that_do_not_come_by_name_are_never_random(name):
    with pytest.raises(WeightsError, match=f"weights of {name} do not come by name"):
        load_model(name)


def test_torchvision_s_weights_are_checked_against_the_hash_in_their_name(tmp_path, monkeypatch):
    source = randomised(torchvision.models.resnet18(num_classes=1000))
    torch.save({k: v for k, v in source.state_dict().items() if "num_batches" not in k}, tmp_path / "w.pth")
    digest = hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    (tmp_path / f"resnet18-{digest[:8]}.pth").write_bytes((tmp_path / "w.pth").read_bytes())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))

    class Released:
        name, url = "IMAGENET1K_V1", (tmp_path / f"resnet18-{digest[:8]}.pth").as_uri()
        transforms = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.transforms

    Released.DEFAULT = Released()
    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda name: Released)
    model = load_model("torchvision:resnet18", image_size=64)
    assert model.provenance["file_sha256"] == digest
    assert model.provenance["verified"]
    assert model.transform == Transform(64, 73, mean=IMAGENET_MEAN, std=model.transform.std)
    torch.testing.assert_close(record(model, IMAGES)["logits", "bu", 0], source(IMAGES))
    cached = tmp_path / "home/hub/checkpoints" / f"resnet18-{digest[:8]}.pth"
    cached.write_bytes(cached.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match=f"is damaged: its sha256 begins with .*, not {digest[:8]}"):
        load_model("torchvision:resnet18", image_size=64)
    cached.unlink()
    (tmp_path / f"resnet18-{digest[:8]}.pth").write_bytes(b"something else")
    with pytest.raises(WeightsError, match="cannot be fetched"):
        load_model("torchvision:resnet18", image_size=64)
    assert not list(cached.parent.iterdir())


def test_densenet_s_old_names_are_those_of_today():
    today = list(torchvision.models.densenet121().state_dict())
    old = [k.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.") if "denselayer" in k else k for k in today]
    assert old != today
    assert [fetched._DENSENET.sub(r"\1\2.", key) for key in old] == today


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"crop_mode": "squash"}, "wants pictures cropped as 'squash'; 'center' exists: give a transform"),
        ({"interpolation": "random"}, "wants 'random' interpolation"),
        ({"input_size": (3, 160, 120)}, "takes 3 channels of 160 x 120 px"),
        ({"input_size": (1, 160, 160)}, "takes 1 channels of 160 x 160 px"),
    ],
)
def test_what_timm_does_to_pictures_is_done_or_refused(monkeypatch, config, message):
    timm = pytest.importorskip("timm")
    usual = timm.data.resolve_model_data_config
    monkeypatch.setattr(timm.data, "resolve_model_data_config", lambda model: usual(model) | config)
    with pytest.raises(SpecError, match=message):
        build("timm:test_vit")
    own = symmetric(160)
    assert build("timm:test_vit", transform=own).transform == own
