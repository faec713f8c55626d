"""Small recurrent networks of every kind that can be wrapped, and their states collected by hand in plain loops."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bltvs_neuro.model.transform import Transform

SIZE = 32
TRANSFORM = Transform(SIZE, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


class FourPasses(nn.Module):
    """A layer that is gone through four times, in place, between one before and one after."""

    def __init__(self) -> None:
        super().__init__()
        self.entry, self.loop = nn.Conv2d(3, 6, 5, stride=2, padding=2), nn.Conv2d(6, 6, 3, padding=1)
        self.relu, self.head = nn.ReLU(inplace=True), nn.Linear(6, 5)

    def forward(self, images: Tensor) -> Tensor:
        start = x = self.entry(images)
        for _ in range(4):
            x = self.relu(self.loop(x) + start)
        return self.head(x.mean((2, 3)))

    def by_hand(self, images: Tensor) -> dict[tuple[str, int], Tensor]:
        start = x = self.entry(images)
        found = {("entry", 0): start}
        for t in range(4):
            inner = self.loop(x)
            x = F.relu(inner + start)
            found |= {("loop", t): inner, ("relu", t): x}
        return found | {("logits", 0): self.head(x.mean((2, 3)))}


class Area(nn.Module):
    """An area of CORnet-RT: its input is halved, its state is added, and what comes out is both output and state."""

    def __init__(self, below: int, channels: int) -> None:
        super().__init__()
        self.conv_input = nn.Conv2d(below, channels, 3, stride=2, padding=1)
        self.norm_input, self.norm = nn.GroupNorm(2, channels), nn.GroupNorm(2, channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, below: Tensor, state: Tensor | float) -> Tensor:
        x = F.relu(self.norm_input(self.conv_input(below)))
        return F.relu(self.norm(self.conv(x + state)))


CHANNELS = {"V1": 4, "V2": 6, "V4": 8, "IT": 8}


class CORnetRT(nn.Module):
    """Every area reads, at each of five timesteps, what the area below gave at the one before; at first nothing."""

    TIMES = 5

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        below = 3
        for name, channels in CHANNELS.items():
            self.add_module(name, Area(below, channels))
            below = channels
        self.decoder = nn.Linear(below, classes)

    def by_hand(self, images: Tensor) -> dict[tuple[str, int], Tensor]:
        found: dict[tuple[str, int], Tensor] = {}
        for t in range(self.TIMES):
            below, channels, units = images, 3, SIZE
            for name, width in CHANNELS.items():
                area = self.get_submodule(name)
                found[name, t] = area(below, found.get((name, t - 1), 0.0))
                units, channels = units // 2, width
                below = found.get((name, t - 1), images.new_zeros(len(images), channels, units, units))
        return found | {("logits", 0): self.decoder(found["IT", self.TIMES - 1].mean((2, 3)))}

    def forward(self, images: Tensor) -> Tensor:
        return self.by_hand(images)["logits", 0]


class PatchRNN(nn.Module):
    """A recurrent layer of torch that reads an image patch by patch."""

    def __init__(self, kind: type[nn.RNNBase] = nn.GRU, *, batch_first: bool = True) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 16, stride=16)
        self.rnn, self.head = kind(8, 7, batch_first=batch_first), nn.Linear(7, 5)

    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        patches = self.patches(images).flatten(2).transpose(1, 2)  # (B, C, H, W) -> (B, patches, C)
        output, final = self.rnn(patches if self.rnn.batch_first else patches.transpose(0, 1))
        hidden = final[0] if isinstance(final, tuple) else final
        return (output if self.rnn.batch_first else output.transpose(0, 1)), hidden[-1]

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.read(images)[1])

    def by_hand(self, images: Tensor) -> dict[tuple[str, int], Tensor]:
        output, final = self.read(images)
        return {("rnn", t): output[:, t] for t in range(4)} | {("logits", 0): self.head(final)}


class Cell(nn.Module):
    """A convolutional LSTM's step, which gives its hidden state and a dict with its cell."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.Conv2d(3 + 4, 16, 3, padding=1)

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        keep, write, read, new = self.gates(torch.cat([x, hidden], 1)).chunk(4, 1)
        cell = torch.sigmoid(keep) * cell + torch.sigmoid(write) * torch.tanh(new)
        return torch.sigmoid(read) * torch.tanh(cell), {"cell": cell}


class ConvLSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = Cell(), nn.Linear(4, 5)

    def by_hand(self, images: Tensor) -> dict[tuple[str, int], Tensor]:
        hidden = memory = images.new_zeros(len(images), 4, SIZE, SIZE)
        found = {}
        for t in range(3):
            hidden, more = self.cell(images, hidden, memory)
            memory = more["cell"]
            found |= {("hidden", t): hidden, ("memory", t): memory}
        return found | {("logits", 0): self.head(hidden.mean((2, 3)))}

    def forward(self, images: Tensor) -> Tensor:
        return self.by_hand(images)["logits", 0]


class Yields(nn.Module):
    """Gives a state for each of four steps; its second layer starts at the second step, its logits at the third."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head, self.steps = nn.Linear(4, 5), 0

    def forward(self, images: Tensor):
        below = self.first(images)
        x = torch.zeros_like(below)
        for t in range(4):
            self.steps = t + 1
            if t:
                x = torch.relu(self.second(x) + below)
            state = {"state": x}
            if t > 1:
                state["logits"] = self.head(x.mean((2, 3)))
            yield state

    def by_hand(self, images: Tensor) -> dict[tuple[str, int], Tensor]:
        below = self.first(images)
        x, found = torch.zeros_like(below), {("first", 0): below}
        for t in range(4):
            if t:
                found["second", t] = self.second(x)
                x = torch.relu(found["second", t] + below)
            found["state", t] = x
            if t > 1:
                found["logits", t] = self.head(x.mean((2, 3)))
        return found


class SharedTransformer(nn.Module):
    """One layer of a transformer, gone through three times."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 16, stride=16)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 5)

    def by_hand(self, images: Tensor) -> dict[tuple[str, int], Tensor]:
        x, found = self.patches(images).flatten(2).transpose(1, 2), {}
        for t in range(3):
            x = self.block(x)
            found["block", t] = x.transpose(1, 2)  # tokens are stored channel by token
        return found | {("logits", 0): self.head(x.mean(1))}

    def forward(self, images: Tensor) -> Tensor:
        return self.by_hand(images)["logits", 0]


KINDS = {
    "four passes": (FourPasses, ["entry", "loop", "relu"], "calls"),
    "CORnet-RT": (CORnetRT, ["V1", "V2", "V4", "IT"], "calls"),
    "GRU": (PatchRNN, ["rnn"], "calls"),
    "RNN, time first": (lambda: PatchRNN(nn.RNN, batch_first=False), ["rnn"], "calls"),
    "LSTM": (lambda: PatchRNN(nn.LSTM), ["rnn"], "calls"),
    "ConvLSTM": (ConvLSTM, {"hidden": "cell#0", "memory": "cell#1.cell"}, "calls"),
    "yields": (Yields, ["first", "second", "#state"], "forward"),
    "shared transformer": (SharedTransformer, ["block"], "calls"),
}
"""Name -> how it is made, its layers, and what a timestep is."""


def made(kind: str) -> nn.Module:
    torch.manual_seed(0)
    return KINDS[kind][0]().eval()
