"""The page's content: geometry, escaping, what is refused."""

from __future__ import annotations

import base64
import html
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy.spatial.distance import pdist

import bltvs_neuro as bn
from bltvs_neuro.errors import DataError, OutputError, SpecError, StoreError
from bltvs_neuro.figures import PALETTE
from bltvs_neuro.report import write_report
from bltvs_neuro.report.figures import DASHES, SYMBOLS
from bltvs_neuro.report.geometry import arrangement, chosen_rows
from bltvs_neuro.rsa import RsaResult
from tests.running import bltvs as run_bltvs

from .conftest import HOSTILE

pytest.importorskip("plotly")


def page_data(text: str) -> dict:
    found = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', text, re.S)
    return json.loads(found[1])


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_the_page_holds_the_store_s_rdms_and_results(files, tmp_path):
    path = write_report(files.all, tmp_path / "report.html", stimuli=files.stimuli, title="A <title>")
    data = page_data(path.read_text("utf-8"))
    (store,) = data["stores"]
    assert store["ids"] == list(files.stimuli.ids)
    assert all(t.startswith("data:image/jpeg;base64,") for t in store["thumbs"])
    with bn.open_store(files.store) as acts:
        expected = bn.compute_rdms(acts)
    assert {site: entry["timesteps"] for site, entry in store["sites"].items()} == {
        "V1/bu": [0, 1, 2], "V1/td": [1, 2], "LOC/bu": [1, 2]
    }  # fmt: skip
    packed = [text for entry in store["sites"].values() for text in entry["rdm"]]
    got = np.stack([np.frombuffer(base64.b64decode(text), "<f4") for text in packed])
    np.testing.assert_array_equal(got, expected.values.astype("<f4"))
    assert [f["heading"] for f in data["figures"]] == [
        "Comparison with the brain", "Encoding models", "Unique and shared variance"
    ]  # fmt: skip
    rsa, encoding, partition = data["figures"]
    assert [o["label"] for o in rsa["options"]][:2] == ["roi IT<script>, bottom-up", "roi IT<script>, top-down"]
    assert [o["label"] for o in partition["options"]] and len(encoding["options"]) == 12
    option = rsa["options"][0]
    assert option["columns"] == ["area", "timestep", "score", "ci_low", "ci_high"]
    first = RsaResult.load(files.rsa).dataset.isel(target=0).sel(model="V1/bu@0")["score"].item()
    assert option["rows"][0][:3] == ["V1", "0", f"{first:.3g}"]


def test_nothing_untrusted_is_left_unescaped(files, tmp_path):
    text = write_report(files.all, tmp_path / "r.html", stimuli=files.stimuli, title=HOSTILE[0]).read_text("utf-8")
    seen = Seen()
    seen.feed(text)
    scripts = [attrs for tag, attrs in seen.tags if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "report-data"}, {}, {}]
    assert not [attrs for tag, attrs in seen.tags for name in attrs if name.startswith("on")]
    for tag, attrs in seen.tags:
        assert not attrs.get("src", "").startswith("http") and not attrs.get("href", "").startswith("http"), tag
    assert html.escape(HOSTILE[0]) in text
    policy = next(a["content"] for t, a in seen.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and "unsafe-inline'; script-src 'sha256-" in policy
    hover = page_data(text)["stores"][0]["mds"]["data"][0]["text"]
    assert hover[0] == html.escape(HOSTILE[0]) and "<" not in "".join(hover)


def test_stimuli_are_thinned_evenly_and_the_page_says_so(files, tmp_path):
    path = write_report([files.store], tmp_path / "r.html", max_stimuli=5)
    (store,) = page_data(path.read_text("utf-8"))["stores"]
    assert (len(store["ids"]), store["total"]) == (5, 24)
    assert store["ids"] == [files.stimuli.ids[i] for i in chosen_rows(24, 5)]
    assert chosen_rows(24, 5).tolist() == [0, 6, 12, 17, 23]
    assert "Untrained weights" in path.read_text("utf-8")


def test_an_arrangement_in_the_plane_is_recovered():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((12, 2))
    found = arrangement(pdist(points))
    ratio = pdist(points) / pdist(found)
    np.testing.assert_allclose(ratio, ratio[0])
    turned = arrangement(pdist(points), like=found @ np.array([[0.0, -1.0], [1.0, 0.0]]))
    np.testing.assert_allclose(turned, found @ np.array([[0.0, -1.0], [1.0, 0.0]]), atol=1e-9)
    assert np.isfinite(arrangement(np.full(6, np.nan))).all()


def test_what_does_not_fit_is_refused(files, tmp_path):
    other = bn.StimulusSet.from_arrays(np.zeros((24, 20, 20, 3), np.uint8), ids=files.stimuli.ids)
    with pytest.raises(DataError, match="24 pictures are not those that the store was made of"):
        write_report([files.store], tmp_path / "r.html", stimuli=other)
    strange = bn.StimulusSet.from_arrays(np.zeros((1, 20, 20, 3), np.uint8), ids=["z"])
    with pytest.raises(DataError, match="none of the 24 stimuli is among the pictures"):
        write_report([files.store], tmp_path / "r.html", stimuli=strange)
    (tmp_path / "notes.txt").write_text("no HDF5")
    with pytest.raises(DataError, match=r"notes\.txt cannot be opened as HDF5"):
        write_report([tmp_path / "notes.txt"], tmp_path / "r.html")
    with pytest.raises(StoreError, match=r"there is no store .*none\.h5"):
        write_report([tmp_path / "none.h5"], tmp_path / "r.html")
    with pytest.raises(DataError, match="at least one store or result"):
        write_report([], tmp_path / "r.html")
    with pytest.raises(SpecError, match="unknown metric of a report 'crossnobis'"):
        write_report([files.store], tmp_path / "r.html", metric="crossnobis")
    with pytest.raises(OutputError, match="cannot be written"):
        write_report([files.store], tmp_path / "notes.txt" / "r.html")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.txt"]


def test_lines_differ_without_colour_and_colours_have_contrast():
    assert len(set(zip(DASHES, SYMBOLS, strict=True))) == len(PALETTE)

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    assert min(1.05 / (luminance(c) + 0.05) for c in PALETTE) >= 4.5


def test_the_command(files, tmp_path):
    done = run_bltvs("report", *map(str, files.all), "-o", str(tmp_path / "r.html"))
    assert done.exit_code == 0, done.output
    assert (tmp_path / "r.html").stat().st_size > 1e6
    refused = run_bltvs("report", str(tmp_path / "r.html"))
    assert refused.exit_code == 1
