"""The CORnets: four areas, each fed by the one below; Z is feed-forward, in R, RT and S areas are recurrent in themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from ..forward import Pass
from ..network import MOST_CLASSES, MOST_PIXELS, Grid, Network, State, check_count
from ..transform import IMAGENET_MEAN, IMAGENET_STD, Transform

CHANNELS = {"V1": 64, "V2": 128, "V4": 256, "IT": 512}
EXPANSION = 4
"""Channels inside a recurrent block of CORnet-S, relative to those of the area."""


class Decoder(nn.Module):
    """Mean over space and a linear readout."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, num_classes)."""
        return self.linear(x.mean(dim=(2, 3)))


class CORnet(Network):
    """What the CORnets share, for images of at least 32 pixels; the names of the parameters are those of the released files.

    ``times`` are the timesteps of each area.

    References
    ----------
    Kubilius, Schrimpf et al. 2018, CORnet: Modeling the neural mechanisms of core object recognition. doi:10.1101/408385
    """

    times: ClassVar[dict[str, int]] = dict.fromkeys(CHANNELS, 5)
    overwrites = False

    def __init__(self, num_classes: int = 1000, image_size: int = 224) -> None:
        super().__init__()
        check_count("num_classes", num_classes, MOST_CLASSES)
        check_count("image_size", image_size, MOST_PIXELS, least=32)
        self.config = {"num_classes": num_classes, "image_size": image_size}
        self.areas, self.usual_areas, self.streams = (*CHANNELS, "decoder"), "V1:IT", ("bu",)
        self.timesteps, self.schedule_name = max(self.times.values()), "each area its own clock"
        self.num_classes, self.image_size = num_classes, image_size
        self.transform = Transform(image_size, image_size * 256 // 224, mean=IMAGENET_MEAN, std=IMAGENET_STD)
        self.provenance = {"model": type(self).__name__, "weights": "as constructed"}
        self.shapes, self.grids = {"decoder": (num_classes,)}, {}
        below, units, stride = 3, (image_size + 3) // 4, 4  # halved twice, rounded up
        for area, channels in CHANNELS.items():
            self.add_module(area, self.cell(area, below, channels))
            self.shapes[area], self.grids[area] = (channels, units, units), Grid(stride)
            below, units, stride = channels, (units + 1) // 2, 2 * stride
        self.decoder = Decoder(below, num_classes)
        self.reset()
        self.add_taps()

    def cell(self, area: str, below: int, channels: int) -> nn.Module:
        """An area's module."""
        raise NotImplementedError

    def reset(self) -> None:
        """Draw weights as the original does."""

    def states(self) -> Iterator[State]:
        """Every area at each of its timesteps."""
        return (State(area, "bu", t) for area in self.areas for t in range(self.times.get(area, 1)))

    def order(self) -> Iterator[State]:
        """The states in the order in which they are computed."""
        return self.states()

    def step(self, state: State, below: Tensor | None, before: Tensor | None, images: Tensor) -> Tensor:
        """Compute one area from what the area below gave last, and what it gave itself before."""
        cell = self.get_submodule(state.area)
        return cell(below if before is None else before, state.timestep)

    @property
    def logit_timesteps(self) -> tuple[int, ...]:
        """The decoder's, once."""
        return (0,)

    def run(self, images: Tensor, outputs: Collection[State] = ()) -> dict[State, Tensor]:
        """Compute up to the last state that is hooked or among ``outputs``; see :meth:`Network.run`."""
        run = Pass(self, images, outputs)
        last: dict[str, Tensor] = {}
        below = dict(zip(self.areas, (None, *self.areas), strict=False))
        top = max((self.areas.index(state.area) for state in run.left), default=0)
        for state in self.order():
            if not run.left:
                break
            source = below[state.area]
            if state.area == "decoder":
                last["decoder"] = run.through(state, self.decoder(last["IT"]))
            elif self.areas.index(state.area) <= top:  # nothing comes back from the areas above
                fed = images if source is None else last.get(source)
                last[state.area] = run.through(state, self.step(state, fed, last.get(state.area), images))
        return run.kept


class Feedforward(nn.Module):
    """An area of CORnet-Z: a convolution, and the maximum of its neighbourhoods."""

    def __init__(self, below: int, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(below, channels, kernel, stride, kernel // 2)

    def forward(self, x: Tensor, timestep: int) -> Tensor:
        """Halve (B, below, 2H, 2W) to (B, C, H, W)."""
        return F.max_pool2d(F.relu(self.conv(x)), 3, stride=2, padding=1)


class CORnet_Z(CORnet):
    """CORnet-Z: one convolution an area."""

    times: ClassVar[dict[str, int]] = dict.fromkeys(CHANNELS, 1)

    def cell(self, area: str, below: int, channels: int) -> nn.Module:
        """V1 sees 7 x 7 pixels at every second, other areas 3 x 3 units of the area below."""
        return Feedforward(below, channels, *((7, 2) if area == "V1" else (3, 1)))

    def reset(self) -> None:
        """Xavier's uniform weights, without biases."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]


class Recurrent(nn.Module):
    """An area of CORnet-R and RT: its input and its state are added, and what comes out is both output and new state."""

    def __init__(self, below: int, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_input = nn.Conv2d(below, channels, kernel, stride, kernel // 2)
        self.norm_input = nn.GroupNorm(32, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(32, channels)

    def drive(self, below: Tensor) -> Tensor:
        """(B, below, stride * H, stride * W) -> (B, C, H, W)."""
        return F.relu(self.norm_input(self.conv_input(below)))

    def forward(self, total: Tensor) -> Tensor:
        """From the sum of input and state to the new state."""
        return F.relu(self.norm1(self.conv1(total)))


class CORnet_R(CORnet):
    """CORnet-R: five timesteps, at each of which activity goes up through all areas.

    At timestep 0 only V1 has an input, so that the other areas are then the same for every image.
    """

    must_look = True

    def cell(self, area: str, below: int, channels: int) -> nn.Module:
        """V1 sees 7 x 7 pixels at every fourth, other areas 3 x 3 units at every second."""
        return Recurrent(below, channels, *((7, 4) if area == "V1" else (3, 2)))

    def order(self) -> Iterator[State]:
        """Timestep by timestep, from V1 up, and the decoder."""
        yield from (State(area, "bu", t) for t in range(self.timesteps) for area in CHANNELS)
        yield State("decoder", "bu", 0)

    def step(self, state: State, below: Tensor | None, before: Tensor | None, images: Tensor) -> Tensor:
        """At timestep 0 the areas above V1 have no input, and no area has a state."""
        cell: Recurrent = self.get_submodule(state.area)  # type: ignore[assignment]
        silent = below is None or (state.timestep == 0 and state.area != "V1")
        drive = images.new_zeros(len(images), *self.shapes[state.area]) if silent else cell.drive(below)  # type: ignore[arg-type]
        return cell(drive if before is None else drive + before)


class CORnet_RT(CORnet_R):
    """CORnet-RT: five timesteps, at each of which every area reads what the area below gave at the one before.

    IT's first three timesteps are therefore the same for every image.
    """

    def order(self) -> Iterator[State]:
        """Timestep by timestep, from IT down, so that what the area below gave last is of the timestep before."""
        for state in (State(area, "bu", t) for t in range(self.timesteps) for area in reversed(CHANNELS)):
            yield state
            if state == ("IT", "bu", self.timesteps - 1):
                yield State("decoder", "bu", 0)  # which needs nothing of the others' last timestep


class Entry(nn.Module):
    """V1 of CORnet-S: two convolutions with a maximum in between; not recurrent."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, timestep: int) -> Tensor:
        """Map images (B, 3, H, W) to (B, C, H / 4, W / 4)."""
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 3, stride=2, padding=1)
        return F.relu(self.norm2(self.conv2(x)))


class Block(nn.Module):
    """A recurrent area of CORnet-S: one bottleneck whose convolutions are the same at every pass, and whose norms are not.

    The first pass takes the area below at half the resolution, with a skip of its own; each later one takes this
    area's output of the pass before.
    """

    def __init__(self, below: int, channels: int, times: int) -> None:
        super().__init__()
        wide = EXPANSION * channels
        self.conv_input = nn.Conv2d(below, channels, 1, bias=False)
        self.skip = nn.Conv2d(channels, channels, 1, stride=2, bias=False)
        self.norm_skip = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, wide, 1, bias=False)
        self.conv2 = nn.Conv2d(wide, wide, 3, stride=2, padding=1, bias=False)
        self.conv3 = nn.Conv2d(wide, channels, 1, bias=False)
        for t in range(times):
            for at, width in enumerate((wide, wide, channels), 1):
                self.add_module(f"norm{at}_{t}", nn.BatchNorm2d(width))

    def forward(self, x: Tensor, timestep: int) -> Tensor:
        """One pass: (B, below, 2H, 2W) -> (B, C, H, W) at timestep 0, (B, C, H, W) -> (B, C, H, W) after it."""
        stride, skip = 1, x
        if timestep == 0:
            x, stride = self.conv_input(x), 2
            skip = self.norm_skip(self.skip(x))

        def norm(at: int, x: Tensor) -> Tensor:
            return self.get_submodule(f"norm{at}_{timestep}")(x)

        x = F.relu(norm(1, self.conv1(x)))
        x = F.relu(norm(2, F.conv2d(x, self.conv2.weight, stride=stride, padding=1)))
        return F.relu(norm(3, self.conv3(x)) + skip)


class CORnet_S(CORnet):
    """CORnet-S.

    A timestep is a pass of an area through its own recurrence: V1 has one, V2 two, V4 four, IT two. Every area has its
    own clock, which starts when the area below has finished: IT's timestep 0 comes after V4's timestep 3.

    References
    ----------
    Kubilius, Schrimpf et al. 2019, Brain-like object recognition with high-performing shallow recurrent ANNs, NeurIPS.
    doi:10.48550/arXiv.1909.06161
    """

    times: ClassVar[dict[str, int]] = {"V1": 1, "V2": 2, "V4": 4, "IT": 2}

    def cell(self, area: str, below: int, channels: int) -> nn.Module:
        """An entry, and blocks with norms for each timestep."""
        return Entry(channels) if area == "V1" else Block(below, channels, self.times[area])

    def reset(self) -> None:
        """Draw weights as the original does: convolutions by their fan-out, norms as the identity."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, (2 / (module.kernel_size[0] ** 2 * module.out_channels)) ** 0.5)
