"""Stores of networks other than BLT_VS: recorded, compared and encoded as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import bltvs_neuro as bn
from bltvs_neuro.encoding import fit_encoding
from bltvs_neuro.errors import SpecError
from bltvs_neuro.extraction import record_tensors
from bltvs_neuro.extraction.classify import classify
from bltvs_neuro.extraction.plan import usual_reductions
from bltvs_neuro.extraction.sites import select_states
from bltvs_neuro.neural.labelled import make_responses
from bltvs_neuro.store import verify

pytest.importorskip("timm")
MODELS = {
    "cornet_s": dict(image_size=64, num_classes=7),
    "b_vs": dict(image_size=128),
    "torchvision:resnet18": dict(image_size=64, layers=("layer1.0", "layer4")),
    "timm:test_vit": dict(layers=("patch_embed.proj", "blocks.1")),
}


@pytest.fixture(scope="module")
def stores(stimuli, tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    made = {}
    for number, (name, options) in enumerate(MODELS.items()):
        model = bn.load_model(name, "untrained", seed=1, **options)
        reduce = "mean" if "vit" in name else None
        made[name] = model, bn.extract(model, stimuli, folder / f"{number}.h5", reduce=reduce)
    return made


def test_a_store_holds_the_usual_areas_as_recorded(stores, stimuli):
    expected = {
        "cornet_s": ["V1/bu", "V2/bu", "V4/bu", "IT/bu"],
        "b_vs": ["V1/bu", "V2/bu", "V3/bu", "V4/bu", "LOC/bu"],
        "torchvision:resnet18": ["layer1.0/bu", "layer4/bu"],
        "timm:test_vit": ["patch_embed.proj/bu", "blocks.1/bu"],
    }
    for name, (model, path) in stores.items():
        assert verify(path).ok
        images = torch.stack([model.transform(stimuli.load(i)) for i in range(3)])
        recorded = record_tensors(model, images, model.usual_areas)
        with bn.open_store(path) as store:
            assert list(store) == expected[name]
            for (area, stream, t), value in recorded.items():
                got = store.at(f"{area}/{stream}", t)[:3].values
                full = value.flatten(2).mean(2) if "vit" in name else value
                np.testing.assert_allclose(got, full.numpy(), atol=2e-4)
            assert store.provenance["model"] == name
            assert store.provenance["weights"] == "untrained"
            assert store.provenance["transform"] == model.transform.describe()
    with bn.open_store(stores["cornet_s"][1]) as store:
        assert [store[site].timestep.values.tolist() for site in store] == [[0], [0, 1], [0, 1, 2, 3], [0, 1]]
        assert store["IT/bu"].x.values.tolist() == [0, 32]


@pytest.mark.parametrize("name", MODELS)
def test_rsa_and_encoding_take_it(stores, stimuli, name):
    rng = np.random.default_rng(0)
    with bn.open_store(stores[name][1]) as store:
        rdms = bn.compute_rdms(store, metric="correlation")
        states = [(site, int(t)) for site in store for t in store[site].timestep.values]
        assert rdms["area"].values.tolist() == [site.split("/")[0] for site, _ in states]
        site, t = states[-1]
        features = np.asarray(store.at(site, t)).reshape(len(stimuli), -1)
        reference = 1 - np.corrcoef(features.astype(np.float64))[np.triu_indices(len(stimuli), 1)]
        np.testing.assert_allclose(rdms.values[-1], reference, atol=1e-5)
        strongest = np.linalg.svd(features - features.mean(0), full_matrices=False)[0][:, 0]
        targets = np.stack([strongest, rng.standard_normal(len(stimuli))], axis=1)
        responses = make_responses(
            targets / targets.std(0),
            [str(i) for i in store.stimulus_ids],
            neuroid_coords={"roi": ["first component", "noise"]},
        )
        result = fit_encoding(store, responses, sites=f"{site}@{t}", cv=bn.Folds(4))
    component, noise = result["r2"].values.ravel()
    assert component > max(noise, 0.1)


def test_a_feedforward_model_has_no_other_stream_or_timestep(stores, stimuli, tmp_path):
    model, _ = stores["b_vs"]
    for options, message in (
        (bn.Select(streams="td"), "unknown stream 'td'; valid: bu"),
        (bn.Select(timesteps=1), "this model has timesteps 0 to 0"),
        (bn.Select("V7"), "unknown area 'V7'"),
    ):
        with pytest.raises(SpecError, match=message):
            bn.extract(model, stimuli, tmp_path / "x.h5", options)
    tokens, _ = stores["timm:test_vit"]
    assert [r.name for r in usual_reductions(tokens, select_states(tokens))] == ["project:2048", "mean"]
    with pytest.raises(SpecError, match="are tokens without a map"):
        bn.extract(tokens, stimuli, tmp_path / "x.h5", tokens.areas[1], reduce="pool:2")


def test_classification_has_one_timestep_per_logits(stores, stimuli):
    model, _ = stores["cornet_s"]
    table = classify(model, stimuli.subset(range(2)), [str(i) for i in range(7)], top=3)
    assert table.timestep.unique().tolist() == [0]
    assert len(table) == 6
