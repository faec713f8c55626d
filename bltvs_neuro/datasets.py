"""The files the package fetches, each with its origin, sha256 and size bound.

A file is looked for in the folder that the environment variable ``BLTVS_DATA`` names, then in the cache, and is then
downloaded with pooch. Wherever it is found, its sha256 is checked before anything opens it.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import BinaryIO

import pooch

from .durable import make_folder, move_into, scratch_folder
from .errors import DataError, OutputError, unknown

log = logging.getLogger(__name__)

DATA_VARIABLE = "BLTVS_DATA"
GITHUB = "https://raw.githubusercontent.com"
BLT_VS_COMMIT = "032a4d9434e8f33f2d4d1523e7012db856d66e19"
EXAMPLE = "examples/turtle.jpg"
"""The picture that the original's example classifies."""
TIMEOUT = (10.0, 60.0)
"""Seconds to wait for a connection and for the next bytes."""

KRIEGESKORTE92_IDS: tuple[str, ...] = tuple(f"object_{number:02d}" for number in range(1, 93))
"""Stimulus ids of the 92 objects of Kriegeskorte et al. 2008, in the order of all of their files."""


@dataclass(frozen=True)
class DataFile:
    """A file: its ``path`` below ``BLTVS_DATA`` and the cache, where it comes from, and how it is known to be the right one.

    ``sha256`` is None where nobody has told it yet: then the commit in the address says which file it is, and what opens the
    file must take anything. A download is cut off beyond ``max_bytes``; ``licence`` and ``reference`` are its terms and what
    to cite.
    """

    path: str
    url: str
    sha256: str | None
    max_bytes: int
    licence: str
    reference: str


def _kriegeskorte92(filename: str, sha256: str) -> DataFile:
    commit = "f1f83cadb7243492a1aae7460466e0f0140b20ac"
    return DataFile(
        path=f"kriegeskorte92/{filename}",
        url=f"{GITHUB}/rsagroup/rsatoolbox/{commit}/demos/92imageData/{filename}",
        sha256=sha256,
        max_bytes=16 * 2**20,
        licence="MIT (rsagroup/rsatoolbox)",
        reference="Kriegeskorte et al. 2008, Neuron 60:1126-1141, doi:10.1016/j.neuron.2008.10.043",
    )


_FILES = (
    _kriegeskorte92("92_brainRDMs.mat", "1743f90a15e895798a94318649e80e1123a7e5943a1703fa1dd7c31ea5780b7c"),
    _kriegeskorte92("92_modelRDMs.mat", "e1d2b58bb2f9508bc13da4c81b94d1ab07823b25ed30b9563bd9d6d730c2a00a"),
    _kriegeskorte92("92_behavRDMs.mat", "7a8e118c144c3840adeeeef6ea0706a0be2b3e80df719af15fbb56fc62562f5f"),
    _kriegeskorte92("rdm92_V1model.mat", "4efc3291a5c85943c5f6ea3d05daedbf232b6dbd263104e8e5b5de38be6be8b1"),
    _kriegeskorte92(
        "Kriegeskorte_Neuron2008_supplementalData.mat",
        "06f21214399a5d43dc264eed19a7f4b8daf11c8622a59eec3e106064ce5e3504",
    ),
    DataFile(
        path="classes/ecoset.json",
        url=f"{GITHUB}/KietzmannLab/BLT-VS/{BLT_VS_COMMIT}/blt_vs_model/ecoset.json",
        sha256="01e54fd4da4a994b8f86d308d5749d0e2ca1a264246010516e0a2af8c17649e3",
        max_bytes=2**20,
        licence="MIT (KietzmannLab/BLT-VS)",
        reference="Mehrer et al. 2021, PNAS 118:e2011417118, doi:10.1073/pnas.2011417118",
    ),
    DataFile(
        path=EXAMPLE,
        url=f"{GITHUB}/KietzmannLab/BLT-VS/{BLT_VS_COMMIT}/turtle.jpg",
        sha256=None,
        max_bytes=16 * 2**20,
        licence="see the repository",
        reference="KietzmannLab/BLT-VS, the picture of its example.py",
    ),
    DataFile(
        path="weights/blt_vs.zip",
        url="https://zenodo.org/records/14223659/files/blt_vs.zip?download=1",
        sha256="36d74a367a261e788028c6c9caa7a5675fee48e938a6b86a6c62655b23afaf53",
        max_bytes=4 * 2**30,
        licence="see the record",
        reference="Zenodo record 14223659, doi:10.5281/zenodo.14223659",
    ),
)

