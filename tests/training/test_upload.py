"""Upload through the real hub client to a local server; what arrives is the folder that loads."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from huggingface_hub import constants

from bltvs_neuro import load_model
from bltvs_neuro.errors import WeightsError
from bltvs_neuro.model import BLT_VS
from bltvs_neuro.model.released.exported import export_model
from bltvs_neuro.model.released.weights import weights_sha256
from bltvs_neuro.training.release.upload import upload_model


class Hub(BaseHTTPRequestHandler):
    """The part of the hub's protocol that an upload of small files takes."""

    files: dict[str, bytes]
    refuse = False

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        if self.refuse or self.headers.get("Authorization") != "Bearer hf_test":
            return self.answer(401, {"error": "Invalid username or password."})
        if self.path == "/api/repos/create":
            return self.answer(200, {"url": f"{self.server.address}/someone/tiny"})
        if self.path == "/api/models/someone/tiny/preupload/main":
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]
            ]
            return self.answer(200, {"files": files})
        if self.path == "/api/models/someone/tiny/commit/main":
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            oid = "b" * 40
            return self.answer(200, {"commitUrl": f"{self.server.address}/someone/tiny/commit/{oid}", "commitOid": oid})
        return self.answer(404, {"error": self.path})

    def answer(self, status: int, content: dict) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    handler = type("Fresh", (Hub,), {"files": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield handler
    server.shutdown()
    server.server_close()


@pytest.fixture
def model_folder(tmp_path):
    torch.manual_seed(0)
    model = BLT_VS(timesteps=1, num_classes=2, add_feats=2, bio_unroll=False, image_size=128, width=0.04)
    return export_model(model, tmp_path / "model", name="tiny", classes=("a", "b"), accuracies=[51.25])


def test_what_arrives_is_the_folder(hub, model_folder, tmp_path):
    address = upload_model(model_folder, "someone/tiny", token="hf_test")
    assert address.endswith("/someone/tiny/commit/" + "b" * 40)
    assert set(hub.files) == {"README.md", "model.json", "weights.safetensors"}
    assert "| 0 | 51.2 |" in hub.files["README.md"].decode()
    arrived = tmp_path / "arrived"
    arrived.mkdir()
    for name, content in hub.files.items():
        (arrived / name).write_bytes(content)
    assert weights_sha256(load_model(arrived)) == weights_sha256(load_model(model_folder))


def test_a_refusal_says_what_to_do(hub, model_folder):
    with pytest.raises(WeightsError, match="cannot upload to someone/tiny.*hf auth login"):
        upload_model(model_folder, "someone/tiny", token="hf_wrong")


def test_damaged_weights_are_not_sent(hub, model_folder):
    path = model_folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match="is not the file that was exported"):
        upload_model(model_folder, "someone/tiny", token="hf_test")
    assert not hub.files
