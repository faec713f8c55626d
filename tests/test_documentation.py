"""What README.md, CONTRIBUTING.md and docs/ say is true: commands and options exist, files lie where they are said to."""

import re
import shlex
import sys
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import pytest

from bltvs_neuro.cli import app

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [
    README,
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs/guide").glob("*.md")),
]
SOURCES = [page for page in PAGES if page.name != "files.md"]  # which names the files that commands write
COMMAND = re.compile(r"(?:^|`|'|&& |run )bltvs ([a-z].*?)(?=`|'|#|&&|$)", re.MULTILINE)
GROUPS = ("brainscore",)


def said(text: str) -> list[list[str]]:
    """The words of every command that a page shows."""
    return [shlex.split(found, posix=False) for found in COMMAND.findall(text)]


def name(words: list[str]) -> tuple[str, ...]:
    return tuple(words[: 2 if words[0] in GROUPS else 1])


@cache
def options(command: tuple[str, ...]) -> frozenset[str]:
    """The options that a command's help shows."""
    with pytest.MonkeyPatch.context() as here, redirect_stdout(StringIO()) as written:
        here.setattr(sys, "argv", ["bltvs", *command, "--help"])
        here.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as end:
            app.main()
    assert not end.value.code, f"bltvs {' '.join(command)} does not exist"
    return frozenset(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", written.getvalue()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_of_the_page_exist(page):
    for words in said(page.read_text("utf-8")):
        known = options(name(words)) | {"--help"}
        asked = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert asked <= known, f"bltvs {' '.join(words)}: no option {sorted(asked - known)}"


def test_readme_shows_options_and_they_are_found():
    shown = said(README.read_text("utf-8"))
    assert ["rsa", "acts.h5", "--neural", "sub-01-epo.fif", "-o", "rsa_eeg/"] in shown
    assert {"--neural", "-o"} <= options(("rsa",))
    assert "--no-such-option" not in options(("rsa",))


def test_readme_is_short():
    text = README.read_text("utf-8")
    assert len(text.encode()) < 10_000
    assert text.count("\n") <= 130


@pytest.mark.parametrize("page", SOURCES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_of_the_repository_that_the_page_names_exist(page):
    here = ""
    for path in re.findall(r"`([\w./]+(?:\.py|/))`", page.read_text("utf-8")):
        folder, _, last = path.rstrip("/").rpartition("/")
        if folder.split("/")[0] in ROOMS:
            here = folder
        elif folder or path.endswith("/"):
            continue  # a user's own file, an output
        places = [ROOT / path, ROOT / "bltvs_neuro" / path, ROOT / "bltvs_neuro" / here / last, ROOT / here / last]
        assert any(place.exists() for place in places), f"{path} does not exist"


ROOMS = {path.name for base in (ROOT, ROOT / "bltvs_neuro") for path in base.iterdir() if path.is_dir()}
