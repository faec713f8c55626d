"""Lesions against the constructor's ablations, against a plain loop that is lesioned by hand, and their bookkeeping."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
import torch

from bltvs_neuro.errors import SpecError
from bltvs_neuro.extraction import record_tensors as record
from bltvs_neuro.features.select import Select
from bltvs_neuro.model import BLT_VS, State
from bltvs_neuro.model.blt_vs.names import connection_names
from bltvs_neuro.model.lesions.actions import Add, Clamp, Freeze, Noise, Scale
from bltvs_neuro.model.lesions.lesion import lesion, parse_action
from bltvs_neuro.model.measure.macs import count_macs

from .reference import Loop, golden_images, golden_weights

SMALL = dict(num_classes=5, add_feats=3, image_size=128, width=0.25)
IMAGES = golden_images(128, n=2)


def golden_model(**config) -> BLT_VS:
    model = BLT_VS(**{**SMALL, **config}).eval()
    model.load_state_dict(golden_weights({key: value.shape for key, value in model.state_dict().items()}))
    return model


@pytest.fixture(scope="module", params=[True, False], ids=["simultaneous", "sweep"])
def model(request) -> BLT_VS:
    return golden_model(bio_unroll=request.param, timesteps=7 if request.param else 3)


@pytest.fixture(scope="module")
def simultaneous() -> BLT_VS:
    return golden_model(timesteps=7)


def assert_same(a, b):
    assert set(a) == set(b)
    for key in a:
        assert torch.equal(a[key], b[key]), key


ABLATIONS = {
    "lateral_connections": ("lateral:*",),
    "topdown_connections": ("td:*", "lateral:*/td"),  # without feedback the original has no top-down laterals either
    "skip_connections": ("skip:*",),
}


@pytest.mark.parametrize("off", [c for n in (1, 2, 3) for c in itertools.combinations(ABLATIONS, n)], ids="+".join)
def test_lesions_equal_the_constructor_s_ablations(model, off):
    """Same weights, same numbers to the bit, same onsets, the same states constant, the same work."""
    ablated = BLT_VS(**{**model.config, **dict.fromkeys(off, False)}).eval()
    ablated.load_state_dict({key: model.state_dict()[key] for key in ablated.state_dict()})
    targets = [
        target
        for name in off
        for target in ABLATIONS[name]
        if not (target == "lateral:*/td" and "lateral_connections" in off)
    ]
    with model.lesion(*targets):
        assert set(model.graph) == set(ablated.graph)
        assert [model.graph.is_constant(s) for s in model.graph] == [
            ablated.graph.is_constant(s) for s in ablated.graph
        ]
        assert count_macs(model) == count_macs(ablated)
        assert count_macs(model, "all") == count_macs(ablated, "all")
        assert_same(record(model, IMAGES), record(ablated, IMAGES))
        with torch.no_grad():
            for a, b in zip(model(IMAGES), ablated(IMAGES), strict=True):
                assert torch.equal(a, b)


def test_strength_one_changes_no_bit(model):
    before = record(model, IMAGES)
    everything = [*connection_names(model)]
    unused = [] if model.schedule.name == "simultaneous" else ["skip:V4->V1"]
    with model.lesion(*[n for n in everything if n not in unused], "V4/td", "LOC/bu", "Retina/bu", strength=1):
        assert_same(record(model, IMAGES), before)
    with model.lesion("V4/td", "td:*", action=Noise(0)), model.lesion("V1/bu", action=Add(0)):
        assert_same(record(model, IMAGES), before)
    assert_same(record(model, IMAGES), before)


def test_a_silenced_connection_is_not_computed(simultaneous):
    whole = count_macs(simultaneous, "V3")
    with lesion(simultaneous, "td:V4->V3"):
        without = count_macs(simultaneous, "V3")
        conv = simultaneous.connections["V3"].td_conv
    uses = 3  # V3 at timesteps 4, 5 and 6 reads V4/td at 3, 4 and 5
    assert whole - without >= uses * conv.weight.numel() * simultaneous.shape("V4/td")[1] ** 2
    with lesion(simultaneous, "V2/bu", "V1/bu"):  # silenced: nothing below is needed
        assert count_macs(simultaneous, "V1") < count_macs(simultaneous, "LGN:V1")


class LesionedLoop(Loop):
    """The plain loop with one connection's output multiplied from some timestep on."""

    def __init__(self, model: BLT_VS, area: str, name: str, start: int, strength: float) -> None:
        super().__init__(model.state_dict(), model.timesteps, model.num_classes, model.config["bio_unroll"])
        self.lesion, self.strength, self.now = (area, name), strength, 0
        self.start = start

    def sweep(self, images, bu, td, t):
        self.now = t
        super().sweep(images, bu, td, t)

    def simultaneous(self, images, bu, td, t):
        self.now = t
        super().simultaneous(images, bu, td, t)

    def conv(self, area, name, x, like=None):
        out = super().conv(area, name, x, like)
        lesioned = out is not None and (area, name) == self.lesion and self.now >= self.start
        return out * self.strength if lesioned else out


