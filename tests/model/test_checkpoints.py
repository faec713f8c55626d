"""Weights: from files, and from a hub through the real client against a local server; never the wrong ones, never random."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from huggingface_hub import constants

from bltvs_neuro.errors import SpecError, WeightsError
from bltvs_neuro.model import BLT_VS
from bltvs_neuro.model.released.checkpoints import load_model
from bltvs_neuro.model.released.hub import fetch_weights
from bltvs_neuro.model.released.weights import weights_sha256

CONTENT = os.urandom(300_000)
COMMIT = "a" * 40


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does for one large file."""

    content, etag, requests, cut = CONTENT, hashlib.sha256(CONTENT).hexdigest(), [], 0

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        type(self).requests.append((self.command, self.path, self.headers.get("Range")))
        if not self.path.startswith("/some/repo/resolve/main/weights.pth"):
            self.send_response(404)
            missing = "RepoNotFound" if "/some/repo/" not in self.path else "EntryNotFound"
            self.send_header("X-Error-Code", missing)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        for name, value in (
            ("X-Repo-Commit", COMMIT), ("ETag", f'"{self.etag}"'), ("X-Linked-ETag", f'"{self.etag}"'),
            ("X-Linked-Size", str(len(self.content))), ("Accept-Ranges", "bytes"),
            ("Content-Length", str(len(self.content) - start)),
        ):  # fmt: skip
            self.send_header(name, value)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        self.end_headers()
        if body:
            rest = self.content[start:]
            if type(self).cut:
                type(self).cut -= 1
                self.wfile.write(rest[: len(rest) // 2])
                self.wfile.flush()
                self.connection.close()
            else:
                self.wfile.write(rest)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    class Fresh(Hub):
        requests, cut = [], 0

        def handle(self):
            with contextlib.suppress(OSError, ValueError):  # the connection was cut on purpose
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Fresh)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield Fresh, server
    server.shutdown()
    server.server_close()


def test_download_then_cache_without_network(hub, tmp_path):
    handler, server = hub
    fetched = fetch_weights("some/repo", "weights.pth", cache_dir=tmp_path)
    assert fetched.content.read_bytes() == CONTENT
    assert fetched.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert fetched.verified
    assert fetched.revision == COMMIT
    server.shutdown()
    server.server_close()
    count = len(handler.requests)
    again = fetch_weights("some/repo", "weights.pth", cache_dir=tmp_path)
    assert again.content == fetched.content
    assert len(handler.requests) == count


def test_an_interrupted_download_ends_whole(hub, tmp_path):
    handler, _ = hub
    handler.cut = 1
    try:
        fetched = fetch_weights("some/repo", "weights.pth", cache_dir=tmp_path)
    except WeightsError:
        fetched = fetch_weights("some/repo", "weights.pth", cache_dir=tmp_path)
    assert fetched.content.read_bytes() == CONTENT


def test_bytes_that_do_not_fit_the_hub_s_hash_are_refused(hub, tmp_path):
    handler, _ = hub
    handler.etag = "0" * 64
    with pytest.raises(WeightsError, match="is not what the hub announced"):
        fetch_weights("some/repo", "weights.pth", cache_dir=tmp_path)


@pytest.mark.parametrize(("repo", "name"), [("no/repo", "weights.pth"), ("some/repo", "other.pth")])
def test_a_missing_repository_or_file_is_named(hub, tmp_path, repo, name):
    with pytest.raises(WeightsError, match=rf"{name}.*weights=PATH") as caught:
        fetch_weights(repo, name, cache_dir=tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_offline_without_a_cache_is_an_error_that_helps(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"weights\.pth.*weights=PATH") as caught:
        fetch_weights("some/repo", "weights.pth", cache_dir=tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_the_endpoint_counts_whether_it_is_set_before_the_import_or_after(hub, tmp_path):
    code = (
        "import os, sys\n"
        "if sys.argv[1] == 'after':\n    endpoint = os.environ.pop('HF_ENDPOINT')\n"
        "from bltvs_neuro.model.released.hub import fetch_weights\n"
        "if sys.argv[1] == 'after':\n    os.environ['HF_ENDPOINT'] = endpoint\n"
        "print(fetch_weights('some/repo', 'weights.pth', cache_dir=sys.argv[2]).sha256)\n"
    )
    for when in ("before", "after"):
        command = [sys.executable, "-c", code, when, str(tmp_path / when)]
        environment = {**os.environ, "HF_HUB_OFFLINE": "0"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.stdout.strip() == hashlib.sha256(CONTENT).hexdigest(), done.stderr


@pytest.fixture(scope="module")
def small() -> BLT_VS:
    return load_model("imagenet", weights="untrained", seed=3, image_size=128)


def test_untrained_weights_follow_the_seed_and_say_what_they_are(small, caplog):
    state = torch.get_rng_state()
    with caplog.at_level(logging.WARNING, "bltvs_neuro"):
        again = load_model("imagenet", weights="untrained", seed=3, image_size=128)
    assert torch.equal(state, torch.get_rng_state())
    assert "untrained weights (seed 3)" in caplog.text
    assert weights_sha256(again) == weights_sha256(small)
    assert weights_sha256(load_model("imagenet", weights="untrained", seed=4, image_size=128)) != weights_sha256(small)
    assert again.provenance["weights"] == "untrained"
    assert not again.training


def test_weights_of_one_s_own(small, tmp_path):
    path = tmp_path / "w.pth"
    stray = {"connections.V1.total_ops": torch.zeros(1), "total_params": torch.zeros(1)}
    torch.save({**small.state_dict(), **stray}, path)
    loaded = load_model("imagenet", weights=path, image_size=128)
    assert weights_sha256(loaded) == weights_sha256(small)
    with pytest.raises(WeightsError):
        load_model("ecoset", weights=path, image_size=128)
    damaged = dict(small.state_dict())
    del damaged["connections.V1.bu_conv.weight"]
    torch.save(damaged, path)
    with pytest.raises(WeightsError, match=r"connections\.V1\.bu_conv\.weight"):
        load_model("imagenet", weights=path, image_size=128)


def test_safetensors_are_the_same_weights(small, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "w.safetensors"
    save_file({key: value.contiguous() for key, value in small.state_dict().items()}, path)
    loaded = load_model("imagenet", weights=path, image_size=128)
    assert weights_sha256(loaded) == weights_sha256(small)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(WeightsError, match=r"w\.safetensors"):
        load_model("imagenet", weights=path, image_size=128)


class Malicious:
    def __reduce__(self):
        return os.system, ("touch HACKED",)


def test_a_pickle_that_runs_code_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    torch.save({"connections.V1.bu_conv.weight": Malicious()}, buffer)
    (tmp_path / "w.pth").write_bytes(buffer.getvalue())
    for content in (buffer.getvalue(), b"no weights", b""):
        (tmp_path / "w.pth").write_bytes(content)
        with pytest.raises(WeightsError):
            load_model("imagenet", weights=tmp_path / "w.pth")
    assert not (tmp_path / "HACKED").exists()


def test_wrong_names():
    with pytest.raises(SpecError, match=r"imagnet.*imagenet"):
        load_model("imagnet")
    with pytest.raises(SpecError, match="image_size"):
        load_model("imagenet", image_size=128)
    with pytest.raises(WeightsError, match="there is no file"):
        load_model("imagenet", weights="nowhere.pth")
