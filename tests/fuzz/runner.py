"""The parent: makes cases, hands them to the child, and ends it where it crashes or hangs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from . import commands
from .folders import Change, change
from .target import Target, find
from .verdict import GOOD, judge

ROOT = Path(__file__).parents[2]
STILL_S, BUSY_S, START_S = 6.0, 25.0, 300.0
"""Seconds without any work, of work (on the processor), and until the child is ready: after these it hangs."""


class Child:
    """The server process, started when it is needed and again after it has ended."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer; its outcome is "crash" or "hang" where none comes."""
        process = self._process or self._start()
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        answer = self._answer(process, STILL_S, BUSY_S)
        if answer["outcome"] in ("crash", "hang"):
            self.close()
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        ours = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "200", "MPLBACKEND": "agg"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.server"], cwd=ROOT, env={**os.environ, **ours}, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        ready = self._answer(self._process, START_S, START_S)
        assert ready["outcome"] == "ready", self.log.read_text()[-4000:]
        return self._process

    def _answer(self, process: subprocess.Popen[bytes], still: float, busy: float) -> dict[str, Any]:
        pipe: IO[bytes] = process.stdout  # type: ignore[assignment]
        first = last = _work(process.pid)
        since = time.monotonic()
        while not select.select([pipe], [], [], 0.2)[0]:
            now, worked = time.monotonic(), _work(process.pid)
            if worked > last:
                last, since = worked, now
            if now - since > still or worked - first > busy:
                return {
                    "outcome": "hang",
                    "message": f"{worked - first:.0f} s of work, then {now - since:.0f} s of none",
                }
        line = pipe.readline()
        if not line.endswith(b"\n"):
            return {"outcome": "crash", "message": self.log.read_text(errors="replace")[-3000:]}
        return dict(json.loads(line))


def _work(pid: int) -> float:
    """Seconds of work of a process and of those that it started."""
    import psutil

    try:
        child = psutil.Process(pid)
        used = child.cpu_times()
        total = used.user + used.system + used.children_user + used.children_system
        for other in child.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                total += sum(other.cpu_times()[:2])
    except psutil.Error:
        return 0.0
    return float(total)


@dataclass
class Tally:
    """Outcomes of a target, and what failed."""

    name: str
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Campaign:
    """Samples, the child, and a folder where failing cases are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.child = Child(folder / "child.log")
        self._samples: dict[str, tuple[Path, str, dict[str, Any]] | None] = {}

    def run(self, name: str, seed: int, numbers: range) -> Tally:
        """Change and read a target's sample; each number is a case of its own, whatever the others are."""
        tally = Tally(name)
        if name.startswith("command-"):
            commands.run(self, name.removeprefix("command-"), seed, numbers, tally)
            return tally
        target, sample = find(name), self._sample(name)
        for number in numbers if sample is not None else ():
            assert sample is not None
            self._case(name, target, sample, seed, number, tally)
        return tally

    def _case(self, name: str, target: Target, sample: Any, seed: int, number: int, tally: Tally) -> None:
        source, relative, original = sample
        folder = self.folder / f"{name}-{seed}-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder / "data", symlinks=True)
        done = change(
            folder / "data", np.random.default_rng([seed, zlib.crc32(name.encode()), number]), words=target.words
        )
        (folder / "case.json").write_text(json.dumps({"target": name, "path": relative, "change": done}))
        answer = self.child.ask(read=name, path=str(folder / "data" / relative))
        verdict = judge(target, done, answer, original)
        tally.outcomes[verdict] += 1
        if verdict in GOOD:
            shutil.rmtree(folder)
            return
        said = answer.get("message", "")
        last = said.strip().splitlines()[-1:] or [""]
        about = f"{verdict}: {done.file}: {done.what}: {answer.get('where', '')}: {last[0][:300]}"
        (folder / "outcome.txt").write_text(f"{verdict}\n{done}\n{answer.get('where', '')}\n{said}\n")
        tally.failures.append(f"{folder.name}: {about}")

    def _sample(self, name: str) -> tuple[Path, str, dict[str, Any]] | None:
        """Folder, path in it and fingerprint of the unchanged sample; None where its data or libraries are absent."""
        if name not in self._samples:
            self._samples[name] = None if find(name).lacks() else self._make(name)
        return self._samples[name]

    def _make(self, name: str) -> tuple[Path, str, dict[str, Any]] | None:
        folder = self.folder / "samples" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        made = self.child.ask(make=name, folder=str(folder))
        assert made["outcome"] == "made", f"{name}: {made['message']}"
        if made["path"] is None:
            return None
        # A copy is read: reading may go on with what it finds.
        copy = folder.with_name(f"{name} copy")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        value = self.child.ask(read=name, path=str(copy / made["path"]))
        assert value["outcome"] == "value", f"{name}: {value['message']}"
        shutil.rmtree(copy)
        return folder, made["path"], value["value"]


def replay(folder: Path) -> Any:
    """Read a kept case in this process, so that its error shows where it comes from."""
    case = json.loads((folder / "case.json").read_text())
    print(case["target"], Change(*case["change"]))  # noqa: T201
    return find(case["target"]).read(folder / "data" / case["path"])
