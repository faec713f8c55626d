"""What to cite, and completion in shells."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest

import bltvs_neuro as bn
from bltvs_neuro import references
from bltvs_neuro.neural import RDM_READERS, RESPONSE_READERS, to_netcdf
from tests.running import bltvs


def keys(*arguments) -> list[str]:
    done = bltvs("cite", *arguments)
    assert done.exit_code == 0, done.stderr
    return re.findall(r"^@\w+\{(\w+),", done.stdout, re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store of the shipped model, and what RSA and encoding make of it."""
    folder = tmp_path_factory.mktemp("cited")
    stimuli = bn.StimulusSet.shapes(12)
    bn.extract(bn.load_model("shapes"), stimuli, folder / "acts.h5", "V4/bu@2:4", reduce=bn.project(8, seed=0))
    rng = np.random.default_rng(0)
    responses = bn.make_responses(
        rng.standard_normal((24, 3)), [*stimuli.ids, *stimuli.ids], neuroid_coords={"neuroid_id": ["a", "b", "c"]}
    )
    responses.attrs["reader"] = "nsd"
    to_netcdf(responses, folder / "responses.nc")
    solver = bn.BandedRidge(candidates=2)
    bn.fit_encoding(folder / "acts.h5", responses, solver=solver, cv=bn.Folds(3)).save(folder / "encoding.h5")
    (folder / "rsa").mkdir()
    rdms = bn.compute_rdms(folder / "acts.h5")
    brain = rdms.isel(rdm=[0]).assign_attrs(reader="kriegeskorte92")
    bn.compare_rdms(rdms, brain, similarity="corr_cov").save(folder / "rsa" / "rsa.nc")
    return folder


def test_toolkit_and_model_unless_something_is_named():
    assert keys() == ["bltvs_neuro", "blt_vs", "blt_vs_weights"]


def test_what_results_say_they_used(folder):
    assert keys(folder / "acts.h5") == ["bltvs_neuro", "blt_vs", "li2006"]
    made = keys(folder / "rsa")
    assert made[:4] == ["bltvs_neuro", "blt_vs", "kriegeskorte2008matching", "kriegeskorte2008rsa"]
    assert {"schutt2023", "diedrichsen2021", "benjamini1995"} <= {*made}
    assert not {"phipson2010", "allen2022", "arvesen1969"} & {*made}
    fitted = keys(folder / "encoding.h5")
    assert {"blt_vs", "allen2022", "li2006", "golub1979", "nunezelizalde2019", "duprelatour2022"} <= {*fitted}
    assert "phipson2010" not in fitted  # nothing was permuted
    assert len(set(both := keys(folder / "rsa", folder / "encoding.h5"))) == len(both)
    assert {*both} == {*made, *fitted}


def test_files_that_say_nothing(folder, tmp_path):
    assert "allen2022" in keys(folder / "responses.nc")
    (tmp_path / "x.nc").write_bytes(b"nothing")
    for path, said in ((tmp_path / "x.nc", "x.nc"), (tmp_path, "x.nc"), (folder / "none", "there is no such file")):
        done = bltvs("cite", path)
        assert done.exit_code == 1 and said in done.stderr
    (tmp_path / "empty").mkdir()
    assert "holds no store and no result" in bltvs("cite", tmp_path / "empty").stderr


def test_every_rule_has_its_entries_and_every_reader_of_a_data_set_is_cited():
    known = references.entries()
    assert {key for cited in references.CITED.values() for key in cited} | {*references.USUAL} == {*known}
    assert all(re.fullmatch(r"@\w+\{.*\n\}", entry, re.DOTALL) for entry in known.values())
    own = {"netcdf", "rdm_array", "response_array", "meadows", "rdm_struct"}  # formats that no paper is about
    uncited = [name for name in {**RDM_READERS, **RESPONSE_READERS} if len(references.used({"reader": name})) == 1]
    assert {*uncited} == own


def test_dois_are_those_of_the_docstrings():
    root = references.BIBLIOGRAPHY.parent
    said = " ".join(path.read_text("utf-8") for path in root.rglob("*.py"))
    dois = re.findall(r"doi = \{(.*)\}", references.BIBLIOGRAPHY.read_text("utf-8"))
    assert len(dois) == len(set(dois))
    assert [doi for doi in dois if doi not in said] == ["10.1007/s11263-015-0816-y", "10.1109/CVPR.2016.90"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_know_commands_and_options(shell, tmp_path):
    done = bltvs("completion", shell)
    assert done.exit_code == 0
    assert all(word in done.stdout for word in ("extract", "brainscore", "neural-metric", "similarity"))
    (tmp_path / "script").write_text(done.stdout)
    if shutil.which(shell):
        assert subprocess.run([shell, "-n", tmp_path / "script"], capture_output=True).stderr == b""


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes(tmp_path):
    (tmp_path / "script").write_text(bltvs("completion", "bash").stdout)
    asked = 'source ./script; COMP_WORDS=(bltvs rep); COMP_CWORD=1; _bltvs; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", asked], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == ["report"], done.stderr
