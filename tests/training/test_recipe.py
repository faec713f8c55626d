"""Each part of the recipe against a reference."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.model.transform import symmetric
from bltvs_neuro.training.config import AugmentConfig, OptimizerConfig
from bltvs_neuro.training.optimisation.clipping import EPS, clip_gradients, unit_axes
from bltvs_neuro.training.optimisation.loss import Criterion, class_weights
from bltvs_neuro.training.optimisation.schedule import LearningRate
from bltvs_neuro.training.pictures.augment import Augment
from bltvs_neuro.training.pictures.order import Order


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 6, 3)
        self.up = nn.ConvTranspose2d(6, 4, 3)
        self.depthwise = nn.Conv2d(6, 6, 3, groups=6)
        self.norm = nn.GroupNorm(1, 6)
        self.out = nn.Linear(6, 2)


def brock(weight: np.ndarray, gradient: np.ndarray, factor: float) -> np.ndarray:
    """Equation 3 of Brock et al. 2021 for the weights of one unit, in plain loops."""
    size = math.sqrt(sum(float(g) ** 2 for g in gradient.ravel()))
    bound = max(math.sqrt(sum(float(w) ** 2 for w in weight.ravel())), EPS)
    return gradient * (factor * bound / size) if size / bound > factor else gradient


@pytest.mark.parametrize("by", ["unit", "tensor"])
def test_gradient_clipping_against_a_plain_implementation(by):
    torch.manual_seed(0)
    model = Mixed()
    model.norm.bias.data.zero_()  # weights of zero count as EPS
    for at, parameter in enumerate(model.parameters()):
        parameter.grad = torch.randn_like(parameter) * 10.0 ** (at % 4 - 3)
    expected = {}
    for name, parameter in model.named_parameters():
        weight, gradient = parameter.detach().double().numpy(), parameter.grad.double().numpy()
        if by == "tensor" or parameter.ndim < 2:
            expected[name] = brock(weight, gradient, 0.1)
        else:
            axis = 1 if name == "up.weight" else 0  # a transposed convolution's units are its second axis
            units = [
                brock(w, g, 0.1) for w, g in zip(*(np.moveaxis(a, axis, 0) for a in (weight, gradient)), strict=True)
            ]
            expected[name] = np.moveaxis(np.stack(units), 0, axis)
    before = {name: p.grad.clone() for name, p in model.named_parameters()}
    clip_gradients(unit_axes(model), 0.1, by)
    changed = 0
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(parameter.grad.numpy(), expected[name], rtol=1e-5, atol=1e-12, err_msg=name)
        changed += not torch.equal(parameter.grad, before[name])
    assert 0 < changed < len(before)  # some were clipped and some were not


def rates(config: OptimizerConfig, losses, epochs: int = 0) -> list[float]:
    rate = LearningRate(config, epochs)
    values = [rate.value]
    for loss in losses:
        rate.step(loss)
        values.append(rate.value)
    return values


def test_warm_up_is_that_of_torch():
    config = OptimizerConfig(learning_rate=3e-3, warmup_epochs=5, warmup_start=0.01)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=3e-3)
    reference = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.01, total_iters=4)
    expected = []
    for _ in range(6):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()
    np.testing.assert_allclose(rates(config, [5, 4, 3, 2, 1]), expected, rtol=1e-12)


def test_the_rate_is_halved_at_the_third_epoch_that_stands_still():
    config = OptimizerConfig(learning_rate=1.0, warmup_epochs=0)
    # five epochs make the first fit, which is the first bad one; the third bad one is at epoch 7
    assert rates(config, [2.0] * 7) == [1.0] * 7 + [0.5]
    # the history starts anew after halving: seven more epochs until the next
    assert rates(config, [2.0] * 14)[-2:] == [0.5, 0.25]


@pytest.mark.parametrize(("percent", "halved"), [(0.99, True), (1.01, False)])
def test_the_threshold_is_one_percent_of_the_fit_over_five_epochs(percent, halved):
    # a geometric curve whose fitted line falls by the same share at every epoch
    def curve(share: float) -> list[float]:
        return [2.0 * share**at for at in range(7)]

    def fall(share: float) -> float:
        slope, start = np.polyfit(np.arange(5), curve(share)[:5], 1)
        return -100 * slope * 4 / start

    low, high = 0.99, 1.0  # bisect for the share whose line falls by ``percent``
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if fall(middle) > percent else (low, middle)
    config = OptimizerConfig(learning_rate=1.0, warmup_epochs=0)
    assert (rates(config, curve(high))[-1] == 0.5) == halved


def test_one_good_epoch_starts_the_count_anew():
    config = OptimizerConfig(learning_rate=1.0, warmup_epochs=0)
    stands = [2.0] * 6  # two bad epochs
    assert rates(config, [*stands, 1.0, *[1.0] * 3])[-1] == 1.0
    worse = [*[2.0] * 5, 2.1, 2.2]  # rising is bad too
    assert rates(config, worse)[-1] == 0.5


def test_the_run_ends_at_the_lowest_rate_and_not_in_the_warm_up():
    config = OptimizerConfig(learning_rate=1e-5, warmup_epochs=5, warmup_start=0.01, stop_at=1e-6)
    rate = LearningRate(config, 0)
    assert rate.value < 1e-6
    assert not rate.converged
    seen = []
    while not rate.converged:
        rate.step(2.0)
        seen.append(rate.value)
        assert len(seen) < 100
    assert seen[-1] == pytest.approx(1e-5 / 16)  # the first of 1/2, 1/4 ... that is not above 1e-6


def test_cosine_begins_where_the_warm_up_ends_and_ends_at_zero():
    config = OptimizerConfig(learning_rate=1.0, warmup_epochs=3, warmup_start=0.1, schedule="cosine")
    values = rates(config, [1.0] * 10, epochs=10)
    assert values[0] == pytest.approx(0.1)
    assert values[2] == pytest.approx(1.0)
    assert values[6] == pytest.approx(0.5)
    assert values[10] == pytest.approx(0.0, abs=1e-12)


def test_a_schedule_goes_on_from_its_state():
    config = OptimizerConfig(learning_rate=1.0, warmup_epochs=2)
    losses = [3.0, 2.0, *np.linspace(1.9, 1.89, 12)]
    whole, first = LearningRate(config, 0), LearningRate(config, 0)
    for loss in losses[:6]:
        whole.step(loss), first.step(loss)
    second = LearningRate(config, 0)
    second.load_state_dict(first.state_dict())
    for loss in losses[6:]:
        whole.step(loss), second.step(loss)
        assert second.state_dict() == whole.state_dict()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_is_torch_s_on_the_whole_batch_however_it_is_split(smoothing):
    torch.manual_seed(0)
    weight = class_weights(np.array([0, 0, 0, 1, 1, 2, 3, 3]), "abcd")
    assert weight.mean() == pytest.approx(1)
    assert weight[2] / weight[0] == pytest.approx(3)
    outputs = [torch.randn(12, 4) for _ in range(3)]
    labels = torch.randint(4, (12,))
    reference = nn.CrossEntropyLoss(weight, label_smoothing=smoothing)
    expected = sum(reference(output, labels) for output in outputs) / 3
    criterion = Criterion(weight, smoothing)
    parts = [slice(0, 5), slice(5, 6), slice(6, 12)]
    total = sum(criterion.total([output[part] for output in outputs], labels[part]) for part in parts)
    normaliser = sum(criterion.normaliser(labels[part]) for part in parts)
    assert float(total / normaliser) == pytest.approx(float(expected), rel=1e-6)


def test_a_class_without_pictures_is_named():
    with pytest.raises(DataError, match="1 class has no training picture: c"):
        class_weights(np.array([0, 1]), "abc")


def test_every_pass_takes_every_picture_once_and_processes_share_batches():
    order = Order(25, 4, seed=3)
    assert order.steps_per_pass == 6
    passes = [[row for step in range(6 * k, 6 * k + 6) for row in order.batch(step)] for k in range(2)]
    for number, keys in enumerate(passes):
        assert {key[0] for key in keys} == {number}
        assert len({row for _, row in keys}) == 24
    assert [row for _, row in passes[0]] != [row for _, row in passes[1]]
    assert order.batch(8) == Order(25, 4, seed=3).batch(8)  # whatever was asked for before
    assert order.batch(8) != Order(25, 4, seed=4).batch(8)
    shares = [list(itertools.islice(order.share(2, rank, 2), 3)) for rank in range(2)]
    for at, step in enumerate(range(2, 5)):
        assert sorted([*shares[0][at], *shares[1][at]]) == sorted(order.batch(step))
    with pytest.raises(SpecError, match="not a multiple of the 3 processes"):
        next(order.share(0, 0, 3))
    with pytest.raises(SpecError, match="there are 25 training pictures"):
        Order(25, 26, 0)


def test_augmentation_follows_its_seed_alone():
    rgb = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
    augment = Augment(AugmentConfig(), symmetric(128))
    state = torch.get_rng_state()
    first = augment(rgb, (0, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.shape == (3, 128, 128)
    assert first.dtype == torch.uint8
    torch.rand(7)
    assert torch.equal(augment(rgb, (0, 1, 2)), first)
    others = [augment(rgb, (0, 1, row)) for row in range(3, 11)]
    assert len({tuple(other.flatten().tolist()) for other in others}) == 8
    plain = Augment(AugmentConfig(crop="center", blur=0, flip=0, trivial=False), symmetric(128))
    assert np.array_equal(plain(rgb, (0,)).numpy(), symmetric(128).crop(rgb))


def test_augmentation_does_what_its_probabilities_say():
    rgb = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    plain = torch.from_numpy(rgb.transpose(2, 0, 1).copy())

    def share(changed, **options) -> float:
        augment = Augment(
            AugmentConfig(**{"crop": "center", "blur": 0, "flip": 0, "trivial": False} | options), symmetric(32)
        )
        return float(np.mean([changed(augment(rgb, (0, 0, row))) for row in range(200)]))

    assert share(lambda x: torch.equal(x, plain.flip(2)), flip=0.3) == pytest.approx(0.3, abs=0.1)
    assert share(lambda x: not torch.equal(x, plain), blur=0.7) == pytest.approx(0.7, abs=0.1)
    assert share(lambda x: not torch.equal(x, plain), trivial=True) > 0.7
    # blur is along both axes: neighbours in both directions become alike
    augment = Augment(AugmentConfig(crop="center", blur=1, flip=0, trivial=False), symmetric(32))
    blurred = torch.stack([augment(rgb, (0, 0, row)) for row in range(20)]).float()  # of different widths
    for dim in (1, 2):
        steps = blurred.diff(dim=dim + 1).abs().mean(dim=(1, 2, 3)) / plain.float().diff(dim=dim).abs().mean()
        assert steps.min() < 0.5
        assert steps.max() <= 1
