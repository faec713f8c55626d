"""Recurrent networks of one's own through every step: extraction, resuming, RSA, encoding and decoding."""

from __future__ import annotations

import textwrap
from unittest import mock

import numpy as np
import pytest
import torch

import bltvs_neuro as bn
from bltvs_neuro.errors import SpecError
from bltvs_neuro.neural.labelled import make_responses
from bltvs_neuro.store import verify
from tests.model.recurrent import KINDS, TRANSFORM, made
from tests.running import bltvs

DONE = ("four passes", "CORnet-RT", "GRU")
MINE = """
    import bltvs_neuro as bn
    from tests.model.recurrent import KINDS, TRANSFORM, made

    def make():
        kind = {kind!r}
        return bn.wrap(made(kind), KINDS[kind][1], TRANSFORM, kind, timesteps=KINDS[kind][2])

    def bare():
        return made({kind!r})
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    from PIL import Image

    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for i in range(20):
        Image.fromarray(rng.integers(0, 255, (2, 2, 3), dtype=np.uint8).repeat(20, 0).repeat(20, 1)).save(
            folder / f"{i:02}.png"
        )
    (folder / "labels.csv").write_text("image,kind\n" + "".join(f"{i:02}.png,{'ab'[i % 2]}\n" for i in range(20)))
    return folder / "labels.csv"


@pytest.fixture(scope="module", params=DONE)
def stored(request, pictures, tmp_path_factory):
    """The kind and its store, written by the command in two goes: the first ends in the middle."""
    folder = tmp_path_factory.mktemp("stores")
    (folder / "mine.py").write_text(textwrap.dedent(MINE.format(kind=request.param)))
    path, command = folder / "acts.h5", ["extract", pictures, "--model", f"{folder / 'mine.py'}:make"]
    network, batches = bn.load_model(f"{folder / 'mine.py'}:make"), 0
    run = network.run

    def breaks(*args):
        nonlocal batches
        batches += 1
        if batches == 6:  # three look for what is constant
            raise KeyboardInterrupt
        return run(*args)

    network.run = breaks
    with pytest.raises(KeyboardInterrupt), mock.patch("bltvs_neuro.extraction.share.default_block", return_value=8):
        bn.extract(network, bn.StimulusSet.open(pictures), path)
    assert len(list((folder / "acts.h5.parts").glob("part-*"))) == 2 and not path.exists()
    done = bltvs(*command, "-o", path)
    assert done.exit_code == 0, done.output
    return request.param, path


def test_a_store_holds_to_the_bit_what_a_plain_loop_collects(stored, pictures):
    kind, path = stored
    stimuli, network = bn.StimulusSet.open(pictures), made(kind)
    found: dict = {}
    with torch.no_grad():
        for at in (0, 8, 16):
            images = torch.stack([TRANSFORM(stimuli.load(i)) for i in range(at, min(at + 8, 20))])
            for key, value in network.by_hand(images).items():
                found.setdefault(key, []).append(value)
    assert verify(path).ok
    with bn.open_store(path) as store:
        assert [site.split("/")[0] for site in store] == list(KINDS[kind][1])
        for (area, t), values in found.items():
            if area != "logits":
                np.testing.assert_array_equal(store.at(f"{area}/bu", t).values, torch.cat(values).numpy())
        assert store.provenance["model"] == kind
        if kind == "CORnet-RT":
            assert [store.status("IT/bu", t) for t in range(5)] == ["constant"] * 3 + ["active"] * 2


def test_it_is_compared_encoded_and_decoded(stored):
    kind, path = stored
    with bn.open_store(path) as store:
        rdms = bn.compute_rdms(store, metric="correlation")
        active = [(s, t) for s in store for t in store[s].timestep.values if store.status(s, int(t)) == "active"]
        assert list(zip(rdms["area"].values, rdms["timestep"].values, strict=True)) == [
            (site.split("/")[0], t) for site, t in active
        ]
        site, t = active[-1]
        features = store.at(site, int(t)).values.reshape(20, -1).astype(float)
        np.testing.assert_allclose(rdms.values[-1], 1 - np.corrcoef(features)[np.triu_indices(20, 1)], atol=1e-4)
        first = np.linalg.svd(features - features.mean(0), full_matrices=False)[0][:, :1]
        responses = make_responses(first, [str(i) for i in store.stimulus_ids], neuroid_coords={"roi": ["first"]})
        fit = bn.fit_encoding(store, responses, sites=f"{site}@{t}", cv=bn.Folds(4))
        assert float(fit["r2"].values.ravel()[0]) > 0.1
        decoding = bn.decode(store, "kind", folds=4)
        assert set(np.unique(decoding.dataset["site"])) == set(store)


def test_another_number_of_steps_or_another_file_is_another_network(stored, tmp_path):
    kind, path = stored
    stimuli = bn.StimulusSet.synthetic(4, size=32)
    model = bn.wrap(made(kind), KINDS[kind][1], TRANSFORM, kind, timesteps="calls")
    bn.extract(model, stimuli, tmp_path / "acts.h5")
    model.config = {**model.config, "timesteps": {"loop": [0]}}
    with pytest.raises(bn.errors.StoreError, match="config"):
        bn.extract(model, stimuli, tmp_path / "acts.h5")


def test_a_lesioned_store_resumes_under_its_lesion_only(stored, pictures, tmp_path):
    kind, intact = stored
    layer = {"four passes": "relu", "CORnet-RT": "V2", "GRU": "rnn"}[kind]
    source = f"{intact.parent / 'mine.py'}:make"
    command = ["extract", pictures, "--model", source, "-o", tmp_path / "acts.h5", "--lesion"]
    for _ in range(2):
        done = bltvs(*command, f"{layer}/bu[0:2]@1:=0.5")
        assert done.exit_code == 0, done.output
    other = bltvs(*command, f"{layer}/bu[0:3]@1:=0.5")
    assert other.exit_code != 0 and "lesions" in other.stderr
    with bn.open_store(intact) as before, bn.open_store(tmp_path / "acts.h5") as after:
        first, now = (store.at(f"{layer}/bu", 1).values for store in (before, after))
        np.testing.assert_array_equal(now[:, :2], first[:, :2] * np.float32(0.5))
        np.testing.assert_array_equal(now[:, 2:], first[:, 2:])
        assert (before.at(f"{layer}/bu", 3).values != after.at(f"{layer}/bu", 3).values).any()
        assert after.provenance["lesions"][0]["channels"] == [0, 1]
    shown = bltvs("info", tmp_path / "acts.h5")
    assert f"{layer}/bu at timesteps 1, 2, 3" in shown.output and "strength 0.5" in shown.output


def test_a_network_whose_classes_stand_in_its_file_stays_in_one_process(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import bltvs_neuro as bn\nfrom tests.model.recurrent import TRANSFORM, FourPasses\n"
        "class Mine(FourPasses):\n    pass\n"
        "def make():\n    return bn.wrap(Mine(), ['loop'], TRANSFORM, 'mine', timesteps='calls')\n"
    )
    model = bn.load_model(f"{tmp_path / 'mine.py'}:make", seed=3)
    assert model.provenance["file"] == "mine.py" and len(model.config["file_sha256"]) == 64
    again = bn.load_model(f"{tmp_path / 'mine.py'}:make", seed=3)
    other = bn.load_model(f"{tmp_path / 'mine.py'}:make", seed=4)
    assert (
        model.provenance["weights_sha256"] == again.provenance["weights_sha256"] != other.provenance["weights_sha256"]
    )
    run = bn.ExtractRun(device="cpu,cpu")
    with pytest.raises(SpecError, match="cannot be sent to other processes"):
        bn.extract(model, bn.StimulusSet.synthetic(4, size=32), tmp_path / "acts.h5", run=run)


def test_files_that_make_no_network(tmp_path):
    (tmp_path / "mine.py").write_text(textwrap.dedent(MINE.format(kind="GRU")) + "\ndef fails():\n    return 1 / 0\n")
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    for name, options, message in (
        ("none.py:make", {}, "there is no file"),
        ("mine.py:other", {}, "has no function 'other'"),
        ("mine.py:fails", {}, "fails with ZeroDivisionError: division by zero"),
        ("broken.py:make", {}, "fails with ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("mine.py:bare", {}, r"makes a PatchRNN; a Network is expected, such as bn.wrap\(...\) gives"),
        ("mine.py:make", {"layers": ["rnn"]}, "makes its network itself, without layers="),
        ("mine.py:make", {"weights": "untrained"}, "makes its network itself, without weights="),
    ):
        with pytest.raises(SpecError, match=message):
            bn.load_model(f"{tmp_path / name}", **options)
