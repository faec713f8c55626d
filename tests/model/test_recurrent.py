"""Recurrent networks of one's own: every call of a layer is a timestep, to the bit what a plain loop collects."""

from __future__ import annotations

import pickle
import re

import pytest
import torch
from torch import Tensor, nn

import bltvs_neuro as bn
from bltvs_neuro.errors import SpecError
from bltvs_neuro.extraction import record_tensors
from bltvs_neuro.model import State
from bltvs_neuro.model.constant import constant_states

from .recurrent import KINDS, SIZE, TRANSFORM, CORnetRT, FourPasses, PatchRNN, Yields, made

IMAGES = torch.randn(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def wrapped(kind: str):
    return bn.wrap(made(kind), KINDS[kind][1], TRANSFORM, kind, timesteps=KINDS[kind][2])


@pytest.mark.parametrize("kind", KINDS)
def test_every_call_is_recorded_as_a_plain_loop_has_it(kind):
    model = wrapped(kind)
    with torch.no_grad():
        expected = made(kind).by_hand(IMAGES)
    got = record_tensors(model, IMAGES)
    assert {(area, t) for area, _, t in got} == set(expected)
    for (area, t), value in expected.items():
        assert torch.equal(got[area, "bu", t], value), (area, t)
        assert model.shape(f"{area}/bu") == tuple(value.shape[1:])
    with torch.no_grad():
        for t, logits in zip(model.logit_timesteps, model(IMAGES), strict=True):
            assert torch.equal(logits, expected["logits", t])


def test_each_area_has_its_own_clock_and_positions():
    model = wrapped("four passes")
    assert model.areas == ("entry", "loop", "relu", "logits")
    assert (model.timesteps, model.usual_areas) == (4, "entry:relu")
    assert [model.timesteps_of(f"{area}/bu") for area in model.areas] == [(0,), (0, 1, 2, 3), (0, 1, 2, 3), (0,)]
    assert tuple(model.grid("relu/bu")) == tuple(model.grid("entry/bu")) == (2, 0)
    assert model.config["timesteps"] == {"entry": [0], "loop": [0, 1, 2, 3], "relu": [0, 1, 2, 3], "logits": [0]}
    late = wrapped("yields")
    assert [late.onset(f"{area}/bu") for area in late.areas] == [0, 0, 1, 2]
    assert late.logit_timesteps == (2, 3)


def test_what_nothing_has_reached_is_constant():
    model = wrapped("CORnet-RT")
    constant = {(s.area, s.timestep) for s in model.states() if model.is_constant(s)}
    assert constant == {("V2", 0), ("V4", 0), ("V4", 1), ("IT", 0), ("IT", 1), ("IT", 2)}
    late = wrapped("yields")
    assert [late.is_constant(State("state", "bu", t)) for t in range(4)] == [True, False, False, False]


@pytest.mark.parametrize(("values", "same"), [((1, 1, 1), True), ((1, 1, 2), False), ((1, 2, 1), False)])
def test_what_differs_for_one_image_is_not_constant(values, same):
    class Given(nn.Module):
        image_size, left = 4, list(values)

        def states(self):
            return iter([State("a", "bu", 0)])

        def run(self, images, outputs):
            return {State("a", "bu", 0): torch.tensor(self.left.pop(0))}

    assert constant_states(Given()) == ({State("a", "bu", 0)} if same else set())


def test_nothing_is_computed_beyond_the_last_call_that_is_asked_for():
    counted: list[int] = []
    model = wrapped("four passes")
    model.network.loop.register_forward_pre_hook(lambda *_: counted.append(1))
    record_tensors(model, IMAGES, "loop/bu@1")
    assert len(counted) == 2
    record_tensors(model, IMAGES, "loop/bu@1,entry")
    assert len(counted) == 4
    late = wrapped("yields")
    record_tensors(late, IMAGES, "second/bu@1")
    assert late.network.steps == 2
    record_tensors(late, IMAGES, "state/bu@0")
    assert late.network.steps == 1


def test_what_a_hook_returns_is_what_the_network_goes_on_with():
    """A loop, a cell's second tensor, a recurrent layer of torch: each against the same done by hand."""
    model, twice = wrapped("CORnet-RT"), lambda module, inputs, out: 2 * out

    class Doubled(CORnetRT):
        def by_hand(self, images):
            found: dict = {}
            original = self.V1.forward
            count = iter(range(5))
            self.V1.forward = lambda *args: original(*args) * (2 if next(count) == 1 else 1)
            found = super().by_hand(images)
            self.V1.forward = original
            return found

    by_hand = Doubled().eval()
    by_hand.load_state_dict(model.network.state_dict())
    with model.tap(State("V1", "bu", 1)).register_forward_hook(twice), torch.no_grad():
        got, expected = record_tensors(model, IMAGES), by_hand.by_hand(IMAGES)
    for (area, t), value in expected.items():
        assert torch.equal(got[area, "bu", t], value), (area, t)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("batch_first", [True, False])
def test_a_step_of_a_recurrent_layer_that_is_changed_changes_those_after_it(kind, batch_first):
    torch.manual_seed(0)
    network = PatchRNN(kind, batch_first=batch_first).eval()
    model = bn.wrap(network, ["rnn"], TRANSFORM, "rnn", timesteps="calls")
    cell = {nn.RNN: nn.RNNCell, nn.GRU: nn.GRUCell, nn.LSTM: nn.LSTMCell}[kind](8, 7)
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in network.rnn.state_dict().items()})
    with torch.no_grad():
        patches, state, expected = network.patches(IMAGES).flatten(2), None, []
        for t in range(4):
            state = cell(patches[:, :, t], state)
            hidden = state[0] if isinstance(state, tuple) else state
            if t in (1, 2):
                hidden = hidden * -2
                state = (hidden, state[1]) if isinstance(state, tuple) else hidden
            expected.append(hidden)
        expected.append(network.head(hidden))
    handles = [model.tap(State("rnn", "bu", t)).register_forward_hook(lambda m, i, out: -2 * out) for t in (1, 2)]
    got = record_tensors(model, IMAGES)
    for handle in handles:
        handle.remove()
    for t in range(4):
        torch.testing.assert_close(got["rnn", "bu", t], expected[t], rtol=0, atol=1e-6)
    torch.testing.assert_close(got["logits", "bu", 0], expected[4], rtol=0, atol=1e-6)
    assert torch.equal(record_tensors(model, IMAGES)["rnn", "bu", 3], made_output(network)[:, 3])


