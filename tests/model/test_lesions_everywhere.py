"""Lesions of every family of networks: against hooks by hand, parts of sites, and activity of other pictures."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import bltvs_neuro as bn
from bltvs_neuro.errors import SpecError
from bltvs_neuro.extraction import record_tensors
from bltvs_neuro.model import BLT_VS, State
from bltvs_neuro.model.lesions import Add, Clamp, Freeze, Noise, Resample, Scale
from bltvs_neuro.model.lesions.lesion import parse_action
from bltvs_neuro.model.others.cornet import CORnet_S
from bltvs_neuro.model.others.feedforward import B_VS

from .recurrent import KINDS, SIZE, TRANSFORM, made

RNG = torch.Generator().manual_seed(1)


def wrapped(kind: str):
    return bn.wrap(made(kind), KINDS[kind][1], TRANSFORM, kind, timesteps=KINDS[kind][2])


def blt_vs(schedule: bool):
    torch.manual_seed(0)
    return BLT_VS(timesteps=6 if schedule else 2, num_classes=5, image_size=128, width=0.1, bio_unroll=schedule).eval()


class InPlace(nn.Module):
    """What the first layer gives is rectified where it lies; one layer in memory has its channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3), nn.Linear(6, 5)
        self.to(memory_format=torch.channels_last)

    def forward(self, images):
        x = torch.relu_(self.first(images.contiguous(memory_format=torch.channels_last)))
        return self.head(torch.relu_(self.second(x)).mean((2, 3)))


FAMILIES = {
    **{kind: lambda kind=kind: wrapped(kind) for kind in KINDS},
    "simultaneous": lambda: blt_vs(True),
    "sweep": lambda: blt_vs(False),
    "B_VS": lambda: B_VS(num_classes=5, image_size=128).eval(),
    "CORnet-S": lambda: CORnet_S(num_classes=5, image_size=32).eval(),
    "in place": lambda: bn.wrap(InPlace(), ["first", "second"], TRANSFORM, "in place"),
    "resnet": lambda: bn.load_model("torchvision:resnet18", "untrained", image_size=32),
}
IMAGES = {size: torch.randn(3, 3, size, size, generator=RNG) for size in (32, 128)}


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    return FAMILIES[request.param]()


def images_of(model):
    return IMAGES[model.image_size]


def lesionable(model):
    """Sites that a lesion can reach: not what a network returns."""
    if (layers := getattr(model, "layers", None)) is None:
        return model.target_names() if not isinstance(model, BLT_VS) else ["V1/bu", "V4/td", "LOC/bu", "Readout/bu"]
    return [name for name in model.target_names() if name == "logits/bu" or layers[name.split("/")[0]].module]


def assert_same(a, b):
    assert set(a) == set(b)
    for key in a:
        assert torch.equal(a[key], b[key]), key


def test_strength_one_changes_no_bit(model):
    before, sites = record_tensors(model, images_of(model)), lesionable(model)
    with model.lesion(*sites, strength=1), model.lesion(*sites, action=Add(0), part="0"):
        assert len(model.provenance["lesions"]) == 2 * len(sites)
        assert_same(record_tensors(model, images_of(model)), before)
    assert_same(record_tensors(model, images_of(model)), before)
    assert model.lesions == () and "lesions" not in model.provenance


def test_what_was_recorded_is_what_the_network_went_on_with():
    """The activity that a lesion makes is a copy, too: the network overwrites it in place."""
    model = FAMILIES["in place"]()
    images, network = images_of(model), model.network
    with model.lesion("first/bu", action=Add(-0.1)), torch.no_grad():
        got = record_tensors(model, images)
        expected = network.first(images) - 0.1
        assert (expected < 0).any() and torch.equal(got["first", "bu", 0], expected)
        second = network.second(torch.relu(expected).contiguous(memory_format=torch.channels_last))
        assert torch.equal(got["second", "bu", 0], second)


def changed_by_hand(network, layer, change):
    """Apply ``change(call, output)`` to what a layer gives."""
    calls = 0

    def hook(module, inputs, output):
        nonlocal calls
        calls += 1
        return change(calls - 1, output)

    return network.get_submodule(layer).register_forward_hook(hook)


