"""One self-contained page: no network, no script but its own, everything untrusted escaped."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..durable import check_outputs, write_durably
from ..errors import SpecError, unknown
from ..rsa import METRICS
from ..stimuli import StimulusSet
from .inputs import Input, read_inputs, untrained

log = logging.getLogger(__name__)


def write_report(
    results: Sequence[str | os.PathLike[str]],
    path: str | os.PathLike[str],
    *,
    stimuli: StimulusSet | str | os.PathLike[str] | None = None,
    title: str = "Activations and brain comparisons",
    metric: str = "correlation",
    max_stimuli: int = 200,
    overwrite: bool = False,
) -> Path:
    """Write stores and results as one interactive page.

    Parameters
    ----------
    results : sequence of path
        Stores, results of comparisons (:meth:`RsaResult.save`) and of encoding models (:meth:`EncodingResult.save`).
    path : path
        The page to write, ``report.html``.
    stimuli : StimulusSet or path, optional
        Where the pictures are; they are matched by id and by the sha256 of their pixels.
    title : str
        Heading of the page.
    metric : str
        Dissimilarity of the RDMs of stores, a name in :data:`bltvs_neuro.rsa.METRICS` that needs no folds.
    max_stimuli : int
        A store's RDMs and arrangements show at most so many stimuli, evenly spread over its order; the page says so.
    overwrite : bool
        Replace a page that is there.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    SpecError
        An unknown metric, or plotly or jinja2 is missing.
    DataError
        A file that is neither a store nor a result, or pictures that are not those of the store.
    StoreError
        A store that is unfinished or damaged.
    OutputError
        The page exists already, or cannot be written.

    Examples
    --------
    >>> write_report(["acts.h5"], "report.html", title="V1").name
    'report.html'
    """
    try:
        import jinja2
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise SpecError(
            f"a report needs plotly and jinja2 ({error}): pip install '.[report]' (or uv sync --extra report) where the "
            "project lies"
        ) from None
    plain = [name for name, spec in METRICS.items() if spec.crossvalidated != "yes"]
    if metric not in plain:
        raise unknown("metric of a report", metric, plain)
    target = Path(path)
    check_outputs(target, overwrite=overwrite)
    inputs = read_inputs(results)
    data = {
        "stores": [_store(one, stimuli, metric, max_stimuli) for one in inputs if one.kind == "store"],
        "figures": [_figure(index, one) for index, one in enumerate(inputs) if one.kind != "store"],
    }
    here = files(__package__)
    scripts = {"plotly": get_plotlyjs(), "own": (here / "report.js").read_text("utf-8")}
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((here / "report.html.jinja").read_text("utf-8"))
    text = template.render(
        title=title, data=as_script(data), css=(here / "report.css").read_text("utf-8"), scripts=scripts,
        hashes=[_csp_hash(script) for script in scripts.values()], stores=data["stores"], figures=data["figures"],
        untrained=untrained(inputs), created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=version("bltvs_neuro"),
        provenance=[(one.name, json.dumps(one.provenance, indent=1, default=str, sort_keys=True)) for one in inputs],
    )  # fmt: skip
    write_durably(target, text.encode(), overwrite=overwrite)
    return target


def as_script(data: Any) -> str:
    """JSON that may stand inside a ``<script>``: nothing in it can end the element."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _csp_hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _store(one: Input, stimuli: StimulusSet | str | os.PathLike[str] | None, metric: str, most: int) -> dict[str, Any]:
    from .figures import mds_template, rdm_template
    from .geometry import chosen_rows, geometry
    from .thumbnails import thumbnails

    with one.value as store:
        rows = chosen_rows(len(store.stimulus_ids), most)
        ids = [str(i) for i in store.stimulus_ids[rows]]
        pictures = (
            [None] * len(ids) if stimuli is None else thumbnails(stimuli, ids, store.stimulus_sha256[rows].tolist())
        )
        return {
            "name": one.name,
            "model": str(store.provenance.get("model", "")),
            "ids": ids,
            "thumbs": pictures,
            "total": len(store.stimulus_ids),
            "metric": metric,
            "sites": geometry(store, metric, rows),
            "rdm": rdm_template(ids),
            "mds": mds_template(ids),
        }


HEADINGS = {
    "rsa": "Comparison with the brain", "encoding": "Encoding models", "partition": "Unique and shared variance"
}  # fmt: skip


def _figure(index: int, one: Input) -> dict[str, Any]:
    from .figures import encoding_options, partition_options, rsa_options

    if one.kind == "rsa":
        options = rsa_options(one.value)
    elif one.kind == "encoding":
        options = encoding_options(one.value.dataset)
    else:
        options = partition_options(one.value.dataset)
    return {
        "id": f"figure-{index}",
        "heading": HEADINGS[one.kind],
        "name": one.name,
        "options": [option.to_json() for option in options],
    }
