import struct

import numpy as np
import pytest

from bltvs_neuro.errors import DataError
from bltvs_neuro.foreign.fif import check_fif


@pytest.fixture(params=[".fif", ".fif.gz"])
def epochs(request, tmp_path):
    mne = pytest.importorskip("mne")
    path = tmp_path / f"a-epo{request.param}"
    values = np.random.default_rng(0).standard_normal((6, 5, 50))
    mne.EpochsArray(values, mne.create_info(5, 100.0, "eeg"), verbose="ERROR").save(path, verbose="ERROR")
    return path


def test_what_mne_writes_passes(epochs):
    check_fif(epochs)


def test_a_cut_file(epochs):
    epochs.write_bytes(epochs.read_bytes()[:-300])
    with pytest.raises(DataError, match="cannot be unpacked|the file ends at byte|ends within a tag"):
        check_fif(epochs)


def tag(kind, data, following=0, size=None):
    return struct.pack(">iiii", kind, 3, len(data) if size is None else size, following) + data


START = tag(100, b"0" * 20)
FAULTS = {
    "empty": (b"", "it is empty"),
    "header": (START + b"\0" * 7, "ends within a tag at byte 36"),
    "size": (
        START + tag(200, b"1234", size=2**31 - 1),
        "tag at byte 36 has 2147483647 bytes and the file ends at byte 56",
    ),
    "negative": (START + tag(200, b"", size=-1), "has -1 bytes"),
    "back": (START + tag(200, b"1234", following=36), "tag at byte 36 is followed by an earlier one"),
    "pointer": (START + tag(101, struct.pack(">i", 50)), "no tag begins at byte 50"),
    "directory": (START + tag(102, struct.pack(">8i", 100, 3, 4, 0, 200, 3, 4, 7)), "no tag begins at byte 7,"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_chain_that_does_not_hold(tmp_path, name):
    data, fault = FAULTS[name]
    path = tmp_path / "x-epo.fif"
    path.write_bytes(data)
    with pytest.raises(DataError, match=fault):
        check_fif(path)


def test_a_chain_with_a_directory(tmp_path):
    data = tag(200, b"1234")
    path = tmp_path / "x-epo.fif"
    pointer = tag(101, struct.pack(">i", 36 + 20 + len(data)))
    path.write_bytes(START + pointer + data + tag(102, struct.pack(">4i", 200, 3, 4, 56), following=-1))
    check_fif(path)
