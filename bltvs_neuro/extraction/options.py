"""How an extraction runs, as one object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from ..devices import pick_devices
from ..errors import SpecError, argument, unknown
from ..options import Machine, inherited

if TYPE_CHECKING:
    import torch

    from ..store import Shard

OnError = Literal["stop", "skip"]
Join = Literal["auto", "copy", "virtual"]
KeepBits = Literal[10, 7]
Precision = Literal["float32", "fast", "bfloat16", "float16"]
MemoryFormat = Literal["contiguous", "channels_last"]


@inherited
@dataclass(frozen=True, kw_only=True)
class ExtractRun(Machine):
    """How an extraction runs.

    Parameters
    ----------
    batch_size : int, optional
        Stimuli per forward pass. Default: 8 on a processor, measured on a GPU.
    workers : int, optional
        Decoding processes; results do not depend on it. Default: chosen by the number of cores.
    precision : {"float32", "fast", "bfloat16", "float16"}
        ``fast`` is float32 on a processor with fewer multiplications, channels last. Any other's deviation from float32 is
        measured on the first stimuli and written into the store.
    memory_format : {"contiguous", "channels_last"}
        Layout of activations in memory while they are computed.
    shard : str, optional
        ``2/8``: the second of eight jobs, each of which does its share of the stimuli. The job that ends last joins the
        shares; on file systems that the jobs do not share, bring the parts together and use ``bltvs join``.

    Examples
    --------
    >>> ExtractRun(precision="fast", shard="2/8").share
    Shard(number=2, count=8)
    """

    batch_size: int | None = None
    workers: int | None = None
    precision: Precision = "float32"
    memory_format: MemoryFormat = "contiguous"
    shard: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, valid in (("precision", get_args(Precision)), ("memory_format", get_args(MemoryFormat))):
            if getattr(self, name) not in valid:
                raise unknown(name, getattr(self, name), valid)
        for name, least in (("batch_size", 1), ("workers", 0)):
            count = getattr(self, name)
            if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < least):
                raise SpecError(f"{argument(name)} is an integer of at least {least}; got {count!r}")
        _ = self.share  # is it one?
        if self.precision == "fast":
            object.__setattr__(self, "memory_format", "channels_last")

    @property
    def share(self) -> Shard | None:
        """The shard, read."""
        if self.shard is None:
            return None
        from ..store import Shard  # not above, nor is torch: the help of commands reads this file

        return Shard.parse(self.shard)

    def places(self) -> list[torch.device]:
        """Where it will be computed; none where a cluster's workers do it.

        Raises
        ------
        SpecError
            A device that is not here, or choices that exclude each other.
        """
        where = [] if self.cluster is not None else pick_devices(self.device)
        if self.shard is not None and (self.cluster is not None or len(where) > 1):
            raise SpecError(
                f"a shard is one job's share; give either {argument('shard')} or several devices or a cluster"
            )
        if self.cluster is not None and (self.device == "all" or "," in str(self.device)):
            raise SpecError(
                f"each worker of a cluster computes on one device; got {argument('device', str(self.device))}"
            )
        for one in where:
            check_precision(one, self.precision)
        return where


def check_precision(device: torch.device, precision: Precision) -> None:
    """Raise a SpecError where a device cannot compute in a precision."""
    if precision == "fast" and device.type != "cpu":
        raise SpecError(f"{argument('precision', 'fast')} is float32 on a CPU; {device} is none: use 'float32' there")


def check_choices(keep_bits: KeepBits | None, on_error: OnError, join: Join) -> None:
    """Raise a SpecError for values that do not exist."""
    for name, value, valid in (
        ("keep_bits", keep_bits, (None, *get_args(KeepBits))), ("on_error", on_error, get_args(OnError)),
        ("join", join, get_args(Join)),
    ):  # fmt: skip
        if value not in valid:
            raise unknown(name, value, valid)
