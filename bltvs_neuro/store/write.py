"""Write a store block by block; killed at any moment, the same call goes on where it stopped."""

from __future__ import annotations

import contextlib
import errno
import glob
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from ..durable import check_outputs, make_folder, output_path, told
from ..errors import OutputError, SpecError, StoreError, argument, listed
from .format.attributes import finished_attributes
from .format.frame import finished_frame
from .format.json_text import plain_json
from .join import Join, choose_join, join_parts
from .parts.identity import refuse_other
from .parts.lock import FIRST_BLOCK, JOIN, SETUP, Busy, Claim, holding
from .parts.part import Part, PartHeader, new_part, part_path, read_header
from .parts.shards import Shard, missing_shards, named
from .parts.sink import temporary_name
from .parts.specfile import SPEC_FILE, parts_folder, read_spec, write_spec
from .seal import Damaged, is_ours
from .spec import Block, StoreSpec

log = logging.getLogger(__name__)

LOCK_FILE = "lock"
PART_NAME = re.compile(r"part-\d{7,}-\d{7,}\.h5")
_DISK_ERRORS = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.EROFS}


def open_writer(
    path: str | os.PathLike[str],
    spec: StoreSpec,
    *,
    resume: bool = True,
    blocks: range | None = None,
    shard: Shard | None = None,
) -> Writer:
    """Open a store for writing.

    Parameters
    ----------
    path : path
        Of the finished file; the parts lie in the folder ``<path>.parts`` until they are joined.
    spec : StoreSpec
    resume : bool
        Go on with what is there; False discards it (only files that a writer made).
    blocks : range, optional
        Write only these blocks. Several processes may each write blocks of their own at once.
    shard : Shard, optional
        Write only the blocks of this share; ``spec.shards`` says into how many they are divided.

    Returns
    -------
    Writer
        A context manager.

    Raises
    ------
    StoreError
        What is there was made by another extraction (the differences are named), is no store, or another writer
        is at work on some of these blocks, or what is there is divided into another number of shards.
    """
    return Writer(Path(path), spec, resume=resume, blocks=blocks, shard=shard)


def join_store(path: str | os.PathLike[str], *, join: Join = "auto") -> Path:
    """Join the parts that shards have written, perhaps on several machines, into the finished file.

    Parameters
    ----------
    path : path
        Of the finished file; the parts lie in ``<path>.parts``.
    join : {"auto", "copy", "virtual"}
        As for :meth:`Writer.finish`: encoded chunks are copied as they are, or referred to.

    Raises
    ------
    StoreError
        There are no parts, shards are missing (they are named), or one is being written.
    """
    path = check_store_path(path)
    if path.exists():
        finished_frame(path)
        return path
    folder = parts_folder(path)
    if not (folder / SPEC_FILE).exists():
        raise StoreError(f"there is nothing to join: no {folder} with parts of {path}")
    with open_writer(path, read_spec(folder)) as writer:
        return writer.finish(join=join)


def check_store_path(path: str | os.PathLike[str], *, resume: bool = True) -> Path:
    """Try, before the work, whether a store can be written; returns its path, links followed.

    Raises
    ------
    StoreError
        A folder, a file that is no store, or a name too long for what lies beside a store while it is written.
    OutputError
        Nothing can be written there.
    """
    path = Path(path)
    with told(path):
        if path.is_dir():
            raise StoreError(f"{path} is a folder; name a file, for example {path / 'acts.h5'}")
        path = output_path(path, overwrite=True)
        exists = path.exists()
    if exists and not is_ours(path):
        raise StoreError(f"{path} exists and is not an activation store; choose another path")
    if exists and resume:
        return path
    check_outputs(path, overwrite=True)
    folder = parts_folder(path)
    with told(folder):
        if os.path.lexists(folder) and not folder.is_dir():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    try:
        check_outputs(temporary_name(path))
    except OutputError as error:
        if getattr(error.__cause__, "errno", None) != errno.ENAMETOOLONG:
            raise
        raise StoreError(
            f"{path} has a name too long for the files beside it; choose one shorter by 40 bytes"
        ) from None
    return path


