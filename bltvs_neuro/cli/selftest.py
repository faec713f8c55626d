"""``bltvs selftest``: what this installation can do, as a block for a bug report."""

from __future__ import annotations

import logging
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from ..errors import BltvsError
from .base import err, out

LOGITS = (
    (0.0838889, 2.5077970, -0.5573240, 0.1092331), (-1.4925862, 1.5159815, -0.5008633, 0.6292597),
    (-1.8603087, 1.3510644, 0.3927704, 1.1359714), (-1.6933990, 0.8900997, 0.0360290, 1.7772425),
)  # fmt: skip
SITES = {
    "Retina/bu": 0.7556056, "LGN/td": 0.6533717, "V1/bu": 0.7203509, "V1/td": 0.6566728, "V2/td": 0.6659680,
    "V3/bu": 0.7024038, "V4/bu": 0.7379510, "V4/td": 0.6634113, "LOC/bu": 0.7517598, "LOC/td": 0.6103110,
}  # fmt: skip
"""Of the model ``shapes`` for the picture of :func:`golden_numbers`, computed in float64: the first four logits of every
timestep, and mean absolute activations at the last one."""
TOLERANCE = 1e-4
"""float32 differed from float64 by 3e-6 where these were computed; other processors sum in another order."""
SEES = {"imagenet": "terrapin", "ecoset": "turtle"}
"""What the released models call the picture of the original's example, by its README."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FEATURES = ("avx2", "fma", "avx512f", "avx512_bf16", "avx_vnni", "amx_bf16", "amx_tile", "asimd", "bf16", "sve")
KILLED = "import sys; from bltvs_neuro.cli import selftest; selftest.killed_while_writing(sys.argv[1])"


class Skipped(Exception):
    """A check that cannot be made here, and why."""


class Failed(Exception):
    """A check that found something wrong."""


Outcome = Literal["passed", "skipped", "FAILED"]


@dataclass
class Block:
    """What is printed: checks with their outcomes, and what is known of the machine."""

    checks: list[tuple[Outcome, str, str]] = field(default_factory=list)

    def run(self, name: str, check: Callable[[], str]) -> None:
        """Make a check and show it; whatever it raises is its outcome."""
        began = time.perf_counter()
        outcome: Outcome
        with err.status(name):
            try:
                outcome, said = "passed", check()
            except Skipped as why:
                outcome, said = "skipped", str(why)
            except Exception as error:  # every fault of an installation is a finding
                kind = "" if isinstance(error, Failed | BltvsError) else f"{type(error).__name__}: "
                outcome, said = "FAILED", kind + " ".join(str(error).split())
        self.checks.append((outcome, name, said))
        line = f"{outcome:8}{name}: {said} ({time.perf_counter() - began:.1f} s)"
        out.print(line, highlight=False, soft_wrap=True)


def selftest(*, offline: bool = False) -> int:
    """Check this installation in about a minute, and print a block for bug reports.

    Golden numbers, a store that is killed and resumed, RDMs against rsatoolbox, the report in a browser, speeds; with network
    also the released weights and what they see in the original's example picture. Exit code 1 if a check fails.

    Parameters
    ----------
    offline : bool
        Fetch nothing; released weights that are here already are checked.

    Examples
    --------
    `bltvs selftest`
    """
    block = Block()
    with tempfile.TemporaryDirectory(prefix="bltvs_selftest_") as scratch:
        folder = Path(scratch)
        block.run("golden numbers", golden_numbers)
        block.run("killed and resumed", lambda: killed_and_resumed(folder))
        block.run("RDMs as rsatoolbox's", rdms_of_rsatoolbox)
        block.run("report in a browser", lambda: report_in_a_browser(folder))
    block.run("speed", speeds)
    with _quietly(offline):
        for name, seen in SEES.items():
            block.run(f"released weights {name}", lambda name=name, seen=seen: released(name, seen, offline))  # type: ignore[misc]
    out.print("\n".join(f"{name}: {value}" for name, value in machine().items()), highlight=False, soft_wrap=True)
    failed = [name for outcome, name, _ in block.checks if outcome == "FAILED"]
    out.print(f"failed: {', '.join(failed)}" if failed else "nothing failed", highlight=False)
    return 1 if failed else 0


def golden_numbers() -> str:
    """The shipped model on noise that numpy makes: logits and activations as they were."""
    import numpy as np
    import torch

    from ..extraction import record_tensors
    from ..model.released.checkpoints import load_model
    from ..schema import Site

    model = load_model("shapes")
    picture = np.random.RandomState(0).uniform(-1, 1, (1, 3, 128, 128)).astype("float32")  # for good
    images = torch.from_numpy(picture)
    with torch.no_grad():
        logits = np.array([step[0, :4].tolist() for step in model(images)])
    last = model.timesteps - 1
    sites = [Site.parse(site) for site in SITES]
    means = [float(record_tensors(model, images, f"{s}@{last}")[s.area, s.stream, last].abs().mean()) for s in sites]
    off = max(np.abs(logits - LOGITS).max(), np.abs(np.array(means) - [*SITES.values()]).max())
    if not off < TOLERANCE:
        raise Failed(f"logits or activations of the model shapes are off by {off:.2g}, more than {TOLERANCE:g}")
    return f"logits and {len(means)} sites of the model shapes, off by {off:.1g}"


def small_store(path: Path) -> Path:
    """Means of the LGN for 600 noise pictures, in three parts."""
    import numpy as np

    from ..extraction.options import ExtractRun
    from ..extraction.run import extract
    from ..model import BLT_VS
    from ..model.released.weights import random_weights
    from ..model.transform import symmetric
    from ..stimuli import StimulusSet

    with random_weights(0):
        model = BLT_VS(timesteps=1, num_classes=2, bio_unroll=False, image_size=128, width=0.0625).eval()
    model.transform = symmetric(128)
    pictures = np.random.default_rng(0).integers(0, 255, (600, 16, 16, 3), dtype=np.uint8)
    stimuli = StimulusSet.from_arrays(pictures)
    return extract(model, stimuli, path, "LGN/bu", "mean", run=ExtractRun(workers=0, device="cpu"))


def killed_while_writing(path: str) -> None:
    """Write :func:`small_store`, and kill this process as soon as its first part is there."""

    def watch() -> None:
        while not list(Path(f"{path}.parts").glob("part-*")):
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    small_store(Path(path))


def killed_and_resumed(folder: Path) -> str:
    """A process is killed while it writes; the next one finishes its store, bit for bit as an unbroken one."""
    import numpy as np

    from ..store import open_store, verify

    path = folder / "killed.h5"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], capture_output=True, text=True, timeout=300)
    if done.returncode != -signal.SIGKILL:
        raise Failed(f"the process that was to be killed ended with {done.returncode}: {done.stderr[-300:]}")
    parts = len(list(Path(f"{path}.parts").glob("part-*")))
    if path.exists() or not parts:
        raise Failed(f"a killed process left {parts} parts{' and a finished store' if path.exists() else ''}")
    small_store(path)
    with open_store(path) as resumed, open_store(small_store(folder / "whole.h5")) as whole:
        same = all(np.array_equal(resumed[site].values, whole[site].values) for site in whole)
    if not same or not verify(path).ok:
        raise Failed("a store that was resumed differs from one that was made at once")
    return f"killed with {parts} of 3 parts, resumed, bit-equal"


def rdms_of_rsatoolbox() -> str:
    """Metrics that both have, on the same numbers."""
    import numpy as np
    import rsatoolbox

    from ..rsa import compute_rdms

    patterns = np.random.default_rng(0).standard_normal((20, 100))
    ids = [f"s{i:02d}" for i in range(20)]
    theirs = rsatoolbox.data.Dataset(patterns, obs_descriptors={"stimulus": np.array(ids)})
    off = 0.0
    for ours, name in (("correlation", "correlation"), ("sqeuclidean", "euclidean")):
        rdms: Any = rsatoolbox.rdm.calc_rdm(theirs, method=name, descriptor="stimulus")
        got = compute_rdms(patterns, stimulus_ids=ids, metric=ours).values[0]  # type: ignore[arg-type]
        off = max(off, float(np.abs(got / rdms.dissimilarities[0] - 1).max()))
    if not off < 1e-9:
        raise Failed(f"RDMs differ from those of rsatoolbox {version('rsatoolbox')} by {off:.2g}")
    return f"correlation and squared Euclidean, off by {off:.1g}"


def report_in_a_browser(folder: Path) -> str:
    """A report opens, and its script runs to the end."""
    browser = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if browser is None:
        raise Skipped(f"no browser on the PATH ({', '.join(BROWSERS)})")
    try:
        import jinja2
        import plotly
    except ImportError as error:
        raise Skipped(f"{error.name} is not installed: pip install 'bltvs_neuro[report]'") from None
    from ..report import write_report

    del jinja2, plotly
    page = write_report([small_store(folder / "report.h5")], folder / "report.html", max_stimuli=20)
    flags = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--virtual-time-budget=10000",
    ]
    command = [browser, *flags, f"--user-data-dir={folder / 'browser'}", "--dump-dom", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120).stdout
    if 'data-ready="true"' not in shown:
        raise Failed(f"{browser} opened a report, whose script did not come to its end")
    return f"opened by {Path(browser).name}"


def speeds() -> str:
    """Pictures a second of the shipped model, in every precision that this machine's device has."""
    import torch

    from ..devices import pick_device
    from ..extraction.options import check_precision
    from ..extraction.precision import computing, kernels
    from ..model.released.checkpoints import load_model

    device, found = pick_device("auto"), []
    model = load_model("shapes", device=device)
    images = torch.zeros(8, 3, 128, 128, device=device)
    for precision in ("float32", "fast", "bfloat16", "float16"):
        try:
            check_precision(device, precision)  # type: ignore[arg-type]
        except BltvsError:
            continue
        prepared = kernels(model, precision)  # type: ignore[arg-type]
        took = []
        for _ in range(3):
            began = time.perf_counter()
            with computing(device, precision), prepared():  # type: ignore[arg-type]
                float(model(images)[-1].float().sum())  # waits for a GPU
            took.append(time.perf_counter() - began)
        found.append(f"{precision} {8 / min(took[1:]):.3g}")
    return f"pictures a second of the model shapes on {device}, {torch.get_num_threads()} threads: {', '.join(found)}"


