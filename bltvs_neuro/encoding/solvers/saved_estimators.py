"""Fitted estimators as plain arrays in one ``.npz`` file: no pickle is written, none is read."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ...durable import whole_file
from ...errors import DataError, SpecError, listed
from ...foreign.npy import load_npz, npz_headers
from ...paths import regular
from .estimators import SOLVERS

ESTIMATORS: dict[str, type[Any]] = {kind.__name__: kind for kind in SOLVERS.values()}
"""What can be saved and loaded, by class name."""

_META = "bltvs_neuro"


def save_estimator(
    estimator: Any,
    path: str | os.PathLike[str],
    *,
    provenance: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a fitted estimator.

    Parameters
    ----------
    estimator : Ridge, BandedRidge, PLS or OLS
    path : path
        Gets the ending ``.npz`` when it has none; appears only when complete.
    provenance : dict of plain values, optional
        Where features and responses come from; kept beside the versions.
    overwrite : bool
        Replace a file that is there.

    Returns
    -------
    pathlib.Path
    """
    from importlib.metadata import version

    name = type(estimator).__name__
    if ESTIMATORS.get(name) is not type(estimator):
        raise SpecError(f"only {listed(ESTIMATORS)} can be saved; got {name} (save the last step of a pipeline)")
    state = {k: v for k, v in vars(estimator).items() if k.endswith("_") and not k.startswith("_")}
    if not state:
        raise SpecError(f"this {name} is not fitted; call fit first")
    arrays: dict[str, Any] = {k: _plain(v) for k, v in state.items() if isinstance(v, np.ndarray)}
    versions = {p: version(p) for p in ("numpy", "scikit-learn")}
    meta = {
        "class": name,
        "format": 1,
        "params": {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in estimator.get_params().items()},
        "values": {k: v for k, v in state.items() if not isinstance(v, np.ndarray)},
        "provenance": {"versions": versions, **(provenance or {})},
    }
    target = Path(path)
    target = target if target.suffix else target.with_suffix(".npz")
    arrays[_META] = np.array(json.dumps(meta, default=_jsonable))
    with whole_file(target, overwrite=overwrite) as part, part.open("wb") as file:
        np.savez(file, **arrays)
    return target


def load_estimator(path: str | os.PathLike[str]) -> Any:
    """Read an estimator written by :func:`save_estimator`.

    Returns
    -------
    Ridge, BandedRidge, PLS or OLS
        With ``provenance_``.

    Raises
    ------
    DataError
        The file is damaged or none of ours.
    """
    try:
        with zipfile.ZipFile(regular(Path(path))) as archive:
            # stored members cannot unpack to more than the file holds
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise DataError(f"{path} is compressed; a saved estimator is not")
        arrays: dict[str, Any] = load_npz(Path(path), list(npz_headers(Path(path))))
        meta = json.loads(str(arrays.pop(_META, "{}")))
    except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as a saved estimator: it is damaged or something else") from error
    kind = ESTIMATORS.get(meta.get("class", "")) if isinstance(meta, dict) else None
    if kind is None or meta.get("format") != 1:
        raise DataError(f"{path} holds no estimator of this package ({listed(ESTIMATORS)}, format 1)")
    try:
        estimator = kind(**meta["params"])
        state = {**meta["values"], **arrays}
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged: {error}") from error
    wrong = [k for k in state if not k.isidentifier() or not k.endswith("_") or k.startswith("_")]
    if wrong:
        raise DataError(f"{path} holds unknown entries: {listed(wrong)}")
    for key, value in state.items():
        setattr(estimator, key, value)
    estimator.provenance_ = meta.get("provenance", {})
    return estimator


def _plain(value: np.ndarray) -> np.ndarray:
    return value.astype(str) if value.dtype.kind == "O" else value


def _jsonable(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise SpecError(f"a {type(value).__name__} cannot be saved without pickle; use plain numbers and text")