@torch.no_grad()
def made_output(network: PatchRNN) -> Tensor:
    return network.read(IMAGES)[0]


def test_lists_of_logits_and_states_that_are_returned_together():
    class Listed(Yields):
        def forward(self, images):
            return [state["logits"] for state in super().forward(images) if "logits" in state]

    torch.manual_seed(0)
    model = bn.wrap(Listed().eval(), ["second"], TRANSFORM, "listed", timesteps="calls")
    assert model.logit_timesteps == (0, 1) and model.timesteps_of("second/bu") == (0, 1, 2)
    by_hand = made("yields").by_hand(IMAGES)
    assert torch.equal(record_tensors(model, IMAGES)["logits", "bu", 1], by_hand["logits", 3])

    class Together(Yields):
        def forward(self, images):
            return list(super().forward(images))

    torch.manual_seed(0)
    together = bn.wrap(Together().eval(), {"late": "#state"}, TRANSFORM, "together", timesteps="forward")
    assert torch.equal(record_tensors(together, IMAGES)["late", "bu", 3], by_hand["state", 3])
    with pytest.raises(SpecError, match="layer 'second' is called more than once in a step"):
        bn.wrap(Together(), ["second"], TRANSFORM, "together", timesteps="forward")


def pixel_values(network: nn.Module, images: Tensor) -> Tensor:
    return network({"pixel_values": images})["pooled"]


