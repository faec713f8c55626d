"""Options of all readers: whatever is given, as a value or as text, gives data or one sentence that names the option."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import h5py
import numpy as np
import pytest
import scipy.io

from bltvs_neuro.errors import BltvsError, SpecError, spelled_as
from bltvs_neuro.neural import (
    RDM_READERS,
    RESPONSE_READERS,
    load_rdms,
    load_responses,
    make_rdms,
    make_responses,
    to_netcdf,
)
from bltvs_neuro.neural.reader import same_label
from bltvs_neuro.neural.reading.options import Kind, Misfit, convert, fit

from . import test_layouts, test_rdm_files, test_things, test_volumes
from .conftest import random_rdms, save_nifti

algonauts2019, algonauts2023 = test_rdm_files.algonauts2019, test_layouts.algonauts2023
things_fmri, things_eeg2 = test_things.things_fmri, test_things.things_eeg2
nsd, bids, bold5000 = test_volumes.nsd, test_volumes.bids, test_volumes.bold5000
IDS = ["d", "a", "c", "b", "e"]
ANY = {"allow_pickle": True}


def rsatoolbox_file(request, folder, kind="hdf5"):
    rsatoolbox = pytest.importorskip("rsatoolbox")
    rsatoolbox.rdm.RDMs(random_rdms(3, 5)).save(str(folder / f"r.{kind}"), file_type=kind)
    return folder / f"r.{kind}", {"stimuli": IDS} | (ANY if kind == "pkl" else {})


def struct_file(request, folder):
    records = np.zeros((1,), dtype=[("RDM", object), ("name", object)])
    records[0] = (random_rdms(1, 5)[0], "first")
    scipy.io.savemat(folder / "s.mat", {"RDMs": records})
    return folder / "s.mat", {"stimuli": IDS}


def meadows_file(request, folder):
    scipy.io.savemat(folder / "m.mat", {"rdmutv": np.arange(1.0, 11)[None], "stimuli": np.array(IDS)})
    return folder / "m.mat", {}


def array_file(request, folder, values=None):
    np.save(folder / "x.npy", random_rdms(1, 5)[0] if values is None else values)
    return folder / "x.npy", {"stimuli": IDS}


def netcdf_file(request, folder, kind="rdms"):
    rdms = make_rdms(random_rdms(1, 5), IDS, metric="x")
    responses = make_responses(np.ones((5, 2)), IDS, neuroid_coords={"voxel": [0, 1]})
    return to_netcdf(rdms if kind == "rdms" else responses, folder / "n.nc"), {}


def brainscore_file(request, folder):
    return request.getfixturevalue("shared_data") / "formats/brainscore_netcdf/assy_test_TestMe.nc", {}


def glmsingle(request, folder):
    with h5py.File(folder / "TYPED.hdf5", "w") as file:
        file["betasmd"] = np.random.default_rng(0).random((*test_volumes.SHAPE, 5))
    return folder / "TYPED.hdf5", {"stimuli": IDS}


def mne_file(request, folder):
    mne = pytest.importorskip("mne")
    info = mne.create_info(["E1", "E2"], 100, "eeg")
    events = np.c_[np.arange(5) * 10, np.zeros(5, int), np.arange(1, 6)]
    epochs = mne.EpochsArray(np.random.default_rng(0).random((5, 2, 4)), info, events, verbose="ERROR")
    epochs.save(folder / "P1-epo.fif", verbose="ERROR")
    return folder / "P1-epo.fif", {}


def fixture(name, take=lambda value: value, **options):
    return lambda request, folder: (take(request.getfixturevalue(name)), options)


FILES = {
    ("rdms", "rsatoolbox"): rsatoolbox_file,
    ("rdms", "rsatoolbox_pkl"): lambda request, folder: rsatoolbox_file(request, folder, "pkl"),
    ("rdms", "meadows"): meadows_file,
    ("rdms", "rdm_struct"): struct_file,
    ("rdms", "rdm_array"): array_file,
    ("rdms", "netcdf"): netcdf_file,
    ("rdms", "algonauts2019"): fixture("algonauts2019", lambda made: made[0] / "target_meg.mat"),
    ("responses", "netcdf"): lambda request, folder: netcdf_file(request, folder, "responses"),
    ("responses", "response_array"): lambda request, folder: array_file(request, folder, np.ones((5, 3))),
    ("responses", "brainscore"): brainscore_file,
    ("responses", "nsd"): fixture("nsd", lambda made: made[0], roi="hV4", session=1),
    ("responses", "algonauts2023"): fixture("algonauts2023"),
    ("responses", "things_fmri"): fixture("things_fmri"),
    ("responses", "things_eeg2"): fixture("things_eeg2", **ANY),
    ("responses", "glmsingle"): glmsingle,
    ("responses", "bold5000"): fixture("bold5000", lambda made: made[0]),
    ("responses", "bids"): fixture("bids"),
    ("responses", "mne"): mne_file,
}
COMMON = ("stimuli", "subject", "session", "roi", "allow_pickle", "format")
READERS = [("rdms", reader) for reader in RDM_READERS.values()]
READERS += [("responses", reader) for reader in RESPONSE_READERS.values()]


def rubbish(folder: Path) -> list[Any]:
    volume = save_nifti(folder / "volume.nii.gz", np.ones((2, 2, 2), np.uint8))
    (folder / "text.txt").write_text("one\ntwo\n")
    (folder / "bad.tsv").write_bytes(b"a\tb\n\xff\xfe\t1\t2\t3\n")
    (folder / "names.tsv").write_text("index\tname\nx\tV1\n")
    (folder / "bad.json").write_text('{"a": [')
    (folder / "list.json").write_text("[1, 2]")
    (folder / "table.json").write_text('{"a": {"b": 1}}')
    files = [volume, *(folder / name for name in ("text.txt", "bad.tsv", "names.tsv", "bad.json", "list.json"))]
    return [
        None, "", " ", "nonsense", "a,b", "1,2", ",", "a:b", "1:a,2", "[1", "[[1]]", '{"a":', '{"1": [1]}', "null",
        "true", "-1", "1e400", "\0", "x" * 5000, 0, -1, 5, 2.5, float("nan"), True, [], ["a", "b"], [1, 2], [[1], [2, 3]],
        [None], {}, {"a": 1}, {1: ["a"]}, {None: None}, object(), b"x", 1j, np.ones(3), np.ones((2, 2)), {"a"}, max,
        "/no/such/path", Path("/no/such/path"), folder, str(folder), *files, *map(str, files), folder / "table.json",
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "reader"), READERS, ids=[f"{kind}-{reader.name}" for kind, reader in READERS])
def test_every_option_takes_rubbish(kind, reader, request, tmp_path_factory):
    path, options = FILES[kind, reader.name](request, tmp_path_factory.mktemp("data"))
    load = load_rdms if kind == "rdms" else load_responses
    load(path, format=reader.name, **options)
    values = rubbish(tmp_path_factory.mktemp("rubbish"))
    failures, refused = [], 0
    for option in dict.fromkeys((*reader.options, *COMMON, *(("missing",) if kind == "rdms" else ()), "path", "no")):
        for value in values:
            try:
                load(path, **{"format": reader.name, **options, option: value})
            except BltvsError as error:
                refused += 1
                if not str(error):
                    failures.append(f"{option}={value!r}: an empty sentence")
            except Exception as error:
                failures.append(f"{option}={str(value)[:60]!r}: {type(error).__name__}: {str(error)[:90]}")
    assert not failures, "\n".join(failures)
    assert refused


@pytest.mark.parametrize(
    ("hint", "given", "got"),
    [
        (str, "01", "01"), (str, 1, "1"), (str, ["a"], "a"), (int, "01", 1), (int, 1.0, 1), (float, "1e-1", 0.1),
        (bool, "True", True), (bool, "no", False), (Literal["a", "b"], "b", "b"), (Literal[1, 2], "2", 2),
        (int | Sequence[int] | None, "1,2", [1, 2]), (int | Sequence[int], "3", 3), (int | Sequence[int], "[3]", [3]),
        (str | Sequence[str], "V1,V2", ["V1", "V2"]), (str | Sequence[str], ("V1",), "V1"),
        (str | Sequence[str], "V1", "V1"), (Sequence[float], np.array([1.0, 2.0]), [1.0, 2.0]),
        (Mapping[int, str], "1:V1,2:V2", {1: "V1", 2: "V2"}), (Mapping[int, str], '{"1": "V1"}', {1: "V1"}),
        (Mapping[str, Sequence[float]], '{"a": [0, 1]}', {"a": [0.0, 1.0]}),
        (Mapping[str, str | None], '{"space": null}', {"space": None}), (int | None, None, None),
        (Annotated[str, Kind("x", str.upper)] | None, "a", "A"),
    ],
)  # fmt: skip
def test_values_and_text_become_what_is_asked_for(hint, given, got):
    assert fit(hint, given) == got
    assert type(fit(hint, given)) is type(got)


@pytest.mark.parametrize(
    ("hint", "given"),
    [
        (int, True), (int, 1.5), (int, "x"), (int, "nan"), (str, None), (str, ["a", "b"]), (bool, 2), (Literal["a"], "b"),
        (Sequence[int], "1,x"), (Sequence[int], ""), (Mapping[int, str], "V1"), (Mapping[int, str], {"a": "b"}),
        (Path, "/no/such/file"), (int | Sequence[int], {}),
    ],
)  # fmt: skip
def test_other_kinds_are_refused(hint, given):
    with pytest.raises(Misfit):
        fit(hint, given)


def test_the_sentence_names_the_option():
    def read(path: Path, *, labels: Mapping[int, str] | None = None, split: Literal["a", "b"] = "a") -> None:
        """Read nothing."""

    with pytest.raises(SpecError, match=r"^split= should be 'a' or 'b'; got 'c'$"):
        convert(read, {"split": "c"})
    with (
        spelled_as({"*": "--option {name}="}),
        pytest.raises(SpecError, match=r"^--option labels=... should be a table, .*; got 'x'$"),
    ):
        convert(read, {"labels": "x"})


@pytest.mark.parametrize(
    ("have", "wanted", "same"),
    [
        ("sub-01", "01", True), ("sub-01", "1", True), ("sub-01", "sub-1", True), ("subj01", "1", True),
        ("CSI1", "CSI1", True), ("CSI1", "1", True), ("01", "ses-1", True), ("sub-pilot", "pilot", True),
        ("sub-01", "10", False), ("sub-01", "P1", False), ("pilot", "pilot1", False), ("a", "b", False),
    ],
)  # fmt: skip
def test_labels_that_are_one(have, wanted, same):
    assert same_label(have, wanted) is same