class Writer:
    """What :func:`open_writer` returns. It may be used from any one thread at a time.

    Attributes
    ----------
    path : Path
    spec : StoreSpec
    attributes : dict
        Provenance (JSON) of what this process computes: it goes into each of its parts, and from them into the finished
        file, whoever joins it.
    """

    def __init__(
        self, path: Path, spec: StoreSpec, *, resume: bool, blocks: range | None, shard: Shard | None = None
    ) -> None:
        if shard is not None and (blocks is not None or shard.count != spec.shards):
            raise SpecError(f"shard {shard} does not fit blocks {blocks} and a spec of {spec.shards} shards")
        if shard is not None and not resume:
            raise SpecError(
                "one shard cannot start anew, it would discard what the others have done; remove the store and its parts"
            )
        self.path, self.spec = path, spec
        self.attributes: dict[str, Any] = {}
        self.folder = parts_folder(path)
        self._wanted, self._shard = blocks, shard
        self._resume = resume
        self._claim: Claim | None = None
        self._complete = False
        self._known: dict[int, PartHeader] | None = None

    # opening and closing

    def __enter__(self) -> Writer:
        self.path = check_store_path(self.path, resume=self._resume)
        self.folder = parts_folder(self.path)
        if self._resume and self.path.exists():
            frame = finished_frame(self.path)
            refuse_other(frame.spec, self.spec, self.path)
            self._complete = True
            if not frame.parts:
                self._clear_leftovers()
            return self
        make_folder(self.folder)
        try:
            self._open()
        except Busy:
            self._release()
            what = f"shard {self._shard}" if self._shard else "these stimuli"
            raise StoreError(
                f"another process is writing {what} of {self.path}; wait for it, or give each process a share of its own"
            ) from None
        except OSError as error:
            self._release()
            raise self._disk_error(error, "beginning the store") from error
        except BaseException:
            self._release()
            raise
        return self

    def _open(self) -> None:
        lock = self.folder / LOCK_FILE
        if not self._resume:
            every = Claim(lock, FIRST_BLOCK, 1 << 40).acquire()
            try:
                self._discard()
            finally:
                every.release()
        with holding(lock, SETUP):
            if (self.folder / SPEC_FILE).exists():
                stored = read_spec(self.folder)
                refuse_other(stored, self.spec, self.folder)
                if self._wanted is not None and stored.block != self.spec.block:
                    raise StoreError(
                        f"{self.folder} has blocks of {stored.block} stimuli, this shard counts in "
                        f"blocks of {self.spec.block}; use {argument('block', stored.block)}"
                    )
                if self._shard is not None and stored.shards != self._shard.count:
                    divided = f"divided into {stored.shards} shards" if stored.shards > 1 else "not divided into shards"
                    raise StoreError(
                        f"{self.folder} is {divided}, and shard {self._shard} was asked for; go on with the same number "
                        "(or without a shard, once no other job is at work), or write to another path"
                    )
                self.spec = replace(self.spec, block=stored.block, shards=stored.shards)
            else:
                write_spec(self.folder, self.spec)
        blocks = list(self.spec.blocks())
        chosen = range(len(blocks)) if self._wanted is None else self._wanted
        if self._shard is not None:
            chosen = self._shard.blocks(len(blocks))
        if not chosen or chosen.step != 1 or chosen.start < 0 or chosen.stop > len(blocks):
            raise SpecError(f"blocks must be a range within 0 to {len(blocks)}; got {chosen}")
        self._blocks = blocks
        self._chosen = chosen
        self._claim = Claim(lock, FIRST_BLOCK + chosen.start, FIRST_BLOCK + chosen.stop).acquire()
        self._sweep()

    def _clear_leftovers(self) -> None:
        """Remove the parts that a writer had joined but, killed, could not remove."""
        if (self.folder / SPEC_FILE).exists() or (self.folder / LOCK_FILE).exists():
            with contextlib.suppress(Busy):  # another writer still has its hands on them and will remove them
                every = Claim(self.folder / LOCK_FILE, JOIN, 1 << 40).acquire()
                try:
                    self._remove_parts()
                finally:
                    every.release()

    def _sweep(self) -> None:
        """Remove what killed writers left of these blocks; the lock says that nobody is writing them."""
        for index in self._chosen:
            name = part_path(self.folder, self._blocks[index]).name
            for leftover in self.folder.glob(f".{glob.escape(name)}.*.tmp"):
                leftover.unlink(missing_ok=True)

    @property
    def _parts(self) -> dict[int, PartHeader]:
        """The finished parts of this writer's blocks, by block; each was read as a whole before it counts as done."""
        if self._known is None:
            self._known, damaged = self._find(self._blocks[self._chosen.start : self._chosen.stop])
            for index, error in damaged.items():
                _, start, stop = self._blocks[index]
                log.warning("%s; stimuli %d to %d are done again", error, start, stop - 1)
        return self._known

    def _find(self, blocks: list[Block], *, chunks: bool = True) -> tuple[dict[int, PartHeader], dict[int, Damaged]]:
        """The sound parts of ``blocks`` and the damaged ones; without ``chunks`` only their labels are read.

        A part that this writer has read or written, and that has the same seal still, is not read again.
        """
        digest, known = self.spec.digest(), self._known or {}
        found: dict[int, PartHeader] = {}
        damaged: dict[int, Damaged] = {}
        for block in blocks:
            path = part_path(self.folder, block)
            if not path.exists():
                continue
            try:
                header = read_header(path, digest, block)
                before = known.get(block.index)
                if chunks and (before is None or before.seal.digest != header.seal.digest):
                    header.seal.check_chunks()
                found[block.index] = header
            except Damaged as error:
                damaged[block.index] = error
        return found, damaged

    def _discard(self) -> None:
        if self.path.exists():
            self.path.unlink()
        for file in self.folder.iterdir():
            if made_by_writer(file) and file.name != LOCK_FILE:
                file.unlink()

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    # writing

    @property
    def complete(self) -> bool:
        """Whether the finished file is there."""
        return self._complete

    def pending(self) -> Iterator[Block]:
        """The blocks of this writer that have no part yet, in order."""
        if self._complete:
            return
        for index in self._chosen:
            if index not in self._parts:
                yield self._blocks[index]

    @contextlib.contextmanager
    def part(self, block: Block) -> Iterator[Part]:
        """Write one block; on a clean exit the part is on disk for good, on an exception nothing of it remains.

        Raises
        ------
        SpecError
            Rows, ids or timesteps are missing at the end of the ``with`` block.
        StoreError
            The disk is full, the quota or the file-size limit is reached.
        """
        if self._claim is None:
            raise StoreError(f"the writer of {self.path} is closed, or the store is complete")
        if block.index not in self._chosen or block.index in self._parts:
            raise SpecError(f"block {block.index} is not pending in this writer")
        outside: OSError | None = None
        try:
            with new_part(self.folder, self.spec, block, plain_json(self.attributes)) as part:
                try:
                    yield part
                except OSError as error:
                    outside = None if part.disk_failed else error
                    raise
        except OSError as error:
            if error is outside:  # an image that cannot be read, say: the caller's own affair
                raise
            raise self._disk_error(error, f"writing stimuli {block.start} to {block.stop - 1}") from error
        self._parts[block.index] = read_header(part_path(self.folder, block), self.spec.digest(), block)

    def missing_shards(self) -> list[Shard]:
        """The shards, this one or others, that have blocks without a part."""
        return [] if self._complete else missing_shards(self.folder, self.spec)

    def finish(self, attributes: Mapping[str, Any] | None = None, *, join: Join = "auto") -> Path:
        """Join the parts into the finished file.

        Parameters
        ----------
        attributes : mapping, optional
            Further provenance, JSON, beside the ``attributes`` of the parts. ``title`` becomes a global attribute as well.
        join : {"auto", "copy", "virtual"}
            Copy the chunks and remove the parts; or keep the parts and refer to them. ``"auto"`` copies when the
            disk has room.

        Returns
        -------
        Path

        Raises
        ------
        StoreError
            Blocks are missing, or the disk is full; the parts are intact.
        """
        if self._complete:
            return self.path
        with holding(self.folder / LOCK_FILE, JOIN):
            if self.path.exists() and is_ours(self.path):  # another shard joined meanwhile
                frame = finished_frame(self.path)
                refuse_other(frame.spec, self.spec, self.path)
                self._complete = True
                if not frame.parts:
                    self._remove_parts()  # waiting for the lock may have made the folder anew
                return self.path
            for leftover in self.path.parent.glob(f".{glob.escape(self.path.name)}.*.tmp"):
                leftover.unlink(missing_ok=True)  # of a writer that was killed while joining
            how, parts = self._to_join(join)
            about = finished_attributes(self.spec, attributes or {}, parts, how)
            try:
                join_parts(self.path, self.spec, parts, about, how)
            except Damaged as error:
                raise self._damaged([error]) from None
            except OSError as error:
                raise self._disk_error(error, "joining the parts") from error
            self._complete = True
            if how == "copy":
                self._remove_parts()
        self._release()  # nothing is left to guard
        return self.path

    def recorded(self) -> dict[str, str]:
        """Stimulus id -> sha256 of its pixels, of all stimuli in this writer's finished parts."""
        if self._complete:
            frame = finished_frame(self.path)
            return dict(zip(frame.stimulus_ids.tolist(), frame.stimulus_sha256.tolist(), strict=True))
        return {i: s for _, part in sorted(self._parts.items()) for i, s in zip(part.ids, part.sha256s, strict=True)}

    def skipped(self) -> dict[str, str]:
        """Stimulus id -> reason, of the stimuli that this writer's finished parts leave out."""
        if self._complete:
            return finished_frame(self.path).skipped
        return {i: reason for _, part in sorted(self._parts.items()) for i, reason in part.skipped}

    # helpers

    def _to_join(self, join: Join) -> tuple[Literal["copy", "virtual"], list[PartHeader]]:
        """How to join, and all parts; those that are copied are checked while they are."""
        parts, damaged = self._find(self._blocks, chunks=False)
        missing = len(self._blocks) - len(parts) - len(damaged)
        if missing:
            shards = missing_shards(self.folder, self.spec)
            which = f"{named(shards)}: " if shards else ""
            raise StoreError(
                f"{which}{missing} of {len(self._blocks)} blocks of {self.path} are not written yet; "
                "run the same command for them, then again to join"
            )
        how = choose_join(join, self.path, list(parts.values()))
        if how == "virtual" and not damaged:
            parts, damaged = self._find(self._blocks)
        if damaged:
            raise self._damaged(list(damaged.values()))
        return how, [parts[index] for index in sorted(parts)]

    def _damaged(self, found: list[Damaged]) -> StoreError:
        """What to do about damaged parts: whoever has the model can do them again, who joins cannot."""
        names = {part_path(self.folder, block): block.index for block in self._blocks}
        which = ""
        if self.spec.shards > 1:
            shards = [Shard(number, self.spec.shards) for number in range(1, self.spec.shards + 1)]
            hit = {names[error.path] for error in found}
            which = " of " + named([shard for shard in shards if hit & set(shard.blocks(len(self._blocks)))])
        reasons = listed(f"{error.path.name} ({error.reason})" for error in found)
        return StoreError(
            f"{self.path} is not joined, and all parts are kept: damaged in {self.folder}: {reasons}; run the same "
            f"`bltvs extract`{which} again, which does the stimuli of damaged parts again, and joins"
        )

    def _remove_parts(self) -> None:
        # The spec goes after the parts: without it, a killed removal would look like parts of an unknown extraction.
        for file in sorted(self.folder.iterdir(), key=lambda file: (file.name == LOCK_FILE, file.name == SPEC_FILE)):
            if made_by_writer(file):
                file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something that is not ours lies there
            self.folder.rmdir()

    def _disk_error(self, error: OSError, doing: str) -> StoreError:
        parts = (self._known or {}).values()
        done = sum(len(part.ids) + len(part.skipped) for part in parts)
        total = len(self.spec.stimulus_ids)
        left = (
            (total - done) * self.spec.bytes_per_stimulus
            if doing.startswith("writing")
            else sum(part.seal.nbytes for part in parts)
        )
        if error.errno not in _DISK_ERRORS:
            return StoreError(
                f"{doing} failed: {error}; {done} of {total} stimuli are finished and safe in "
                f"{self.folder}; run the same command again to go on"
            )
        room = f"{shutil.disk_usage(existing(self.folder)).free / 1e9:.3g} GB are free"
        return StoreError(
            f"{error.strerror} while {doing}: {done} of {total} stimuli are finished and safe in {self.folder}, about "
            f"{left / 1e9:.3g} GB more are needed and {room}; make room (or raise the limit) and run the same command again"
        )


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next((f for f in (folder, *folder.parents) if f.is_dir()), Path("."))


def made_by_writer(file: Path) -> bool:
    """Whether a file in the parts folder was made by a writer."""
    name = file.name
    if name.startswith(".") and name.endswith(".tmp"):
        name = name[1:]
    return file.is_file() and (name == LOCK_FILE or name.startswith(SPEC_FILE) or bool(PART_NAME.match(name)))
