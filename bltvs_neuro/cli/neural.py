"""``bltvs neural``: which neural data can be read, and what a file holds."""

from __future__ import annotations

from typing import Annotated, Any

from .base import Table, err, escape, flat, out
from .choices import DataChoice, check_neural


def neural(file: str | None = None, /, *, data: Annotated[DataChoice, flat("How it is read")] = DataChoice()) -> None:
    """List the readers of neural data, or say what a file holds.

    Parameters
    ----------
    file : str, optional
        A file, a folder or a name; left out: list the readers.

    Examples
    --------
    `bltvs neural`

    `bltvs neural kriegeskorte92`

    `bltvs neural betas/ --format nsd --session 1`
    """
    if file is None:
        _list()
        return
    from ..neural import kind_of, load_rdms, load_responses

    check_neural(file)
    options = data.given()
    kind = kind_of(file, **options)
    with err.status(f"reading {escape(file)}"):
        array = load_rdms(file, **{"missing": "keep", **options}) if kind == "rdms" else load_responses(file, **options)
    _describe(file, kind, array)


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


def _describe(file: str, kind: str, array: Any) -> None:
    import numpy as np

    from ..errors import listed
    from ..neural import rdm_stimulus_ids

    about = Table(title=str(file), show_header=False)
    about.add_row("holds", f"{kind}, {' x '.join(f'{n} {d}' for d, n in array.sizes.items())}, {array.dtype}")
    about.add_row("reader", str(array.attrs.get("reader")))
    ids = rdm_stimulus_ids(array) if kind == "rdms" else tuple(dict.fromkeys(array["stimulus_id"].values))
    about.add_row("stimuli", f"{len(ids)}: {listed(ids, 4)}")
    for name, coord in array.coords.items():
        if name in ("stimulus_a", "stimulus_b", "stimulus_id") or coord.ndim != 1:
            continue
        values = list(dict.fromkeys(coord.values.tolist()))
        if coord.dtype.kind == "f" and len(values) > 8:
            shown = f"{len(values)} values from {min(values):g} to {max(values):g}"
        else:
            shown = f"{len(values)}: {listed(values, 6)}"
        about.add_row(f"{name} (per {coord.dims[0]})", shown)
    gone = int(np.isnan(array.values).sum())
    about.add_row("missing values", f"{gone} of {array.size}" if gone else "none")
    for key in ("metric", "source", "sha256"):
        if key in array.attrs:
            about.add_row(key, str(array.attrs[key]))
    out.print(about)
