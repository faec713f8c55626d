"""Names of BIDS: what they say of a file, and which one file holds each run.

References
----------
Gorgolewski et al. 2016, Scientific Data 3:160044, doi:10.1038/sdata.2016.44
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from natsort import natsort_keygen

from ...errors import DataError, argument, counted, listed, unknown
from ...leftovers import data_files, lost_links

log = logging.getLogger(__name__)

VOLUMES = (".nii", ".nii.gz")

RUN = ("sub", "ses", "task", "acq", "ce", "dir", "run")
"""Entities that tell runs apart. Others (space, res, desc, stat, echo, hemi, ...) tell apart the files of one run."""

NO_BETAS = ("mask", "dseg", "probseg", "boldref")
"""Suffixes of volumes that lie beside betas and may share words with them."""

Picks = Mapping[str, str | None]

_natural = natsort_keygen()


class Named(NamedTuple):
    """A file and what its name says."""

    path: Path
    entities: dict[str, str]
    suffix: str
    extension: str

    def tells(self, key: str, root: Path) -> str | None:
        """An entity, or suffix, extension or folder; None where the name has no such entity."""
        own = {"suffix": self.suffix, "extension": self.extension, "folder": self.folder(root)}
        return own.get(key, self.entities.get(key))

    def folder(self, root: Path) -> str:
        """Where the file lies below ``root``."""
        return self.path.parent.relative_to(root).as_posix() if self.path.is_relative_to(root) else "."


def named(path: Path) -> Named | None:
    """What a name says; None when it is no name of BIDS."""
    from ancpbids.utils import parse_bids_name  # slow to import

    found = parse_bids_name(path.name)
    if found is None:
        return None
    return Named(path, found["entities"], found["suffix"], found["extension"].lower())


def betas_of(folder: Path) -> tuple[list[Named], list[Named]]:
    """Images of betas in a folder and its subfolders, and those that are links to nowhere."""
    kept = []
    for paths in (data_files(folder, recursive=True), lost_links(folder, recursive=True)):
        kept.append([file for file in map(named, paths) if file is not None and is_betas(file)])
    return kept[0], kept[1]


def is_betas(file: Named) -> bool:
    """Whether the suffix, ``desc`` or ``stat`` of an image's name says betas."""
    said = (file.suffix, file.entities.get("desc", ""), file.entities.get("stat", ""))
    image = file.extension in VOLUMES and "sub" in file.entities and file.suffix not in NO_BETAS
    return image and any("beta" in word.lower() for word in said)


def agree(entities: Mapping[str, str], file: Named) -> bool:
    """Whether a file has all of these entities; 1 and 01 are one number."""
    return all(same(value, file.entities.get(key)) for key, value in entities.items())


def same(a: str | None, b: str | None) -> bool:
    """Whether two values of an entity are one."""
    return a == b or (a is not None and b is not None and a.isdecimal() and b.isdecimal() and int(a) == int(b))


def one_file_a_run(files: Sequence[Named], lost: Sequence[Named], picks: Picks, root: Path) -> list[Named]:
    """The file of each run of one subject, in the order of session, task and run; DataError where several files hold one.

    ``lost`` are links that lead nowhere. ``picks`` is what the names have to say, ``{"space": "T1w", "desc": None}``; also
    ``suffix``, ``extension`` and ``folder`` (below ``root``).
    """
    files, lost = _picked(files, lost, picks, root)
    runs: dict[tuple[str, ...], list[Named]] = {}
    for file in files:
        runs.setdefault(_run(file), []).append(file)
    several = [group for group in runs.values() if len(group) > 1]
    if several:
        a, b = several[0][:2]
        names = listed((file.path.relative_to(root).as_posix() for file in several[0]), most=4)
        rest = len(several) - 1
        more = f" ({rest} more {'is' if rest == 1 else 'are'}, too)" if rest else ""
        raise DataError(
            f"one run of {root} is in {counted(len(several[0]), 'files')}, {names}{more}: {_remedy(a, b, root)}"
        )
    gone = [file for file in lost if _run(file) not in runs]
    if gone:
        are = "image is a link that leads" if len(gone) == 1 else "images are links that lead"
        text = f"{root}: {len(gone)} {are} nowhere ({listed((file.path.name for file in gone), most=4)})"
        if not files:
            raise DataError(f"{text}: fetch the content (datalad get)")
        log.warning("%s; left out", text)
    return sorted(files, key=lambda file: _natural(_run(file)))


def _run(file: Named) -> tuple[str, ...]:
    values = [file.entities.get(key, "") for key in RUN]
    return tuple(str(int(value)) if value.isdecimal() else value for value in values)


def _picked(
    files: Sequence[Named], lost: Sequence[Named], picks: Picks, root: Path
) -> tuple[Sequence[Named], Sequence[Named]]:
    for key, value in picks.items():
        wanted = None if value in (None, "none") else value
        have = list(dict.fromkeys(file.tells(key, root) or "none" for file in (*files, *lost)))
        files, lost = ([f for f in some if _says(f, key, wanted, root)] for some in (files, lost))
        if not files and not lost:
            raise unknown(f"{key} among the {argument('entities')} of the images", value, have)
    return files, lost


def _says(file: Named, key: str, wanted: str | None, root: Path) -> bool:
    told = file.tells(key, root)
    if key == "folder" and wanted is not None and told is not None:
        return told == wanted or told.startswith(wanted.strip("/") + "/")
    return same(told, wanted)


def _remedy(a: Named, b: Named, root: Path) -> str:
    keys = [*dict.fromkeys((*a.entities, *b.entities)), "extension", "suffix", "folder"]
    for key in keys:
        first = a.tells(key, root)
        if key not in RUN and first != b.tells(key, root):
            return f"choose with {argument('entities', key + ':' + (first or 'none'))}"
    return "keep one of them in the folder"
