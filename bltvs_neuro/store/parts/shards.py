"""The blocks of a store divided into shares, one for each job of a job array."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import NamedTuple

from ...errors import SpecError, counted, listed
from ..format.encode import CHUNK_ROWS
from ..spec import StoreSpec
from .part import part_path

_TEXT = re.compile(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*\Z")


class Shard(NamedTuple):
    """Share ``number`` (from 1) of ``count``.

    Examples
    --------
    >>> str(Shard.parse("2/8"))
    '2/8'
    """

    number: int
    count: int  # type: ignore[assignment]

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``"2/8"``; SpecError for anything else."""
        found = _TEXT.match(text)
        if not found:
            raise SpecError(f"a shard is written i/n, for example 2/8 for the second of eight jobs; got {text!r}")
        return cls(int(found[1]), int(found[2])).checked()

    def checked(self) -> Shard:
        """Itself; SpecError unless ``1 <= number <= count``."""
        if self.count < 1:
            raise SpecError(f"shards are at least 1; got {self.number}/{self.count}")
        if not 1 <= self.number <= self.count:
            raise SpecError(
                f"shards count from 1: of {self.count} there are 1/{self.count} to {self.count}/{self.count}; got "
                f"{self.number}/{self.count}"
            )
        return self

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def blocks(self, n_blocks: int) -> range:
        """The positions of its blocks: a run of them, as many as any other shard's or one fewer."""
        return range((self.number - 1) * n_blocks // self.count, self.number * n_blocks // self.count)


def block_for(n_stimuli: int, default: int, count: int, batch_size: int) -> int:
    """Stimuli in a block, at most ``default``, so that ``count`` shares are near equal; SpecError where there are too few.

    Where it can be, blocks hold whole batches of ``batch_size``, so that every batch is the one that an undivided run
    computes: how many images share a batch may change the last bit of a convolution.

    Examples
    --------
    >>> block_for(92, 96, 4, 8), block_for(73000, 96, 8, 8)
    (24, 96)
    """
    most = math.ceil(n_stimuli / CHUNK_ROWS)
    if count > most:
        raise SpecError(
            f"{counted(n_stimuli, 'stimuli')} make {most} blocks of {CHUNK_ROWS}, too few for {count} shards"
        )
    share = n_stimuli / count
    if share >= default:
        return default
    for unit in (math.lcm(CHUNK_ROWS, batch_size), CHUNK_ROWS):
        for block in (math.ceil(share / unit) * unit, math.floor(share / unit) * unit):
            if 0 < block <= default and math.ceil(n_stimuli / block) >= count:
                return block
    return CHUNK_ROWS


def missing_shards(folder: Path, spec: StoreSpec) -> list[Shard]:
    """The shards that have blocks without a part; empty when all is written or the store is not divided."""
    if spec.shards == 1:
        return []
    blocks = list(spec.blocks())
    absent = [not part_path(folder, block).exists() for block in blocks]
    shards = (Shard(number, spec.shards) for number in range(1, spec.shards + 1))
    return [shard for shard in shards if any(absent[i] for i in shard.blocks(len(blocks)))]


def named(shards: list[Shard]) -> str:
    """``"shard 2/4"``, ``"shards 2/4, 3/4"``."""
    return f"shard{'s' if len(shards) > 1 else ''} {listed(shards)}"