def test_a_call_takes_inputs_and_logits_of_another_form():
    class Other(FourPasses):
        def forward(self, inputs):
            return {"pooled": super().forward(inputs["pixel_values"]), "mask": None}

    torch.manual_seed(0)
    network = Other()
    with pytest.raises(SpecError, match="what takes them otherwise needs a call"):
        bn.wrap(network, ["loop"], TRANSFORM, "other", timesteps="calls")
    model = bn.wrap(network, ["loop"], TRANSFORM, "other", timesteps="calls", call=pixel_values)
    expected = made("four passes").by_hand(IMAGES)
    assert torch.equal(record_tensors(model, IMAGES)["loop", "bu", 3], expected["loop", 3])
    assert torch.equal(model(IMAGES)[0], expected["logits", 0])


def test_the_one_tensor_of_a_tuple_needs_no_name():
    class Block(nn.Conv2d):
        def forward(self, x):
            return super().forward(x), None

    class Blocks(nn.Module):
        def __init__(self):
            super().__init__()
            self.block, self.head = Block(3, 4, 3), nn.Linear(4, 5)

        def forward(self, images):
            return self.head(self.block(images)[0].mean((2, 3)))

    model = bn.wrap(Blocks(), ["block"], TRANSFORM, "blocks")
    with torch.no_grad():
        expected = model.network.block(IMAGES)[0]
    assert torch.equal(record_tensors(model, IMAGES)["block", "bu", 0], expected)
    with model.lesion("block/bu"):
        assert torch.equal(model(IMAGES)[0], model.network.head.bias.expand(3, -1))


def pooled(network: nn.Module, images: Tensor) -> Tensor:
    return network(pixel_values=images).pooler_output


@pytest.mark.parametrize("kind", ["Dinov2", "CLIPVision", "SiglipVision"])
def test_networks_of_transformers(kind):
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{kind}Config")(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=SIZE, patch_size=16
    )
    torch.manual_seed(0)
    network = getattr(transformers, f"{kind}Model")(config).eval()
    blocks = [name for name, _ in network.named_modules() if re.fullmatch(r".*layers?\.\d", name)]
    model = bn.wrap(network, blocks, TRANSFORM, kind, call=pooled)
    with torch.no_grad():
        out = network(pixel_values=IMAGES, output_hidden_states=True)
    got = record_tensors(model, IMAGES)
    for name, expected in zip(blocks, out.hidden_states[1:], strict=True):
        assert torch.equal(got[name, "bu", 0], expected.transpose(1, 2))
    assert torch.equal(got["logits", "bu", 0], out.pooler_output)
    with model.lesion(f"{blocks[0]}/bu", strength=1):
        for key, value in record_tensors(model, IMAGES).items():
            assert torch.equal(value, got[key])
    with model.lesion(f"{blocks[0]}/bu[token=1:]"):
        assert not torch.equal(record_tensors(model, IMAGES)["logits", "bu", 0], out.pooler_output)


def test_a_wrapped_network_travels():
    model = wrapped("CORnet-RT")
    sent = pickle.loads(pickle.dumps(model))
    assert torch.equal(record_tensors(sent, IMAGES)["IT", "bu", 4], record_tensors(model, IMAGES)["IT", "bu", 4])


class Halting(FourPasses):
    """Goes on until its activity is large enough: not as often for every image."""

    def forward(self, images: Tensor) -> Tensor:
        x = self.entry(images)
        for _ in range(2 if images.abs().mean() < self.least else 4):
            x = torch.relu(self.loop(x))
        return self.head(x.mean((2, 3)))

    least = 0.6