@pytest.mark.parametrize("strength", [0.0, 0.5, -2.0])
@pytest.mark.parametrize(
    ("target", "area", "module"),
    [
        ("td:LOC->V4", "V4", "td_conv"),
        ("lateral:V1/bu", "V1", "bu_l_conv_pointwise"),
        ("skip:V1->V4", "V4", "skip_bu_pointwise"),
        ("bu:V3->V4", "V4", "bu_conv"),
    ],
)
def test_a_lesion_from_a_timestep_on_equals_a_loop_that_is_lesioned_by_hand(model, target, area, module, strength):
    """Edges are shared between timesteps; only those that read at a lesioned one may see the lesion."""
    start = model.timesteps - 1
    loop = LesionedLoop(model, area, module, start, strength)
    with torch.no_grad():
        loop(IMAGES)
    with lesion(model, target, timesteps=slice(start, None), strength=strength):
        got = record(model, IMAGES)
    for key, value in got.items():
        torch.testing.assert_close(value, loop.states[key], rtol=0, atol=1e-5, msg=str(key))
    before = record(model, IMAGES)
    changed = {key for key in got if not torch.equal(got[key], before[key])}
    assert changed
    assert {t for *_, t in changed} == {start}


def test_frozen_connections_hold_what_they_delivered(simultaneous):
    """Against the same network in which the connection reads a clamped source."""
    model = simultaneous
    intact = record(model, IMAGES)
    with lesion(model, "td:LOC->V4", timesteps="6", action=Freeze()):
        frozen = record(model, IMAGES, "V4")
    assert torch.equal(frozen["V4", "td", 5], intact["V4", "td", 5])
    assert not torch.equal(frozen["V4", "td", 6], intact["V4", "td", 6])
    # V4 at 6 reads LOC/td of 5; frozen it reads that of 4
    with model.tap(State("LOC", "td", 5)).register_forward_hook(lambda *_: intact["LOC", "td", 4]):
        expected = record(model, IMAGES, "V4")
    for stream in ("bu", "td"):
        assert torch.equal(frozen["V4", stream, 6], expected["V4", stream, 6])


def test_frozen_sites_hold_their_activity(model):
    last = model.timesteps - 1
    intact = record(model, IMAGES)
    with lesion(model, f"V4/td@{last - 1}:=freeze"):
        frozen = record(model, IMAGES)
        assert (
            torch.equal(frozen["V4", "td", last], intact["V4", "td", last - 2]) or ("V4", "td", last - 2) not in intact
        )
        assert torch.equal(frozen["V4", "td", last], frozen["V4", "td", last - 1])
    assert not torch.equal(frozen["V3", "td", last], intact["V3", "td", last])


def test_retina_can_be_silenced_in_time(model):
    intact = record(model, IMAGES)
    with lesion(model, "bu:image->Retina@1:"):  # the image goes off
        off = record(model, IMAGES)
        assert torch.equal(off["Retina", "bu", 0], intact["Retina", "bu", 0])
        assert model.graph.is_constant(State("Retina", "bu", 1))
        assert torch.equal(off["Retina", "bu", 1][0], off["Retina", "bu", 1][1])
    assert not torch.equal(off["LGN", "bu", 2], intact["LGN", "bu", 2])


def test_silencing_an_area_s_input_moves_onsets_and_what_varies(simultaneous):
    model = simultaneous
    with lesion(model, "bu:V1->V2"):
        # feedback from V3, which V4 reaches by the skip from V1, arrives later than the feedforward input would have
        assert model.onset("V2/bu") == 5
        varies = {key: not torch.equal(a[0], a[1]) for key, a in record(model, IMAGES).items()}
        for key, varied in varies.items():
            assert varied is not model.graph.is_constant(State(*key)), key
    with lesion(model, "bu:V1->V2", "skip:V1->V4"):
        assert [model.onset(f"{area}/bu") for area in model.areas] == [0, 1, 2, None, None, None, None, None]
        with torch.no_grad():
            assert model(IMAGES) == []
    with lesion(model, "bu:V3->V4", "skip:V1->V4", timesteps="5:"):  # once reached it stays
        assert model.graph.timesteps_of("V4", "bu") == (3, 4, 5, 6)


