"""All studies, or those named: ``python -m tests.calibration [STUDY ...]``; hours for all of them.

A study is a module of this folder with ``table() -> Iterator[str]``: lines of a Markdown table, as docs/guide/statistics.md
shows them. Designs and seeds stand in it before anything is looked at.
"""

# ruff: noqa: T201
from __future__ import annotations

import sys
from importlib import import_module

STUDIES = (
    "encoding_p", "encoding_ceilings", "encoding_images", "encoding_best", "encoding_unique", "encoding_families",
    "rsa_scores", "rsa_categories", "rsa_time", "rsa_best", "rsa_regression", "rsa_one_subject",
)  # fmt: skip


def main() -> None:
    """Print the tables."""
    chosen = sys.argv[1:] or STUDIES
    unknown = sorted(set(chosen) - set(STUDIES))
    if unknown:
        raise SystemExit(f"unknown study {unknown[0]!r}; valid: {', '.join(STUDIES)}")
    for name in chosen:
        print(f"\n{name}\n", flush=True)
        for line in import_module(f"tests.calibration.{name}").table():
            print(line, flush=True)


if __name__ == "__main__":
    main()
