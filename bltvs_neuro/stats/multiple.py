"""p values adjusted for a family of tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import SpecError, unknown

Correction = Literal["none", "bonferroni", "holm", "fdr", "fdr_by"]


def _bonferroni(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return p * p.size


def _fdr(p: NDArray[np.float64], method: Literal["bh", "by"] = "bh") -> NDArray[np.float64]:
    from scipy.stats import false_discovery_control  # not above: the help of commands reads this file

    return false_discovery_control(p, method=method)


def _holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(p.size, 0, -1)
    out = np.empty_like(p)
    out[order] = np.maximum.accumulate(steps)
    return out


CORRECTIONS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "none": np.copy,
    "bonferroni": _bonferroni,
    "holm": _holm,
    "fdr": _fdr,
    "fdr_by": lambda p: _fdr(p, "by"),
}


def adjust_p_values(p_values: ArrayLike, method: Correction = "fdr") -> NDArray[np.float64]:
    """Adjust p values over one family of tests.

    Parameters
    ----------
    p_values : array of any shape
        NaN marks a test that was not made: it stays NaN and does not count in the family.
    method : {"none", "bonferroni", "holm", "fdr", "fdr_by"}
        ``"holm"`` and ``"bonferroni"`` bound the family-wise error; ``"fdr"`` (Benjamini and Hochberg, valid under
        independence or positive dependence) and ``"fdr_by"`` (Benjamini and Yekutieli, any dependence) the false
        discovery rate.

    Returns
    -------
    array of the same shape
        Adjusted p values, at most 1: comparing them with a level decides as the procedure does at that level.

    Raises
    ------
    SpecError
        An unknown method, or a value outside 0..1.

    References
    ----------
    Benjamini & Hochberg (1995), doi:10.1111/j.2517-6161.1995.tb02031.x; Holm (1979), Scandinavian Journal of
    Statistics 6:65; Benjamini & Yekutieli (2001), doi:10.1214/aos/1013699998.

    Examples
    --------
    >>> adjust_p_values([0.01, 0.04, 0.03], "fdr").round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    if method not in CORRECTIONS:
        raise unknown("correction", method, list(CORRECTIONS))
    p = np.asarray(p_values, dtype=np.float64)
    made = ~np.isnan(p)
    if np.any((p[made] < 0) | (p[made] > 1)):
        raise SpecError(f"p values lie in 0..1; got {np.min(p[made]):g} to {np.max(p[made]):g}")
    out = np.full(p.shape, np.nan)
    if made.any():
        out[made] = np.minimum(CORRECTIONS[method](p[made]), 1.0)
    return out