CHANGES = {
    "relu/bu@1:3=0.5": ("relu", lambda t, x: x * 0.5 if t in (1, 2) else None),
    "loop/bu@2": ("loop", lambda t, x: x * 0.0 if t == 2 else None),
    "entry/bu=add(1.5)": ("entry", lambda t, x: x + 1.5),
    "loop/bu[0,2:4]@0=clamp(2)": ("loop", lambda t, x: _filled(x, [0, 2, 3]) if t == 0 else None),
    "relu/bu[y=0:8;x=4:]@3=-1": ("relu", lambda t, x: _signed(x) if t == 3 else None),
}


def _filled(x, channels):
    x = x.clone()
    x[:, channels] = 2
    return x


def _signed(x):
    x = x.clone()
    x[:, :, 0:8, 4:] *= -1
    return x


@pytest.mark.parametrize("text", CHANGES)
def test_a_lesion_equals_the_same_done_by_a_hook(text):
    model, images = wrapped("four passes"), IMAGES[SIZE]
    layer, change = CHANGES[text]
    handle = changed_by_hand(model.network, layer, change)
    with torch.no_grad():
        expected = model.network(images)
    handle.remove()
    with model.lesion(text), torch.no_grad():
        assert torch.equal(model(images)[0], expected)
        assert torch.equal(record_tensors(model, images)["logits", "bu", 0], expected)
    assert not torch.equal(model(images)[0], expected)


def test_a_frozen_site_holds_its_activity():
    model, images, kept = wrapped("four passes"), IMAGES[SIZE], []
    handle = changed_by_hand(model.network, "loop", lambda t, x: kept.append(x.clone()) if t < 2 else kept[-1].clone())
    with torch.no_grad():
        expected = model.network(images)
    handle.remove()
    with model.lesion("loop/bu@2:=freeze"):
        got = record_tensors(model, images)
        assert torch.equal(got["loop", "bu", 3], got["loop", "bu", 1])
        assert torch.equal(got["logits", "bu", 0], expected)
    with model.lesion("loop/bu[0:3]@3=freeze"):
        part = record_tensors(model, images)
    whole = record_tensors(model, images)
    assert torch.equal(part["loop", "bu", 3][:, :3], whole["loop", "bu", 2][:, :3])
    assert torch.equal(part["loop", "bu", 3][:, 3:], whole["loop", "bu", 3][:, 3:])


@pytest.mark.parametrize("schedule", [True, False])
def test_parts_of_the_sites_of_blt_vs(schedule):
    model = blt_vs(schedule)
    images, t = IMAGES[128], model.timesteps - 1
    intact = record_tensors(model, images)
    mask = np.zeros(model.shape("V4/td")[1:], bool)
    mask[2:5, 7] = True
    with model.lesion(f"V4/td@{t}=freeze", part=mask):
        got = record_tensors(model, images)["V4", "td", t]
        assert not model.is_constant(State("V4", "td", t))
    kept = torch.from_numpy(mask)
    assert torch.equal(got[:, :, kept], intact["V4", "td", t - 1][:, :, kept])
    assert torch.equal(got[:, :, ~kept], intact["V4", "td", t][:, :, ~kept])
    with model.lesion(f"V4/td[unit=0,3]@{t}=clamp(7)"):
        alone = record_tensors(model, images, f"V4/td@{t}")["V4", "td", t].flatten(1)  # nothing else is recorded
    assert (alone[:, [0, 3]] == 7).all() and torch.equal(alone[:, 4:], intact["V4", "td", t].flatten(1)[:, 4:])
    with model.lesion(f"V4/td@{t}=freeze", part="2:"):
        assert torch.equal(
            record_tensors(model, images, f"V4/td@{t}")["V4", "td", t][:, 2:], intact["V4", "td", t - 1][:, 2:]
        )


def test_noise_does_not_depend_on_the_batch(model):
    images, site = images_of(model), lesionable(model)[-2]
    with model.lesion(site, action=Noise(0.5, seed=2), part="1:"):
        whole = record_tensors(model, images, site)
        for key, value in record_tensors(model, images[1:2], site).items():
            torch.testing.assert_close(value[0], whole[key][1], rtol=0, atol=1e-4)
            assert len(torch.unique(value)) > 1


