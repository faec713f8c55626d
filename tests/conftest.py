from __future__ import annotations

from collections.abc import Iterator

import pytest

from .running import log_kept


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """A test that sets up the log leaves it as it found it."""
    with log_kept():
        yield
