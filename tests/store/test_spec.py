"""The spec: what must match, what may differ, and what a hostile file cannot do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bltvs_neuro.errors import SpecError, StoreError
from bltvs_neuro.store import SiteLayout, StoreSpec, describe, open_store, open_writer

from . import made

_TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), min_size=1, max_size=12)
_COLUMN = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3),
    st.lists(st.floats(width=64), min_size=3, max_size=3),
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.lists(_TEXT, min_size=3, max_size=3),
)


@settings(deadline=None)
@given(
    ids=st.lists(_TEXT, min_size=3, max_size=3, unique=True),
    metadata=st.dictionaries(_TEXT, _COLUMN, max_size=3),
    keep_bits=st.sampled_from([None, 7, 10]),
)
def test_json_keeps_everything(ids, metadata, keep_bits):
    site = SiteLayout("V1/bu", (0,), ("unit",), (2,), {"channel": ("unit", np.array(["a", "é"]))}, onset=0)
    columns = {k: np.array(v, dtype=object if isinstance(v[0], str) else None) for k, v in metadata.items()}
    spec = StoreSpec((site,), 1, tuple(ids), columns, {"a": [1, {"b": None}]}, keep_bits)
    again = StoreSpec.from_json(json.loads(json.dumps(spec.to_json(), allow_nan=False)))
    assert again.digest() == spec.digest()
    assert again.stimulus_ids == spec.stimulus_ids
    for name, values in spec.metadata.items():
        np.testing.assert_array_equal(again.metadata[name], values)
        assert again.metadata[name].dtype == values.dtype


def test_metadata_of_every_kind_comes_back(tmp_path):
    n = made.N
    columns = {
        "category": np.array(["a", ""] * (n // 2)),
        "status": np.arange(n),  # a name that the store uses itself
        "V1": np.arange(n) % 3 == 0,
        "size / degrees": np.where(np.arange(n) == 3, np.nan, np.arange(n) / 7),
        "größe": np.array([None, "ß"] * (n // 2), dtype=object),
        "9lives": np.arange(n, dtype=np.uint64) + 2**63,
    }
    path = made.write(tmp_path / "acts.h5", replace(made.spec(), metadata=columns))
    with open_store(path) as store:
        table = store.stimuli
    assert list(table.columns) == ["stimulus_id", *columns]
    for name in ("category", "status", "V1", "size / degrees", "9lives"):
        np.testing.assert_array_equal(table[name].to_numpy(), columns[name])
    assert table["größe"].tolist() == ["", "ß"] * (n // 2)
    assert table["V1"].dtype == bool


def test_metadata_and_block_size_may_change_on_resuming(tmp_path):
    path = tmp_path / "acts.h5"
    with open_writer(path, made.spec(block=16)):
        pass
    wanted = replace(made.spec(block=8), metadata={"new": np.arange(made.N)})
    with open_writer(path, wanted) as writer:
        assert [b.stop - b.start for b in writer.pending()] == [16, 16, 12]
    made.write(path, wanted)
    with open_store(path) as store:
        assert store.stimuli["new"].tolist() == list(range(made.N))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stimulus_ids": ("a", "a")}, "used more than once: a"),
        ({"stimulus_ids": ()}, "at least one stimulus"),
        ({"stimulus_ids": ("a", "")}, "a stimulus id is empty"),
        ({"stimulus_ids": ("a\0b",)}, "NUL or broken UTF-8"),
        ({"stimulus_ids": ("caf\udce9.png",)}, "NUL or broken UTF-8"),
        ({"keep_bits": 8}, "keep_bits must be one of None, 10, 7; got 8"),
        ({"block": 12}, "multiple of 8 stimuli; got 12"),
        ({"identity": {"model": object()}}, "provenance must be JSON"),
        ({"n_timesteps": 3}, "V1/bu: timestep 3 of 3 does not exist"),
        ({"sites": ()}, "a store needs sites"),
    ],
)
def test_what_cannot_be_stored_is_said_at_once(change, message):
    with pytest.raises(SpecError, match=message):
        replace(made.spec(), metadata={}, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"site": "V1"}, "area/stream"),
        ({"site": "../x/bu"}, "unknown stream|group name"),
        ({"timesteps": (2, 1)}, "ascending"),
        ({"constant": (9,)}, "constant timesteps"),
        ({"shape": (0,)}, "at least 1"),
        ({"dims": ("stimulus",)}, "cannot name"),
        ({"coords": {"channel": ("component", np.arange(3))}}, "does not fit"),
    ],
)
def test_a_layout_that_cannot_be(change, message):
    with pytest.raises(SpecError, match=message):
        replace(made.spec().layouts["V4/td"], **change)


def damage_spec(folder: Path, change) -> None:
    path = folder / "spec.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["spec"]["sites"][0].update(shape=[10**9, 10**9, 10**9]),
        lambda d: d["spec"]["stimulus_ids"].pop(),
        lambda d: d["spec"].update(block=10**12),
        lambda d: d["spec"].update(version=99),
        lambda d: d.update(spec=None),
        lambda d: d["spec"]["metadata"].update(x={"kind": "float", "values": ["nan"] * 3}),
    ],
)
def test_a_changed_spec_file_is_refused(tmp_path, change):
    path = tmp_path / "acts.h5"
    with open_writer(path, made.spec()):
        pass
    damage_spec(Path(f"{path}.parts"), change)
    for use in (lambda: open_writer(path, made.spec()).__enter__(), lambda: open_store(path), lambda: describe(path)):
        with pytest.raises(StoreError, match=r"spec\.json is damaged"):
            use()