@pytest.mark.parametrize("target", ["V4/bu", "V1/td", "LOC/bu", "Readout/td", "Readout/bu"])
def test_silenced_clamped_and_stimulated_sites(simultaneous, target):
    model = simultaneous
    area, stream = target.split("/")
    t = 6
    intact = record(model, IMAGES, Select(area, streams=stream))[area, stream, t]
    with lesion(model, target, timesteps=t):
        assert not record(model, IMAGES, Select(area, streams=stream))[area, stream, t].any()
        assert model.graph.is_constant(State(area, stream, t))
    per_channel = np.linspace(-1, 1, model.shape(target)[0], dtype=np.float32)
    spread = torch.from_numpy(per_channel).reshape(-1, *[1] * (intact.ndim - 2))
    with lesion(model, target, timesteps=t, action=Add(per_channel)):
        assert torch.equal(record(model, IMAGES, Select(area, streams=stream))[area, stream, t], intact + spread)
    half_free = per_channel.copy()
    half_free[::2] = np.nan
    with lesion(model, target, timesteps=t, action=Clamp(half_free)):
        clamped = record(model, IMAGES, Select(area, streams=stream))[area, stream, t]
    assert torch.equal(clamped[:, ::2], intact[:, ::2])
    assert torch.equal(clamped[:, 1::2], spread.expand_as(intact)[:, 1::2])
    with lesion(model, target, timesteps=t, action=Clamp(0.25)):
        assert torch.equal(
            record(model, IMAGES, Select(area, streams=stream))[area, stream, t], torch.full_like(intact, 0.25)
        )
        assert record(model, IMAGES, Select(area, streams=stream, timesteps=t))[area, stream, t].shape == intact.shape


def test_noise_depends_on_the_image_and_the_seed_and_not_on_the_batch(simultaneous):
    model = simultaneous

    def noisy(images, seed=0, t="5"):
        with lesion(model, "td:LOC->V4", "V1/bu", timesteps=t, action=Noise(0.5, seed)):
            return record(model, images, "V4/td")

    both, swapped = noisy(IMAGES), noisy(IMAGES.flip(0))
    for key, value in both.items():
        torch.testing.assert_close(value, swapped[key].flip(0), rtol=0, atol=1e-4)
    assert torch.equal(noisy(IMAGES)["V4", "td", 6], both["V4", "td", 6])
    assert not torch.equal(noisy(IMAGES, seed=1)["V4", "td", 5], both["V4", "td", 5])
    intact = record(model, IMAGES, Select("V1", streams="bu", timesteps=5))["V1", "bu", 5]
    with lesion(model, "V1/bu@5=noise(0.5,seed=3)"):
        added = record(model, IMAGES, Select("V1", streams="bu", timesteps=5))["V1", "bu", 5] - intact
    for image in range(2):
        assert float(added[image].std() / intact[image].std()) == pytest.approx(0.5, rel=0.01)
        assert abs(float(added[image].mean() / intact[image].std())) < 0.01
    flat = added.flatten(1)
    assert abs(float(torch.corrcoef(flat)[0, 1])) < 0.01


def test_lesions_compose_and_go(simultaneous):
    model = simultaneous
    intact = record(model, IMAGES, "V4:LOC")
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    with model.lesion("td:LOC->V4", strength=0.5) as inside:
        assert inside is model
        with model.lesion("td:LOC->V4", strength=0.5), model.lesion("lateral:V4"):
            twice = record(model, IMAGES, "V4")
            assert len(model.provenance["lesions"]) == 3
    with model.lesion("td:LOC->V4=0.25", "lateral:V4"):
        torch.testing.assert_close(record(model, IMAGES, "V4"), twice, rtol=0, atol=1e-5)
    first, second = model.lesion("td:*"), model.lesion("lateral:*")
    first.restore()
    assert [one["on"][0] for one in model.provenance["lesions"]] == ["lateral:LOC/bu"]
    second.restore()
    second.restore()
    with pytest.raises(RuntimeError, match="mine"), model.lesion("td:*"):
        raise RuntimeError("mine")
    assert model.lesions == () and "lesions" not in model.provenance
    assert model.graph is model.intact
    assert_same(record(model, IMAGES, "V4:LOC"), intact)
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


