"""Cards in notebooks: short, true, and text stays text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import bltvs_neuro as bn
from bltvs_neuro import notebook

EVIL = '<script>alert("x")</script><img src=x onerror=alert(1)>&amp;'


class Tags(HTMLParser):
    """The tags and attributes that a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))


def harmless(text: str) -> bool:
    seen = Tags(text).seen
    sources = [attrs["src"] for tag, attrs in seen if tag == "img"]
    loud = [name for _, attrs in seen for name in attrs if name.startswith("on")]
    return (
        not loud and "script" not in {tag for tag, _ in seen} and all(s.startswith("data:image/png;") for s in sources)
    )


def test_nothing_that_is_shown_is_run():
    table = pd.DataFrame({EVIL: [EVIL]})
    picture = notebook.thumbnails([np.zeros((80, 60, 3), np.uint8)], [EVIL])
    shown = notebook.card(EVIL, {EVIL: EVIL, "none": None}, table, picture=picture, texts={EVIL: EVIL})
    assert harmless(shown) and not harmless(EVIL)
    assert "alert(&quot;x&quot;)" in shown and "none" not in shown
    assert Tags(shown).seen[-1] == ("pre", {}) or "details" in {tag for tag, _ in Tags(shown).seen}


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """One of everything that has a card, with names as hostile as they may be."""
    folder = tmp_path_factory.mktemp("cards")
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (16, 20, 20, 3), dtype=np.uint8)
    ids = [f"{i}{EVIL}" for i in range(16)]
    stimuli = bn.StimulusSet.from_arrays(pictures, ids=ids, metadata={"kind": [EVIL, "b"] * 8})
    model = bn.load_model("shapes")
    bn.extract(model, stimuli, folder / "a.h5", "V4/bu", "mean", run=bn.ExtractRun(workers=0))
    store = bn.open_store(folder / "a.h5")
    rdms = bn.compute_rdms(store)
    rsa = bn.compare_rdms(rdms, rdms.isel(rdm=[0]).assign_attrs(reader=EVIL))
    responses = bn.make_responses(rng.standard_normal((16, 2)), ids, neuroid_coords={"neuroid_id": [EVIL, "b"]})
    encoding = bn.fit_encoding(store, responses, cv=bn.Folds(2), solver=bn.Ridge(on_edge="ignore"))
    decoding = bn.decode(store, "kind", folds=4, n_permutations=0)
    return {"model": model, "stimuli": stimuli, "store": store, "rsa": rsa, "encoding": encoding, "decoding": decoding}


SAID = {
    "model": ("<BLT_VS: shapes, weights exported", "timesteps 4", "188,584"),
    "stimuli": ("StimulusSet(16 stimuli, arrays", "metadata: kind"),
    "store": ("<Store a.h5: 16 stimuli", "V4/bu", "model shapes, weights exported", "reduced by mean"),
    "rsa": ("<RsaResult: ", "1 target", "4 model", "model shapes, weights exported, store a.h5", "similarity corr_cov"),
    "encoding": ("<EncodingResult: ", "4 space", "2 neuroid", "model shapes, weights exported", "solver Ridge"),
    "decoding": ("<Decoding: ", "1 site", "model shapes, weights exported", "labels kind"),
}


@pytest.mark.parametrize("name", list(SAID))
def test_a_card_and_a_line_say_what_it_is(things, name):
    thing = things[name]
    shown, short = thing._repr_html_(), repr(thing)
    assert all(part in short for part in SAID[name]), short
    assert "\n" not in short and len(short) < 400
    assert harmless(shown)
    assert "<table" in shown and len(shown) < 300_000
    if name in ("rsa", "encoding", "decoding"):
        assert "<polyline" in shown and "provenance" in shown
    if name == "stimuli":
        assert shown.count("data:image/png") == 6 and "8 more rows" in shown


def test_a_store_says_when_it_is_closed_and_pictures_that_cannot_be_read_are_no_error(things, tmp_path):
    with bn.open_store(things["store"].path) as store:
        assert "closed" not in repr(store)
    assert "state closed" in repr(store) and "state: <b>closed</b>" in store._repr_html_()
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    shown = bn.StimulusSet.from_folder(tmp_path)._repr_html_()
    assert "a.png" in shown and "<img" not in shown


def test_a_sparkline_is_the_curve():
    assert notebook.sparkline([1.0]) == notebook.sparkline([]) == notebook.sparkline([np.nan, 2.0]) == ""
    drawn = notebook.sparkline([0.0, np.nan, 1.0])
    assert re.search(r'points="2.0,18.0 98.0,2.0"', drawn) and "from 0 to 1" in drawn


def test_the_model_that_is_only_constructed_has_a_line():
    assert "areas Retina to Readout" in repr(bn.BLT_VS(timesteps=2, num_classes=3, image_size=128, width=0.0625))
