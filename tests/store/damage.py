"""What may happen to the bytes of a file, and whether anybody is deceived by it; run as a program, a long series of it.

``python -m tests.store.damage 3000 0`` damages finished stores, parts and virtual stores 3000 times, from seed 0 on.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bltvs_neuro.errors import StoreError
from bltvs_neuro.store import describe, open_store, verify

from . import made

SECONDS = 20
KINDS = ("copied", "virtual", "part of a virtual store", "unfinished")


def flip(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def zero(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] = 0


def fill(data: bytearray, rng: random.Random) -> None:
    size, value = rng.choice([16, 64, 512, 4096]), rng.choice([0, 0, 255])
    at = rng.randrange(len(data))
    data[at : at + size] = bytes([value]) * len(data[at : at + size])


def swap(data: bytearray, rng: random.Random) -> None:
    size = rng.choice([4, 8, 64, 512, 2048])
    a, b = sorted(rng.randrange(max(1, len(data) // size)) * size for _ in range(2))
    one, two = data[a : a + size], data[b : b + size]
    if len(one) == len(two):
        data[a : a + size], data[b : b + size] = two, one


def cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def drop(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice([1, 16, 512])]


def extend(data: bytearray, rng: random.Random) -> None:
    data += bytes(rng.choice([1, 96, 4096]))


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (flip, zero, fill, swap, cut, drop, extend)


def make(folder: Path, keep_bits: int | None = None) -> dict[str, Path]:
    """The stores that are damaged: the folder of each, with ``acts.h5`` or its parts in it."""
    spec = made.spec(n=20, keep_bits=keep_bits)
    for kind in KINDS:
        made.write(folder / kind / "acts.h5", spec, skip=(3,), join="copy" if kind == "copied" else "virtual")
    (folder / "unfinished" / "acts.h5").unlink()
    return {kind: folder / kind for kind in KINDS}


def contents(path: Path) -> dict[str, object]:
    """All that a store says."""
    with open_store(path) as store:
        return {
            **{site: store[site].values.tobytes() for site in store},
            "stimuli": store.stimuli.to_csv(), "sha256": store.stimulus_sha256.tolist(), "skipped": store.skipped,
            "spec": store.spec.to_json(), **{k: v for k, v in store.provenance.items() if k not in ("created", "parts_folder")},
        }  # fmt: skip


def outcome(folder: Path, kind: str, keep_bits: int | None, whole: dict[str, object]) -> list[str]:
    """What each use of a damaged store gave: ``"same"``, ``"refused"``, or ``"DECEIVED"``."""
    path = folder / "acts.h5"
    found = []
    with contextlib.suppress(StoreError):
        describe(path)
    try:
        found.append("clean" if verify(path).ok else "refused")
    except StoreError:
        found.append("refused")
    if kind == "unfinished":  # done again where damaged
        made.write(path, made.spec(n=20, keep_bits=keep_bits), skip=(3,))
    try:
        found.append("same" if contents(path) == whole else "DECEIVED")
    except StoreError:
        found.append("refused" if kind != "unfinished" else "LOST")
    if found[0] == "clean" and found[1] != "same":
        found.append("CALLED SOUND")
    return found


def damage_once(seed: int, stores: dict[str, Path], keep_bits: int | None, whole: dict[str, object]) -> tuple[str, ...]:
    """Damage one byte or more of one file in a copy of a store; the kind of store, the damage, what came of it."""
    rng = random.Random(seed)
    kind, how = rng.choice(KINDS), rng.choice(DAMAGES)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "store"
        shutil.copytree(stores[kind], folder)
        parts = sorted(folder.glob("acts.h5.parts/part-*.h5"))
        file = rng.choice(parts) if kind in ("part of a virtual store", "unfinished") else folder / "acts.h5"
        data = bytearray(file.read_bytes())
        before = bytes(data)
        how(data, rng)
        file.write_bytes(data)
        found = outcome(folder, kind, keep_bits, whole)
        if bytes(data) != before and found[0] == "clean":
            found.append("NOT NOTICED")
    return kind, how.__name__, *found


def _serve(connection, stores: dict[str, Path], keep_bits: int | None, whole: dict[str, object]) -> None:
    logging.disable()
    while (seed := connection.recv()) is not None:
        try:
            connection.send(damage_once(seed, stores, keep_bits, whole))
        except BaseException as error:
            connection.send(("ERROR", repr(error)))


def main(count: int, first: int) -> int:
    """Run in a child process, so that an endless loop or a crash in C is seen."""
    tally: Counter[tuple[str, ...]] = Counter()
    bad = []
    slowest = 0.0
    for keep_bits in (None, 10):
        with tempfile.TemporaryDirectory() as home:
            stores = make(Path(home), keep_bits)
            whole = contents(stores["copied"] / "acts.h5")
            child = None
            for seed in range(first, first + count // 2):
                if child is None:
                    ours, theirs = multiprocessing.Pipe()
                    child = multiprocessing.Process(target=_serve, args=(theirs, stores, keep_bits, whole))
                    child.start()
                started = time.perf_counter()
                ours.send(seed)
                if not ours.poll(SECONDS):
                    child.kill()
                    child, found = None, ("HANGS OR CRASHED",)
                else:
                    found = ours.recv()
                slowest = max(slowest, time.perf_counter() - started)
                tally[found] += 1
                if any(word.isupper() for word in found):
                    bad.append((keep_bits, seed, found))
            if child is not None:
                ours.send(None)
                child.join()
    lines = [f"{times:5d}  {', '.join(found)}" for found, times in sorted(tally.items())]
    sys.stdout.write("\n".join([*lines, f"slowest: {slowest:.2f} s; bad: {bad}\n"]))
    return len(bad)


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]))))
