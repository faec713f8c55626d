"""Fuzz by hand: a table of outcomes, failing cases kept for a replay."""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .commands import COMMANDS
from .runner import Campaign, replay
from .target import all_targets


def main() -> None:
    """Run what the arguments say; exit code 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", action="append", help="name or beginning of one; all unless given")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--replay", type=Path, help="folder of a kept case")
    chosen = parser.parse_args()
    names = [*all_targets(), *(f"command-{name}" for name in COMMANDS)]
    if chosen.list:
        print("\n".join(names))
        return
    if chosen.replay:
        print(replay(chosen.replay))
        return
    campaign, failed = Campaign(chosen.out.resolve()), 0
    for name in names:
        if chosen.target and not any(name.startswith(begin) for begin in chosen.target):
            continue
        numbers = range(chosen.first, chosen.first + chosen.count)
        tally = campaign.run(name, chosen.seed, numbers)
        print(
            f"{name:28}", ", ".join(f"{n} {what}" for what, n in tally.outcomes.most_common()) or "absent", flush=True
        )
        for failure in tally.failures:
            print(f"    {failure}")
        failed += len(tally.failures)
    campaign.child.close()
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
