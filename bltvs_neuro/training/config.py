"""A training run as data: a TOML file with a few tables, checked key by key before anything is computed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_origin, get_type_hints

from ..checked import checked, checked_arguments
from ..errors import SpecError, unknown
from ..foreign.text import read_text


@dataclass(frozen=True)
class DataConfig:
    """Table ``[data]``: which labelled pictures, see :mod:`.data`.

    Attributes
    ----------
    source : {"shapes", "imagefolder", "ecoset"}
        Drawn by the package; ``path/split/class/*.jpg``; an HDF5 file with ``split/data`` and ``split/labels``.
    path : str
        Folder or file; relative to where the command runs.
    train, val, test : str
        Names of the splits; an empty ``test`` skips the last evaluation.
    n_train, n_val, n_test, seed : int
        Of ``shapes``: how many pictures (each is drawn when it is asked for), and which data set.
    """

    source: Literal["shapes", "imagefolder", "ecoset"] = "shapes"
    path: str = ""
    train: str = "train"
    val: str = "val"
    test: str = "test"
    n_train: int = 100_000
    n_val: int = 1_000
    n_test: int = 2_000
    seed: int = 0


@dataclass(frozen=True)
class AugmentConfig:
    """Table ``[augment]``: what is done to training pictures, see :mod:`.augment`.

    Attributes
    ----------
    crop : {"random", "center"}
        Of the picture whose short side was resized to the model's size.
    blur, flip : float
        Probabilities.
    trivial : bool
        TrivialAugment (one random operation of random strength).
    """

    crop: Literal["random", "center"] = "random"
    blur: float = 0.5
    flip: float = 0.5
    trivial: bool = True


@dataclass(frozen=True)
class OptimizerConfig:
    """Table ``[optimizer]``: loss, Adam, learning rate and clipping.

    Attributes
    ----------
    learning_rate : float
    schedule : {"plateau", "cosine"}
        After the warm-up: halve where the validation loss stands still, or follow a cosine to 0 at the last epoch.
    warmup_epochs, warmup_start : int, float
        The learning rate rises linearly from this share of it at the first epoch to all of it at the last of these.
    plateau_epochs, plateau_percent, plateau_patience, plateau_factor
        A line is fitted to the validation loss of the last ``plateau_epochs`` epochs; when it falls by less than
        ``plateau_percent`` at ``plateau_patience`` epochs in a row, the rate is multiplied by ``plateau_factor``.
    stop_at : float
        The run ends when the learning rate is not above this.
    label_smoothing : float
    class_weights : bool
        Weigh classes by the inverse of their frequency.
    clip, clip_by : float, {"tensor", "unit"}
        Adaptive gradient clipping: the largest ratio of gradient to weight norm (0 switches it off), of whole weight
        tensors as in the original's code, or of single units as in the paper.
    """

    learning_rate: float = 1e-3
    schedule: Literal["plateau", "cosine"] = "plateau"
    warmup_epochs: int = 5
    warmup_start: float = 0.01
    plateau_epochs: int = 5
    plateau_percent: float = 1.0
    plateau_patience: int = 3
    plateau_factor: float = 0.5
    stop_at: float = 1e-6
    label_smoothing: float = 0.1
    class_weights: bool = True
    clip: float = 0.1
    clip_by: Literal["tensor", "unit"] = "tensor"


@dataclass(frozen=True)
class RunConfig:
    """Table ``[run]``: how it is computed.

    Attributes
    ----------
    batch_size : int
        Images of one step over all processes together.
    epochs : int
        The most there will be; 0 goes on until the learning rate has fallen to ``stop_at``.
    epoch_size : int
        Images of one epoch; 0 takes the whole training set. Less than that makes validation and schedule more frequent;
        all images are still used in turn.
    val_batch_size : int
    precision : {"float32", "bfloat16", "float16"}
        Mixed precision of the forward pass; weights and their updates stay float32.
    channels_last, compile : bool
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``; with torchrun every process takes its own GPU.
    workers : int
        Processes per training process that load pictures; 0 loads in the same process.
    save_minutes : float
        A checkpoint is written after every epoch and whenever so much time has passed.
    export : {"best", "last"}
        The weights that are exported: those of the lowest validation loss, or the last.
    start_from : str
        Folder of an exported model of the same shape, with any number of timesteps, whose weights are the first ones; random
        ones if empty.
    """

    batch_size: int = 256
    epochs: int = 0
    epoch_size: int = 0
    val_batch_size: int = 256
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    channels_last: bool = False
    compile: bool = False
    device: str = "auto"
    workers: int = 4
    save_minutes: float = 10.0
    export: Literal["best", "last"] = "best"
    start_from: str = ""


@dataclass(frozen=True)
class TrainingConfig:
    """A whole run.

    Attributes
    ----------
    name, description : str
        Of the model that comes out.
    seed : int
        Of the first weights, the order of pictures and the augmentation.
    model : dict
        Table ``[model]``: ``architecture`` and its keywords without ``num_classes``, which the data decide.
    data, augment, optimizer, run
        The other tables.
    """

    name: str
    description: str = ""
    seed: int = 0
    model: dict[str, Any] = field(default_factory=lambda: {"architecture": "BLT_VS"})
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return asdict(self)


FREE = (
    "run.epochs",
    "run.device",
    "run.workers",
    "run.save_minutes",
    "run.val_batch_size",
    "run.export",
    "description",
)
"""Keys that may change when a run is resumed: they do not decide the numbers that were computed so far."""

_AT_LEAST: dict[str, float] = {
    "seed": 0, "data.n_train": 1, "data.n_val": 1, "data.n_test": 1, "data.seed": 0, "augment.blur": 0, "augment.flip": 0,
    "optimizer.warmup_epochs": 0, "optimizer.warmup_start": 0, "optimizer.plateau_epochs": 2,
    "optimizer.plateau_percent": 0, "optimizer.plateau_patience": 1, "optimizer.stop_at": 0,
    "optimizer.label_smoothing": 0, "optimizer.clip": 0, "run.batch_size": 1, "run.epochs": 0, "run.epoch_size": 0,
    "run.val_batch_size": 1, "run.workers": 0, "run.save_minutes": 0,
}  # fmt: skip
_AT_MOST: dict[str, float] = {
    "augment.blur": 1, "augment.flip": 1, "optimizer.warmup_start": 1, "optimizer.label_smoothing": 0.999,
    "optimizer.learning_rate": 1e3,
}  # fmt: skip
_ABOVE_0_BELOW_1 = ("optimizer.plateau_factor",)


def read_config(path: str | Path) -> TrainingConfig:
    """Read a run from a TOML file.

    Raises
    ------
    SpecError
        The file cannot be read, or a key or value is not valid; the error names the valid ones.
    """
    path = Path(path)
    try:
        data = tomllib.loads(read_text(path, error=SpecError))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SpecError(f"cannot read the config {path}: {error}") from None
    try:
        return make_config(data)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None


def make_config(data: Mapping[str, Any]) -> TrainingConfig:
    """Make a run of plain data, as :func:`read_config` does of a file."""
    config: TrainingConfig = _build(TrainingConfig, data, "")
    flat = flatten(config.to_json())
    for key, least in _AT_LEAST.items():
        if not flat[key] >= least:
            raise SpecError(f"{key} must be at least {least:g}; got {flat[key]!r}")
    for key, most in _AT_MOST.items():
        if not flat[key] <= most:
            raise SpecError(f"{key} must be at most {most:g}; got {flat[key]!r}")
    for key in _ABOVE_0_BELOW_1:
        if not 0 < flat[key] < 1:
            raise SpecError(f"{key} must lie between 0 and 1; got {flat[key]!r}")
    if not config.optimizer.learning_rate > 0:
        raise SpecError(f"optimizer.learning_rate must be above 0; got {config.optimizer.learning_rate!r}")
    if config.optimizer.schedule == "cosine" and config.run.epochs == 0:
        raise SpecError("optimizer.schedule = 'cosine' needs run.epochs, the length of the run")
    if config.data.source != "shapes" and not config.data.path:
        raise SpecError(f"data.source = {config.data.source!r} needs data.path")
    _check_model(config)
    return config


def _check_model(config: TrainingConfig) -> None:
    """Raise SpecError for a name under which, or a table [model] from which, nothing could be exported at the end."""
    from ..model.released.exported import ARCHITECTURES, check_name

    try:
        check_name(config.name)
    except SpecError as error:
        raise SpecError(f"name: {error}") from None
    table = dict(config.model)
    if "architecture" not in table:
        raise SpecError("the table [model] needs the key 'architecture', for example architecture = 'BLT_VS'")
    if "num_classes" in table:
        raise SpecError("model.num_classes is not given: the data decide it")
    architecture = table.pop("architecture")
    if architecture not in ARCHITECTURES:
        raise unknown("model.architecture", architecture, list(ARCHITECTURES))
    checked_arguments(ARCHITECTURES[architecture], table, "model.")


def flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as ``{"run.epochs": 3}``."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _build(cls: Any, data: Mapping[str, Any], where: str) -> Any:
    """An instance of a dataclass from a table, each key and type checked."""
    hints = get_type_hints(cls)
    known = [f.name for f in fields(cls)]
    for key in data:
        if key not in known:
            raise unknown(f"key in {f'the table [{where}]' if where else 'the config'}", key, known)
    if not where and "name" not in data:
        raise SpecError("the config needs the key 'name': what the trained model is called")
    values: dict[str, Any] = {}
    for key, value in data.items():
        hint, full = hints[key], f"{where}.{key}" if where else key
        if is_dataclass(hint):
            if not isinstance(value, Mapping):
                raise SpecError(f"{full} is a table, [{full}]; got {value!r}")
            values[key] = _build(hint, value, full)
        elif get_origin(hint) is dict:
            if not isinstance(value, Mapping):
                raise SpecError(f"{full} is a table, [{full}]; got {value!r}")
            values[key] = dict(value)
        else:
            values[key] = checked(hint, value, full)
    return cls(**values)
