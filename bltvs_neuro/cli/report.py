"""``bltvs report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import Overwrite, err, guarded, out


@guarded
def report(
    results: Annotated[list[Path], typer.Argument(help="Stores, and results of `bltvs rsa` and `bltvs encode`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write.")] = Path("report.html"),
    stimuli: Annotated[
        Path | None, typer.Option(help="Where the pictures are, as for `bltvs extract`: shows them in the page.")
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Activations and brain comparisons",
    metric: Annotated[str, typer.Option(help="Of the RDMs of stores.")] = "correlation",
    max_stimuli: Annotated[int, typer.Option(min=3, help="Stimuli shown of each store, evenly spread.")] = 200,
    overwrite: Overwrite = False,
) -> None:
    """Show stores and results as one self-contained, interactive page.

    Examples
    --------
    `bltvs report acts.h5 -o report.html --stimuli stimuli/`

    `bltvs report acts.h5 acts_rsa/rsa.nc encoding/result.h5 -o report.html --stimuli kriegeskorte92`
    """
    from ..report import write_report

    with err.status("computing RDMs"):
        path = write_report(
            results, output, stimuli=stimuli, title=title, metric=metric, max_stimuli=max_stimuli, overwrite=overwrite,
        )  # fmt: skip
    out.print(f"wrote {path}; open it in a browser", highlight=False, soft_wrap=True)