def test_hooks_see_lesioned_activity_and_act_before_nothing_else(simultaneous):
    model = simultaneous
    with lesion(model, "V4/bu@5=clamp(1)"):
        seen = []
        with model.tap(State("V4", "bu", 5)).register_forward_hook(lambda m, i, out: seen.append(out.clone())):
            record(model, IMAGES, Select("LOC", streams="bu", timesteps=6))
    assert torch.equal(seen[0], torch.ones_like(seen[0]))


def test_gradients_pass_through_scaled_and_stop_at_silenced_connections(simultaneous):
    model = simultaneous

    def gradient(strength):
        images, state = IMAGES[:1].clone().requires_grad_(), State("LGN", "bu", 5)
        with lesion(model, "bu:Retina->LGN", timesteps=5, strength=strength):
            out = model.run(images, [state])[state]
        # the drive is gone, and with it what the gate multiplies
        return torch.autograd.grad(out.square().sum(), images, allow_unused=True)[0]

    assert gradient(0.5).abs().sum() > 0
    assert gradient(0.0) is None


def test_a_single_readout_leaves_absent_logits_out():
    model = golden_model(timesteps=6, readout_type="single", bio_unroll=False)
    with torch.no_grad():
        model.readout_weights[:] = torch.arange(6.0)
        logits = [record(model, IMAGES)["Readout", "bu", t] for t in range(6)]
        share = torch.softmax(model.readout_weights, 0)
        with lesion(model, "bu:LOC->Readout@2"):
            (out,) = model(IMAGES)
            now = [record(model, IMAGES)["Readout", "bu", t] for t in (0, 1, 3, 4, 5)]
        expected = sum(share[t] * x for t, x in zip((0, 1, 3, 4, 5), now, strict=True))
        torch.testing.assert_close(out, expected)
        assert torch.equal(now[1], logits[1])
        with lesion(model, "bu:LOC->Readout"), pytest.raises(SpecError, match="no activity reaches the readout"):
            model(IMAGES)


@pytest.mark.parametrize(
    "text", ["td:LOC->V4@3:=0", "lateral:*/td@4,6=freeze", "V4/td@2:5=noise(0.5,seed=3)", "skip:*"]
)
def test_text_says_the_same_again(simultaneous, text):
    def described(text):
        with simultaneous.lesion(text):
            (one,) = simultaneous.lesions
            return str(one), one.describe()

    written, meant = described(text)
    assert described(written) == (written, meant)


def test_lesions_travel_with_a_model_that_is_sent_to_another_process(simultaneous):
    with simultaneous.lesion("td:LOC->V4@5:=0.5", "V1/bu=noise(0.1)", "V4/td@6=freeze"):
        expected = record(simultaneous, IMAGES, "V4")
        sent = pickle.loads(pickle.dumps(simultaneous))
    assert len(sent.provenance["lesions"]) == 3
    assert_same(record(sent, IMAGES, "V4"), expected)
    sent.lesions = ()
    assert_same(record(sent, IMAGES, "V4"), record(simultaneous, IMAGES, "V4"))


def test_what_is_described_does_not_depend_on_how_it_was_written(simultaneous):
    model = simultaneous
    with model.lesion("lateral:V1", timesteps="3:"):
        one = model.provenance["lesions"]
    with model.lesion("lateral:V1@3,4,5,6=0.0"):
        assert model.provenance["lesions"] == one
    assert one == [
        {"on": ["lateral:V1/bu", "lateral:V1/td"], "timesteps": [3, 4, 5, 6], "action": "scale", "strength": 0.0}
    ]


def test_patterns_from_files(simultaneous, tmp_path):
    pattern = np.random.default_rng(0).standard_normal(simultaneous.shape("V4/td")).astype(np.float32)
    np.save(tmp_path / "pattern.npy", pattern)
    with simultaneous.lesion(f"V4/td@4:=clamp({tmp_path / 'pattern.npy'})"):
        got = record(simultaneous, IMAGES, Select("V4", streams="td", timesteps=5))["V4", "td", 5]
        (about,) = simultaneous.provenance["lesions"]
    assert torch.equal(got, torch.from_numpy(pattern).expand_as(got))
    assert about["action"] == "clamp" and len(about["sha256"]) == 64 and about["shape"] == list(pattern.shape)


