"""Option classes that several commands take: a model, neural data, an output."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ..errors import DataError, SpecError
from ..options import check_seed
from .base import Names, err, read_pairs, say

if TYPE_CHECKING:
    from ..model import Network


Overwrite = Annotated[bool, Parameter(help="Replace earlier results.")]
Device = Annotated[str, Parameter(help="`auto` is the first GPU, else the processor; `cpu`, `cuda`, `cuda:1`.")]

BatchSize = Annotated[int, Parameter(help="Images per forward pass.")]
WeightsSeed = Annotated[int, Parameter(help="Seed of untrained weights.")]


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """A model and its weights.

    Parameters
    ----------
    model : str
        A name that ``bltvs models`` lists, ``torchvision:NAME``, ``timm:NAME``, the folder of an exported model, or a
        function of a Python file of your own, which is run: ``mine.py:make``.
    weights : str
        ``pretrained``, ``untrained`` (random, stamped as such), or a file of weights.
    image_size : int, optional
        128 for the small variant, with untrained or own weights.
    layers : str, optional
        Layers of a torchvision or timm model to call areas, such as ``layer1,layer4.0``.
    """

    model: str = "ecoset"
    weights: str = "pretrained"
    image_size: int | None = None
    layers: Names | None = None
    weights_seed: WeightsSeed = 0

    def load(self, device: str = "cpu") -> Network:
        """The model on a device."""
        from ..model.released.checkpoints import load_model

        check_seed(self.weights_seed)
        with err.status("loading the model"):
            return load_model(
                self.model, weights=self.weights, seed=self.weights_seed, image_size=self.image_size,
                layers=None if self.layers is None else list(self.layers), device=device,
            )  # fmt: skip

    def blank(self, lesions: Sequence[str]) -> Network | None:
        """The model without weights, under its lesions, on which choices are tried before any weights are fetched.

        None for a model of another package or file, which is only known when it has run once.
        """
        import torch

        from ..model import BLT_VS
        from ..model.others.own import is_own
        from ..model.others.zoo import in_zoo
        from ..model.released.checkpoints import find_checkpoint

        other = is_own(self.model) or (in_zoo(self.model) and not Path(self.model).is_dir())
        if self.layers is not None or other:
            return None
        config = dict(find_checkpoint(self.model).config)
        config |= {} if self.image_size is None else {"image_size": self.image_size}
        with torch.device("meta"):
            network = BLT_VS(**config)
        if lesions:
            network.lesion(*lesions)
        return network


@dataclass(frozen=True, kw_only=True)
class DataChoice:
    """How a file of neural data is read.

    Parameters
    ----------
    format : str, optional
        The reader, where several or none recognise the file; ``bltvs neural`` lists them.
    stimuli : path, optional
        Stimulus ids in the order of the file, where it has none, or JSON ``{old: new}``.
    subject : str, optional
        Subjects to keep; repeat or use commas. Of files whose names tell no subject: whose they are, in their order.
    session : str, optional
        Sessions to keep; repeat or use commas.
    roi : str, optional
        Regions of interest to keep; repeat or use commas. ``V1`` also means V1v and V1d.
    match : {"stem"}, optional
        Match stimuli of the data and of the store by name where these differ in folder, ending of a picture, case and zeros
        before numbers only.
    option : str, optional
        An option of the reader, such as ``mask=m.nii.gz``; may be repeated.
    allow_pickle : bool
        Read pickles of a source that you trust.
    """

    format: str | None = None
    stimuli: Path | None = None
    subject: Names | None = None
    session: Names | None = None
    roi: Names | None = None
    match: Literal["stem"] | None = None
    option: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    allow_pickle: bool = False

    def given(self) -> dict[str, Any]:
        """Arguments of :func:`bltvs_neuro.load_rdms` and :func:`bltvs_neuro.load_responses`."""
        common: dict[str, Any] = {
            "format": self.format, "stimuli": self.stimuli, "subject": _one(self.subject), "session": _one(self.session),
            "roi": _one(self.roi), "allow_pickle": self.allow_pickle or None,
        }  # fmt: skip
        common = {name: value for name, value in common.items() if value is not None}
        own = read_pairs(self.option)
        twice = [name for name in own if name in common]
        if twice:
            raise SpecError(
                f"{', '.join(f'--{name}' for name in twice)} and --option {twice[0]}=... say the same thing twice"
            )
        return {**common, **own}

    def words(self) -> list[str]:
        """The options that were given, as they are written."""
        found = []
        for name in ("format", "stimuli", "match"):
            if (value := getattr(self, name)) is not None:
                found += [f"--{name}", str(value)]
        for name in ("subject", "session", "roi"):
            found += [] if getattr(self, name) is None else [f"--{name}", ",".join(getattr(self, name))]
        found += [word for pair in self.option for word in ("--option", pair)]
        return found + (["--allow-pickle"] if self.allow_pickle else [])

    def matched(self, data: Any, stimulus_ids: Sequence[str]) -> Any:
        """The data under the store's names of stimuli, where that is asked for."""
        if self.match is None:
            return data
        from ..neural import match_stimuli

        found = match_stimuli(data, stimulus_ids, match=self.match)
        say("", f"matched by name: {found.attrs['matched']}" if "matched" in found.attrs else "no name needed a match")
        return found


