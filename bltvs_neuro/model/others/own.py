"""A network of one's own by the name of the file that makes it: ``mine.py:make``. The file is run as any script is."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

from ... import datasets
from ...errors import SpecError, argument, listed
from ...paths import not_a_file
from ..network import Network
from ..released.weights import random_weights

NAMED = re.compile(r"(?P<file>.+\.py):(?P<function>\w+)")


def is_own(name: str | Path) -> bool:
    """Whether ``name`` is a Python file and a function of it."""
    return isinstance(name, str) and NAMED.fullmatch(name) is not None


def load_own(name: str, seed: int = 0, **given: Any) -> Network:
    """Run the file and return what its function makes; random weights are those of ``seed``.

    The file's sha256 is part of what must be the same to go on with a store. SpecError for a file or function that is not
    there or fails, one that makes no :class:`Network`, and choices in ``given``, which are the function's.
    """
    if chosen := [argument(what) for what, value in given.items() if value is not None]:
        raise SpecError(f"{name} makes its network itself, without {listed(chosen)}: choose it in the function")
    found = NAMED.fullmatch(name)
    assert found is not None
    path, function = Path(found["file"]), found["function"]
    if why := not_a_file(path):
        raise SpecError(f"{argument('model', name)}: {why}")
    try:
        with random_weights(seed):
            network = _run(path, function)
    except SpecError:
        raise
    except Exception as error:
        raise SpecError(f"{name} fails with {type(error).__name__}: {error}") from error
    if not isinstance(network, Network):
        raise SpecError(f"{name} makes a {type(network).__name__}; a Network is expected, such as bn.wrap(...) gives")
    sha256 = datasets.sha256_file(path)
    network.config = {**network.config, "file_sha256": sha256}
    network.provenance = {**network.provenance, "file": path.name, "function": function, "file_sha256": sha256}
    return network


def _run(path: Path, function: str) -> Any:
    module_name = f"_own_{path.stem}"  # not a name that another module could have
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[module_name]  # so that what cannot be sent to another process says so
    if not callable(make := getattr(module, function, None)):
        raise SpecError(f"{path} has no function {function!r}")
    return make()