def test_a_donor_is_seen_by_the_network_without_lesions():
    model = wrapped("four passes")
    donor = record_tensors(model, TRANSFORM(PICTURES[0])[None])["loop", "bu", 1]
    with model.lesion("entry/bu", strength=0.5), model.lesion("loop/bu@1", action=Resample(PICTURES[0])):
        assert len(model.lesions) == 2
        got = record_tensors(model, IMAGES[SIZE])["loop", "bu", 1]
    torch.testing.assert_close(got, donor.expand_as(got), rtol=0, atol=1e-5)


PICTURES = np.random.default_rng(3).integers(0, 255, (5, SIZE, SIZE, 3), dtype=np.uint8)


def test_the_activity_of_one_other_picture():
    model, images = wrapped("CORnet-RT"), IMAGES[SIZE]
    donor = record_tensors(model, TRANSFORM(PICTURES[0])[None])
    with model.lesion("V1/bu@1:3", "V2/bu[0:2]@3", action=Resample(PICTURES[0])):
        got = record_tensors(model, images)
    intact = record_tensors(model, images)
    for t in (1, 2):
        torch.testing.assert_close(got["V1", "bu", t], donor["V1", "bu", t].expand(3, -1, -1, -1), rtol=0, atol=1e-6)
    assert torch.equal(got["V1", "bu", 0], intact["V1", "bu", 0])
    torch.testing.assert_close(got["V2", "bu", 3][:, :2], donor["V2", "bu", 3][:, :2].expand(3, -1, -1, -1))
    assert not torch.equal(got["IT", "bu", 4], intact["IT", "bu", 4])
    with model.lesion(*[f"{area}/bu" for area in ("V1", "V2", "V4", "IT")], action=Resample(PICTURES[0])):
        everything = record_tensors(model, images)["logits", "bu", 0]
        constant = {s for s in model.states() if model.is_constant(s)}
    torch.testing.assert_close(everything, donor["logits", "bu", 0].expand(3, -1), rtol=0, atol=1e-5)
    assert constant == set(model.states())


def test_donors_are_drawn_by_the_image_alone_and_are_never_the_image():
    model, images = wrapped("GRU"), torch.stack([TRANSFORM(picture) for picture in PICTURES])
    clean = record_tensors(model, images)["rnn", "bu", 2]

    def donors(images, pictures=PICTURES, seed=0):
        with model.lesion("rnn/bu@2", action=Resample(pictures, seed)):
            got = record_tensors(model, images)["rnn", "bu", 2]
        distance = torch.cdist(got, clean)
        assert (distance.min(1).values < 1e-6).all()
        return distance.argmin(1).tolist()

    chosen = donors(images)
    assert all(donor != own for own, donor in enumerate(chosen))
    assert donors(images.flip(0)) == chosen[::-1]
    assert [donors(image[None])[0] for image in images] == chosen
    assert donors(images, pictures=PICTURES[::-1].copy()) == chosen
    assert donors(images, seed=1) != chosen
    by_hand = sorted(range(5), key=lambda i: hashlib.sha256(images[i].numpy().tobytes()).digest())
    for own, donor in enumerate(chosen):
        others = [i for i in by_hand if i != own]
        drawn = hashlib.sha256(b"0 " + hashlib.sha256(images[own].numpy().tobytes()).digest()).digest()
        assert donor == others[int.from_bytes(drawn, "big") % 4]