def _one(names: tuple[str, ...] | None) -> str | list[str] | None:
    return names[0] if names and len(names) == 1 else list(names) if names else None


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where results go.

    Parameters
    ----------
    output : path, optional
        Folder or file to write; the command says its name if left out.
    """

    output: Annotated[Path | None, Parameter(alias="-o")] = None
    overwrite: Overwrite = False


def check_neural(path: str | Path) -> None:
    """A sentence where neural data are asked for and a file that this package wrote is given."""
    from ..foreign.hdf5 import open_hdf5
    from ..store.seal import is_ours

    path = Path(path)
    if not path.is_file():
        return
    what = "an activation store" if is_ours(path) else ""
    if not what and path.suffix in (".nc", ".h5"):
        with suppress(DataError), open_hdf5(path) as file:
            kind = file.attrs.get("kind", b"") if "provenance" in file.attrs else b""
            kind = kind.decode(errors="replace") if isinstance(kind, bytes) else str(kind)
            what = f"a result of kind {kind!r}" if kind else ""
    if what:
        raise DataError(f"{path} is {what}, not neural data")


UNITS = {"ms": 1e-3, "s": 1.0}


def _read_seconds(_: object, tokens: Sequence[Any]) -> tuple[float, float]:
    return read_seconds(tokens[0].value)


Seconds = Annotated[
    tuple[float, float] | None,
    Parameter(
        converter=_read_seconds, n_tokens=1, help="Neural time to keep, with its unit: `50:400ms` or `0.05:0.4s`."
    ),
]
"""A range of neural time in seconds, written with its unit."""


def read_seconds(text: str) -> tuple[float, float]:
    """First and last second from ``"50:400ms"`` or ``"0.05:0.4s"``; an end that is left out is open.

    Raises
    ------
    SpecError
        No unit, no range, or one that runs backwards.

    Examples
    --------
    >>> read_seconds("50:400ms"), read_seconds(":0.4s")
    ((0.05, 0.4), (-inf, 0.4))
    """
    found = re.fullmatch(r"\s*([-+.\de]*)\s*:\s*([-+.\de]*?)\s*(ms|s)\s*", text)
    try:
        if found is None:
            raise ValueError
        unit = UNITS[found[3]]
        first = float(found[1]) * unit if found[1] else -math.inf
        last = float(found[2]) * unit if found[2] else math.inf
    except ValueError:
        raise SpecError(f"time is written with its unit, such as 50:400ms or 0.05:0.4s; got {text!r}") from None
    if not first < last:
        raise SpecError(f"the time {text!r} runs backwards")
    return first, last


def within(array: Any, seconds: tuple[float, float] | None) -> Any:
    """The part of neural data within a range of time."""
    if seconds is None:
        return array
    if "time" not in array.coords:
        raise SpecError("--time is for neural data with time; these have none")
    times = array["time"].values
    kept = (times >= seconds[0] - 1e-9) & (times <= seconds[1] + 1e-9)
    if not kept.any():
        raise SpecError(
            f"no time of the neural data lies in {seconds[0]:g} to {seconds[1]:g} s; theirs: {times[0]:g} to {times[-1]:g} s"
        )
    return array.isel({array["time"].dims[0]: kept})


def interval_text(low: float, high: float, form: str) -> str:
    """``"0.1 to 0.3"``, or ``"-"`` where there is no interval."""
    return "-" if low != low or high != high else f"{low:{form}} to {high:{form}}"
