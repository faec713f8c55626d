"""Fetching data files: a local HTTP server plays the hosts; nothing here reaches beyond 127.0.0.1."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bltvs_neuro import datasets
from bltvs_neuro.errors import DataError, SpecError

NAME = "kriegeskorte92/92_brainRDMs.mat"
CONTENT = bytes(range(256)) * 4096  # 1 MiB
DATA = Path(os.environ.get("BLTVS_DATA", Path(__file__).parents[1] / "../shared/data"))


class Handler(BaseHTTPRequestHandler):
    requests: list[str]

    def do_GET(self) -> None:
        self.requests.append(self.path)
        if self.path == "/missing":
            self.send_error(404)
            return
        content = CONTENT[::-1] if self.path == "/wrong" else CONTENT
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.path == "/cut" else content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    monkeypatch.delenv("BLTVS_DATA", raising=False)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Handler, "requests", [], raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def point(monkeypatch: pytest.MonkeyPatch, server: ThreadingHTTPServer, path: str, **changes: object) -> str:
    url = f"http://127.0.0.1:{server.server_address[1]}/{path}"
    file = replace(datasets.DATASETS[NAME], url=url, sha256=hashlib.sha256(CONTENT).hexdigest(), **changes)
    monkeypatch.setitem(datasets.DATASETS, NAME, file)
    return url


def test_a_download_is_kept_and_not_repeated(server, monkeypatch):
    point(monkeypatch, server, "good")
    path = datasets.fetch(NAME)
    assert path.read_bytes() == CONTENT
    assert path == datasets.cache_folder() / NAME
    assert datasets.fetch(NAME) == path
    assert datasets.fetch(NAME, offline=True) == path
    assert Handler.requests == ["/good"]


def test_a_damaged_cache_is_fetched_again(server, monkeypatch):
    point(monkeypatch, server, "good")
    path = datasets.fetch(NAME)
    path.write_bytes(b"damaged")
    assert datasets.fetch(NAME).read_bytes() == CONTENT
    assert Handler.requests == ["/good", "/good"]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("wrong", "do not have the sha256"),
        ("missing", "the server answered 404"),
        ("cut", "IncompleteRead|Connection broken"),
    ],
)
def test_a_failed_download_leaves_nothing_behind(server, monkeypatch, path, why):
    url = point(monkeypatch, server, path)
    with pytest.raises(DataError, match=why) as caught:
        datasets.fetch(NAME)
    for named in (NAME, url, str(datasets.cache_folder()), "BLTVS_DATA"):
        assert named in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [p for p in datasets.cache_folder().rglob("*") if p.is_file()] == []
    point(monkeypatch, server, "good")
    assert datasets.fetch(NAME).read_bytes() == CONTENT


def test_no_server_names_everything_needed(server, monkeypatch):
    url = point(monkeypatch, server, "good")
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match="Fetch it on a machine with network access") as caught:
        datasets.fetch(NAME)
    for named in (NAME, url, str(datasets.cache_folder()), "BLTVS_DATA"):
        assert named in str(caught.value)


def test_a_download_that_never_ends_is_cut_off(server, monkeypatch):
    point(monkeypatch, server, "good", max_bytes=300_000)
    with pytest.raises(DataError, match="more than the 300,000 bytes"):
        datasets.fetch(NAME)
    assert [p for p in datasets.cache_folder().rglob("*") if p.is_file()] == []


def test_offline_asks_nobody(server, monkeypatch):
    point(monkeypatch, server, "good")
    with pytest.raises(DataError, match="downloads are switched off"):
        datasets.fetch(NAME, offline=True)
    assert Handler.requests == []


def test_the_data_folder_comes_first_and_is_checked(server, monkeypatch, tmp_path):
    point(monkeypatch, server, "good")
    folder = tmp_path / "data"
    (folder / "kriegeskorte92").mkdir(parents=True)
    monkeypatch.setenv("BLTVS_DATA", str(folder))
    assert datasets.fetch(NAME) == datasets.cache_folder() / NAME  # not in the folder: goes on
    (folder / NAME).write_bytes(CONTENT)
    assert datasets.fetch(NAME) == folder / NAME
    (folder / NAME).write_bytes(CONTENT + b"!")
    with pytest.raises(DataError, match="is not the published file: its sha256 is"):
        datasets.fetch(NAME)
    monkeypatch.setenv("BLTVS_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="not a folder"):
        datasets.fetch(NAME)
    assert Handler.requests == ["/good"]


def test_an_unknown_name_lists_the_valid_ones():
    with pytest.raises(SpecError, match=r"did you mean 'kriegeskorte92/92_brainRDMs.mat'.*classes/ecoset.json"):
        datasets.fetch("92_brainRDMs.mat")


def test_the_table_is_consistent():
    for name, file in datasets.DATASETS.items():
        assert name == file.path
        assert len(file.sha256 or "") == (0 if name == datasets.EXAMPLE else 64)
        assert file.sha256 or re.search(r"/[0-9a-f]{40}/", file.url)
        assert file.url.startswith("https://")
    assert len(datasets.KRIEGESKORTE92_IDS) == len(set(datasets.KRIEGESKORTE92_IDS)) == 92
    assert datasets.KRIEGESKORTE92_IDS[0] == "object_01"
    assert datasets.KRIEGESKORTE92_IDS[-1] == "object_92"


@pytest.mark.skipif(not DATA.is_dir(), reason="BLTVS_DATA names no folder with the published files")
@pytest.mark.parametrize("name", [name for name in datasets.DATASETS if not name.startswith("weights/")])
def test_the_published_files_have_the_stated_sha256(name, monkeypatch):
    monkeypatch.setenv("BLTVS_DATA", str(DATA))
    if not (DATA / name).is_file():
        pytest.skip(f"{name} is not in BLTVS_DATA")
    assert datasets.fetch(name, offline=True) == DATA / name
    assert (DATA / name).stat().st_size <= datasets.DATASETS[name].max_bytes
