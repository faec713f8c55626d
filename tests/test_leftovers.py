"""What is left in folders by systems and editors is no data."""

from __future__ import annotations

import pytest

from bltvs_neuro.leftovers import data_files, data_folders, is_leftover, lost_links

LEFTOVERS = (
    "._a.png", ".DS_Store", ".hidden.png", "Thumbs.db", "thumbs.db", "desktop.ini", "__MACOSX/a.png", ".Trashes/a.png",
    ".ipynb_checkpoints/a-checkpoint.png", ".git/annex/objects/x/a.png", ".datalad/config", "~$table.csv", "a.png~",
    "$RECYCLE.BIN/a.png", "@eaDir/a.png", "lost+found/a.png", "System Volume Information/a.png", "a.png.part",
    "sub/._a.png", "Icon\r", "#a.png#",
)  # fmt: skip


@pytest.mark.parametrize("name", LEFTOVERS)
def test_leftovers(name):
    assert is_leftover(name)


@pytest.mark.parametrize("name", ["a.png", "sub-01/a.b.png", "./a.png", "../a.png", "masked~1.png", "tmp/a.part.png"])
def test_data(name):
    assert not is_leftover(name)


def test_folders_are_scanned_without_them(tmp_path):
    for name in (*LEFTOVERS, "b.png", "a.png", "sub/c.png", "sub/d.txt"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "lost.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "round").symlink_to(tmp_path, target_is_directory=True)
    names = [file.relative_to(tmp_path).as_posix() for file in data_files(tmp_path, "*.png", recursive=True)]
    assert names == ["a.png", "b.png", "link.png", "sub/c.png"]
    assert [file.name for file in data_files(tmp_path)] == ["a.png", "b.png", "link.png"]
    assert [file.name for file in lost_links(tmp_path, recursive=True)] == ["lost.png"]
    assert {folder.name for folder in data_folders(tmp_path)} == {"sub", "round"}
    assert data_files(tmp_path / "none") == data_folders(tmp_path / "none") == []
