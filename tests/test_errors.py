"""Messages are fit to be shown, whatever they quote."""

from __future__ import annotations

import pickle

import pytest

from bltvs_neuro.errors import BltvsError, DataError, SpecError, difference


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


def test_ids_with_and_without_folders_are_told_apart():
    text = difference(
        "stimuli", ["dog/dog_01.jpg", "cat/x.jpg"], ["dog_01.jpg", "y.jpg"], "the store", "the neural data"
    )
    assert text.endswith(
        "; the neural data has no folders in its ids (dog_01.jpg for dog/dog_01.jpg): rename them by a dict or .json file "
        "(stimuli=NAMES)"
    )
    assert "folders" not in difference("stimuli", ["a/b"], ["c"], "x", "y")
