"""Weights from the archive that also holds them, served on 127.0.0.1: only the right archive, only the file that is meant."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from huggingface_hub import constants

from bltvs_neuro import datasets, load_model
from bltvs_neuro.errors import WeightsError
from bltvs_neuro.model.released import hub
from bltvs_neuro.model.released.checkpoints import CHECKPOINTS
from bltvs_neuro.model.released.weights import weights_sha256

ARCHIVE = "weights/blt_vs.zip"
FILENAME = CHECKPOINTS["imagenet"].filename


@pytest.fixture(scope="module")
def model():
    return load_model("imagenet", weights="untrained", seed=5, image_size=128)


@pytest.fixture(scope="module")
def weights(model) -> bytes:
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    return buffer.getvalue()


@pytest.fixture
def serve(monkeypatch, tmp_path):
    """Serve an archive of the given members where the released one would be; nothing else can be reached."""
    content: dict[str, bytes] = {}
    asked: list[str] = []

    class Host(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content["zip"])))
            self.end_headers()
            self.wfile.write(content["zip"])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.delenv("BLTVS_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def put(members: dict[str, bytes], sha256: str | None = None) -> list[str]:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        content["zip"] = buffer.getvalue()
        url = f"http://127.0.0.1:{server.server_port}/blt_vs.zip"
        file = replace(datasets.DATASETS[ARCHIVE], url=url, sha256=sha256 or hashlib.sha256(content["zip"]).hexdigest())
        monkeypatch.setitem(datasets.DATASETS, ARCHIVE, file)
        return asked

    yield put
    server.shutdown()
    server.server_close()


def fetch(tmp_path) -> hub.Fetched:
    return hub.fetch_weights(CHECKPOINTS["imagenet"].repo, FILENAME, second_source=ARCHIVE, cache_dir=tmp_path / "hub")


def test_the_archive_stands_in_for_the_hub(serve, model, weights, tmp_path):
    asked = serve(
        {f"blt_vs/{FILENAME}": weights, "blt_vs/other.pth": b"x", f"__MACOSX/{FILENAME}": b"y", "README": b"z"}
    )
    for _ in range(2):  # the second time from the cache
        loaded = fetch(tmp_path)
        assert loaded.content == weights
        assert loaded.sha256 == hashlib.sha256(weights).hexdigest()
        assert loaded.verified == "sha256 of the archive"
        assert "Zenodo record 14223659" in loaded.origin
    assert len(asked) == 1
    path = tmp_path / FILENAME
    path.write_bytes(loaded.content)
    assert weights_sha256(load_model("imagenet", weights=path, image_size=128)) == weights_sha256(model)


@pytest.mark.parametrize(
    ("members", "held"),
    [
        ({CHECKPOINTS["ecoset"].filename: b"x"}, CHECKPOINTS["ecoset"].filename),
        ({"weights.pth": b"x"}, "weights.pth"),
        ({f"a/{FILENAME}": b"x", f"b/{FILENAME}": b"y"}, f"a/{FILENAME}, b/{FILENAME}"),
        ({"README": b"x"}, "no weights"),
    ],
)
def test_weights_of_another_name_are_never_taken(serve, tmp_path, members, held):
    serve(members)
    with pytest.raises(WeightsError, match=rf"does not hold {FILENAME} once; it holds {held}.*weights=PATH"):
        fetch(tmp_path)


def test_an_archive_with_another_hash_is_refused(serve, weights, tmp_path):
    serve({FILENAME: weights}, sha256="0" * 64)
    with pytest.raises(WeightsError, match="second source failed too.*sha256"):
        fetch(tmp_path)


def test_what_is_no_archive_is_refused(serve, tmp_path, monkeypatch):
    serve({})
    monkeypatch.setattr(zipfile, "ZipFile", lambda *a, **k: (_ for _ in ()).throw(zipfile.BadZipFile("not a zip")))
    with pytest.raises(WeightsError, match="no zip archive that can be read"):
        fetch(tmp_path)


def test_a_member_that_unpacks_without_end_is_refused(serve, tmp_path, monkeypatch):
    serve({FILENAME: b"\0" * 1_000_000})
    monkeypatch.setattr(hub, "MAX_BYTES", 1000)
    with pytest.raises(WeightsError, match="empty or larger than 1,000 bytes"):
        fetch(tmp_path)


def test_offline_the_archive_is_not_asked_for(serve, weights, tmp_path, monkeypatch):
    asked = serve({FILENAME: weights})
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"downloads are switched off"):
        fetch(tmp_path)
    assert asked == []
