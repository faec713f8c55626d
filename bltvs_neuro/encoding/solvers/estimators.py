"""scikit-learn faces of the solvers: for pipelines, searches and people who know ``fit`` and ``predict``.

Anything fitted on features (scaling, PCA, selection) belongs before them in a ``Pipeline``, so that it is fitted inside
each training fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np

from ...errors import SpecError, argument, unknown
from .backend import Backend
from .banded import fit_banded, fit_banded_hyper_gradient
from .linear import Linear, make_blocks
from .pls import fit_pls
from .ridge import By, Dtype, OnEdge, fit_ridge
from .spectrum import feature_spectrum

DEFAULT_ALPHAS = tuple(float(a) for a in np.logspace(-3, 6, 19))


class EncodingRidge(Linear):
    """Ridge with an intercept and an alpha per target, chosen within the rows it is fitted on.

    Parameters
    ----------
    alphas : sequence of positive floats, ascending
    by : {"gcv", "loo", "kfold"}
        How alpha is chosen. With repeated stimuli use ``"kfold"`` and pass ``groups`` to ``fit``.
    cv : int
        Folds of ``"kfold"``.
    dtype : {"float32", "float64"}
        Of the products with targets.
    seed : int
        Of the folds.
    device : str or None
        None for numpy, or a torch device such as ``"cuda"``.
    on_edge : {"warn", "ignore"}
        Whether to warn when the grid's edge is chosen.

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
    >>> EncodingRidge(on_edge="ignore").fit(x, y).predict(x).shape
    (40, 3)
    """

    def __init__(
        self,
        alphas: Sequence[float] = DEFAULT_ALPHAS,
        *,
        by: By = "gcv",
        cv: int = 5,
        dtype: Dtype = "float64",
        seed: int = 0,
        device: str | None = None,
        on_edge: OnEdge = "warn",
    ) -> None:
        self.alphas = alphas
        self.by = by
        self.cv = cv
        self.dtype = dtype
        self.seed = seed
        self.device = device
        self.on_edge = on_edge

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit.

        Parameters
        ----------
        X : array of shape (n, p)
        y : array of shape (n, t) or (n,)
        groups : sequence of length n, optional
            Rows that stay together in the inner folds; only with ``by="kfold"``.
        """
        x, targets = self._start(X, y)
        backend = Backend(self.device)
        blocks = make_blocks(self.by, len(x), self.cv, self.seed, groups)
        spectrum = feature_spectrum(x, backend)
        primal = spectrum.loadings is not None
        readout = backend.array(spectrum.coefficients(), "float64") if primal else spectrum.vectors
        fit = fit_ridge(
            spectrum,
            targets,
            self.alphas,
            by=self.by,
            folds=blocks,
            readouts={"out": readout},
            dtype=self.dtype,
            on_edge=self.on_edge,
            backend=backend,
        )
        self.alpha_, self.loss_ = fit.alpha, fit.loss
        out = fit.outputs["out"].astype(np.float64)
        if primal:
            self.weights_ = out
        else:
            self.dual_, self.rows_ = out, x - self.features_mean_
        return self


class BandedRidge(Linear):
    """Ridge with a penalty per band of features and target, by random search over Dirichlet shares.

    Parameters
    ----------
    bands : sequence of length p, or None
        The band of each feature (any labels); None is a single band.
    alphas, by, cv, dtype, seed, device, on_edge
        As for :class:`EncodingRidge`.
    n_iter : int
        Candidate shares.
    scale_bands : {"trace", "none"}
        ``"trace"`` divides each band by its mean variance per row, so that shares mean the same for wide and narrow bands.
    solver : {"random", "hyper_gradient"}
        The second needs himalaya and ``by="kfold"``.

    Attributes
    ----------
    gammas_ : array of shape (bands, t)
    bands_ : array of the bands' labels, in the order of ``gammas_``
    alpha_, loss_ : arrays of shape (t,)
    coef_, intercept_
        As for :class:`EncodingRidge`.
    """

    def __init__(
        self,
        bands: Sequence[Any] | None = None,
        alphas: Sequence[float] = DEFAULT_ALPHAS,
        *,
        by: By = "gcv",
        cv: int = 5,
        n_iter: int = 100,
        scale_bands: Literal["trace", "none"] = "trace",
        solver: Literal["random", "hyper_gradient"] = "random",
        dtype: Dtype = "float64",
        seed: int = 0,
        device: str | None = None,
        on_edge: OnEdge = "warn",
    ) -> None:
        self.bands = bands
        self.alphas = alphas
        self.by = by
        self.cv = cv
        self.n_iter = n_iter
        self.scale_bands = scale_bands
        self.solver = solver
        self.dtype = dtype
        self.seed = seed
        self.device = device
        self.on_edge = on_edge

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit; parameters as :meth:`EncodingRidge.fit`."""
        x, targets = self._start(X, y)
        labels = np.zeros(x.shape[1], int) if self.bands is None else np.asarray(self.bands)
        if labels.shape != (x.shape[1],):
            raise SpecError(f"bands has one label per feature ({x.shape[1]}); got shape {labels.shape}")
        if self.scale_bands not in ("trace", "none"):
            raise unknown("scale_bands", self.scale_bands, ("trace", "none"))
        self.bands_, of_feature = np.unique(labels, return_inverse=True)
        self.band_of_feature_ = of_feature.ravel()
        rows = x - self.features_mean_
        grams = [
            rows[:, self.band_of_feature_ == b] @ rows[:, self.band_of_feature_ == b].T for b in range(len(self.bands_))
        ]
        scales = np.array([np.trace(k) / len(x) if self.scale_bands == "trace" else 1.0 for k in grams])
        scales = np.where(scales > 0, scales, 1.0)
        grams = [k / scale for k, scale in zip(grams, scales, strict=True)]
        blocks = make_blocks(self.by, len(x), self.cv, self.seed, groups)
        if self.solver == "hyper_gradient":
            if blocks is None:
                raise SpecError(f"the hyper-gradient solver chooses by k-fold: pass {argument('by', 'kfold')}")
            fit = fit_banded_hyper_gradient(grams, targets, folds=blocks, seed=self.seed)
        elif self.solver == "random":
            fit = fit_banded(
                grams,
                targets,
                self.alphas,
                n_iter=max(self.n_iter, len(grams) + 1),
                seed=self.seed,
                by=self.by,
                folds=blocks,
                dtype=self.dtype,
                on_edge=self.on_edge,
                backend=Backend(self.device),
            )
        else:
            raise unknown("banded solver", self.solver, ("random", "hyper_gradient"))
        self.gammas_, self.alpha_, self.loss_ = fit.gammas, fit.alpha, fit.loss
        self.dual_, self.rows_ = fit.dual.astype(np.float64), rows
        self.band_weights_ = fit.gammas / scales[:, None]
        return self


class PLS(Linear):
    """Partial least squares of all targets together, 25 components and no scaling as Brain-Score uses it.

    Parameters
    ----------
    n_components : int
        At most the rank of the training features.
    """

    def __init__(self, n_components: int = 25) -> None:
        self.n_components = n_components

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit; ``groups`` is accepted for the sake of one call for all estimators and not used."""
        x, targets = self._start(X, y)
        fit = fit_pls(feature_spectrum(x), targets, self.n_components)
        rows = x - self.features_mean_
        rotations = fit.rotations if fit.rotations is not None else rows.T @ fit.dual_rotations
        self.rotations_, self.loadings_ = rotations, fit.loadings
        self.weights_ = rotations @ fit.loadings.T
        return self
