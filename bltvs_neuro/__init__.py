"""bltvs_neuro: activation extraction and brain comparison for BLT_VS, a recurrent model of the human ventral stream.

The public names are imported when they are first used, so that ``import bltvs_neuro`` stays quick and work on stored
activations never needs torch.
"""

from __future__ import annotations

import importlib
from typing import Any

PUBLIC: dict[str, str] = {
    "BLT_VS": "model",
    "Network": "model",
    "CHECKPOINTS": "model.released.checkpoints",
    "Transform": "model.transform",
    "load_model": "model.released.checkpoints",
    "wrap": "model.others.wrapped",
    "lesion": "model.blt_vs.lesion",
    "StimulusSet": "stimuli",
    "record": "extraction",
    "extract": "extraction.run",
    "mean": "extraction",
    "pool": "extraction",
    "project": "extraction",
    "units": "extraction",
    "channels": "extraction",
    "pca": "extraction.pca",
    "open_store": "store",
    "compute_rdms": "rsa.rdms.compute",
    "compare_rdms": "rsa.result",
    "decode": "probes",
    "drive": "probes",
    "load_rdms": "neural",
    "load_responses": "neural",
    "make_responses": "neural",
    "write_report": "report",
    "ExtractRun": "extraction.options",
    "Folds": "features.folds",
    "Inference": "rsa.inference.options",
    "Run": "options",
    "Select": "features.select",
    "show_progress": "progress",
    "Ridge": "encoding",
    "BandedRidge": "encoding",
    "PLS": "encoding",
    "OLS": "encoding",
    "fit_encoding": "encoding",
    "partition_encoding": "encoding",
}
"""Public name -> the module that holds it."""

__all__ = sorted(PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *PUBLIC]