def test_a_layer_that_is_called_a_varying_number_of_times_is_refused():
    with pytest.raises(SpecError, match="'loop' is called 4 times for some images and 2 times for others"):
        bn.wrap(Halting(), ["loop"], TRANSFORM, "halting", timesteps="calls")
    for before, after, message in ((0, 99, "called 2 times for some images and 4"), (99, 0, "called 3 times .* and 2")):
        network = Halting()
        network.least = before
        model = bn.wrap(network, ["loop"], TRANSFORM, "halting", timesteps="calls")
        network.least = after  # as if it were trained on
        with pytest.raises(SpecError, match=message):
            record_tensors(model, IMAGES, "loop,logits")


class Remembers(FourPasses):
    """Begins where it was left."""

    def forward(self, images: Tensor) -> Tensor:
        start = self.entry(images)
        self.state = torch.relu(self.loop(start + getattr(self, "state", start).mean(0)))
        return self.head(self.state.mean((2, 3)))


class Noisy(FourPasses):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images + torch.randn_like(images))


def test_a_state_that_stays_between_images_is_refused_and_noise_is_not():
    with pytest.raises(SpecError, match="gives something else for the same image a second time: it keeps a state"):
        bn.wrap(Remembers(), ["loop"], TRANSFORM, "remembers", timesteps="calls")
    before = torch.random.get_rng_state()
    assert bn.wrap(Noisy(), ["loop"], TRANSFORM, "noisy", timesteps="calls").timesteps == 4
    torch.random.set_rng_state(before)
    network, drawn = Noisy(), torch.rand(1)
    torch.random.set_rng_state(before)
    network = Noisy()
    bn.wrap(network, ["loop"], TRANSFORM, "noisy", timesteps="calls")
    assert torch.equal(torch.rand(1), drawn)  # whoever wraps draws nothing of the caller's


@pytest.mark.parametrize(
    ("network", "layers", "options", "message"),
    [
        (FourPasses, ["loop"], {}, r"'loop' is called 4 times \(timesteps='calls' makes them timesteps\)"),
        (FourPasses, ["loop"], {"timesteps": "call"}, "unknown timesteps 'call'"),
        (FourPasses, ["entry"], {"timesteps": "forward"}, "returns a list of states or yields them"),
        (FourPasses, ["loop", "loop"], {"timesteps": "calls"}, "named once each"),
        (FourPasses, {"a/b": "loop"}, {"timesteps": "calls"}, "an area's name is letters, digits"),
        (PatchRNN, ["rnn"], {}, r"'rnn' gives no single tensor of 2 to 4 dimensions, but tuple"),
        (PatchRNN, ["rnn#1"], {"timesteps": "calls"}, "whose first dimension is not the batch of 2"),
        (PatchRNN, ["rnn#5"], {"timesteps": "calls"}, "'rnn.5' gives no single tensor"),
        (Yields, ["first"], {}, "a network must return logits"),
        (Yields, ["#other"], {"timesteps": "forward"}, "'other' gives nothing at #other"),
        (Yields, ["third"], {"timesteps": "forward"}, r"unknown layer 'third'"),
    ],
)  # fmt: skip
def test_errors(network, layers, options, message):
    with pytest.raises(SpecError, match=message):
        bn.wrap(network(), layers, TRANSFORM, "mine", **options)


@pytest.mark.parametrize(
    ("kind", "layer"), [("four passes", "loop"), ("CORnet-RT", "IT"), ("shared transformer", "block")]
)
def test_torchlens_sees_the_same_calls(kind, layer):
    torchlens = pytest.importorskip("torchlens", minversion="2")
    with torch.no_grad():
        trace = torchlens.trace(made(kind), IMAGES)
    got = record_tensors(wrapped(kind), IMAGES)
    steps = [t for area, _, t in got if area == layer]
    assert len(steps) > 2
    for t in steps:
        value = trace[f"{layer}:{t + 1}"].out
        assert torch.equal(got[layer, "bu", t], value if value.ndim == 4 else value.transpose(1, 2))
