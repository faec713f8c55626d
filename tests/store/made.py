"""Small stores with values that say where they belong; run as a program, a writer that can be killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from bltvs_neuro.store import SiteLayout, StoreSpec, open_writer

N, BLOCK, STEPS = 44, 8, 4


def spec(n: int = N, block: int = BLOCK, keep_bits=None, **identity) -> StoreSpec:
    maps = {"channel": ("channel", np.arange(5)), "y": ("y", np.arange(3) * 8.0), "x": ("x", np.arange(3) * 8.0)}
    ids = tuple(f"stimulus.{i}.png" for i in range(n))
    return StoreSpec(
        sites=(
            SiteLayout("V1/bu", (1, 2, 3), ("channel", "y", "x"), (5, 3, 3), maps, onset=1),
            SiteLayout("V4/td", (2, 3), ("component",), (7,), {}, constant=(2,), onset=2),
        ),
        n_timesteps=STEPS,
        stimulus_ids=ids,
        metadata={"category": np.array(["a", "b"] * (n // 2), dtype=object), "size": np.arange(n) / 2},
        identity={"model": "test", "weights_sha256": "0" * 64, **identity},
        keep_bits=keep_bits,
        block=block,
    )


def values(site: str, timestep: int, row: int, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng([row, timestep, len(site), sum(map(ord, site))])
    return rng.standard_normal(shape).astype(np.float32)


def write(path: Path, made: StoreSpec, wait: float = 0.0, skip: tuple[int, ...] = (), join="auto", **options) -> Path:
    with open_writer(path, made, **options) as writer:
        for block in writer.pending():
            with writer.part(block) as part:
                for start in range(block.start, block.stop, 3):
                    rows = [r for r in range(start, min(start + 3, block.stop))]
                    for row in rows:
                        if row in skip:
                            part.skip(made.stimulus_ids[row], "unreadable")
                    good = [r for r in rows if r not in skip]
                    part.stimuli([made.stimulus_ids[r] for r in good], [f"{r:064x}" for r in good])
                    for layout in made.sites:
                        for t in layout.timesteps:
                            if good:
                                part.write(
                                    layout.site, t, np.stack([values(layout.site, t, r, layout.shape) for r in good])
                                )
                    time.sleep(wait)
        return writer.finish(join=join)


def expected(made: StoreSpec, site: str, rows=None) -> np.ndarray:
    layout = made.layouts[site]
    rows = range(len(made.stimulus_ids)) if rows is None else rows
    return np.stack([np.stack([values(site, t, r, layout.shape) for t in layout.timesteps]) for r in rows])


def every_use(name: str) -> None:
    """Use a damaged store in every way."""
    from bltvs_neuro.errors import StoreError
    from bltvs_neuro.store import describe, join_store, open_store, verify

    path = Path(name)

    def resume() -> None:
        with open_writer(path, spec()):
            pass

    for use in (lambda: open_store(path), lambda: describe(path), resume, lambda: join_store(path)):
        try:
            use()
        except StoreError:
            sys.stdout.write("refused\n")
    sys.stdout.write("sound\n" if verify(path).ok else "refused\n")


if __name__ == "__main__":
    if len(sys.argv) > 3:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
    from bltvs_neuro.errors import BltvsError

    try:
        write(Path(sys.argv[1]), spec(), wait=float(sys.argv[2]))
    except BltvsError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(3)
