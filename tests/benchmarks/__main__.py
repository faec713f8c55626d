"""``python -m tests.benchmarks [NAME...]``: run benchmarks and print their tables."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import warnings

from . import BENCHMARKS
from .tables import Table, machine


def main(arguments: list[str] | None = None) -> int:
    """Run the named benchmarks (all, if none is named) and print Markdown."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=(__doc__ or "").strip())
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--full", action="store_true", help="the sizes of the guide's figures (minutes)")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    options = parser.parse_args(arguments)
    if options.list:
        width = max(map(len, BENCHMARKS))
        sys.stdout.write("".join(f"{name:{width}s}  {what}\n" for name, what in BENCHMARKS.items()))
        return 0
    for name in options.names:
        if name not in BENCHMARKS:
            parser.error(f"unknown benchmark {name!r}; there are: {', '.join(BENCHMARKS)}")
    warnings.simplefilter("ignore")
    sys.stdout.write(f"Measured with {machine()}.\n\n")
    for name in options.names or BENCHMARKS:
        started = time.perf_counter()
        table: Table = importlib.import_module(f"{__package__}.{name}").measure(options.full)
        sys.stdout.write(f"{table.markdown()}\n\n")
        sys.stdout.flush()
        sys.stderr.write(f"({name}: {time.perf_counter() - started:.0f} s)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
