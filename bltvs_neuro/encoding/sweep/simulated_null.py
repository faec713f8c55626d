"""What a band that adds nothing shows: the same models fitted to responses simulated without it.

Cross-validated unique variance of a useless band is not zero on average. The joint model pays for the choice between bands
(below zero), or gains because the band is a better basis for what the others also hold (above zero). How much depends on
the number of stimuli, on noise and on how alike the bands are, so it is measured rather than assumed: responses are
simulated from the model without the band, which is then useless by construction, and go through the same folds, candidates
and criteria. :meth:`bltvs_neuro.encoding.result.PartitionResult.unique` subtracts what is found.

References
----------
Davison & Hinkley (1997), Bootstrap Methods and their Application, chapter 4 (tests by simulation from the model of the null
hypothesis), doi:10.1017/CBO9780511802843;
Wu (1986), residuals with random signs, doi:10.1214/aos/1176350142
"""

from __future__ import annotations

import zlib

import numpy as np

from ...features.folds import Fold
from ..solvers.fold_fits import fit_bands, scaled_bands
from .inputs import Source, load_inputs
from .plan import Plan
from .spaces import Space


def simulate_without(rest: Space, source: Source, plan: Plan, name: str) -> np.ndarray:
    """Responses that follow the bands of ``rest`` and nothing else.

    Parameters
    ----------
    rest : Space
        The bands without the useless one.
    source, plan
        Of the sweep.
    name : str
        Draws differ by name, and by the plan's seed.

    Returns
    -------
    array of shape (rows, t)
        ``fitted + sign * residual``: the banded ridge of all rows, and its residuals with a random sign for each target
        and group (repetitions keep what they share), scaled to the criterion's estimate of the error of a new row.
    """
    y = plan.targets.values
    every = np.arange(len(y))
    # without scaling every fold has the same Gram of all rows
    grams, _ = scaled_bands(load_inputs(rest, source, plan).of_fold(0, plan), Fold(every, every))
    fit = fit_bands(grams, y, plan.all_blocks, plan.settings)
    rng = np.random.default_rng([plan.settings.seed, zlib.crc32(name.encode())])
    groups = plan.targets.groups
    signs = rng.choice(np.array([-1.0, 1.0]), size=(int(groups.max()) + 1, y.shape[1]))
    out = np.empty_like(y)
    for at in range(0, y.shape[1], 1024):
        columns = slice(at, at + 1024)
        some = fit._replace(gammas=fit.gammas[:, columns], dual=fit.dual[:, columns])
        fitted = some.parts(grams).sum(axis=0) + fit.mean[columns]
        residual = y[:, columns] - fitted
        mean = (residual**2).mean(axis=0)
        size = np.sqrt(fit.loss[columns] / np.where(mean > 0, mean, 1))
        out[:, columns] = fitted + signs[groups, columns] * residual * size
    return out
