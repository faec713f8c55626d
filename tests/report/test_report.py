"""The page's content: geometry, escaping, what is refused."""

from __future__ import annotations

import base64
import html
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

import bltvs_neuro as bn
from bltvs_neuro.encoding import EncodingResult, PartitionResult
from bltvs_neuro.errors import DataError, OutputError, SpecError, StoreError
from bltvs_neuro.figures import DARK_PALETTE, PALETTE, borders
from bltvs_neuro.report import write_report
from bltvs_neuro.report.figures import DARK, DASHES, SYMBOLS
from bltvs_neuro.report.geometry import arrangement, chosen_rows
from bltvs_neuro.report.inputs import read_inputs
from bltvs_neuro.rsa import RsaResult
from bltvs_neuro.rsa.time import TimeMatrix
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


def test_the_page_holds_the_store_s_rdms_and_results(files, report):
    data = page_data(report.read_text("utf-8"))
    store, brain = data["stores"]
    order = [r for r in range(24) if r % 3 == 0] + [r for r in range(24) if r % 3]  # categories beside each other
    assert store["ids"] == [files.stimuli.ids[r] for r in order]
    assert store["categories"] == ["<b>place"] * 8 + ["face"] * 16
    assert store["colours"] == {"<b>place": PALETTE[0], "face": PALETTE[1]}
    assert all(t.startswith("data:image/jpeg;base64,") for t in store["thumbs"])
    with bn.open_store(files.store) as acts:
        expected = bn.compute_rdms(acts)
    assert {site: entry["timesteps"] for site, entry in store["sites"].items()} == {
        "V1/bu": [0, 1, 2], "V1/td": [1, 2], "LOC/bu": [1, 2]
    }  # fmt: skip
    packed = [text for entry in store["sites"].values() for text in entry["rdm"]]
    got = np.stack([np.frombuffer(base64.b64decode(text), "<f4") for text in packed])
    square = np.stack([squareform(values)[order][:, order] for values in expected.values])
    np.testing.assert_array_equal(got, np.stack([squareform(one) for one in square]).astype("<f4"))
    assert list(brain["sites"]) == ["IT<script>/mean of 3 subjects", "V1/mean of 3 subjects"]
    (it, _) = (np.frombuffer(base64.b64decode(entry["rdm"][0]), "<f4") for entry in brain["sites"].values())
    np.testing.assert_allclose(it, bn.load_rdms(files.folder / "brain.nc").values[:3].mean(axis=0), rtol=1e-6)
    assert [(f["heading"], f["name"]) for f in data["figures"]] == [
        ("Comparison with the brain", "rsa.nc"), ("Comparison with the brain over time", "time.nc"),
        ("Encoding models", "encoding.nc"), ("Encoding models", "eeg.nc"),
        ("Generalisation over neural time", "generalisation.nc"), ("Unique and shared variance", "partition.nc"),
        ("Decoding", "decoding.nc"), ("Images that drive units", "driven.nc"), ("Accuracy", "evaluation.nc"),
    ]  # fmt: skip
    assert {f["model"] for f in data["figures"]} == {"<m>, untrained weights"}


@pytest.fixture(scope="module")
def figures(report) -> dict[str, dict]:
    return {figure["name"]: figure for figure in page_data(report.read_text("utf-8"))["figures"]}


def drawn(option: dict, name: str) -> dict:
    """The line of a choice that is called so."""
    return next(trace for trace in option["figure"]["data"] if trace["name"] == name)


def test_comparisons_show_intervals_ceilings_and_what_is_significant(files, figures):
    rsa = figures["rsa.nc"]
    assert [o["label"] for o in rsa["options"]][:2] == ["IT<script>, bottom-up", "IT<script>, top-down"]
    option, data = rsa["options"][0], RsaResult.load(files.rsa).dataset.isel(target=0)
    assert option["columns"] == ["line", "timestep", "Pearson r", "ci_low", "ci_high", "p_corrected"]
    first = data.sel(model="V1/bu@0")
    assert option["rows"][0][:3] == ["V1", "0", f"{first['score'].item():.3g}"]
    line = drawn(option, "V1")
    p = data["p_zero_corrected"].sel(model=["V1/bu@0", "V1/bu@1", "V1/bu@2"]).values
    assert [symbol.endswith("-open") for symbol in line["marker"]["symbol"]] == [bool(value > 0.05) for value in p]
    np.testing.assert_allclose(line["error_y"]["array"][0], first["ci_high"] - first["score"])
    (band,) = option["figure"]["layout"]["shapes"]
    np.testing.assert_allclose([band["y0"], band["y1"]], [first["ceiling_lower"], first["ceiling_upper"]])
    assert "24 stimuli, 3 subjects." in option["alt"]


def test_comparisons_over_time_show_milliseconds_and_outlines_of_clusters(files, figures):
    options = {o["label"]: o for o in figures["time.nc"]["options"]}
    matrix, data = options["V1, bottom-up"], TimeMatrix.load(files.folder / "time.nc")
    assert matrix["figure"]["data"][0]["x"] == [100, 200]
    outlined = data.significant().sel(site="V1/bu").transpose("timestep", "time").values
    assert outlined[0].all() and matrix["rows"][0][3] == "yes" and "corrected over all sites" in matrix["alt"]
    assert len(matrix["figure"]["layout"]["shapes"]) == len(borders(outlined, np.arange(3), np.arange(4)))
    eeg = figures["eeg.nc"]["options"][-1]
    assert eeg["label"] == "r, all neuroids, LOC, bottom-up" and drawn(eeg, "timestep 2")["x"] == [100, 250]
    square = figures["generalisation.nc"]["options"][0]["figure"]
    assert square["data"][0]["y"] == [100, 250] and square["layout"]["yaxis"]["title"]["text"] == "trained at (ms)"


