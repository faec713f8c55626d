"""A user's day, from the pages' own words: ``python -m tests.day [FOLDER]``.

Takes the commands and lines of Python that README.md and docs/ show, and runs them as they stand on simulated data of
known source. One word is changed: the released weights of ``imagenet`` need a network, so the shipped model ``shapes``
takes their place. Then looks whether the results find the source.
"""

# ruff: noqa: T201
from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from PIL import Image

import bltvs_neuro as bn

from .cli import layouts

ROOT = Path(__file__).parents[1]
SOURCE = ("V4/td", 2)
"""What the simulated voxels and electrodes follow."""


def block(page: str, heading: str, language: str) -> str:
    """The one block of a language below a heading of a page."""
    text = (ROOT / page).read_text("utf-8")
    section = re.search(rf"^##+ {re.escape(heading)}\n(.*?)(?=^##+ |\Z)", text, re.MULTILINE | re.DOTALL)
    found = re.findall(rf"```{language}\n(.*?)```", section[1], re.DOTALL) if section else []
    if len(found) != 1:
        raise SystemExit(f"{page} has {len(found)} blocks of {language} below {heading!r}, not one")
    return found[0]


def make_data(root: Path) -> None:
    """Pictures in class folders, betas with events and a mask, epochs of three subjects, arrays of two: all of one source."""
    pictures = bn.StimulusSet.shapes(60)
    names = [f"{category}/{i:03d}.png" for i, category in enumerate(pictures.metadata["category"])]
    for i, name in enumerate(names):
        (root / "stimuli" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pictures.load(i)).save(root / "stimuli" / name)
    stimuli = bn.StimulusSet.from_folder(root / "stimuli")
    path = bn.extract(bn.load_model("shapes"), stimuli, root / "truth.h5", SOURCE[0], reduce=bn.pool(4))
    with bn.open_store(path) as acts:
        ids = list(acts.stimulus_ids)
        signal = layouts.simulate(acts, [SOURCE], 40, r2=0.8)
    path.unlink()
    layouts.write_bids(root / "betas", signal, ids)
    (root / "betas/sub-01_desc-roi_mask.nii.gz").rename(root / "rois.nii.gz")
    (root / "subjects").mkdir()
    for subject in (1, 2):
        rows = np.random.default_rng(subject).permutation(np.repeat(np.arange(len(ids)), 2))
        np.save(root / "subjects" / f"sub-0{subject}_betas.npy", layouts.noisy(signal, rows, r2=0.8, seed=subject))
        (root / "subjects" / f"sub-0{subject}_betas.stimuli.txt").write_text("\n".join(ids[row] for row in rows))
    for subject in (1, 2, 3):
        layouts.write_mne(root / f"sub-0{subject}-epo.fif", signal, ids, seed=subject)


def best(path: Path, column: str, **where: object) -> tuple[str, int]:
    """Site and timestep of the highest mean in a table that a command wrote."""
    table = pd.read_csv(path)
    for name, value in where.items():
        table = table[table[name] == value]
    means = table.groupby(["area", "stream", "timestep"])[column].mean()
    area, stream, timestep = means.idxmax()
    return f"{area}/{stream}", int(timestep)


def check(found: tuple[str, int], what: str, within: int = 0) -> None:
    """Whether an analysis finds what was put in, up to so many timesteps."""
    if found[0] != SOURCE[0] or abs(found[1] - SOURCE[1]) > within:
        raise SystemExit(f"{what} finds {found[0]}@{found[1]}, simulated from {SOURCE[0]}@{SOURCE[1]}")


def fmri_is_right(here: Path) -> None:
    check(best(here / "rsa/rsa.csv", "score"), "rsa of betas")
    check(best(here / "encoding/scores.csv", "r2"), "encode of betas")
    assert (here / "report.html").stat().st_size > 100_000


def eeg_is_right(here: Path) -> None:
    times = (
        xr.open_dataset(here / "rsa_eeg/rsa_time.nc")["similarity"]
        .mean("subject")
        .sel(time=slice(0.15, None))
        .mean("time")
    )
    at = times.where(times == times.max(), drop=True)
    check((str(at["site"].item()), int(at["timestep"].item())), "rsa of epochs", within=1)
    if (here / "encoding_eeg").exists():
        check(best(here / "encoding_eeg/scores.csv", "r2", time=layouts.TIMES[-1]), "encode of epochs")


def subjects_are_right(here: Path) -> None:
    eeg_is_right(here)
    check(best(here / "rsa_subjects/rsa.csv", "score"), "rsa of two subjects")
    check(best(here / "encoding_subjects/scores.csv", "r2"), "encode of two subjects")


def ten_lines_are_right(here: Path) -> None:
    assert (here / "decoding.png").read_bytes().startswith(b"\x89PNG")


DAY: tuple[tuple[str, str, str, Callable[[Path], None]], ...] = (
    ("README.md", "Ten lines that run offline", "python", ten_lines_are_right),
    ("README.md", "Your own fMRI in five commands", "bash", fmri_is_right),
    ("README.md", "Your own EEG or MEG", "bash", eeg_is_right),
    ("docs/data.md", "Several subjects", "bash", subjects_are_right),
)


def run(language: str, text: str, here: Path) -> None:
    """Run a block as it stands, every command by itself so that each is timed and told."""
    tools = here.parent / "bin"
    tools.mkdir(exist_ok=True)
    command = tools / "bltvs"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m bltvs_neuro "$@"\n')
    command.chmod(0o755)
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    lines = [text] if language == "python" else [line for line in text.splitlines() if line and line[0] != "#"]
    for line in lines:
        began = time.monotonic()
        words = [sys.executable, "-c", line] if language == "python" else ["bash", "-euo", "pipefail", "-c", line]
        done = subprocess.run(words, cwd=here, env=environment, capture_output=True, text=True)
        print(f"{time.monotonic() - began:6.1f} s  {line.splitlines()[0]}", flush=True)
        if done.returncode:
            raise SystemExit(f"exit {done.returncode} of\n{line}\n{done.stdout}{done.stderr}")


def main() -> None:
    """Make the data and run every block in a folder of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(sys.argv[1] if sys.argv[1:] else scratch).resolve()
        data = root / "data"
        make_data(data)
        for page, heading, language, is_right in DAY:
            print(f"{page}: {heading}", flush=True)
            text = block(page, heading, language).replace("--model imagenet", "--model shapes")
            here = root / re.sub(r"\W+", "_", f"{page} {heading}")
            here.mkdir()
            for item in data.iterdir():
                if "extract" not in text or item.name != "acts.h5":
                    (here / item.name).symlink_to(item)
            run(language, text, here)
            is_right(here)
            if (here / "acts.h5").is_file() and not (here / "acts.h5").is_symlink() and language == "bash":
                (here / "acts.h5").replace(data / "acts.h5")  # what a page's next commands begin with


if __name__ == "__main__":
    main()
