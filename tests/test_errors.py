"""Messages are fit to be shown, whatever they quote."""

from __future__ import annotations

import pickle

import pytest

from bltvs_neuro.errors import BltvsError, DataError, SpecError


@pytest.mark.parametrize(
    ("quoted", "shown"),
    [
        ("read failed: time = 1\n, buf = 2\n", "read failed: time = 1 , buf = 2"),
        ("two\r\nlines", "two lines"),
        ("\x1b[31mred\x00", "\\x1b[31mred\\x00"),
        ("Readers:\n  a: one\n  b: two", "Readers:\n  a: one\n  b: two"),
        ("ü 😀", "ü 😀"),
        ("x" * 5000, "x" * 100 + "…" + "x" * 50),
        ("/" + "folder/" * 40, "/" + "folder/" * 40),
    ],
)
@pytest.mark.parametrize("kind", [BltvsError, DataError, SpecError])
def test_messages_are_fit_to_be_shown(kind, quoted, shown):
    assert str(kind(quoted)) == shown
    assert str(pickle.loads(pickle.dumps(kind(quoted)))) == shown
