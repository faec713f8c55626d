"""Reductions to components: random projections, principal components."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import SpecError, listed
from ..model import Grid
from ..options import check_seed
from ..schema import Site
from ..stimuli import StimulusSet
from .reduce import Bound, Reduction, numbered, site_rng, whole


@dataclass(frozen=True)
class Project(Reduction):
    """Very sparse random projection, which preserves distances between stimuli.

    Parameters
    ----------
    n : int
        Components. Sites with fewer units are kept whole in as many components as they have units.
    seed : int

    Notes
    -----
    Entries are +-sqrt(1 / (density n)) with probability density / 2 each, density = 1 / sqrt(units), and zero
    otherwise, so that squared distances are preserved in expectation. The matrix is drawn as gaps between its
    non-zero entries and is never held densely; it depends on the seed and the site alone.

    References
    ----------
    Li, Hastie & Church 2006, Very sparse random projections, KDD. doi:10.1145/1150402.1150436
    """

    n: int = 2048
    seed: int = 0

    def __post_init__(self) -> None:
        whole(self.n, "a projection needs at least 1 component")
        check_seed(self.seed)

    @property
    def name(self) -> str:  # noqa: D102
        return f"project:{self.n}"

    def describe(self) -> dict[str, Any]:  # noqa: D102
        return {"name": "project", "n": self.n, "seed": self.seed, "density": "1/sqrt(units)"}

    def bind(self, site: Site, shape: tuple[int, ...], grid: Grid, device: torch.device) -> Bound:  # noqa: D102
        units = math.prod(shape)
        if units <= self.n:
            return numbered("component", units, lambda maps: maps.flatten(1).float())
        rows, columns, values = sparse_projection(self.n, units, site_rng(self.seed, site, units, self.n))
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=self.n))])
        with warnings.catch_warnings():  # torch calls sparse matrices a beta feature, whatever is done with them
            warnings.filterwarnings("ignore", message="Sparse ")
            matrix = torch.sparse_csr_tensor(
                torch.from_numpy(starts), torch.from_numpy(columns), torch.from_numpy(values), (self.n, units),
                device=device,
            )  # fmt: skip

        def apply(maps: Tensor) -> Tensor:
            flat = maps.flatten(1).float()  # (B, C, H, W) -> (B, units)
            return (matrix @ flat.T.contiguous()).T.contiguous()  # (n, units) @ (units, B) -> (B, n)

        return numbered("component", self.n, apply)


@dataclass(frozen=True)
class Components(Reduction):
    """Projection onto given components: site name -> mean (units,) and components (n, units), float32.

    ``described`` says how they were fitted, for provenance.
    """

    bases: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    described: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:  # noqa: D102
        return str(self.described.get("name", "components"))

    def describe(self) -> dict[str, Any]:  # noqa: D102
        digest = hashlib.sha256()
        for site in sorted(self.bases):
            digest.update(site.encode())
            for array in self.bases[site]:
                digest.update(np.ascontiguousarray(array, dtype=np.float32).tobytes())
        return {**self.described, "sha256": digest.hexdigest()}

    def bind(self, site: Site, shape: tuple[int, ...], grid: Grid, device: torch.device) -> Bound:  # noqa: D102
        if str(site) not in self.bases:
            raise SpecError(f"no components were fitted for {site}; fitted: {listed(self.bases)}")
        mean, basis = (torch.as_tensor(np.asarray(a, dtype=np.float32), device=device) for a in self.bases[str(site)])
        if basis.shape[1] != math.prod(shape):
            raise SpecError(f"components of {site} have {basis.shape[1]} units, the site has {math.prod(shape)}")
        return numbered("component", len(basis), lambda maps: (maps.flatten(1).float() - mean) @ basis.T)


@dataclass(frozen=True)
class Pca(Reduction):
    """Principal components, to be fitted on ``train``.

    Parameters
    ----------
    n : int
        Components per site.
    train : StimulusSet or int
        The stimuli to fit on, or how many to draw at random from those of the extraction.
    seed : int
        Of the draw.
    """

    n: int = 100
    train: StimulusSet | int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        whole(self.n, "a basis has at least 1 component")
        check_seed(self.seed)
        if not isinstance(self.train, StimulusSet):
            whole(self.train, "components are fitted on a stimulus set, or on at least 1 of the stimuli")

    @property
    def name(self) -> str:  # noqa: D102
        return f"pca:{self.n}"

    def bind(self, site: Site, shape: tuple[int, ...], grid: Grid, device: torch.device) -> Bound:  # noqa: D102
        return numbered("component", self.n, _unfitted)


def pca(n: int = 100, train: StimulusSet | int = 200, seed: int = 0) -> Pca:
    """Principal components fitted on ``train``: a stimulus set, or a number drawn from the stimuli themselves.

    The fitted bases are written beside the store (``<store>.components.npz``) and can be used again with
    :func:`components`.

    Examples
    --------
    >>> model = bn.BLT_VS(timesteps=2, num_classes=3, bio_unroll=False, image_size=128, width=0.0625).eval()
    >>> path = bn.extract(model, bn.StimulusSet.synthetic(6, size=64), "made.h5", "V1/bu", reduce=pca(3, train=6))
    >>> bn.open_store(path)["V1/bu"].sizes["component"]
    3
    """
    return Pca(n, train, seed)


def sparse_projection(n: int, units: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the non-zero entries of an (n, units) projection: rows, columns, float32 values, sorted by row, then column."""
    density, total = 1 / math.sqrt(units), n * units
    positions: list[np.ndarray] = []
    last = -1
    while last < total:
        gaps = rng.geometric(density, size=1 + int(1.05 * density * total))
        positions.append(last + np.cumsum(gaps))
        last = int(positions[-1][-1])
    flat = np.concatenate(positions)
    flat = flat[flat < total]
    signs = rng.integers(0, 2, len(flat)) * 2 - 1
    return flat // units, flat % units, (signs / math.sqrt(density * n)).astype(np.float32)


def project(n: int | None = None, seed: int = 0, *, n_stimuli: int | None = None, eps: float = 0.1) -> Project:
    """Sparse random projection to ``n`` components.

    Parameters
    ----------
    n : int, optional
        Components; None takes the Johnson-Lindenstrauss size for ``n_stimuli`` and ``eps``.
    seed : int
    n_stimuli : int, optional
    eps : float
        Relative error of squared distances that the Johnson-Lindenstrauss size guarantees.

    References
    ----------
    Dasgupta & Gupta 2003. doi:10.1002/rsa.10073

    Examples
    --------
    >>> project(2048).name, project(n_stimuli=1000, eps=0.2).n
    ('project:2048', 1594)
    """
    if n is None:
        if n_stimuli is None:
            raise SpecError("project() needs the number of components, or n_stimuli to choose it by eps")
        from sklearn.random_projection import johnson_lindenstrauss_min_dim

        n = int(johnson_lindenstrauss_min_dim(n_stimuli, eps=eps))
    return Project(n, seed)


def _unfitted(maps: Tensor) -> Tensor:
    raise SpecError("these principal components have not been fitted; extract() fits them before it starts")
