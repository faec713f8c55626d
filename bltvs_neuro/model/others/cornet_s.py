"""CORnet-S: four areas, three of them recurrent within themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from torch import Tensor, nn
from torch.nn import functional as F

from ..forward import Pass
from ..network import MOST_CLASSES, MOST_PIXELS, Grid, Network, State, check_count
from ..transform import IMAGENET_MEAN, IMAGENET_STD, Transform

CHANNELS = {"V1": 64, "V2": 128, "V4": 256, "IT": 512}
TIMES = {"V1": 1, "V2": 2, "V4": 4, "IT": 2}
EXPANSION = 4
"""Channels inside a recurrent block, relative to those of the area."""


class Entry(nn.Module):
    """V1: two convolutions with a maximum in between; not recurrent."""

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
    """A recurrent area: one bottleneck whose convolutions are the same at every pass, and whose norms are not.

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


class Decoder(nn.Module):
    """Mean over space and a linear readout."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor, timestep: int) -> Tensor:
        """(B, C, H, W) -> (B, num_classes)."""
        return self.linear(x.mean(dim=(2, 3)))


class CORnet_S(Network):
    """CORnet-S, for images of at least 32 pixels.

    A timestep is a pass of an area through its own recurrence: V1 has one, V2 two, V4 four, IT two. Every area has its
    own clock, which starts when the area below has finished: IT's timestep 0 comes after V4's timestep 3. The names of
    the parameters are those of the released weights.

    References
    ----------
    Kubilius, Schrimpf et al. 2019, Brain-like object recognition with high-performing shallow recurrent ANNs, NeurIPS.
    doi:10.48550/arXiv.1909.06161
    """

    def __init__(self, num_classes: int = 1000, image_size: int = 224) -> None:
        super().__init__()
        check_count("num_classes", num_classes, MOST_CLASSES)
        check_count("image_size", image_size, MOST_PIXELS, least=32)
        self.config = {"num_classes": num_classes, "image_size": image_size}
        self.areas, self.usual_areas, self.streams = (*CHANNELS, "decoder"), "V1:IT", ("bu",)
        self.timesteps, self.schedule_name = max(TIMES.values()), "each area its own clock"
        self.num_classes, self.image_size = num_classes, image_size
        self.transform = Transform(image_size, image_size * 256 // 224, mean=IMAGENET_MEAN, std=IMAGENET_STD)
        self.provenance = {"model": "CORnet_S", "weights": "as constructed"}
        self.V1 = Entry(CHANNELS["V1"])
        self.V2 = Block(CHANNELS["V1"], CHANNELS["V2"], TIMES["V2"])
        self.V4 = Block(CHANNELS["V2"], CHANNELS["V4"], TIMES["V4"])
        self.IT = Block(CHANNELS["V4"], CHANNELS["IT"], TIMES["IT"])
        self.decoder = Decoder(CHANNELS["IT"], num_classes)
        self.shapes = {"decoder": (num_classes,)}
        self.grids = {}
        units, stride = (image_size + 3) // 4, 4  # halved twice, rounded up
        for area, channels in CHANNELS.items():
            self.shapes[area], self.grids[area] = (channels, units, units), Grid(stride)
            units, stride = (units + 1) // 2, 2 * stride
        self.reset()
        self.add_taps()

    def reset(self) -> None:
        """Draw weights as the original does: convolutions by their fan-out, norms as the identity."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, (2 / (module.kernel_size[0] ** 2 * module.out_channels)) ** 0.5)

    def states(self) -> Iterator[State]:
        """Every area at each pass of its own."""
        return (State(area, "bu", t) for area in self.areas for t in range(TIMES.get(area, 1)))

    @property
    def logit_timesteps(self) -> tuple[int, ...]:
        """The decoder's, once."""
        return (0,)

    def run(self, images: Tensor, outputs: Collection[State] = ()) -> dict[State, Tensor]:
        """Compute up to the last state that is hooked or among ``outputs``; see :meth:`Network.run`."""
        run = Pass(self, images, outputs)
        x = images
        for state in self.states():
            if not run.left:
                break
            x = run.through(state, self.get_submodule(state.area)(x, state.timestep))
        return run.kept