DATASETS: dict[str, DataFile] = {file.path: file for file in _FILES}
"""Every file :func:`fetch` knows, by its path below the data folder."""


def cache_folder() -> Path:
    """The folder that downloads are kept in (``XDG_CACHE_HOME`` and its likes on other systems move it)."""
    return Path(pooch.os_cache("bltvs_neuro"))


def sha256_file(path: str | Path) -> str:
    """The sha256 of a file's bytes, hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetch(name: str, *, offline: bool = False) -> Path:
    """Find a data file by its name in :data:`DATASETS`, or, unless ``offline``, download it; its sha256 is checked.

    DataError where it can neither be found nor fetched, or is not the right file.
    """
    if name not in DATASETS:
        raise unknown("data file", name, list(DATASETS))
    file = DATASETS[name]
    ours = _in_data_folder(file)
    if ours is not None:
        return ours
    cached = cache_folder() / file.path
    if cached.is_file():
        if file.sha256 in (None, sha256_file(cached)):
            return cached
        log.warning("%s in the cache is damaged and is fetched again", cached)
    if offline:
        raise _missing(file, "it is not on this machine, and downloads are switched off")
    log.info("fetching %s from %s", file.path, file.url)
    try:
        with _quiet_pooch(), scratch_folder(make_folder(cached.parent)) as scratch:
            found = pooch.retrieve(
                file.url,
                known_hash=None if file.sha256 is None else f"sha256:{file.sha256}",
                fname=cached.name,
                path=scratch,
                downloader=lambda url, target, _: _download(url, Path(target), file),
            )
            move_into(Path(found), cached)
    except ValueError as error:  # pooch's word for a hash that does not match
        raise _missing(file, f"the bytes that came do not have the sha256 {file.sha256}") from error
    except (OSError, OutputError) as error:  # requests' errors are OSErrors
        raise _missing(file, _cause(error)) from error
    return cached


def _in_data_folder(file: DataFile) -> Path | None:
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        return None
    if not Path(folder).is_dir():
        raise DataError(f"{DATA_VARIABLE} is {folder!r}, which is not a folder; correct it or unset it")
    path = Path(folder) / file.path
    if not path.is_file():
        return None
    got = sha256_file(path)
    if file.sha256 not in (None, got):
        raise DataError(
            f"{path} is not the published file: its sha256 is {got}, expected {file.sha256}; "
            f"remove it to have it fetched from {file.url}, or unset {DATA_VARIABLE}"
        )
    return path


def _missing(file: DataFile, why: str) -> DataError:
    return DataError(
        f"cannot fetch {file.path} from {file.url}: {why}. Fetch it on a machine with network access and put it at "
        f"{cache_folder() / file.path}, or set {DATA_VARIABLE} to a folder that holds it as {file.path}"
    )


def _cause(error: BaseException) -> str:
    """The innermost reason of a network error, in one line."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}".rstrip()
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "…"


class _Bounded:
    """A file that logs how far it is every few seconds and refuses to grow beyond what ``file`` may have."""

    def __init__(self, stream: BinaryIO, file: DataFile) -> None:
        self.stream, self.file = stream, file
        self.done, self.said = 0, monotonic()

    def write(self, chunk: bytes) -> None:
        self.done += len(chunk)
        if self.done > self.file.max_bytes:
            raise OSError(f"the server sends more than the {self.file.max_bytes:,} bytes that this file may have")
        self.stream.write(chunk)
        if monotonic() - self.said > 5:
            self.said = monotonic()
            log.info("%s: %.1f MB so far", self.file.path, self.done / 1e6)

    def flush(self) -> None:
        """Pooch flushes after every chunk; closing the file does it once."""


def _download(url: str, target: Path, file: DataFile) -> None:
    get = pooch.HTTPDownloader(chunk_size=2**16, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"})
    with target.open("wb") as stream:
        bounded = _Bounded(stream, file)
        get(url, bounded, None)
    log.info("%s: fetched, %.1f MB", file.path, bounded.done / 1e6)


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Keep pooch's own messages off stderr: ours say the same."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(level)