def test_donors_from_files_and_what_is_described(tmp_path):
    from PIL import Image

    for number, picture in enumerate(PICTURES[:2]):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    model = wrapped("four passes")
    with model.lesion(f"loop/bu@1=resample({tmp_path},seed=4)"):
        (one,) = model.provenance["lesions"]
        got = record_tensors(model, IMAGES[SIZE])
        sent = pickle.loads(pickle.dumps(model))
        assert_same(record_tensors(sent, IMAGES[SIZE]), got)
    assert (one["action"], one["seed"], one["n_donors"]) == ("resample", 4, 2) and len(one["donors_sha256"]) == 64
    with model.lesion("loop/bu@1", action=Resample(PICTURES[:2], 4)):
        assert model.provenance["lesions"] == [one]
        assert_same(record_tensors(model, IMAGES[SIZE]), got)
    with model.lesion("loop/bu[0:2,2]@1=0.5"), model.lesion("loop/bu[2,0,1]@1=0.5"):
        first, second = model.provenance["lesions"]
        assert first == second == {
            "on": ["loop/bu"], "timesteps": [1], "action": "scale", "strength": 0.5, "channels": [0, 1, 2],
        }  # fmt: skip


@pytest.mark.parametrize("schedule", [True, False])
def test_blt_vs_with_the_activity_of_another_picture(schedule):
    model, images = blt_vs(schedule), IMAGES[128]
    t = model.timesteps - 1
    pictures = np.random.default_rng(4).integers(0, 255, (2, 128, 128, 3), dtype=np.uint8)
    donor = record_tensors(model, model.transform(pictures[0])[None])["V4", "bu", t]
    with model.lesion(f"V4/bu@{t}", action=Resample(pictures[0])):
        assert model.is_constant(State("V4", "bu", t)) and not model.is_constant(State("V4", "td", t - 1))
        got = record_tensors(model, images)
        torch.testing.assert_close(got["V4", "bu", t], donor.expand(3, -1, -1, -1), rtol=0, atol=1e-4)
    with model.lesion(f"V4/bu@{t}", action=Resample(pictures)):
        assert not model.is_constant(State("V4", "bu", t))


def test_what_follows_a_silenced_layer_is_constant():
    model = FAMILIES["resnet"]()
    assert not any(model.is_constant(state) for state in model.states())
    with model.lesion("layer3.1/bu"):
        constant = [s.area for s in model.states() if model.is_constant(s)]
    assert constant == ["layer3.1", "layer4.0", "layer4.1", "avgpool", "logits"]
    assert not any(model.is_constant(state) for state in model.states())


def test_lesions_of_steps_of_a_recurrent_layer_change_those_after():
    model, images = wrapped("LSTM"), IMAGES[SIZE]
    intact = record_tensors(model, images)
    with model.lesion("rnn/bu@1"):
        got = record_tensors(model, images)
    assert not got["rnn", "bu", 1].any()
    for t in (2, 3):
        assert not torch.equal(got["rnn", "bu", t], intact["rnn", "bu", t])


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_the_uppermost_of_several_layers_is_lesioned_and_both_directions_are_refused(kind):
    torch.manual_seed(0)
    network, images = made("GRU"), IMAGES[SIZE]
    network.rnn = kind(8, 7, 2, batch_first=True)
    model = bn.wrap(network, ["rnn"], TRANSFORM, "deep", timesteps="calls")
    lower, upper = kind(8, 7, batch_first=True), kind(7, 7, batch_first=True)
    weights = network.rnn.state_dict()
    for layer, at in ((lower, "_l0"), (upper, "_l1")):
        layer.load_state_dict({k.replace(at, "_l0"): v for k, v in weights.items() if k.endswith(at)})
    stacked = made("GRU")
    stacked.patches, stacked.head = network.patches, network.head
    stacked.rnn = _Stacked(lower, upper)
    apart = bn.wrap(stacked, ["rnn.upper"], TRANSFORM, "apart", timesteps="calls")
    with model.lesion("rnn/bu@1:3=-0.5"), apart.lesion("rnn.upper/bu@1:3=-0.5"):
        deep, by_one = record_tensors(model, images), record_tensors(apart, images)
    for t in range(4):
        torch.testing.assert_close(deep["rnn", "bu", t], by_one["rnn.upper", "bu", t], rtol=0, atol=1e-6)
    torch.testing.assert_close(deep["logits", "bu", 0], by_one["logits", "bu", 0], rtol=0, atol=1e-6)
    network.rnn, network.head = kind(8, 7, batch_first=True, bidirectional=True), nn.Linear(7, 5)
    both = bn.wrap(network, ["rnn"], TRANSFORM, "both", timesteps="calls")
    with both.lesion("rnn/bu", strength=1):
        record_tensors(both, images)
    with both.lesion("rnn/bu@1"), pytest.raises(SpecError, match=f"one step of a {kind.__name__} in both directions"):
        record_tensors(both, images)


