"""The solvers, as objects that hold their options: scikit-learn estimators, and what a sweep takes as ``solver=``.

In a sweep the folds, the precision and the device are the sweep's. On its own, an estimator is fitted on all rows that it
is given; anything fitted on features (scaling, PCA, selection) then belongs before it in a ``Pipeline``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np

from ...errors import SpecError, argument, unknown
from ...options import Run, check_samples
from .backend import Backend
from .banded import dirichlet_gammas, fit_banded, fit_banded_hyper_gradient
from .linear import Linear, make_blocks
from .ols import fit_ols
from .pls import fit_pls
from .ridge import By, OnEdge, RidgeSearch, check_alphas, fit_ridge
from .spectrum import feature_spectrum

Choose = Literal["auto", "gcv", "loo", "kfold"]
Over = Literal["area", "stream", "timestep"]
Search = Literal["random", "hyper_gradient"]

RELATIVE_ALPHAS = np.logspace(-4, 6, 21)
"""The default grid, times the mean of the training Gram's diagonal (the features' variance per row).

It ends at 1e-4: with about as many features as training rows, GCV has a minimum near alpha zero that fits noise: with 80
of both, the mean R2 of pure noise is -0.11 with this grid and -1.03 with one down to 1e-7.
"""

ALONE = Run(dtype="float64", device="cpu")
"""How an estimator that is fitted by itself runs."""


class Solver(Linear):
    """What all solvers are: options that say their own faults, and a fit."""

    def check(self) -> None:
        """Raise a SpecError for options that do not exist or do not go together."""
        for option in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, option.name)
            if (valid := CHOICES.get(option.name)) and value not in valid:
                raise unknown(option.name, value, valid)
            least = LEAST.get(option.name)
            if least is not None and value is not None and (not isinstance(value, int) or value < least):
                raise SpecError(f"{argument(option.name)} is an integer of at least {least}; got {value!r}")
            if least is not None and value is not None:
                check_samples(option.name, value, least)


@dataclass(eq=False, repr=False)
class Ridge(Solver):
    """Ridge regression with an intercept and an alpha per target, chosen within the training rows.

    Parameters
    ----------
    alphas : sequence of positive floats, ascending, optional
        Candidate penalties. Default: 21 from 1e-4 to 1e6 times the features' variance per training row. Banded ridge
        scales each band by that variance; its alphas are in these units.
    by : {"auto", "gcv", "loo", "kfold"}
        How alpha is chosen: generalised cross-validation, leaving one row out, or inner folds. ``auto``: GCV, or k-fold
        where groups have several rows.
    inner_folds : int
        Folds within the training rows, for k-fold.
    window : int, optional
        How many alphas beside each minimum of the GCV curve ``loo`` and ``kfold`` try first; they go on while the loss
        falls. A target whose loss has a second minimum, where GCV has none, may get the other one; None tries all
        alphas, at several times the cost.
    on_edge : {"warn", "ignore"}
        What to do when the grid's edge is chosen.
    keep_dual : bool
        Also keep dual coefficients of a fit on all rows, in a sweep.

    Attributes
    ----------
    alpha_ : array of shape (t,)
    loss_ : array of shape (t,)
        Estimated squared error of a new row at the chosen alpha.
    coef_ : array of shape (t, p)
    intercept_ : array of shape (t,)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((40, 8)), rng.standard_normal((40, 3))
    >>> Ridge(on_edge="ignore").fit(x, y).predict(x).shape
    (40, 3)
    """

    alphas: Sequence[float] | None = None
    by: Choose = "auto"
    inner_folds: int = 5
    window: int | None = 1
    on_edge: OnEdge = "warn"
    keep_dual: bool = False

    def check(self) -> None:
        """Raise a SpecError for options that do not exist or do not go together."""
        super().check()
        if self.alphas is not None:
            check_alphas(self.alphas)

    def fit(self, X: Any, y: Any, groups: Any = None, run: Run = ALONE) -> Self:
        """Fit.

        Parameters
        ----------
        X : array of shape (n, p)
        y : array of shape (n, t) or (n,)
        groups : sequence of length n, optional
            Rows that stay together in the inner folds; only for k-fold.
        run : Run
            Precision, device and seed.
        """
        x, targets = self._start(X, y)
        backend, (by, blocks) = Backend(run.device), self._blocks(len(x), groups, run.seed)
        spectrum = feature_spectrum(x, backend)
        primal = spectrum.loadings is not None
        readout = backend.array(spectrum.coefficients(), "float64") if primal else spectrum.vectors
        grid = relative(self.alphas, float(spectrum.values.sum()) / spectrum.n_rows)
        search = RidgeSearch(by, blocks, self.window, self.on_edge, run.dtype, backend=backend)
        fit = fit_ridge(spectrum, targets, grid, search, readouts={"out": readout})
        self.alpha_, self.loss_ = fit.alpha, fit.loss
        out = fit.outputs["out"].astype(np.float64)
        if primal:
            self.weights_ = out
        else:
            self.dual_, self.rows_ = out, x - self.features_mean_
        return self

    def _blocks(self, n: int, groups: Any, seed: int) -> tuple[By, list[np.ndarray] | None]:
        self.check()
        by: By = ("gcv" if groups is None else "kfold") if self.by == "auto" else self.by
        return by, make_blocks(by, n, self.inner_folds, seed, groups)


@dataclass(eq=False, repr=False)
class BandedRidge(Ridge):
    """Ridge with a penalty per band of features and target (group ridge), by random search over Dirichlet shares.

    Parameters
    ----------
    bands : {"stream", "area", "timestep"}, or sequence of length p
        In a sweep: sites that differ in this only are the bands of one model. Fitted on its own: the band of each
        feature (text: they are all one band).
    candidates : int
        Shares tried.
    search : {"random", "hyper_gradient"}
        The second needs himalaya, and k-fold.

    Attributes
    ----------
    gammas_ : array of shape (bands, t)
    bands_ : array of the bands' labels, in the order of ``gammas_``
    alpha_, loss_ : arrays of shape (t,)
    coef_, intercept_
        As for :class:`Ridge`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((40, 6)), rng.standard_normal((40, 2))
    >>> solver = BandedRidge(bands=[0, 0, 0, 1, 1, 1], candidates=4, on_edge="ignore")
    >>> solver.fit(x, y).predict(x).shape
    (40, 2)
    """

    bands: Over | Sequence[Any] = "stream"
    candidates: int = 100
    search: Search = "random"

    def check(self) -> None:
        """Raise a SpecError for options that do not exist or do not go together."""
        super().check()
        if isinstance(self.bands, str) and self.bands not in get_args(Over):
            raise unknown("bands", self.bands, get_args(Over))
        if self.keep_dual:
            raise SpecError(f"{argument('keep_dual', True)} is for ridge with one band")
        if self.search == "hyper_gradient" and self.by not in ("auto", "kfold"):
            raise SpecError(f"the hyper-gradient search chooses by k-fold: pass {argument('by', 'kfold')}")

    def fit(self, X: Any, y: Any, groups: Any = None, run: Run = ALONE) -> Self:
        """Fit; parameters as :meth:`Ridge.fit`. Each band is divided by its mean variance per row."""
        x, targets = self._start(X, y)
        labels = np.zeros(x.shape[1], int) if isinstance(self.bands, str) else np.asarray(self.bands)
        if labels.shape != (x.shape[1],):
            raise SpecError(f"bands has one label per feature ({x.shape[1]}); got {self.bands!r}")
        by, blocks = self._blocks(len(x), groups, run.seed)
        self.bands_, of_feature = np.unique(labels, return_inverse=True)
        self.band_of_feature_ = of_feature.ravel()
        rows = x - self.features_mean_
        grams = [
            rows[:, self.band_of_feature_ == b] @ rows[:, self.band_of_feature_ == b].T for b in range(len(self.bands_))
        ]
        scales = np.array([np.trace(k) / len(x) for k in grams])
        scales = np.where(scales > 0, scales, 1.0)
        grams = [k / scale for k, scale in zip(grams, scales, strict=True)]
        if self.search == "hyper_gradient":
            if blocks is None:
                raise SpecError(f"the hyper-gradient search chooses by k-fold: pass {argument('by', 'kfold')}")
            fit = fit_banded_hyper_gradient(grams, targets, folds=blocks, seed=run.seed)
        else:
            search = RidgeSearch(by, blocks, self.window, self.on_edge, run.dtype, backend=Backend(run.device))
            gammas = dirichlet_gammas(len(grams), max(self.candidates, len(grams) + 1), seed=run.seed)
            fit = fit_banded(grams, targets, relative(self.alphas, 1.0), search, gammas=gammas)
        self.gammas_, self.alpha_, self.loss_ = fit.gammas, fit.alpha, fit.loss
        self.dual_, self.rows_ = fit.dual.astype(np.float64), rows
        self.band_weights_ = fit.gammas / scales[:, None]
        return self


@dataclass(eq=False, repr=False)
class PLS(Solver):
    """Partial least squares of all targets together, 25 components and no scaling as Brain-Score uses it.

    Parameters
    ----------
    n_components : int
        Number of components, at most the rank of the training features.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((40, 6))
    >>> PLS(n_components=2).fit(x, x[:, :3]).predict(x).shape
    (40, 3)
    """

    n_components: int = 25

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit; ``groups`` is accepted for the sake of one call for all estimators and not used."""
        self.check()
        x, targets = self._start(X, y)
        fit = fit_pls(feature_spectrum(x), targets, self.n_components)
        rows = x - self.features_mean_
        rotations = fit.rotations if fit.rotations is not None else rows.T @ fit.dual_rotations
        self.rotations_, self.loadings_ = rotations, fit.loadings
        self.weights_ = rotations @ fit.loadings.T
        return self


@dataclass(eq=False, repr=False)
class OLS(Solver):
    """Ordinary least squares, for fewer features than training rows.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((40, 6))
    >>> round(float(OLS().fit(x, x @ np.arange(6.0)).coef_[5]), 6)
    5.0
    """

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit; ``groups`` is accepted for the sake of one call for all estimators and not used."""
        x, targets = self._start(X, y)
        self.weights_ = fit_ols(x, targets).weights
        return self


SOLVERS: dict[str, type[Solver]] = {"ridge": Ridge, "banded": BandedRidge, "pls": PLS, "ols": OLS}
"""Solvers by the name that the command has for them."""

CHOICES: dict[str, tuple[Any, ...]] = {
    "by": get_args(Choose), "on_edge": get_args(OnEdge), "search": get_args(Search), "keep_dual": (True, False),
}  # fmt: skip
LEAST = {"inner_folds": 2, "window": 0, "candidates": 1, "n_components": 1}


def relative(alphas: Sequence[float] | None, variance: float) -> np.ndarray:
    """The alphas asked for, or the default grid in units of the features' variance per row."""
    if alphas is not None:
        return check_alphas(alphas)
    return RELATIVE_ALPHAS * (variance if variance > 0 else 1.0)
