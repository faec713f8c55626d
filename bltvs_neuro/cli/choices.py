"""Option classes that several commands take: a model, neural data, an output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import SpecError
from ..options import check_seed
from .base import Names, err, read_pairs

if TYPE_CHECKING:
    from ..model import Network


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """A model and its weights.

    Parameters
    ----------
    model : str
        A name that ``bltvs models`` lists, ``torchvision:NAME``, ``timm:NAME``, or the folder of an exported model.
    weights : str
        ``pretrained``, ``untrained`` (random, stamped as such), or a file of weights.
    image_size : int, optional
        128 for the small variant, with untrained or own weights.
    layers : str, optional
        Layers of a torchvision or timm model to call areas, such as ``layer1,layer4.0``.
    weights_seed : int
        Seed of untrained weights.
    """

    model: str = "ecoset"
    weights: str = "pretrained"
    image_size: int | None = None
    layers: Names | None = None
    weights_seed: int = 0

    def load(self, device: str = "cpu") -> Network:
        """The model on a device."""
        from ..model.released.checkpoints import load_model

        check_seed(self.weights_seed)
        with err.status("loading the model"):
            return load_model(
                self.model, weights=self.weights, seed=self.weights_seed, image_size=self.image_size,
                layers=None if self.layers is None else list(self.layers), device=device,
            )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DataChoice:
    """How a file of neural data is read.

    Parameters
    ----------
    format : str, optional
        The reader, where several or none recognise the file; ``bltvs neural`` lists them.
    stimuli : path, optional
        Stimulus ids in the order of the file, where it has none, or JSON ``{old: new}``.
    subject, session, roi : str, optional
        Keep only these; repeat or use commas.
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


def _one(names: tuple[str, ...] | None) -> str | list[str] | None:
    return names[0] if names and len(names) == 1 else list(names) if names else None


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where results go.

    Parameters
    ----------
    output : path, optional
        Folder or file to write; the command says its name if left out.
    overwrite : bool
        Replace earlier results.
    """

    output: Annotated[Path | None, Parameter(alias="-o")] = None
    overwrite: bool = False
