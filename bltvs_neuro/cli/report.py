"""``bltvs report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..errors import SpecError
from .base import err, out, told_in
from .choices import Overwrite


@told_in("report/page.py:write_report", "stimuli", "title", "metric", "max_stimuli")
def report(
    *results: Path,
    output: Annotated[Path, Parameter(alias="-o")] = Path("report.html"),
    stimuli: Path | None = None,
    title: str = "Activations and brain comparisons",
    metric: str = "correlation",
    max_stimuli: int = 200,
    overwrite: Overwrite = False,
) -> None:
    """Show stores and results as one self-contained, interactive page.

    Parameters
    ----------
    results : paths
        Stores, and results of `bltvs rsa`, `encode`, `decode`, `drive` and `evaluate`, or folders of them.
    output : path
        The page to write.

    Examples
    --------
    `bltvs report acts.h5 -o report.html --stimuli stimuli/`

    `bltvs report acts.h5 acts_rsa/ encoding/ -o report.html --stimuli kriegeskorte92`
    """
    from ..report import write_report

    if not results:
        raise SpecError("a page shows at least one store or result; name them after `bltvs report`")
    if max_stimuli < 3:
        raise SpecError(f"--max-stimuli is at least 3; got {max_stimuli}")
    with err.status("computing RDMs"):
        path = write_report(
            list(results), output, stimuli=stimuli, title=title, metric=metric, max_stimuli=max_stimuli,
            overwrite=overwrite,
        )  # fmt: skip
    out.print(f"wrote {path}; open it in a browser", highlight=False, soft_wrap=True)
