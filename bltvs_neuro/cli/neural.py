"""``bltvs neural``: which neural data can be read, what a file holds, whether it fits a store, and what comes next."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from .base import Table, err, flat, out
from .choices import DataChoice, check_neural

if TYPE_CHECKING:
    from ..neural.matching import Proposal

UNNAMED = "acts.h5"
"""What a command that is proposed calls a store that nobody named."""


def neural(
    *files: str, store: Path | None = None, data: Annotated[DataChoice, flat("How it is read")] = DataChoice()
) -> None:
    """List the readers of neural data, or say what a file holds, whether it fits a store, and which command comes next.

    Parameters
    ----------
    files : str, optional
        A file, a folder or a name, or a file for each subject; left out: list the readers.
    store : path, optional
        A finished store: which of its stimuli the data have, what is missing, and whether names that differ in writing
        would match.

    Examples
    --------
    `bltvs neural`

    `bltvs neural kriegeskorte92`

    `bltvs neural betas/ --format nsd --session 1`

    `bltvs neural sub-01_betas.npy sub-02_betas.npy --stimuli trials.txt --store acts.h5`
    """
    if not files:
        _list()
        return
    from ..neural import kind_of, load_rdms, load_responses
    from ..neural.narrow import stimuli_of

    for file in files:
        check_neural(file)
    options = data.given()
    kind = kind_of(files, **options)
    with err.status("reading the data"):
        array = (
            load_rdms(files, **{"missing": "keep", **options}) if kind == "rdms" else load_responses(files, **options)
        )
    _describe(", ".join(files), kind, array)
    extra = [] if store is None else _compare(stimuli_of(array), store, data.match)
    if extra is not None:
        _next(kind, array, store, files, [*data.words(), *extra])


def _list() -> None:
    from ..neural import NAMED_RDMS, RDM_READERS, RESPONSE_READERS

    for title, readers in (("RDMs", RDM_READERS), ("responses", RESPONSE_READERS)):
        table = Table(title=f"readers of {title}")
        for column in ("--format", "what it reads", "--option"):
            table.add_column(column)
        common = ("stimuli", "subject", "session", "roi", "allow_pickle")
        for reader in readers.values():
            table.add_row(reader.name, reader.description, ", ".join(o for o in reader.options if o not in common))
        out.print(table)
    out.print(f"by name: {', '.join(NAMED_RDMS)}", highlight=False, soft_wrap=True)


def _describe(title: str, kind: str, array: Any) -> None:
    import numpy as np

    from ..errors import listed
    from ..neural.narrow import stimuli_of

    about = Table(title=title, show_header=False)
    about.add_row("holds", f"{KINDS[kind]}, {' x '.join(f'{n} {d}' for d, n in array.sizes.items())}, {array.dtype}")
    about.add_row("reader", str(array.attrs.get("reader")))
    ids = stimuli_of(array)
    about.add_row("stimuli", f"{len(ids)}: {listed(ids, 4)}")
    for name, coord in array.coords.items():
        if name in ("stimulus_a", "stimulus_b", "stimulus_id") or coord.ndim != 1:
            continue
        values = list(dict.fromkeys(coord.values.tolist()))
        numbers = np.unique(coord.values[np.isfinite(coord.values)]) if coord.dtype.kind == "f" else np.zeros(0)
        if len(numbers) > 8:
            shown = f"{len(numbers)} values from {numbers[0]:g} to {numbers[-1]:g}"
        else:
            shown = f"{len(values)}: {listed(values, 6)}"
        about.add_row(f"{name} (per {coord.dims[0]})", shown)
    gone = int(np.isnan(array.values).sum())
    about.add_row("missing values", f"{gone} of {array.size}" if gone else "none")
    for key in ("metric", "source", "sha256"):
        if key in array.attrs:
            value = array.attrs[key]
            about.add_row(key, listed(value, 4) if isinstance(value, list) else str(value))
    out.print(about)


KINDS = {"rdms": "RDMs", "responses": "responses"}


def _compare(ids: tuple[str, ...], store: Path, match: str | None) -> list[str] | None:
    """Say which stimuli of data and store are the same.

    Gives the options that a comparison needs for it; None where there is none to be made.
    """
    from ..errors import listed
    from ..neural.matching import propose
    from ..store import open_store

    with open_store(store) as acts:
        wanted = acts.stimulus_ids.tolist()
    found = propose(ids, wanted)
    common = set(ids) & set(wanted)
    table = Table(title=f"stimuli of the data and of {store}", show_header=False)
    table.add_row("in both", f"{len(common)} of {len(ids)} in the data, of {len(wanted)} in the store")
    for what, names in (("only in the data", ids), ("only in the store", wanted)):
        alone = [name for name in names if name not in common]
        if alone:
            table.add_row(what, f"{len(alone)}: {listed(alone, 4)}")
    if found.names or found.ambiguous:
        table.add_row("by name alone", _proposal(found))
    out.print(table)
    matched = common | (set(found.names.values()) if found.useful else set())
    if not matched:
        why = (
            "names do not tell which is which" if found.ambiguous else "nor are there names that differ in writing only"
        )
        out.print(
            f"no stimulus is in both, {why}: extract the pictures that these data are of, or say which name is which by "
            '--stimuli names.json, {"name in the data": "name in the store"}',
            highlight=False,
            soft_wrap=True,
        )
        return None
    extra = ["--match", "stem"] if found.useful and match is None else []
    return extra + (["--on-mismatch", "intersect"] if len(matched) < max(len(ids), len(wanted)) else [])


def _proposal(found: Proposal) -> str:
    from ..errors import listed

    if found.ambiguous:
        return f"not clear: {listed(found.ambiguous, 3)}"
    return f"{len(found.names)} more: {listed((f'{old} is {new}' for old, new in found.names.items()), 3)}"


def _next(kind: str, array: Any, store: Path | None, files: tuple[str, ...], options: list[str]) -> None:
    """The commands that come next, as lines that can be pasted."""
    from ..store.seal import is_ours

    words = [word for file in files for word in ("--neural", file)] + options
    subjects = set(array["subject"].values.tolist()) if "subject" in array.coords else set()
    commands = (
        ["rsa"]
        if kind == "rdms"
        else ["rsa", "encode"]
        if "time" in array.dims or len(subjects) > 1
        else ["encode", "rsa"]
    )
    lines = [["bltvs", command, str(store or UNNAMED), *words, "-o", f"{command}/"] for command in commands]
    here = [path for path in sorted(Path().glob("*.h5")) if is_ours(path)] if store is None else []
    if here:
        lines = [["bltvs", "neural", *files, *options, "--store", str(path)] for path in here[:3]]
    elif store is None:
        from ..neural import is_named

        pictures = files[0].partition(":")[0] if is_named(files[0]) else "PICTURES"
        lines.insert(0, ["bltvs", "extract", pictures, "-o", UNNAMED])
    out.print("next:", highlight=False)
    for line in lines:
        out.print(f"  {shlex.join(line)}", highlight=False, soft_wrap=True)
