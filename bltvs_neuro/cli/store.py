"""``bltvs join``, ``bltvs info`` and ``bltvs verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from .base import Table, out, told_in


@told_in("extraction/run.py:extract", "join")
def join(store: Path, /, *, join: Literal["auto", "copy", "virtual"] = "auto") -> None:
    """Join the shards of an extraction into one store, naming those that are missing.

    On machines that share no file system, bring the files of all `STORE.parts` folders together first.

    Parameters
    ----------
    store : path
        The store that the shards belong to; its parts lie in STORE.parts.

    Examples
    --------
    `bltvs join acts.h5`
    """
    from ..store import join_store

    path = join_store(store, join=join)
    out.print(f"wrote {path}; `bltvs info {path}` describes it", highlight=False, soft_wrap=True)


AnyStore = Annotated[Path, Parameter(help="A store, finished or not.")]


def info(store: AnyStore, /) -> None:
    """Describe a store in a screenful."""
    from ..store import describe

    show_description(describe(store))


def verify(store: AnyStore, /) -> int:
    """Read every byte of a store and check it against its checksums; exit code 1 if anything is damaged."""
    from ..store import verify as run

    report = run(store)
    out.print(str(report), highlight=False, soft_wrap=True)
    return 0 if report.ok else 1


def show_description(described: dict[str, Any]) -> None:
    """Print what :func:`bltvs_neuro.store.description` found."""
    from ..errors import listed
    from ..extraction.plan import human_bytes

    made, asked = described["n_stimuli"], described["n_asked"]
    identity, provenance = described["identity"], described["provenance"]
    about = Table(title=described["path"], show_header=False)
    state = "finished" if described["finished"] else f"unfinished: {made} of {asked} stimuli; the same command goes on"
    about.add_row("state", state)
    if missing := described["missing_shards"]:
        about.add_row("shards not done", ", ".join(missing))
    for sentence in described["damaged"]:
        about.add_row("done again", sentence)
    about.add_row("stimuli", f"{made}" + (f", {len(described['skipped'])} skipped" if described["skipped"] else ""))
    for name, values in described["columns"].items():
        about.add_row(f"column {name}", f"{len(values)}: {listed(values, 5)}")
    about.add_row(
        "on disk", human_bytes(described["bytes"]) + (" in parts" if described["joined"] == "virtual" else "")
    )
    about.add_row(
        "model", f"{identity.get('model')}, {identity.get('schedule')} schedule, {described['n_timesteps']} timesteps"
    )
    weights = str(identity.get("weights"))
    about.add_row("weights", f"{WEIGHTS.get(weights, weights)}, sha256 {str(identity.get('weights_sha256'))[:16]}…")
    for number, lesion in enumerate(identity.get("lesions", ())):
        about.add_row("" if number else "lesions", lesion_text(lesion))
    kept = f", {described['keep_bits']} mantissa bits" if described["keep_bits"] else ""
    about.add_row("values", f"{identity.get('reduction', {}).get('name')}, {identity.get('precision')}{kept}")
    if provenance:
        versions = provenance.get("versions", {})
        about.add_row(
            "made",
            f"{provenance.get('created')} with bltvs_neuro {versions.get('bltvs_neuro')}, torch {versions.get('torch')}",
        )
    out.print(about)
    sites = Table(title="- not reached or not recorded, x active, c constant over stimuli")
    for name in ("site", "dims", "shape", "onset", "timesteps"):
        sites.add_column(name)
    for site in described["sites"]:
        letters = "".join(StatusLetter[status] for status in site["status"])
        shape = " x ".join(map(str, site["shape"]))
        sites.add_row(site["site"], ", ".join(site["dims"]), shape, str(site["onset"]), letters)
    out.print(sites)
    for name, reason in list(described["skipped"].items())[:10]:
        out.print(f"skipped {name}: {reason}", highlight=False, soft_wrap=True, markup=False)


WEIGHTS = {"exported": "of an exported model", "untrained": "untrained (random)"}
"""What is said of weights that stores call so."""

StatusLetter: dict[str, str] = {"absent": "-", "active": "x", "constant": "c"}


def lesion_text(described: dict[str, Any]) -> str:
    """A lesion as a store describes it, in a line."""
    rest = {key: value for key, value in described.items() if key not in ("on", "timesteps", "action")}
    options = ", ".join(f"{key} {value}" for key, value in rest.items())
    steps = ", ".join(map(str, described["timesteps"]))
    return f"{', '.join(described['on'])} at timesteps {steps}: {described['action']} {options}".rstrip()
