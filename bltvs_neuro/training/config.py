"""A training run as data: a TOML file with a few tables, checked key by key before anything is computed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

from pydantic import ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, TypeAdapter, ValidationError

from ..checked import checked_arguments
from ..errors import SpecError, unknown
from ..foreign.text import read_text
from ..options import LARGEST_SEED

Count = Annotated[StrictInt, Field(ge=1)]
NotNegative = Annotated[StrictInt, Field(ge=0)]
Seed = Annotated[StrictInt, Field(ge=0, le=LARGEST_SEED)]
Pictures = Annotated[StrictInt, Field(ge=1, le=10_000_000)]
Amount = Annotated[StrictFloat, Field(ge=0)]
Share = Annotated[StrictFloat, Field(ge=0, le=1)]
CLOSED = ConfigDict(extra="forbid", allow_inf_nan=False)
"""No other keys, no number that is not finite."""


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

    __pydantic_config__ = CLOSED

    source: Literal["shapes", "imagefolder", "ecoset"] = "shapes"
    path: StrictStr = ""
    train: StrictStr = "train"
    val: StrictStr = "val"
    test: StrictStr = "test"
    n_train: Pictures = 100_000
    n_val: Pictures = 1_000
    n_test: Pictures = 2_000
    seed: Seed = 0


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

    __pydantic_config__ = CLOSED

    crop: Literal["random", "center"] = "random"
    blur: Share = 0.5
    flip: Share = 0.5
    trivial: StrictBool = True


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

    __pydantic_config__ = CLOSED

    learning_rate: Annotated[StrictFloat, Field(gt=0, le=1e3)] = 1e-3
    schedule: Literal["plateau", "cosine"] = "plateau"
    warmup_epochs: NotNegative = 5
    warmup_start: Share = 0.01
    plateau_epochs: Annotated[StrictInt, Field(ge=2)] = 5
    plateau_percent: Amount = 1.0
    plateau_patience: Count = 3
    plateau_factor: Annotated[StrictFloat, Field(gt=0, lt=1)] = 0.5
    stop_at: Amount = 1e-6
    label_smoothing: Annotated[StrictFloat, Field(ge=0, le=0.999)] = 0.1
    class_weights: StrictBool = True
    clip: Amount = 0.1
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

    __pydantic_config__ = CLOSED

    batch_size: Count = 256
    epochs: NotNegative = 0
    epoch_size: NotNegative = 0
    val_batch_size: Count = 256
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    channels_last: StrictBool = False
    compile: StrictBool = False
    device: StrictStr = "auto"
    workers: Annotated[StrictInt, Field(ge=0, le=1024)] = 4
    save_minutes: Amount = 10.0
    export: Literal["best", "last"] = "best"
    start_from: StrictStr = ""


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

    __pydantic_config__ = CLOSED

    name: StrictStr
    description: StrictStr = ""
    seed: Seed = 0
    model: dict[Any, Any] = field(default_factory=lambda: {"architecture": "BLT_VS"})
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return asdict(self)


FREE = (
    *(f"run.{key}" for key in ("epochs", "device", "workers", "save_minutes", "val_batch_size", "export")),
    "description",
)
"""Keys that may change when a run is resumed: they do not decide the numbers that were computed so far."""


def read_config(path: str | Path) -> TrainingConfig:
    """Read a run from a TOML file; SpecError, which names the valid ones, for a key or value that is not."""
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
    try:
        config = TypeAdapter(TrainingConfig).validate_python(data)
    except ValidationError as error:
        raise _said(error.errors(include_url=False)) from None
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
    architecture = table.pop("architecture", None)
    if architecture is None:
        raise SpecError("the table [model] needs the key 'architecture', for example architecture = 'BLT_VS'")
    if "num_classes" in table:
        raise SpecError("model.num_classes is not given: the data decide it")
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


_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
    "greater_than": ("above", "gt"),
    "less_than": ("below", "lt"),
}
_UNKNOWN = ("unexpected_keyword_argument", "invalid_key")
_TYPES = {"int_type": "int", "float_type": "float", "bool_type": "bool", "string_type": "str"}


def _said(errors: Sequence[Any]) -> SpecError:
    """One of the things that pydantic found, an unknown key first, as other errors say it: key, value, what is expected."""
    error = min(errors, key=lambda one: one["type"] not in _UNKNOWN)
    full, kind, got = ".".join(map(str, error["loc"])), error["type"], error["input"]
    if not full:
        return SpecError(f"a config is a table; got {got!r:.100}")
    *tables, key = error["loc"]
    where: Any = reduce(lambda table, name: get_type_hints(table)[name], tables, TrainingConfig)
    if kind in _UNKNOWN:
        table = f"the table [{'.'.join(tables)}]" if tables else "the config"
        return unknown(f"key in {table}", key, [one.name for one in fields(where)])
    if kind == "missing":
        return SpecError("the config needs the key 'name': what the trained model is called")
    if kind == "literal_error":
        return unknown(full, got, get_args(get_type_hints(where)[key]))
    if kind in ("dataclass_type", "dict_type"):
        return SpecError(f"{full} is a table, [{full}]; got {got!r:.100}")
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return SpecError(f"{full} must be {words} {error['ctx'][bound]:.12g}; got {got!r:.100}")
    if kind == "finite_number" or (kind == "float_type" and type(got) is int):
        return SpecError(f"{full} must be finite; got {got!r:.20}")
    return SpecError(f"{full} must be of type {_TYPES.get(kind, kind)}; got {got!r:.100}")
