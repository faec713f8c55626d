"""``bltvs brainscore``: what it writes, and what it says when something is missing."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from bltvs_neuro.brainscore import environment
from tests.running import bltvs as run_bltvs

from .conftest import narrow, needs_brainscore


def run(*arguments):
    return run_bltvs("brainscore", *map(str, arguments), columns=250)


@pytest.mark.parametrize("command", [("check", "x.zip"), ("package", "-o", "x.zip"), ("score", "x")])
def test_without_brain_score_it_says_what_to_install(monkeypatch, command):
    monkeypatch.setattr(environment, "installed", lambda: False)
    failed = run(*command)
    assert failed.exit_code == 1
    assert failed.stderr.strip() == (
        "error: this needs brainscore-vision, which is not installed: pip install 'bltvs_neuro[brainscore]'"
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory, stimuli):
    """A model's folder, pictures with a table, and an assembly as Brain-Score saves one."""
    import xarray as xr
    from PIL import Image

    from bltvs_neuro.model.released.exported import export_model

    folder = tmp_path_factory.mktemp("files")
    export_model(narrow(), folder / "mine", name="mine", classes=[str(i) for i in range(1000)])
    (folder / "pictures").mkdir()
    shown = stimuli.subset(slice(0, 40))
    for i, pixels in shown:
        Image.fromarray(pixels).save(folder / "pictures" / f"{i}.png")
    table = pd.DataFrame({"stimulus_id": shown.ids, "path": [f"pictures/{i}.png" for i in shown.ids]})
    table.assign(object_name=shown.metadata["category"].to_numpy()).to_csv(folder / "pictures.csv", index=False)
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((40, 5, 3))
    values = np.concatenate([signal + 0.3 * rng.standard_normal(signal.shape) for _ in range(2)])
    xr.DataArray(
        values.astype("float32"), dims=("presentation", "neuroid", "time_bin"), name="data",
        coords={
            "stimulus_id": ("presentation", list(shown.ids) * 2), "repetition": ("presentation", np.repeat([0, 1], 40)),
            "neuroid_id": ("neuroid", [f"n{i}" for i in range(5)]), "region": ("neuroid", ["IT"] * 5),
            "time_bin_start": ("time_bin", [70, 100, 130]), "time_bin_end": ("time_bin", [100, 130, 160]),
        },
    ).to_netcdf(folder / "it.nc", engine="h5netcdf")  # fmt: skip
    return folder


@needs_brainscore
def test_score_of_an_assembly(files, tmp_path):
    own = ["--stimuli", files / "pictures.csv", "--degrees", "8", "--model", files / "mine", "--reduce", "mean"]
    done = run("score", files / "it.nc", *own, "--metric", "ridge", "--region", "V4,IT", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output + done.stderr
    saved = json.loads((tmp_path / "out.json").read_text())
    assert [(row["region"], row["time_bin_start"]) for row in saved["scores"]] == [
        (r, t) for r in ("V4", "IT") for t in (70, 100, 130)
    ]
    assert all(abs(row["raw"]) < 0.8 and 0.5 < row["ceiling"] < 1 for row in saved["scores"])
    assert saved["provenance"]["data"]["sha256"]
    assert saved["provenance"]["weights"]["weights"] == "exported"
    assert pd.read_csv(tmp_path / "out.csv")["neuroid_id"].nunique() == 5
    averaged = run("score", files / "it.nc", *own, "--metric", "rdm", "--average", "--time", "70:130ms")
    assert averaged.exit_code == 0, averaged.output + averaged.stderr
    assert "IT-rdm" in averaged.output


@needs_brainscore
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["score", "{files}/it.nc"], "is scored with --stimuli"),
        (["score", "MajajHong2015public.IT-plz"], "did you mean 'MajajHong2015public.IT-pls'"),
        (["score", "{files}/no.nc", "--stimuli", "synthetic", "--degrees", "8"], "no.nc does not exist"),
        (["score", "{files}/it.nc", "--stimuli", "synthetic", "--degrees", "8"], "16 stimuli are in the neural data"),
        (["package", "-o", "{files}/x.zip", "--timeline", "ten"], "a timeline is written START:STEP"),
        (["package", "-o", "{files}/x.zip", "--weights", "no.pth"], "no.pth"),
        (["check", "{files}/no.zip"], "there is no file"),
    ],
)
def test_errors_are_one_sentence(files, arguments, said):
    failed = run(*[str(a).format(files=files) for a in arguments])
    assert failed.exit_code == 1
    assert said in " ".join(failed.stderr.split())
    assert "Traceback" not in failed.stderr


@needs_brainscore
def test_a_public_benchmark_without_network(monkeypatch):
    from bltvs_neuro.brainscore.scores import scoring

    def refuse(name):
        raise ConnectionError("Could not connect to the endpoint URL")

    monkeypatch.setattr(scoring, "load_benchmark", refuse)
    failed = run("score", "MajajHong2015public.IT-pls")
    assert failed.exit_code == 1
    said = " ".join(failed.stderr.split())
    assert "cannot load benchmark 'MajajHong2015public.IT-pls': ConnectionError: Could not connect" in said
    assert "takes network access" in said


@needs_brainscore
def test_package_and_static_check(files, tmp_path):
    done = run("package", "--model", files / "mine", "--identifier", "mine", "-o", tmp_path / "s.zip", "--no-metadata")
    assert done.exit_code == 0, done.output + done.stderr
    checked = run("check", tmp_path / "s.zip", "--no-tests")
    assert checked.exit_code == 0, checked.output
    assert "mine: is merged automatically" in checked.output
    assert "were not run" in checked.output
