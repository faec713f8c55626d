"""Peak memory of extraction, and of the usual loop, against the number of stimuli."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import bltvs_neuro as bn
from bltvs_neuro.extraction.options import ExtractRun

from .extraction import usual
from .memory import peak_of
from .tables import Table


def extract_v1(n: int, workers: int = 1) -> None:
    """Full maps of V1 at its first timestep (590 kB a stimulus at 128 px) into a store."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        for number in range(n):
            Image.new("RGB", (64, 64), (number % 256, number // 256, 0)).save(pictures / f"{number}.bmp")
        bn.extract(
            small(),
            pictures,
            Path(folder) / "acts.h5",
            bn.Select("V1", streams="bu", timesteps=2),
            run=ExtractRun(workers=workers),
        )


def append_v1(n: int) -> None:
    """The same by the usual loop, its images in memory (0.2 MB each)."""
    with tempfile.TemporaryDirectory() as folder:
        model = small()
        images = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (n, 3, 128, 128)).astype(np.float32))
        usual(model, images, Path(folder), "V1")


def small() -> bn.BLT_VS:
    """A model that only reaches V1 within its timesteps."""
    torch.set_num_threads(1)
    return bn.BLT_VS(timesteps=3, num_classes=10, image_size=128, topdown_connections=False).eval()


def measure(full: bool) -> Table:
    """100 to 1600 stimuli; to 6400 if ``full``."""
    rows: list[dict[str, object]] = []
    for n in (100, 400, 1600, *([6400] if full else [])):
        peaks = {"extraction": peak_of(extract_v1, n=n)[1], "usual loop": peak_of(append_v1, n=n)[1]}
        rows.append({"stimuli": n, **{f"{name}, MiB": round(peak / 2**20) for name, peak in peaks.items()}})
    return Table("Peak memory of the process, full maps of V1/bu at one timestep, 128 px (0.6 MB a stimulus)", rows)