def test_encoding_has_ceilings_intervals_and_maps_and_partitions_every_part(files, figures):
    encoding = figures["encoding.nc"]
    options = {o["label"]: o for o in encoding["options"]}
    result = EncodingResult.load(files.folder / "encoding.nc")
    option, table = options["R², <b>IT</b>, bottom-up"], result.summary().set_index(["roi", "name"])
    row = table.loc[("<b>IT</b>", "V1/bu@1")]
    cells = ["V1", "1", *(f"{row[name]:.3g}" for name in ("r2", "r2_ci_low", "r2_ci_high"))]
    assert cells in option["rows"]
    assert option["figure"]["layout"]["shapes"][0]["y1"] == 0.5
    assert "3 targets; error bars: 95 % intervals over images. At most" in option["alt"]
    at, error = drawn(option, "V1")["customdata"].index(1), drawn(option, "V1")["error_y"]
    ends = [row["r2"] - row["r2_ci_low"], row["r2_ci_high"] - row["r2"]]
    np.testing.assert_allclose([error["arrayminus"][at], error["array"][at]], ends)
    assert [p["caption"] for p in encoding["pictures"]] == [
        f"best {what} of 6 voxels" for what in ("R² normalised", "area", "stream", "timestep")
    ]
    assert all(p[key].startswith("data:image/png;base64,") for p in encoding["pictures"] for key in ("src", "dark"))
    (option,) = figures["partition.nc"]["options"]
    names = [trace["name"] for trace in option["figure"]["data"]]
    assert names == ["unique bottom-up", "unique top-down", "shared", "all together"]
    partition = PartitionResult.load(files.folder / "partition.nc")
    np.testing.assert_allclose(drawn(option, "all together")["y"], partition["total"].mean("neuroid"))
    np.testing.assert_allclose(drawn(option, "unique bottom-up")["y"], partition.unique()["beyond"][::2])


def test_decoding_driven_images_and_evaluations(files, figures):
    decoding = figures["decoding.nc"]["options"]
    assert [o["label"] for o in decoding] == [
        "bottom-up", "top-down", *(f"generalisation, {s}" for s in ("V1, bottom-up", "V1, top-down", "LOC, bottom-up"))
    ]  # fmt: skip
    assert decoding[0]["figure"]["layout"]["shapes"][0]["y0"] == 0.5  # chance
    assert decoding[0]["columns"][-1] == "p_corrected"
    driven = figures["driven.nc"]
    assert driven["options"] == [] and driven["pictures"][1]["caption"] == (
        "V1, bottom-up, timestep 2, channel 7: activation 0.5 → 2.0"
    )
    accuracy, confusion = figures["evaluation.nc"]["options"]
    assert drawn(accuracy, "top 1")["y"] == [52, 53] and len(accuracy["figure"]["data"]) == 1  # five of two are all
    assert confusion["rows"] == [["cat", "cat", "3"], ["cat", "<i>dog", "1"], ["<i>dog", "<i>dog", "4"]]
    np.testing.assert_allclose(np.array(confusion["figure"]["data"][0]["z"]), [[75, 25], [0, 100]])


def test_a_folder_stands_for_its_results_and_what_is_none_is_refused(files, tmp_path):
    assert [(one.name, one.kind) for one in read_inputs([files.folder])] == [
        ("acts.h5", "store"), ("brain.nc", "rdms"), ("decoding.nc", "decoding"), ("driven.nc", "driven"),
        ("eeg.nc", "encoding"), ("encoding.nc", "encoding"), ("evaluation.nc", "evaluation"),
        ("generalisation.nc", "generalisation"), ("partition.nc", "partition"), ("rsa.nc", "rsa"),
        ("time.nc", "rsa_time"),
    ]  # fmt: skip
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        DataError, match="empty holds no store and no result; a report shows store, rdms, evaluation, rsa"
    ):
        write_report([tmp_path / "empty"], tmp_path / "r2.html")
    (tmp_path / "d.csv").write_text("# {}\n")
    with pytest.raises(DataError, match=r"`bltvs decode -o NAME.nc` writes one that a report shows"):
        write_report([tmp_path / "d.csv"], tmp_path / "r2.html")


def test_nothing_untrusted_is_left_unescaped(report):
    text = report.read_text("utf-8")
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
    assert hover[0] == html.escape(HOSTILE[0], quote=False) and "<" not in "".join(hover)
    assert "&quot;" not in "".join(hover)  # plotly knows no entity for quotes
    assert html.escape(HOSTILE[2], quote=False) in hover


def test_stimuli_are_thinned_evenly_and_the_page_says_so(files, tmp_path):
    path = write_report([files.store], tmp_path / "r.html", max_stimuli=5)
    (store,) = page_data(path.read_text("utf-8"))["stores"]
    assert (len(store["ids"]), store["total"]) == (5, 24)
    assert sorted(store["ids"]) == sorted(files.stimuli.ids[i] for i in chosen_rows(24, 5))
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
    with pytest.raises(DataError, match=r"notes\.txt is neither an activation store nor a result"):
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
    assert min((luminance(c) + 0.05) / (luminance(DARK["#ffffff"]) + 0.05) for c in DARK_PALETTE) >= 4.5


def test_the_command(files, tmp_path):
    done = run_bltvs("report", str(files.store), str(files.rsa), "-o", str(tmp_path / "r.html"))
    assert done.exit_code == 0, done.output
    assert (tmp_path / "r.html").stat().st_size > 1e6
    refused = run_bltvs("report", str(tmp_path / "r.html"))
    assert refused.exit_code == 1
