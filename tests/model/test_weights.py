"""Files of weights that hold something else: one sentence each, nothing cast in silence, nothing executed."""

from __future__ import annotations

import functools
import os
import pickle

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from bltvs_neuro.errors import WeightsError
from bltvs_neuro.model.released import tensors
from bltvs_neuro.model.released.weights import fill, own_weights, read_weights


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


KEY = "0.weight"


def load(tmp_path, state, suffix=".pth", into=None):
    path = tmp_path / f"w{suffix}"
    safetensors.torch.save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    model = into or network()
    found, _ = own_weights(path)
    fill(model, found, path.name, "the model")
    return model


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_taken_and_rounding_is_said(tmp_path, caplog, suffix, dtype):
    state = network().state_dict()
    state[KEY] = state[KEY].to(dtype)
    model = load(tmp_path, state, suffix)
    assert torch.equal(model.state_dict()[KEY], state[KEY].float())
    assert ("rounded to the model's float32 (0.weight)" in caplog.text) is (dtype == torch.float64)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int64, torch.bool])
def test_no_other_kind_of_number_is_cast(tmp_path, suffix, dtype):
    state = network().state_dict()
    state[KEY] = torch.ones_like(state[KEY]).to(dtype)
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(WeightsError, match=rf"1 types differ \(0.weight {name} instead of float32\)"):
        load(tmp_path, state, suffix)
    state = network().state_dict()
    state["1.num_batches_tracked"] = torch.tensor(3.5)
    with pytest.raises(WeightsError, match="num_batches_tracked float32 instead of int64"):
        load(tmp_path, state, suffix)


def test_numbers_too_large_for_float32_are_refused(tmp_path):
    state = network().state_dict()
    state[KEY] = state[KEY].double() * 1e300
    with pytest.raises(WeightsError, match=r"1 tensors hold larger numbers than the model can \(0.weight\)"):
        load(tmp_path, state)


ODD = {
    "sparse": lambda t: t.to_sparse(),
    "sparse ": lambda t: t.reshape(4, -1).to_sparse_csr(),
    "quantised": lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8),
    "without values": lambda t: t.to("meta"),
    "complex": lambda t: t.to(torch.complex64),
    "nested": lambda t: torch.nested.nested_tensor([t[0, 0], t[0, 0, :2]]),
    "float8": lambda t: t.to(torch.float8_e4m3fn),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", list(ODD))
def test_tensors_that_cannot_be_weights(what):
    state = {**network().state_dict()}
    state[KEY] = ODD[what](state[KEY])
    with pytest.raises(WeightsError, match=f"w.pth holds tensors that are {what.strip()}.*: 0.weight .*dense float32"):
        tensors.check_tensors(state, "w.pth")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", list(ODD))
def test_files_with_them_are_one_sentence(tmp_path, what):
    state = {**network().state_dict()}
    state[KEY] = ODD[what](state[KEY])
    with pytest.raises(WeightsError) as caught:
        load(tmp_path, state)
    assert "weights_only" not in str(caught.value) and "\n" not in str(caught.value)


def test_float8_in_safetensors(tmp_path):
    state = {**network().state_dict(), KEY: torch.ones(4, 3, 3, 3).to(torch.float8_e4m3fn)}
    with pytest.raises(WeightsError, match="float8"):
        load(tmp_path, state, ".safetensors")


@pytest.mark.parametrize("value", [np.ones(3), 1.5, [1, 2], None, {"a": torch.ones(1)}, "text"])
def test_what_is_no_tensor(tmp_path, value):
    with pytest.raises(WeightsError) as caught:
        load(tmp_path, {**network().state_dict(), KEY: value})
    said = str(caught.value)
    assert "safetensors, or with torch.save(model.state_dict(), PATH)" in said
    assert "weights_only" not in said and "\n" not in said


def test_code_is_not_run_and_not_advised(tmp_path):
    for held in (functools.partial(print, "run"), network()):
        torch.save(held, tmp_path / "w.pth")
        with pytest.raises(WeightsError, match="which only running code could restore.*safetensors") as caught:
            own_weights(tmp_path / "w.pth")
        assert "weights_only" not in str(caught.value) and "Re-running" not in str(caught.value)


def test_a_state_dict_is_found_where_training_frameworks_put_it(tmp_path):
    expected = network().state_dict()
    inside = {"state_dict": {f"module.{key}": value for key, value in expected.items()}}
    assert torch.equal(load(tmp_path, inside).state_dict()[KEY], expected[KEY])
    with pytest.raises(WeightsError, match=r"holds what is no named tensor, model \(OrderedDict\), epoch \(int\)"):
        load(tmp_path, {"model": expected, "epoch": 3})
    with pytest.raises(WeightsError, match=r"3 \(Tensor\)"):
        load(tmp_path, {3: torch.ones(1)})


def test_views_and_shared_storage_are_read_as_they_are(tmp_path):
    state = network().state_dict()
    base = torch.randn(8, 3, 3, 3)
    state[KEY] = base[::2].transpose(2, 3)
    assert torch.equal(load(tmp_path, state).state_dict()[KEY], state[KEY])


def test_a_small_file_cannot_ask_for_all_memory(tmp_path):
    torch.save({**network().state_dict(), KEY: torch.zeros(1).expand(10**12)}, tmp_path / "w.pth")
    assert (tmp_path / "w.pth").stat().st_size < 10_000
    with pytest.raises(WeightsError, match="declares 4,000,000,000,.* bytes of values; at most"):
        own_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_not_finite(tmp_path, value):
    state = network().state_dict()
    state[KEY][0, 0, 0, 0] = value
    with pytest.raises(WeightsError, match="not finite, in 0.weight"):
        load(tmp_path, state)


def test_other_shapes(tmp_path):
    with pytest.raises(WeightsError, match=r"1 shapes differ \(0.weight \(108,\) instead of \(4, 3, 3, 3\)\)"):
        load(tmp_path, {**network().state_dict(), KEY: torch.ones(108)})


@pytest.mark.parametrize("name", ["w.pth", "w.SAFETENSORS", "w.safetensors", "w"])
@pytest.mark.parametrize("save", [torch.save, safetensors.torch.save_file])
def test_the_content_says_which_format_it_is(tmp_path, name, save):
    save(network().state_dict(), tmp_path / name)
    found, _ = own_weights(tmp_path / name)
    assert torch.equal(found[KEY], network().state_dict()[KEY])


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_of_wrapped_models(tmp_path, prefix):
    state = {f"{prefix}{key}": value for key, value in network().state_dict().items()}
    assert torch.equal(load(tmp_path, state).state_dict()[KEY], network().state_dict()[KEY])


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    for path, why in (("pipe.pth", "is a named pipe"), ("", "is a folder"), ("none.pth", "there is no file")):
        with pytest.raises(WeightsError, match=f"{why}.*weights are 'pretrained', 'untrained' or the path"):
            own_weights(tmp_path / path)
    with pytest.raises(WeightsError, match="weights='': no file is named"):
        own_weights("")


def test_bytes_of_a_plain_pickle(tmp_path):
    (tmp_path / "w.pth").write_bytes(pickle.dumps(network().state_dict()))
    with pytest.raises(
        WeightsError, match=r"no file of weights that can be read without running code from it \((?!it holds \d)"
    ):
        own_weights(tmp_path / "w.pth")


def test_bytes_that_are_nothing():
    for name in ("w.pth", "w.safetensors"):
        with pytest.raises(WeightsError, match="is no file of weights") as caught:
            read_weights(b"x" * 100, name)
        assert "weights_only" not in str(caught.value)