def released(name: str, seen: str, offline: bool) -> str:
    """A released model: its weights by their hash, and what it sees in the example picture at the last timestep."""
    from .. import datasets
    from ..errors import DataError
    from ..extraction.classify import classify
    from ..model.released.checkpoints import class_names, load_model
    from ..model.released.hub import NotFetched
    from ..stimuli import StimulusSet

    try:
        model = load_model(name)
    except NotFetched:
        raise Skipped("the weights are not here, and the hub is switched off or cannot be reached") from None
    about = model.provenance
    weights = f"sha256 {about['file_sha256']} ({about['verified'] or 'the hub announces none'})"
    try:
        picture, names = datasets.fetch(datasets.EXAMPLE, offline=offline), class_names(name)
    except DataError as error:
        raise Skipped(f"{weights}; what it sees is not known: {error}") from None
    table = classify(model, StimulusSet.open(picture), names, top=1)
    answer = table.iloc[-1]
    said = f"{weights}; sees {answer['class_name']} ({answer['probability']:.0%}) in the example picture"
    said += f" (sha256 {datasets.sha256_file(picture)})"
    if answer["class_name"].lower() != seen:
        raise Failed(f"{said}, where it should see {seen}")
    return said


def machine() -> dict[str, Any]:
    """Versions, processor and devices."""
    import torch

    from ..devices import gpus
    from ..versions import versions

    info = Path("/proc/cpuinfo")
    text = info.read_text(errors="replace") if info.exists() else ""
    model = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    flags = set((re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.MULTILINE) or [" ", ""])[1].split())
    return {
        "system": platform.platform(),
        "processor": f"{model[1] if model else platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "features": " ".join(one for one in FEATURES if one in flags) or "unknown",
        "torch uses": torch.backends.cpu.get_cpu_capability(),
        "GPUs": ", ".join(torch.cuda.get_device_name(one) for one in gpus()) or "none",
        "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }


@contextmanager
def _quietly(offline: bool) -> Iterator[None]:
    """While this lasts, the hub's client asks no server if ``offline``, and what the package warns of is not shown."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or offline
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
        logging.disable(logging.NOTSET)