class _Stacked(nn.Module):
    batch_first = True

    def __init__(self, lower, upper) -> None:
        super().__init__()
        self.lower, self.upper = lower, upper

    def forward(self, x):
        return self.upper(self.lower(x)[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("td:LOC->V4", "four passes has no connections that can be lesioned, as BLT_VS has; its sites: entry/bu, loop/bu"),
        ("loop", "a site is written area/stream"),
        ("other/bu", "unknown area 'other'"),
        ("loop/bu@4", "timestep"),
        ("entry/bu@1", "nothing to lesion at timesteps 1: entry/bu is used at timesteps 0"),
        ("loop/bu=freeze", "nothing comes before timestep 0"),
        ("loop/bu[6]", r"loop/bu has channel 0 to 5, written 3, 0:6 or 0,2,5; got '6'"),
        ("loop/bu[3:3]", "loop/bu has channel 0 to 5"),
        ("loop/bu[]", "loop/bu has channel 0 to 5"),
        ("loop/bu[z=1]", "unknown dimension of loop/bu 'z'"),
        ("logits/bu[y=1]", "unknown dimension of logits/bu 'y'; valid: channel, unit"),
        ("loop/bu[unit=5;0]", None),
        ("loop/bu[unit=0;1]", "no unit of loop/bu lies in the part 'unit=0;1'"),
        ("loop/bu[none.npy]", "cannot read the part 'none.npy'"),
        ("loop/bu[0", "a lesion is written TARGET"),
        ("loop/bu=resample()", "nothing is named"),
        ("loop/bu=resample(none.png)", "none.png does not exist"),
        ("loop/bu=resample(a,seed=x)", "resample is written"),
    ],
)  # fmt: skip
def test_errors(text, message):
    model = wrapped("four passes")
    if message is None:
        with model.lesion(text):
            return
    with pytest.raises(SpecError, match=message):
        model.lesion(text)
    assert model.lesions == ()


def test_more_errors():
    model = wrapped("yields")
    with pytest.raises(SpecError, match="state is taken from what the network returns"):
        model.lesion("state/bu")
    with pytest.raises(SpecError, match="second/bu does not exist before timestep 1"):
        model.lesion("second/bu@1:=freeze")
    for part, message in (
        (np.ones(3, bool), r"is a boolean array of shape \(4,\) or \(16, 16\) or \(4, 16, 16\); got bool \(3,\)"),
        (np.ones(4), "got float64"),
        (np.zeros(4, bool), "no unit of first/bu lies in the part"),
    ):  # fmt: skip
        with pytest.raises(SpecError, match=message):
            model.lesion("first/bu", part=part)
    blt = blt_vs(True)
    for options in ({"part": "0"}, {"action": Resample(PICTURES[0])}):
        with pytest.raises(SpecError, match="is for sites, such as 'V4/bu'"):
            blt.lesion("td:LOC->V4", **options)
    with pytest.raises(SpecError, match="V4/td does not exist before timestep 3"):
        blt.lesion("V4/td[0]@3=freeze")
    with pytest.raises(SpecError, match="there are no donors"):
        Resample(PICTURES[:0])


def test_donors_without_storage_are_not_asked():
    with torch.device("meta"):
        model = BLT_VS(timesteps=6, num_classes=5, image_size=128, width=0.1)
    with model.lesion("V4/bu@4:=resample(synthetic)", "V1/bu[0]=noise(1)"):
        assert not model.is_constant(State("V4", "bu", 4))
        assert model.run(torch.empty(1, 3, 128, 128, device="meta"), [State("V4", "bu", 4)])


def test_actions_say_themselves_again():
    assert parse_action("resample(synthetic,seed=2)").seed == 2
    assert [str(action) for action in (Scale(0.5), Freeze(), Clamp(1))] == ["0.5", "freeze", "clamp(1)"]
    assert str(parse_action("resample(synthetic)")) == "resample(synthetic,seed=0)"
