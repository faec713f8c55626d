"""Commands with rubbish for one option or argument: they end with 0, 1 and one sentence, or 2 and the usage."""

from __future__ import annotations

import json
import os
import re
import shutil
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..neural.conftest import random_rdms
from .verdict import one_sentence

if TYPE_CHECKING:
    from .runner import Campaign, Tally

MODEL = ["--model", "model"]
COMMANDS: dict[str, list[str]] = {
    "extract": [
        "images",
        "-o",
        "out.h5",
        *MODEL,
        "--areas",
        "LGN",
        "--timesteps",
        "1",
        "--reduce",
        "mean",
        "--workers",
        "0",
    ],
    "join": ["acts.h5"],
    "info": ["acts.h5"],
    "verify": ["acts.h5"],
    "rsa": ["acts.h5", "--neural", "rdms.nc", "-o", "out/", "--bootstrap", "5", "--figures", "none"],
    "encode": ["acts.h5", "--neural", "responses.npz", "-o", "out", "--folds", "3", "--no-figures", "--alphas", "1,10"],
    "neural": ["rdms.nc"],
    "report": ["acts.h5", "-o", "out.html"],
    "classify": ["images", *MODEL, "--top", "2"],
    "models": ["model"],
    "decode": ["acts.h5", "--labels", "category", "--folds", "3", "--classifier", "ridge", "-o", "out.csv"],
    "drive": ["LGN/bu", "-o", "out", "--timesteps", "1", "--channels", "0", *MODEL, "--steps", "1"],
    "evaluate": ["classes", *MODEL, "-o", "out", "--bootstrap", "5", "--workers", "0"],
    "train": ["config.toml", "-o", "out", "--show"],
    "export": ["run", "-o", "out"],
    "upload": ["model", "user/name"],
    "demo": ["-o", "out", "--model", "nothing"],
    "cite": ["acts.h5"],
    "completion": ["bash"],
    "selftest": ["--offline"],
    "brainscore score": ["responses.npz", "--stimuli", "images", "--degrees", "8", *MODEL],
    "brainscore package": ["-o", "out.zip", *MODEL],
    "brainscore check": ["acts.h5", "--no-tests"],
}
"""Command -> arguments that it can be run with, quickly, in the folder that :func:`make` fills."""

VALUES = (
    "", " ", "x", "-1", "0", "1", "1.5", "nan", "inf", "1e400", "0:0", "9:1", ":", "1:", "0,0", "a,b", "9" * 20, "-" + "9" * 20,
    "é😀", "[red]", "[/]", "{}", "[1", "%s", "x" * 5000, "a=b", "=", "V1@", "../..", "*", "true", "None",
    "folder", "pipe", "missing/x", "text.txt", "link", "acts.h5",
)  # fmt: skip


def make(root: Path) -> Path:
    """What the commands need: pictures, a store, a model, neural data and a config."""
    from PIL import Image

    from bltvs_neuro.neural import make_rdms, to_netcdf

    from . import results, weights
    from .stimuli import _picture, written

    results.write_store(root)
    weights.export(root)
    ids = np.array(results.SPEC.stimulus_ids)
    rng = np.random.default_rng(0)
    to_netcdf(
        make_rdms(random_rdms(3, len(ids)), list(ids), metric="correlation", subject=list("abc")), root / "rdms.nc"
    )
    np.savez(root / "responses.npz", betas=rng.random((24, 3)), stimuli=ids)
    written("config.toml", weights.CONFIG)(root)
    written("text.txt", "a\nb\n")(root)
    for name in ("folder", "run"):
        (root / name).mkdir()
    for seed, name in enumerate(("images/a.png", "images/b.png", "classes/disc/c.png", "classes/ring/d.png")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_picture(seed)).save(root / name)
    return root


class Option(NamedTuple):
    """An option of a command; an argument has no flag."""

    name: str
    flag: str | None
    takes_value: bool


def parameters(command: str) -> list[Option]:
    """Options and arguments of a command; compiling is left out, which takes its time and memory."""
    from bltvs_neuro.cli.app import app

    found = app
    for part in command.split():
        found = found[part]
    options = []
    for one in found.assemble_argument_collection():
        flags = [name for name in one.names if name.startswith("--")]
        name = one.keys[-1] if one.keys else one.field_info.name
        positional = one.field_info.is_positional
        options.append(Option(str(name), None if positional or not flags else flags[0], one.hint is not bool))
    return [one for one in options if one.name != "compile"]


def arguments(command: str, rng: np.random.Generator) -> list[str]:
    """The command with one value replaced, or one more option."""
    chosen, base = parameters(command), list(COMMANDS[command])
    one = chosen[int(rng.integers(len(chosen)))]
    value = VALUES[int(rng.integers(len(VALUES)))]
    if one.flag is None:
        names = [p.name for p in chosen if p.flag is None]
        given, options = base[: len(names)], base[len(names) :]
        at = names.index(one.name)
        given[at : at + 1] = [value]
        return [*command.split(), *options, "--", *given]
    return [*command.split(), *base, f"{one.flag}={value}" if one.takes_value else one.flag]


def verdict(answer: dict[str, Any]) -> str:
    """Outcome of a command; "done" and "refused" are good."""
    if answer["outcome"] != "done":
        return "no sentence" if answer["outcome"] == "refused" else str(answer["outcome"])
    said = answer["message"]
    if "Traceback" in said or answer["code"] not in (0, 1, 2):
        return "traceback"
    if answer["code"] != 1:
        return "done" if answer["code"] == 0 else "refused"
    sentence = re.split(r"^error: ", said, flags=re.MULTILINE)[-1]  # `verify` reports without that word
    return "refused" if one_sentence(sentence.rstrip("\n")) else "no sentence"


def run(campaign: Campaign, command: str, seed: int, numbers: range, tally: Tally) -> None:
    """Run a command with rubbish, each case in a folder of its own."""
    name = f"command-{command}"
    sample = campaign.folder / "samples" / "commands"
    if not sample.is_dir():
        sample.mkdir(parents=True)
        answer = campaign.child.ask(make="commands", folder=str(sample))
        assert answer["outcome"] == "made", answer["message"]
    for number in numbers:
        folder = campaign.folder / f"{name.replace(' ', '-')}-{seed}-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(sample, folder)
        os.mkfifo(folder / "pipe")
        (folder / "link").symlink_to("nothing")
        given = arguments(command, np.random.default_rng([seed, zlib.crc32(name.encode()), number]))
        (folder / "case.json").write_text(json.dumps({"arguments": given}))
        answer = campaign.child.ask(run=given, folder=str(folder))
        found = verdict(answer)
        tally.outcomes[found] += 1
        if found in ("done", "refused"):
            shutil.rmtree(folder)
            continue
        said = str(answer.get("message", ""))
        (folder / "outcome.txt").write_text(f"{found}\n{given}\n{answer.get('where', '')}\n{said}\n")
        tally.failures.append(
            f"{folder.name}: {found}: {given!r:.300}: {answer.get('where', '')}: {said.strip()[-300:]!r}"
        )
