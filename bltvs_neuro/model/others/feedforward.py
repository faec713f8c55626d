"""Feed-forward networks as tables of stages: B_VS, the twin of BLT_VS without recurrence, and vNet."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import SpecError
from ..blt_vs.areas import areas_for
from ..forward import Pass
from ..network import MOST_CLASSES, MOST_PIXELS, Grid, Network, State, check_count
from ..transform import symmetric


class FeedForward(Network):
    """A network whose every area is computed once, from the area below: one timestep, the stream ``bu``."""

    def __init__(self, areas: tuple[str, ...], usual_areas: str, num_classes: int, image_size: int) -> None:
        super().__init__()
        check_count("num_classes", num_classes, MOST_CLASSES)
        check_count("image_size", image_size, MOST_PIXELS)
        self.areas, self.usual_areas = areas, usual_areas
        self.streams, self.timesteps, self.schedule_name = ("bu",), 1, "feedforward"
        self.num_classes, self.image_size = num_classes, image_size
        self.provenance = {"model": type(self).__name__, "weights": "as constructed"}

    def states(self) -> Iterator[State]:
        """Every area once."""
        return (State(area, "bu", 0) for area in self.areas)

    @property
    def logit_timesteps(self) -> tuple[int, ...]:
        """There is one."""
        return (0,)


@dataclass(frozen=True)
class Stage:
    """One convolution, after a 2 x 2 maximum if ``pooled``; ``name`` is its own in the state dict."""

    area: str
    name: str
    kernel: int
    stride: int
    channels: int
    pooled: bool = False


class Chain(FeedForward):
    """Convolution, rectification and GroupNorm over all channels, stage after stage, from the image up.

    With ``linear`` the logits are a linear function of the last stage's mean over space, as an area ``Readout``; otherwise the
    last stage is the readout, and its mean the logits.
    """

    def __init__(
        self, stages: tuple[Stage, ...], usual_areas: str, num_classes: int, image_size: int, *, linear: bool
    ) -> None:
        names = tuple(stage.area for stage in stages)
        super().__init__((*names, "Readout") if linear else names, usual_areas, num_classes, image_size)
        self.stages = stages
        self.transform = symmetric(image_size)
        self.config: dict[str, Any] = {"num_classes": num_classes, "image_size": image_size}
        self.connections, self.layernorms = nn.ModuleDict(), nn.ModuleDict()
        self.grids = {}
        self.shapes = {"Readout": (num_classes,)}
        below, units, grid = 3, image_size, Grid(1)
        for stage in stages:
            if stage.pooled:
                units, grid = units // 2, Grid(2 * grid.stride, grid.start + grid.stride / 2)
            padding = (stage.kernel - 1) // 2
            self.connections[stage.name] = nn.Conv2d(below, stage.channels, stage.kernel, stage.stride, padding)
            self.layernorms[f"norm_{stage.name}"] = nn.GroupNorm(1, stage.channels)
            below, units = stage.channels, (units + 2 * padding - stage.kernel) // stage.stride + 1
            grid = Grid(grid.stride * stage.stride, grid.start)  # an odd kernel, half of it padded, moves no centre
            if units < 1:
                raise SpecError(f"an image of {image_size} px is too small: nothing is left at {stage.area}")
            self.grids[stage.area] = grid
            self.shapes.setdefault(stage.area, (stage.channels, units, units))
        if linear:
            self.connections["Readout"] = nn.Linear(below, num_classes)
        self.add_taps()

    def run(self, images: Tensor, outputs: Collection[State] = ()) -> dict[State, Tensor]:
        """Compute up to the last area that is hooked or among ``outputs``; see :meth:`Network.run`."""
        run = Pass(self, images, outputs)
        x, stages = images, iter(self.stages)
        for state in self.states():
            if not run.left:
                break
            if (stage := next(stages, None)) is None:
                x = self.connections["Readout"](x.mean(dim=(2, 3)))  # (B, C, H, W) -> (B, classes)
            else:
                x = F.max_pool2d(x, 2) if stage.pooled else x
                x = self.layernorms[f"norm_{stage.name}"](F.relu(self.connections[stage.name](x)))
                if stage.area == self.areas[-1]:
                    x = x.mean(dim=(2, 3))  # (B, classes, H, W) -> (B, classes)
            x = run.through(state, x)
        return run.kept


class B_VS(Chain):
    """The feed-forward twin of BLT_VS: its areas, kernels and channels with the bottom-up convolutions alone.

    The channels of the readout are the classes: its normalised map is averaged over space to give the logits. The names of the
    parameters are those of KietzmannLab's B_VS.
    """

    def __init__(self, num_classes: int = 565, image_size: int = 224) -> None:
        stages = tuple(
            Stage(area.name, area.name, area.kernel, area.stride, area.channels or num_classes)
            for area in areas_for(image_size)
        )
        super().__init__(stages, "V1:LOC", num_classes, image_size, linear=False)


class VNet(Chain):
    """vNet: ten convolutions whose receptive fields grow as those of the human ventral stream; for 128 px originally.

    Areas are called layer1 to layer10. The names of the parameters are those of KietzmannLab's vNet for BLT_VS's
    comparison, which has GroupNorm where the published one has batch normalisation.

    References
    ----------
    Mehrer, Spoerer, Jones, Kriegeskorte & Kietzmann 2021, An ecologically motivated image dataset for deep learning
    yields better models of human vision, PNAS. doi:10.1073/pnas.2011417118
    """

    KERNELS = (7, 7, 5, 5, 3, 3, 3, 3, 1, 1)
    CHANNELS = (128, 128, 256, 256, 512, 512, 1024, 1024, 2048, 2048)
    POOLED = (2, 3, 6, 7, 8, 9)

    def __init__(self, num_classes: int = 565, image_size: int = 128) -> None:
        stages = tuple(
            Stage(f"layer{i + 1}", str(i), kernel, 1, channels, pooled=i in self.POOLED)
            for i, (kernel, channels) in enumerate(zip(self.KERNELS, self.CHANNELS, strict=True))
        )
        super().__init__(stages, "layer1:layer10", num_classes, image_size, linear=True)
