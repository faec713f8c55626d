"""Where the arithmetic runs: numpy on a CPU, torch on a GPU, one code path above.

A solver asks for ``xp`` (numpy or torch) and uses only what the two spell alike: ``@``, ``*``, ``xp.linalg.solve``,
``xp.linalg.eigh``, ``.sum(axis=...)``. The few calls they spell differently are methods here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...devices import gpus, pick_float64_device

Array = Any
"""A numpy array or a torch tensor."""


class Backend:
    """numpy, or torch on a named device.

    Parameters
    ----------
    device : str or torch.device
        ``"cpu"``: numpy. ``"cuda"``, ``"cuda:1"``, ...: torch on that device. ``"auto"``: torch on a GPU when torch sees
        one, else numpy. A ``torch.device`` means torch, also on a CPU.

    Raises
    ------
    SpecError
        No such device is here (:mod:`bltvs_neuro.devices`).
    """

    def __init__(self, device: Any = "cpu") -> None:
        self.device: str | None
        self.xp: Any
        if isinstance(device, str) and (device == "cpu" or (device == "auto" and not gpus())):
            self.device, self.xp = None, np
            return
        import torch

        self.device = str(pick_float64_device(device))
        self.xp = torch

    def array(self, values: Array, dtype: str = "float32") -> Array:
        """Bring an array here as ``dtype`` (no copy when it is here already)."""
        if self.device is None:
            return np.asarray(values, dtype=dtype)
        if isinstance(values, np.ndarray) and not values.flags.writeable:
            values = values.copy()
        return self.xp.as_tensor(values, dtype=getattr(self.xp, dtype), device=self.device)

    def numpy(self, values: Array) -> np.ndarray:
        """Bring an array back as numpy."""
        return values if isinstance(values, np.ndarray) else values.detach().cpu().numpy()

    def index(self, positions: np.ndarray) -> Array:
        """Positions as an index for arrays that live here."""
        return positions if self.device is None else self.xp.as_tensor(positions, device=self.device)

    def pieces(self, count: int) -> list[slice]:
        """Cut targets for work item by item: on a CPU so few at once that they stay in its cache."""
        size = 128 if self.device in (None, "cpu") else max(1, count)
        return [slice(at, at + size) for at in range(0, count, size)]

    def eigh(self, matrix: Array) -> tuple[Array, Array]:
        """Eigenvalues (ascending) and eigenvectors of a symmetric matrix, which may be overwritten."""
        if self.device is None:
            from scipy.linalg import LinAlgError, get_lapack_funcs

            # divide and conquer, in place; the transpose is the same matrix, in the order LAPACK wants
            (syevd,) = get_lapack_funcs(("syevd",), (matrix,))
            values, vectors, info = syevd(matrix.T, lower=True, overwrite_a=True)
            if info:
                raise LinAlgError(f"the eigendecomposition of {matrix.shape} did not converge (LAPACK info {info})")
            return values, vectors
        values, vectors = self.xp.linalg.eigh(matrix)
        return values, vectors