def test_actions_are_read():
    assert parse_action("0.5") == Scale(0.5)
    assert parse_action("freeze") == Freeze()
    assert parse_action("noise(0.5)") == Noise(0.5, 0)
    assert parse_action("noise( 2 , seed = 7 )") == Noise(2.0, 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("td:LOC->V3", r"unknown connection 'td:LOC->V3' \(did you mean 'td:LOC->V4'"),
        ("feedback:V4", "unknown connection"),
        ("V4", "a site is written area/stream"),
        ("V9/td", "unknown area 'V9'"),
        ("V4/up", "unknown stream 'up'"),
        ("td:LOC->V4@9:", "not a range within 0:7"),
        ("td:LOC->V4@0:4", r"nothing to lesion at timesteps 0:4: td:LOC->V4 is used at timesteps 5:7"),
        ("Retina/td", "never used within 7 timesteps of the simultaneous schedule"),
        ("td:LOC->V4=", "ends with '='"),
        ("td:LOC->V4=nan", "finite number"),
        ("td:LOC->V4=off", "unknown action 'off'"),
        ("td:LOC->V4=noise(-1)", "a number from 0"),
        ("td:LOC->V4=noise(x)", "noise is written"),
        ("td:LOC->V4=noise(1,2)", "noise is written"),
        ("td:LOC->V4=freeze", "nothing comes before timestep 0"),
        ("td:LOC->V4=freeze(2)", "freeze takes nothing"),
        ("td:LOC->V4=add(1)", "is for sites, such as 'V4/bu'"),
        ("V4/td=add(nothing.npy)", "a pattern is a number or a .npy file"),
        ("V4/td=add(nan)", "holds NaN"),
        ("V4/td=add(inf)", "infinite"),
        ("V4/td=add()", r"a number or a .npy file of numbers \(nothing is named\)"),
        ("V4/td=add(none.npy)", r"a number or a .npy file of numbers \(there is no file none.npy\)"),
        ("", "a site is written"),
    ],
)
def test_errors(simultaneous, text, message):
    with pytest.raises(SpecError, match=message):
        simultaneous.lesion(text)
    assert simultaneous.lesions == ()


@pytest.mark.parametrize(
    "pattern", [np.ones(64) * 1j, np.array(["1"]), np.array(["2020-01-01"], "M8[D]"), None, [None]]
)
def test_what_is_no_real_number_is_no_pattern(pattern):
    with pytest.raises(SpecError, match="array of real numbers; got"):
        Clamp(pattern)


def test_patterns_of_any_real_type():
    for pattern in (torch.full((2,), 0.5, dtype=torch.bfloat16), torch.full((2,), 0.5, requires_grad=True), [0.5, 0.5]):
        np.testing.assert_array_equal(Add(pattern).values, np.float32([0.5, 0.5]))


@pytest.mark.parametrize("options", [{"strength": 1j}, {"strength": "a"}, {"action": "freeze"}, {"action": Scale}])
def test_what_is_no_action_leaves_no_lesion(simultaneous, options):
    with pytest.raises(SpecError, match="finite number|an action is a Scale, Freeze"):
        simultaneous.lesion("V4/td", **options)
    assert simultaneous.lesions == ()


def test_more_errors(simultaneous):
    with pytest.raises(SpecError, match="no target to lesion; valid: bu:image->Retina"):
        simultaneous.lesion()
    with pytest.raises(SpecError, match=r"a pattern for V4/td has shape \(\) or \(64,\) or \(64, 16, 16\); got \(3,\)"):
        simultaneous.lesion("V4/td", action=Add(np.zeros(3)))
    with (
        simultaneous.lesion("td:*", timesteps="5"),
        pytest.raises(SpecError, match=r"both touch td:LOC->V4 at timesteps 5"),
    ):
        simultaneous.lesion("td:LOC->V4@4:=freeze")
    sweep = golden_model(timesteps=2, bio_unroll=False)
    with pytest.raises(SpecError, match="skip:V4->V1 is never used within 2 timesteps of the sweep schedule"):
        sweep.lesion("skip:V4->V1")
    without = golden_model(timesteps=2, lateral_connections=False)
    with pytest.raises(SpecError, match="unknown connection 'lateral:V1'"):
        without.lesion("lateral:V1")
