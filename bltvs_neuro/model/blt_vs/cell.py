"""One area, one step: the connections that end in an area, and the update that turns their sum into a new state."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...schema import Stream
from .areas import Area

CONNECTIONS: dict[str, tuple[str, ...]] = {
    "bu_conv": ("bu_conv",),
    "bu_lateral": ("bu_l_conv_depthwise", "bu_l_conv_pointwise"),
    "skip_bu": ("skip_bu_depthwise", "skip_bu_pointwise"),
    "td_conv": ("td_conv",),
    "td_lateral": ("td_l_conv_depthwise", "td_l_conv_pointwise"),
    "skip_td": ("skip_td_depthwise", "skip_td_pointwise"),
    "readout_conv": ("readout_conv",),
}
"""Connection -> the modules its input passes through, by the names of the released weights."""


class Connected(nn.Module):
    """A module whose connections can be asked for by name."""

    def has(self, connection: str) -> bool:
        """Whether this area has ``connection``."""
        return getattr(self, CONNECTIONS[connection][0], None) is not None

    def connect(self, connection: str, source: Tensor) -> Tensor:
        """Send ``source`` (B, C, H, W) through ``connection``; returns (B, C', H', W')."""
        for name in CONNECTIONS[connection]:
            source = getattr(self, name)(source)
        return source


class Cell(Connected):
    """An area with its bottom-up and top-down stream.

    ``below`` and ``above`` are channels of the neighbours (3 below the retina). The feedback shares kernel and stride of
    ``above_area``. A connection that ``lateral``, ``topdown`` or ``skip`` switches off does not exist.

    Notes
    -----
    With ``in`` the connection from the neighbour and ``skip`` the long-range one, each stream's drive is rectified
    and gated by the other stream's input, then normalised over channels and space::

        bu = GroupNorm(relu(bu_in + bu_lateral + bu_skip) * 2 sigmoid(td_in + td_skip))
        td = GroupNorm(relu(td_in + td_lateral + td_skip) * 2 sigmoid(bu_in + bu_skip))
    """

    def __init__(
        self, area: Area, below: int, above: int, above_area: Area, channels: dict[str, int],
        lateral: bool, topdown: bool, skip: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        width = channels[area.name]
        self.bu_conv = nn.Conv2d(below, width, area.kernel, area.stride, area.padding)
        has_lateral, has_feedback = lateral and area.lateral_kernel is not None, topdown and area.feedback
        self._separable("bu_l_conv", width, width, area.lateral_kernel if has_lateral else None)
        self.td_conv = None
        if has_feedback:
            kernel, stride = above_area.kernel, above_area.stride
            # output_padding makes the map exactly as large as the one the area above was computed from
            self.td_conv = nn.ConvTranspose2d(above, width, kernel, stride, above_area.padding, stride - 1)
        self._separable("td_l_conv", width, width, area.lateral_kernel if has_lateral and has_feedback else None)
        for name, source in (("skip_bu", area.skip_bu), ("skip_td", area.skip_td)):
            origin, kernel = source or ("", 0)
            self._separable(name, channels.get(origin, 0), width, kernel if skip and source else None)
        self.layer_norm_bu = nn.GroupNorm(1, width)
        self.layer_norm_td = nn.GroupNorm(1, width)

    def _separable(self, name: str, source: int, width: int, kernel: int | None) -> None:
        """Register ``name``'s depthwise (grouped) and pointwise convolution, or None for both."""
        depthwise = pointwise = None
        if kernel is not None:
            groups = math.gcd(source, width)
            depthwise = nn.Conv2d(source, width, kernel, padding=kernel // 2, groups=groups)
            pointwise = nn.Conv2d(width, width, 1)
        self.register_module(f"{name}_depthwise", depthwise)
        self.register_module(f"{name}_pointwise", pointwise)

    def forward(
        self, stream: Stream, drive: Sequence[Tensor], gate: Sequence[Tensor], zeros: Tensor | None = None
    ) -> Tensor:
        """Update one stream from what its connections delivered, (B, C, H, W) each; without a drive the state is ``zeros``."""
        if drive:
            state = F.relu(_total(drive))
            if gate:
                state = state * 2 * torch.sigmoid(_total(gate))
        else:
            assert zeros is not None, "a state without drive needs its zeros"
            state = zeros
        norm = self.layer_norm_bu if stream == "bu" else self.layer_norm_td
        return norm(state)


class ReadoutCell(Connected):
    """The readout: class logits as bottom-up activity, a normalised map as feedback to LOC."""

    def __init__(self, area: Area, below: int, num_classes: int, width: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.readout_conv = nn.Conv2d(below, width, area.kernel, area.stride, area.padding)
        self.layer_norm_td = nn.GroupNorm(1, width)

    def forward(
        self, stream: Stream, drive: Sequence[Tensor], gate: Sequence[Tensor], zeros: Tensor | None = None
    ) -> Tensor:
        """Return logits (B, classes) for ``bu`` and the feedback map (B, C, H, W) for ``td``."""
        (features,) = drive
        if stream == "bu":
            return features.mean(dim=(2, 3))[:, : self.num_classes]  # (B, C, H, W) -> (B, classes)
        return self.layer_norm_td(F.relu(features))


def _total(terms: Sequence[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
