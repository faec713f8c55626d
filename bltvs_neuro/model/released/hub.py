"""Released weights: from the Hugging Face hub through its own client, or from the archive that also holds them.

Nothing is loaded whose sha256 is known and differs: of a large file on the hub, the ETag is the sha256, and the client
keeps it as the name of the file in its cache.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.utils import (
    EntryNotFoundError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ... import datasets
from ...errors import DataError, WeightsError, argument, listed
from .weights import SUFFIXES

log = logging.getLogger(__name__)

MAX_BYTES = 2 * 2**30
"""No file of weights is larger; checked before a download and while an archive is read."""

_ABSENT = (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError)
_SHA256 = re.compile(r"[0-9a-f]{64}")


class NotFetched(WeightsError):
    """Weights that are not here, and a hub that is switched off or cannot be reached."""


@dataclass(frozen=True)
class Fetched:
    """A file of weights and where it came from."""

    content: Path | bytes
    origin: str
    revision: str | None
    sha256: str
    verified: str

    def describe(self, file: str) -> dict[str, str | None]:
        """What the provenance says of weights that were released as ``file``."""
        return {
            "weights": "pretrained", "origin": self.origin, "revision": self.revision, "file": file,
            "file_sha256": self.sha256, "verified": self.verified,
        }  # fmt: skip


def fetch_weights(
    repo: str, filename: str, revision: str = "main", *,
    second_source: str | None = None, cache_dir: str | Path | None = None,
) -> Fetched:  # fmt: skip
    """Find released weights in the cache, or fetch them from the hub, or from a second source; WeightsError if nowhere.

    The environment variable ``HF_ENDPOINT`` names another server, ``HF_HOME`` the cache unless ``cache_dir`` is given.
    ``second_source`` is a zip archive of :data:`bltvs_neuro.datasets.DATASETS` that holds the same file.
    """
    try:
        return _from_hub(repo, filename, revision, cache_dir)
    except WeightsError as error:
        if second_source is None:
            raise
        hub_error = error
    log.warning("%s; trying %s", hub_error, datasets.DATASETS[second_source].url)
    try:
        return _from_archive(second_source, filename)
    except (DataError, WeightsError) as error:
        raise type(hub_error)(f"{hub_error}. The second source failed too: {error}") from error


def _from_hub(repo: str, filename: str, revision: str, cache_dir: str | Path | None) -> Fetched:
    endpoint = os.environ.get("HF_ENDPOINT") or None  # the client itself reads it once only, at import
    url = huggingface_hub.hf_hub_url(repo, filename, revision=revision, endpoint=endpoint)
    folder = Path(cache_dir or constants.HF_HUB_CACHE)
    cached = huggingface_hub.try_to_load_from_cache(repo, filename, cache_dir=folder, revision=revision)
    damaged = isinstance(cached, str)
    if isinstance(cached, str):
        if (fetched := _checked(Path(cached), None, repo)) is not None:
            return fetched
        log.warning("%s in the cache is damaged and is fetched again", cached)
    try:
        # One question without retries, so that a machine without network hears so at once. No token: the files are
        # public, and a stale one would be refused.
        answer = huggingface_hub.get_hf_file_metadata(url, token=False, timeout=10)
        if (answer.size or 0) > MAX_BYTES:
            raise WeightsError(f"{url} has {answer.size:,} bytes; weights have at most {MAX_BYTES:,}")
        path = huggingface_hub.hf_hub_download(
            repo, filename, revision=revision, cache_dir=folder, force_download=damaged, token=False, endpoint=endpoint
        )
    except WeightsError:
        raise
    except Exception as error:  # the client's own errors, and those of the HTTP library that its version uses
        absent = isinstance(error, _ABSENT) and not isinstance(error, LocalEntryNotFoundError)
        raise (WeightsError if absent else NotFetched)(_advice(error, repo, filename, revision, url, folder)) from error
    fetched = _checked(Path(path), answer.etag, repo)
    if fetched is None:
        raise WeightsError(
            f"{path} is not what the hub announced: its sha256 is {datasets.sha256_file(path)}, the hub's is "
            f"{answer.etag}; it was not loaded. Try again, or pass {argument('weights', 'PATH')} with a file you trust"
        )
    if not fetched.verified:
        log.warning("%s could not be verified: the hub's ETag is no sha256 (%s)", path, answer.etag)
    return fetched


def _checked(path: Path, etag: str | None, repo: str) -> Fetched | None:
    """The file with its sha256, or None when that is not the one the hub announced."""
    if etag is None and path.is_symlink():  # snapshots/COMMIT/FILE -> ../../blobs/ETAG
        etag = os.path.basename(os.readlink(path))
    sha256 = datasets.sha256_file(path)
    known = etag is not None and _SHA256.fullmatch(etag) is not None
    if known and sha256 != etag:
        return None
    return Fetched(path, f"Hugging Face hub: {repo}", path.parent.name, sha256, "sha256 of the hub" if known else "")


def _advice(error: Exception, repo: str, filename: str, revision: str, url: str, folder: Path) -> str:
    """Say what went wrong and what to do, in one sentence or two."""
    if isinstance(error, LocalEntryNotFoundError | OfflineModeIsEnabled):
        why = "the Hugging Face hub is switched off (HF_HUB_OFFLINE) or cannot be reached"
    elif isinstance(error, RepositoryNotFoundError):
        why = f"the hub has no public repository {repo}"
    elif isinstance(error, RevisionNotFoundError):
        why = f"repository {repo} has no revision {revision}"
    elif isinstance(error, EntryNotFoundError):
        why = f"repository {repo} has no file {filename}"
    else:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        why = f"the hub cannot be reached ({type(error).__name__}: {said[:200]})"
    return (
        f"cannot fetch the weights {filename} from {url}: {why}, and they are not in the cache folder {folder}. On a "
        f"machine with network access run `hf download {repo} {filename}` (or open that address), copy the file here and pass "
        f"{argument('weights', 'PATH')}; {argument('weights', 'untrained')} runs the model without them"
    )


def _from_archive(name: str, filename: str) -> Fetched:
    """Read the member called ``filename`` (in any folder) of a known zip; weights of another name are never taken."""
    path = datasets.fetch(name, offline=bool(constants.HF_HUB_OFFLINE))
    try:
        with zipfile.ZipFile(path) as archive:
            members = [
                member for member in archive.infolist()
                if PurePosixPath(member.filename).suffix in SUFFIXES and not member.filename.startswith("__MACOSX/")
            ]  # fmt: skip
            chosen = [member for member in members if PurePosixPath(member.filename).name == filename]
            if len(chosen) != 1:
                held = listed(member.filename for member in members) or "no weights"
                raise WeightsError(
                    f"{path} does not hold {filename} once; it holds {held}: unpack it and pass "
                    f"{argument('weights', 'PATH')} if one of these is meant"
                )
            # The header may lie about the size, so the bound also holds for what is read.
            with archive.open(chosen[0]) as stream:
                content = b"" if chosen[0].file_size > MAX_BYTES else stream.read(MAX_BYTES + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise WeightsError(f"{path} is no zip archive that can be read: {error}") from error
    if not 0 < len(content) <= MAX_BYTES:
        raise WeightsError(f"{chosen[0].filename} in {path} is empty or larger than {MAX_BYTES:,} bytes")
    origin = f"{datasets.DATASETS[name].reference}: {chosen[0].filename}"
    return Fetched(content, origin, None, hashlib.sha256(content).hexdigest(), "sha256 of the archive")
