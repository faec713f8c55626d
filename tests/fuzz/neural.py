"""Neural data: at least one sample for every reader of :mod:`bltvs_neuro.neural.registry`."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from bltvs_neuro.neural import load_rdms, load_responses, make_rdms, make_responses, to_netcdf

from ..cli import layouts
from ..neural.conftest import code, random_rdms, write_matlab73
from .target import Target

IDS = ["d", "a", "c.1", "b", "e"]
STACK = random_rdms(3, 5, seed=1)
TRIALS = ["p", "q", "p", "r", "s", "q"]
VALUES = np.arange(24.0).reshape(6, 4) + 0.5
SIGNAL = np.random.default_rng(0).standard_normal((12, 10))
NAMES = [f"im{i:02d}.png" for i in range(12)]
SHAPE = (3, 4, 2)


def _table(path: Path, separator: str) -> None:
    rows = [["id", *IDS], *([i, *map(repr, row.tolist())] for i, row in zip(IDS, STACK[0], strict=True))]
    path.write_text("".join(separator.join(row) + "\n" for row in rows))


def _h5(path: Path, **arrays: Any) -> None:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name.replace("__", "/")] = values


def _rsatoolbox(path: Path) -> None:
    from rsatoolbox.rdm import RDMs

    RDMs(
        STACK, dissimilarity_measure="crossnobis", rdm_descriptors={"subject": ["x", "y", "z"]},
        pattern_descriptors={"stimulus": IDS},
    ).save(str(path), file_type="hdf5")  # fmt: skip


def _rsatoolbox_pickle(path: Path) -> None:
    held = {"dissimilarities": np.arange(20.0).reshape(2, 10), "pattern_descriptors": {"stimulus": IDS}}
    path.write_bytes(pickle.dumps(held))


def _meadows(path: Path) -> None:
    held = {"rdmutv_able_fly": np.arange(10.0)[None], "rdmutv_clean_koi": np.arange(10.0)[None] + 1}
    names = {"stimuli_able_fly": np.array(IDS), "stimuli_clean_koi": np.array(IDS)}
    scipy.io.savemat(path, held | names)


def _struct(path: Path) -> None:
    records = np.zeros((2,), dtype=[("RDM", object), ("name", object), ("color", object)])
    for i in range(2):
        records[i] = (STACK[i], f"rdm {i}", [1, 0, 0])
    scipy.io.savemat(path, {"RDMs": records})


def _mat5(path: Path, **arrays: Any) -> None:
    scipy.io.savemat(path, arrays)


def _npz(path: Path, **arrays: Any) -> None:
    np.savez(path, **arrays)


def _pickled(path: Path, **arrays: Any) -> None:
    np.save(path, arrays, allow_pickle=True)  # type: ignore[arg-type]


def _listed(suffix: str) -> Callable[[Path], None]:
    """An array with a list of its stimuli beside it."""
    table = {
        "csv": "n,stimulus_id\n" + "".join(f"0,{i}\n" for i in IDS),
        "json": json.dumps(IDS),
        "txt": "\n".join(IDS) + "\n",
    }
    table["tsv"] = table["csv"].replace(",", "\t")

    def write(path: Path) -> None:
        np.save(path, STACK[0])
        path.with_name(f"{path.stem}.stimuli.{suffix}").write_text(table[suffix])

    return write


def _brainscore(path: Path) -> None:
    import xarray as xr

    coords = {
        "image_id": ("presentation", TRIALS), "repetition": ("presentation", range(6)), "region": ("neuroid", ["V4"] * 4),
        "neuroid_id": ("neuroid", list("abcd")), "time_bin_start": ("time_bin", [50]), "time_bin_end": ("time_bin", [100]),
    }  # fmt: skip
    array = xr.DataArray(VALUES[..., None], dims=("presentation", "neuroid", "time_bin"), coords=coords, name="data")
    array.to_dataset().to_netcdf(path, engine="h5netcdf")


def _bold5000(root: Path) -> Path:
    volumes = code(SHAPE, 8).astype(np.float32)
    for session, (start, stop) in {1: (0, 3), 2: (3, 8)}.items():
        layouts.save_nifti(root / f"CSI1_GLMbetas-TYPED_ses-{session:02d}.nii.gz", volumes[..., start:stop])
    (root / "CSI1_imgnames.txt").write_text("".join(f"im_{n}.jpg\n" for n in (0, 1, 2, 3, 1, 4, 5, 6)))
    layouts.save_nifti(root / "CSI1_brainmask.nii.gz", np.ones(SHAPE, np.uint8))
    return root


def _bids_plain(root: Path) -> Path:
    layouts.write_bids(root, SIGNAL, NAMES)
    for path in root.glob("*.nii.gz"):
        import nibabel

        nibabel.save(nibabel.load(path), path.with_suffix(""))
        path.unlink()
    return root


def _things(root: Path) -> Path:
    from ..neural.test_things import things_tables

    frame = things_tables(root)
    _h5(
        root / "sub-01_ResponseData.h5",
        ResponseData__axis0=frame.columns.to_numpy().astype("S"), ResponseData__axis1=np.arange(5),
        ResponseData__block0_items=np.array(["voxel_id"], dtype="S"), ResponseData__block0_values=frame[["voxel_id"]].to_numpy(),
        ResponseData__block1_items=frame.columns[1:].to_numpy().astype("S"),
        ResponseData__block1_values=frame.iloc[:, 1:].to_numpy(),
    )  # fmt: skip
    return root


def _eeg2(root: Path) -> Path:
    return layouts.write_eeg2(root, SIGNAL, NAMES)


def _shared(relative: str) -> Callable[[Path], Path | None]:
    """A real file of the test data."""

    def make(folder: Path) -> Path | None:
        source = Path(os.environ.get("BLTVS_DATA", "")) / relative
        return Path(shutil.copy(source, folder)) if source.is_file() else None

    return make


def _file(name: str, write: Callable[..., Any], **arrays: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write(folder / name, **arrays)
        return folder / name

    return make


def _rdms(format: str, make: Any, *, needs: Sequence[str] = (), free: Sequence[str] = (), **options: Any) -> Target:
    read = partial(load_rdms, format=format, **options)
    return Target(make, read, free=tuple(free), needs=tuple(needs), covers=f"rdms:{format}")


def _responses(
    format: str, make: Any, *, needs: Sequence[str] = (), free: Sequence[str] = (), named: bool = False, **options: Any
) -> Target:
    read = partial(load_responses, format=format, **options)
    checked = ("*.nii.gz", "*.npz") if format not in ("rdm_array", "response_array") else ("*.npz",)
    return Target(make, read, checked, tuple(free), named, f"responses:{format}", tuple(needs))


LABELLED = {"rdm": STACK, "stimulus_id": np.array(IDS, "S")}
PLAIN = {"betas": VALUES, "stimuli": np.array(TRIALS, "S"), "roi": np.array(["V1", "V2", "V2", "V4"], "S")}
BETAS = code(SHAPE, 6).astype(np.float32)
ANY = ("*",)

TARGETS: dict[str, Target] = {
    "rdms-rsatoolbox": _rdms("rsatoolbox", _file("x.hdf5", _rsatoolbox), free=ANY),
    "rdms-rsatoolbox-pickle": _rdms("rsatoolbox_pkl", _file("x.pkl", _rsatoolbox_pickle), free=ANY, allow_pickle=True),
    "rdms-meadows-mat": _rdms("meadows", _file("Meadows_x_v1_arrangement_1D.mat", _meadows), free=ANY),
    "rdms-meadows-json": _rdms(
        "meadows", _shared("formats/meadows118/Meadows_twoMaTasks_v_v1_informed-mole_tree.json"), free=ANY
    ),
    "rdms-struct": _rdms("rdm_struct", _file("x.mat", _struct), stimuli=IDS),
    "rdms-netcdf": _rdms(
        "netcdf", _file("x.nc", lambda path: to_netcdf(make_rdms(STACK, IDS, metric="x", subject=list("xyz")), path)), free=ANY
    ),
    "rdms-algonauts2019": _rdms(
        "algonauts2019", _file("target_fmri.mat", write_matlab73, EVC_RDMs=random_rdms(15, 5), IT_RDMs=random_rdms(15, 5))
    ),
    "rdms-npy": _rdms("rdm_array", _file("x.npy", lambda path: np.save(path, STACK)), stimuli=IDS),
    "rdms-npz": _rdms("rdm_array", _file("x.npz", _npz, rdm=STACK, stimuli=np.array(IDS))),
    "rdms-mat5": _rdms("rdm_array", _file("x.mat", _mat5, rdm=STACK, labels=np.array(IDS, object)), free=ANY),
    "rdms-mat73": _rdms("rdm_array", _file("x.mat", write_matlab73, rdm=STACK), stimuli=IDS),
    "rdms-h5": _rdms("rdm_array", _file("x.h5", _h5, **LABELLED), free=ANY),
    "rdms-csv": _rdms("rdm_array", _file("x.csv", partial(_table, separator=",")), free=ANY),
    "rdms-tsv": _rdms("rdm_array", _file("x.tsv", partial(_table, separator="\t")), free=ANY),
    **{
        f"rdms-list-{suffix}": _rdms("rdm_array", _file("x.npy", _listed(suffix)), free=("*.stimuli.*",))
        for suffix in ("txt", "json", "csv", "tsv")
    },
    "responses-npy": _responses("response_array", _file("x.npy", lambda path: np.save(path, VALUES)), stimuli=TRIALS),
    "responses-npz": _responses("response_array", _file("x.npz", _npz, betas=VALUES, stimuli=np.array(TRIALS))),
    "responses-npz-time": _responses(
        "response_array", _file("x.npz", _npz, data=VALUES.reshape(6, 2, 2), stimuli=np.array(TRIALS), time=np.array([0.1, 0.2]))
    ),
    "responses-mat73": _responses("response_array", _file("x.mat", write_matlab73, betas=VALUES), stimuli=TRIALS),
    "responses-h5": _responses("response_array", _file("x.h5", _h5, **PLAIN), free=ANY),
    "responses-csv": _responses(
        "response_array",
        _file("x.csv", lambda path: path.write_text(
            "".join(f"{i},{','.join(map(str, row))}\n" for i, row in zip(TRIALS, VALUES, strict=True))
        )),
        free=ANY,
    ),
    "responses-netcdf": _responses(
        "netcdf",
        _file("x.nc", lambda path: to_netcdf(make_responses(VALUES, TRIALS, neuroid_coords={"roi": list("abcd")}), path)),
        free=ANY,
    ),
    "responses-brainscore": _responses("brainscore", _file("x.nc", _brainscore), free=ANY),
    "responses-nsd": _responses("nsd", lambda root: layouts.write_nsd(root, SIGNAL), free=("*expdesign.mat",)),
    "responses-algonauts2023": _responses(
        "algonauts2023", lambda root: layouts.write_algonauts(root, SIGNAL), named=True
    ),
    "responses-things-fmri": _responses("things_fmri", _things, free=("*StimulusMetadata.csv", "*.h5"), needs=["tables"]),
    "responses-things-eeg2": _responses("things_eeg2", _eeg2, free=("*image_metadata.npy",), allow_pickle=True, split="training"),
    "responses-glmsingle-npy": _responses(
        "glmsingle", _file("TYPED_FITHRF.npy", _pickled, betasmd=BETAS), stimuli=TRIALS, allow_pickle=True
    ),
    "responses-glmsingle-hdf5": _responses("glmsingle", _file("TYPED_FITHRF.hdf5", _h5, betasmd=BETAS), stimuli=TRIALS),
    "responses-glmsingle-mat5": _responses("glmsingle", _file("TYPED_FITHRF.mat", _mat5, modelmd=BETAS), stimuli=TRIALS),
    "responses-glmsingle-mat73": _responses(
        "glmsingle", _file("TYPED_FITHRF.mat", write_matlab73, modelmd=BETAS), stimuli=TRIALS
    ),
    "responses-bold5000": _responses("bold5000", _bold5000, free=("*imgnames.txt",)),
    "responses-bids": _responses("bids", lambda root: layouts.write_bids(root, SIGNAL, NAMES), free=("*events.tsv",)),
    "responses-bids-nii": _responses("bids", _bids_plain, free=("*events.tsv", "*mask.nii")),
    "responses-mne": _responses(
        "mne", _file("x-epo.fif", lambda path: layouts.write_mne(path, SIGNAL, NAMES)), free=ANY, needs=["mne"]
    ),
}  # fmt: skip
