"""Simulated voxels and electrodes of a known store, written in the layouts that data sets have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import scipy.io

SHAPE = (8, 9, 7)
AFFINE = np.array([[-3.0, 0, 0, 12], [0, 3.0, 0, -100], [0, 0, 3.0, -10], [0, 0, 0, 1.0]])
TIMES = np.linspace(-0.1, 0.4, 6)


def simulate(
    acts: Any, sources: list[tuple[str, int]], per_source: int, *, r2: float = 0.7, seed: int = 0
) -> np.ndarray:
    """Noise-free signals (stimulus, target): a few strong dimensions of known sites and timesteps, variance ``r2``."""
    rng = np.random.default_rng(seed)
    columns = []
    for site, step in sources:
        array = acts[site]
        x = array.isel(timestep=array["timestep"].values.tolist().index(step)).values
        x = x.reshape(len(x), -1).astype(np.float64)
        u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
        signal = (u[:, :8] * s[:8]) @ rng.standard_normal((8, per_source))
        columns.append(np.sqrt(r2) * signal / signal.std(axis=0))
    return np.concatenate(columns, axis=1)


def noisy(signal: np.ndarray, rows: np.ndarray, *, r2: float = 0.7, seed: int = 1) -> np.ndarray:
    """Presentations of the given rows, each with noise of its own."""
    rng = np.random.default_rng(seed)
    return signal[rows] + np.sqrt(1 - r2) * rng.standard_normal((len(rows), signal.shape[1]))


def place(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Volumes (i, j, k, presentation), and labels: the first half of the voxels is 1, the second 7."""
    n = values.shape[1]
    at = np.unravel_index(np.random.default_rng(5).permutation(int(np.prod(SHAPE)))[:n], SHAPE)
    volumes = np.zeros((*SHAPE, len(values)), np.float32)
    volumes[at] = values.T
    labels = np.zeros(SHAPE, np.int16)
    labels[at] = np.where(np.arange(n) < n // 2, 1, 7)
    return volumes, labels


def save_nifti(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, AFFINE), path)
    return path


def write_nsd(root: Path, signal: np.ndarray) -> Path:
    """Two sessions, one in each container; the stimulus in row r of ``signal`` is nsd-0000r."""
    betas = root / "nsddata_betas/ppdata/subj02/func1pt8mm/betas_fithrf_GLMdenoise_RR"
    rois = root / "nsddata/ppdata/subj02/func1pt8mm/roi"
    design = root / "nsddata/experiments/nsd"
    design.mkdir(parents=True)
    rng = np.random.default_rng(0)
    n = len(signal)
    shown = np.concatenate([rng.permutation(np.arange(2250) % n)[:1500], rng.integers(0, n, 28500)])
    subjectim = np.stack([np.r_[np.arange(n), n + rng.permutation(73000 - n)[: 10000 - n]] + 1 for _ in range(8)])
    scipy.io.savemat(design / "nsd_expdesign.mat", {"masterordering": shown[None] + 1, "subjectim": subjectim})
    volumes, labels = place(np.rint(300 * noisy(signal, shown[:1500])))
    volumes = volumes.astype(np.int16)
    save_nifti(betas / "betas_session02.nii.gz", volumes[..., 750:])
    with h5py.File(betas / "betas_session01.hdf5", "w") as file:  # (trial, k, j, i)
        file.create_dataset("betas", data=volumes[..., :750].T, compression="gzip")
    save_nifti(betas / "ncsnr.nii.gz", np.where(labels > 0, np.sqrt(0.7 / 0.3), 0).astype(np.float32))
    save_nifti(rois / "prf-visualrois.nii.gz", labels)
    save_nifti(rois / "nsdgeneral.nii.gz", (labels > 0).astype(np.int16))
    return root


def write_bids(root: Path, signal: np.ndarray, ids: list[str]) -> Path:
    """Two runs, each with every stimulus once, events and a mask."""
    for run in (1, 2):
        rows = np.random.default_rng(run).permutation(len(ids))
        volumes, labels = place(noisy(signal, rows, seed=run))
        stem = f"sub-01_ses-01_task-x_run-{run}"
        save_nifti(root / f"{stem}_space-T1w_desc-single_betas.nii.gz", volumes)
        table = "".join(f"{4 * i}\t1\t{ids[row]}\n" for i, row in enumerate(rows))
        (root / f"{stem}_events.tsv").write_text("onset\tduration\ttrial_type\n" + table)
    save_nifti(root / "sub-01_desc-roi_mask.nii.gz", labels)
    return root


def write_algonauts(root: Path, signal: np.ndarray) -> Path:
    """subj03: the stimulus in row r is nsd-0000r; the first half of the vertices is lh V1v, the second rh hV4."""
    subject = root / "subj03"
    fmri, images, masks = (
        subject / p for p in ("training_split/training_fmri", "training_split/training_images", "roi_masks")
    )
    for folder in (fmri, images, masks):
        folder.mkdir(parents=True)
    rows = np.random.default_rng(3).permutation(len(signal))
    values = noisy(signal, rows).astype(np.float32)
    half = values.shape[1] // 2
    for number, row in enumerate(rows, start=1):
        (images / f"train-{number:04d}_nsd-{row:05d}.png").touch()
    for side, table, label in (("lh", values[:, :half], 1), ("rh", values[:, half:], 7)):
        np.save(fmri / f"{side}_training_fmri.npy", table)
        np.save(masks / f"{side}.prf-visualrois_challenge_space.npy", np.full(table.shape[1], label))
    return subject


def over_time(signal: np.ndarray, rows: np.ndarray, seed: int = 0) -> np.ndarray:
    """Epochs (presentation, electrode, time): noise alone up to 0.1 s, the signal later."""
    rng = np.random.default_rng(9 + seed)
    out = rng.standard_normal((len(rows), signal.shape[1], len(TIMES)))
    for i, time in enumerate(TIMES):
        if time > 0.15:
            out[:, :, i] = noisy(signal, rows, seed=1000 * seed + 100 + i)
    return out


def write_eeg2(root: Path, signal: np.ndarray, ids: list[str]) -> Path:
    """sub-04: every stimulus twice in the training split."""
    folder = root / "preprocessed" / "sub-04"
    folder.mkdir(parents=True)
    n, channels = signal.shape
    epochs = over_time(signal, np.repeat(np.arange(n), 2)).reshape(n, 2, channels, len(TIMES))
    data: Any = {"preprocessed_eeg_data": epochs, "ch_names": [f"E{i}" for i in range(channels)], "times": TIMES}
    np.save(folder / "preprocessed_eeg_training.npy", data, allow_pickle=True)
    images: Any = {"train_img_files": ids, "test_img_files": []}
    np.save(root / "image_metadata.npy", images, allow_pickle=True)
    return folder


def write_mne(path: Path, signal: np.ndarray, ids: list[str], seed: int = 0) -> Path:
    """Epochs named by their stimuli."""
    import mne

    rows = np.random.default_rng(4).permutation(np.repeat(np.arange(len(ids)), 2))
    info = mne.create_info([f"E{i}" for i in range(signal.shape[1])], 1 / (TIMES[1] - TIMES[0]), "eeg")
    events = np.c_[np.arange(len(rows)) * 10, np.zeros(len(rows), int), rows + 1]
    event_id = {name: i + 1 for i, name in enumerate(ids)}
    epochs = mne.EpochsArray(1e-6 * over_time(signal, rows, seed), info, events, TIMES[0], event_id, verbose="ERROR")
    epochs.save(path, verbose="ERROR")
    return path
