"""BLT_VS as a plain loop over areas, in the order of the original: the reference for exactness and speed.

Nothing is shared, planned or freed here: every area is evaluated whole, both streams, whenever it is visited.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

AREAS = ("Retina", "LGN", "V1", "V2", "V3", "V4", "LOC")
STRIDES = dict(zip((*AREAS, "Readout"), (2, 2, 2, 1, 1, 1, 2, 2), strict=True))


def golden_weights(shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    """Weights that depend on each entry's name alone (tests/golden/README.md)."""
    weights = {}
    for key, shape in shapes.items():
        a = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(tuple(shape)).astype(np.float32)
        if a.ndim == 4 and key.endswith(".weight"):
            a = a * np.float32(np.sqrt(2 / np.prod(shape[1:])))
        elif "layer_norm" in key and key.endswith("weight"):
            a = 1 + np.float32(0.1) * a
        elif not key.endswith("readout_weights"):
            a = np.float32(0.1) * a
        weights[key] = torch.from_numpy(np.asarray(a, dtype=np.float32))
    return weights


def golden_images(size: int, n: int = 2) -> Tensor:
    return torch.from_numpy(np.random.RandomState(0).uniform(-1, 1, (n, 3, size, size)).astype(np.float32))


class Loop:
    """The plain loop over the weights of one state dict.

    ``states[(area, stream, timestep)]`` holds every activation of the last call, ``None`` where nothing has arrived.
    """

    def __init__(self, weights: dict[str, Tensor], timesteps: int, num_classes: int, bio_unroll: bool) -> None:
        self.w, self.timesteps, self.num_classes, self.bio_unroll = weights, timesteps, num_classes, bio_unroll
        self.states: dict[tuple[str, str, int], Tensor | None] = {}

    def conv(self, area: str, name: str, x: Tensor | None, like: Tensor | None = None) -> Tensor | None:
        weight = self.w.get(f"connections.{area}.{name}.weight")
        if x is None or weight is None:
            return None
        bias = self.w[f"connections.{area}.{name}.bias"]
        padding = (weight.shape[2] - 1) // 2
        if name == "td_conv":
            stride = STRIDES[(*AREAS, "Readout")[AREAS.index(area) + 1]]
            return F.conv_transpose2d(x, weight, bias, stride, padding, output_padding=stride - 1)
        stride = STRIDES[area] if name in ("bu_conv", "readout_conv") else 1
        return F.conv2d(x, weight, bias, stride, padding, groups=x.shape[1] // weight.shape[1])

    def separable(self, area: str, name: str, x: Tensor | None) -> Tensor | None:
        return self.conv(area, f"{name}_pointwise", self.conv(area, f"{name}_depthwise", x))

    def norm(self, area: str, stream: str, x: Tensor) -> Tensor:
        name = f"connections.{area}.layer_norm_{stream}"
        return F.group_norm(x, 1, self.w[f"{name}.weight"], self.w[f"{name}.bias"])

    def area(self, area, bu=None, bu_l=None, td=None, td_l=None, bu_skip=None, td_skip=None):
        bu_in, td_in = self.conv(area, "bu_conv", bu), self.conv(area, "td_conv", td)
        bu_side, td_side = self.separable(area, "bu_l_conv", bu_l), self.separable(area, "td_l_conv", td_l)
        bu_far, td_far = self.separable(area, "skip_bu", bu_skip), self.separable(area, "skip_td", td_skip)
        bu_drive, td_drive = total(bu_in, bu_side, bu_far), total(td_in, td_side, td_far)
        bu_gate, td_gate = total(bu_in, bu_far), total(td_in, td_far)

        def out(drive, gate):
            if drive is None:
                return torch.zeros_like(gate)
            return F.relu(drive) if gate is None else F.relu(drive) * 2 * torch.sigmoid(gate)

        return self.norm(area, "bu", out(bu_drive, td_gate)), self.norm(area, "td", out(td_drive, bu_gate))

    def readout(self, loc: Tensor) -> tuple[Tensor, Tensor]:
        features = self.conv("Readout", "readout_conv", loc)
        logits = F.adaptive_avg_pool2d(features, 1).flatten(1)[:, : self.num_classes]
        return logits, self.norm("Readout", "td", F.relu(features))

    def __call__(self, images: Tensor) -> list[Tensor]:
        bu = dict.fromkeys((*AREAS, "Readout"))
        td = dict.fromkeys((*AREAS, "Readout"))
        logits = []
        bu["Retina"] = self.area("Retina", images)[0]
        for t in range(self.timesteps):
            (self.simultaneous if self.bio_unroll else self.sweep)(images, bu, td, t)
            fresh = bu["LOC"] is not None if self.bio_unroll else True
            if fresh and (t or not self.bio_unroll):
                logits.append(bu["Readout"])
            for name in bu:
                self.states[name, "bu", t], self.states[name, "td", t] = bu[name], td[name]
        if "readout_weights" in self.w:
            share = torch.softmax(self.w["readout_weights"], 0)
            return [sum(weight * out for weight, out in zip(share, logits, strict=True))]
        return logits

    def simultaneous(self, images, bu, td, t) -> None:
        if t == 0:
            return
        old_bu, old_td = dict(bu), dict(td)
        for at, name in enumerate(AREAS[1:], 1):
            below, above = AREAS[at - 1], (*AREAS, "Readout")[at + 1]
            if old_bu[below] is not None or (
                name == "V4" and old_bu["V1"] is not None and "connections.V4.skip_bu_pointwise.weight" in self.w
            ):
                bu[name], td[name] = self.area(
                    name, old_bu[below], old_bu[name], old_td[above], old_td[name],
                    old_bu["V1"] if name == "V4" else None, old_td["V4"] if name == "V1" else None,
                )  # fmt: skip
        if bu["LOC"] is not None:
            bu["Readout"], td["Readout"] = self.readout(bu["LOC"])

    def sweep(self, images, bu, td, t) -> None:
        for at, name in enumerate(AREAS[1:], 1):
            above = (*AREAS, "Readout")[at + 1]
            skip = bu["V1"] if name == "V4" else None
            bu[name], _ = self.area(name, bu[AREAS[at - 1]], bu[name], td[above], bu_skip=skip)
        bu["Readout"], td["Readout"] = self.readout(bu["LOC"])
        for at in range(6, 0, -1):
            name, above = AREAS[at], (*AREAS, "Readout")[at + 1]
            _, td[name] = self.area(name, bu[AREAS[at - 1]], td=td[above], td_l=td[name])
        _, td["Retina"] = self.area("Retina", images, td=td["LGN"])


def total(*terms: Tensor | None) -> Tensor | None:
    present = [term for term in terms if term is not None]
    return sum(present[1:], present[0]) if present else None
