"""One self-contained page: no network, no script but its own, everything untrusted escaped."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..durable import check_outputs, write_durably
from ..errors import SpecError, unknown
from ..figures import MOST_CATEGORIES, tints
from ..rsa import METRICS
from ..stimuli import StimulusSet
from .figures import DARK, Option, mds_template, rdm_template
from .geometry import of_rdms, of_store
from .inputs import Input, read_inputs, untrained
from .pictures import Picture, brain_maps, driven_pictures
from .scores import (
    decoding_options,
    encoding_options,
    evaluation_options,
    generalisation_options,
    partition_options,
    rsa_options,
    rsa_time_options,
)
from .thumbnails import thumbnails

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
        Stores, RDMs, and results that commands write (``result.save`` in Python) or folders of them.
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
        "stores": [_geometry(one, stimuli, metric, max_stimuli) for one in inputs if one.kind in GEOMETRY],
        "figures": [_section(index, one) for index, one in enumerate(inputs) if one.kind not in GEOMETRY],
        "dark": DARK,
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


GEOMETRY = ("store", "rdms")


def _geometry(
    one: Input, stimuli: StimulusSet | str | os.PathLike[str] | None, metric: str, most: int
) -> dict[str, Any]:  # fmt: skip
    """RDMs and arrangements of a store, or of a file of RDMs."""
    pictures: list[str | None]
    labels = None
    if one.kind == "rdms":
        shown = of_rdms(one.value, most)
        pictures = [None] * len(shown.ids)
    else:
        with one.value as store:
            if "category" in store.stimuli and 1 < store.stimuli["category"].nunique() <= MOST_CATEGORIES:
                labels = store.stimuli["category"].astype(str).tolist()
            shown = of_store(store, metric, most, labels)
            sums = store.stimulus_sha256[shown.rows].tolist()
            pictures = [None] * len(sums) if stimuli is None else thumbnails(stimuli, shown.ids, sums)
    categories = None if labels is None else [labels[row] for row in shown.rows]
    return {
        "name": one.name,
        "model": one.model,
        "ids": shown.ids,
        "thumbs": pictures,
        "total": shown.total,
        "metric": shown.metric,
        "unit": shown.unit,
        "categories": categories,
        "colours": {}
        if categories is None
        else dict(zip(dict.fromkeys(categories), tints(MOST_CATEGORIES), strict=False)),
        "sites": shown.sites,
        "rdm": rdm_template(shown.ids),
        "mds": mds_template(shown.ids),
    }


SECTIONS: dict[str, tuple[str, Callable[[Any], Iterable[Option]]]] = {
    "rsa": ("Comparison with the brain", rsa_options),
    "rsa_time": ("Comparison with the brain over time", rsa_time_options),
    "encoding": ("Encoding models", encoding_options),
    "partition": ("Unique and shared variance", partition_options),
    "generalisation": ("Generalisation over neural time", generalisation_options),
    "decoding": ("Decoding", decoding_options),
    "driven": ("Images that drive units", lambda _: ()),
    "evaluation": ("Accuracy", evaluation_options),
}
"""Kind of result -> its heading, and the choices of its figure."""
PICTURES: dict[str, Callable[[Any], Iterable[Picture]]] = {"driven": driven_pictures, "encoding": brain_maps}


def _section(index: int, one: Input) -> dict[str, Any]:
    heading, options = SECTIONS[one.kind]
    return {
        "id": f"figure-{index}",
        "heading": heading,
        "name": one.name,
        "model": one.model,
        "options": [option.to_json() for option in options(one.value)],
        "pictures": list(PICTURES[one.kind](one.value)) if one.kind in PICTURES else [],
    }
