"""Which versions made something."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "bltvs_neuro", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas", "xarray", "h5py", "h5netcdf", "pillow",
)  # fmt: skip
"""Those that numbers depend on."""


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the :data:`PACKAGES`; read, never changed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
