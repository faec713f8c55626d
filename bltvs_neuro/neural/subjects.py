"""Which subject a file is of, and which files of a folder are one subject's each."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError, SpecError, argument, counted, listed, unknown
from ..leftovers import data_files, data_folders
from .reader import Reader, same_label
from .reading.ids import LISTS

NAMES = re.compile(r"(?<![A-Za-z0-9])(sub-[A-Za-z0-9]+|subj?_?\d+|[SP]\d+)(?![A-Za-z0-9])")

Recognise = Callable[[Path, Mapping[str, Any]], Sequence[Reader]]


@dataclass(frozen=True)
class Part:
    """What to read for one subject."""

    path: str | os.PathLike[str]
    subject: str
    """As the file's name, or whoever asks, says; the data may say it otherwise."""
    options: dict[str, Any]
    alone: bool = False
    """Whether it is all that was given, so that no subject was chosen or told apart."""


def told_subject(path: str | os.PathLike[str]) -> str | None:
    """The subject that the name of a file, or else of its folder, tells of."""
    found = NAMES.search(Path(path).name) or NAMES.fullmatch(Path(path).parent.name)
    return found[1] if found else None


def subject_of(path: str | os.PathLike[str]) -> str:
    """The subject that a file's name tells of, else its name without endings.

    Examples
    --------
    >>> subject_of("data/sub-01_task-x_betas.npy"), subject_of("P7-epo.fif"), subject_of("anna.csv")
    ('sub-01', 'P7', 'anna')
    """
    return told_subject(path) or Path(path).name.split(".")[0]


def parts_of(
    given: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], options: Mapping[str, Any], recognise: Recognise
) -> list[Part]:
    """What is to be read for each subject; one part where all is in one file or folder.

    Several files are a subject's each. So are the files of a folder that no reader takes as a whole, and the subjects of a
    data set whose reader takes one at a time. ``{subject}`` in an option stands for the subject.
    """
    paths = [given] if isinstance(given, str | os.PathLike) else list(given)
    if not paths:
        raise SpecError("no file of neural data is named")
    if twice := [path for i, path in enumerate(paths) if path in paths[:i]]:
        raise DataError(f"{listed(twice)} is given twice: each file holds one subject, or more")
    wanted = options.get("subject")
    wanted = [] if wanted is None else [str(one) for one in (wanted if isinstance(wanted, list | tuple) else [wanted])]
    files: list[str | os.PathLike[str]] = []
    for path in paths:
        files += _files(Path(path), options, recognise) or [path]
    if len(files) == 1:
        if len(wanted) > 1 and any("subject" in reader.options for reader in _readers(files[0], options, recognise)):
            return [Part(files[0], one, _filled({**options, "subject": one}, one)) for one in wanted]
        own = subject_of(files[0])
        return [Part(files[0], own, _filled(dict(options), wanted[0] if wanted else own), alone=True)]
    told = [told_subject(file) for file in files]
    rest = {key: value for key, value in options.items() if key != "subject"}
    names = [subject or subject_of(file) for subject, file in zip(told, files, strict=True)]
    if wanted and None not in told:
        chosen = [[i for i, name in enumerate(names) if same_label(name, one)] for one in wanted]
        if missing := [one for one, hits in zip(wanted, chosen, strict=True) if not hits]:
            raise unknown("subject", missing[0], list(dict.fromkeys(names)))
        kept = [i for hits in chosen for i in hits]
        files, names = [files[i] for i in kept], [names[i] for i in kept]
    elif wanted and len(wanted) == len(files):
        names = wanted
    elif wanted:
        raise SpecError(
            f"{argument('subject')} chooses among files whose names tell the subject, or names each of the {len(files)} "
            f"files in their order; got {listed(wanted)}"
        )
    return [Part(file, name, _filled(rest, name)) for file, name in zip(files, names, strict=True)]


def _filled(options: dict[str, Any], subject: str) -> dict[str, Any]:
    """Options with the subject in the place of ``{subject}``."""

    def fill(value: Any) -> Any:
        if isinstance(value, str | os.PathLike) and "{subject}" in os.fspath(value):
            return os.fspath(value).replace("{subject}", subject)
        return value

    return {key: fill(value) for key, value in options.items()}


def _readers(path: str | os.PathLike[str], options: Mapping[str, Any], recognise: Recognise) -> Sequence[Reader]:
    return recognise(Path(path), options) if Path(path).exists() else []


def _files(folder: Path, options: Mapping[str, Any], recognise: Recognise) -> list[Path]:
    """The files of a folder that are one subject's each; none where a reader takes the folder, or it is a file."""
    if not folder.is_dir() or recognise(folder, options):
        return []
    found: dict[str, list[Path]] = {}
    for path in (*data_files(folder), *data_folders(folder)):
        told = NAMES.search(path.name)
        if told is None or path.name.lower().endswith(LISTS):
            continue
        if (read := _readable(path, _filled(dict(options), told[1]), recognise)) is not None:
            found.setdefault(told[1], []).append(read)
    for subject, files in found.items():
        if len(files) > 1:
            raise DataError(
                f"{folder} holds several files of subject {subject}, {listed((file.name for file in files), 4)}: name the one "
                "of each subject"
            )
    return [files[0] for files in found.values()]


def _readable(path: Path, options: Mapping[str, Any], recognise: Recognise) -> Path | None:
    """The file, or the folder, or the only file in it, that a reader knows."""
    if recognise(path, options):
        return path
    if not path.is_dir():
        return None
    inside = [file for file in data_files(path) if not file.name.lower().endswith(LISTS) and recognise(file, options)]
    if len(inside) > 1:
        raise DataError(
            f"{path} holds {counted(len(inside), 'file')} ({listed((f.name for f in inside), 4)}): name one"
        )
    return inside[0] if inside else None
