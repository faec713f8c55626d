"""``bltvs encode`` on a small store, with simulated responses in the layouts of data sets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bltvs_neuro.encoding import EncodingResult, PartitionResult
from bltvs_neuro.neural import make_responses, to_netcdf
from bltvs_neuro.store import SiteLayout, StoreSpec, open_store, open_writer
from tests.running import bltvs as run_bltvs

from . import layouts

N, PER_SOURCE = 60, 24
SOURCES = [("V1/bu", 0), ("V4/td", 2)]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """V1/bu with timesteps 0 to 2, V4 from 1, LGN/bu constant; ids as NSD has them."""
    path = tmp_path_factory.mktemp("store") / "acts.h5"
    sites = (
        SiteLayout("LGN/bu", (0, 1), ("unit",), (6,), {"unit": ("unit", np.arange(6))}, constant=(0, 1), onset=0),
        SiteLayout("V1/bu", (0, 1, 2), ("unit",), (90,), {"unit": ("unit", np.arange(90))}, onset=0),
        SiteLayout("V4/bu", (1, 2), ("unit",), (80,), {"unit": ("unit", np.arange(80))}, onset=1),
        SiteLayout("V4/td", (1, 2), ("unit",), (80,), {"unit": ("unit", np.arange(80))}, onset=1),
    )
    ids = tuple(f"nsd-{i:05d}" for i in range(N))
    spec = StoreSpec(
        sites=sites,
        n_timesteps=3,
        stimulus_ids=ids,
        metadata={},
        identity={"model": "toy", "weights": "untrained", "weights_sha256": "0" * 64},
        block=32,
    )
    rng = np.random.default_rng(0)
    values = {
        (s.site, t): rng.standard_normal((N, 8)) @ rng.standard_normal((8, s.shape[0]))
        for s in sites
        for t in s.timesteps
    }
    with open_writer(path, spec) as writer:
        for block in writer.pending():
            with writer.part(block) as part:
                part.stimuli(list(ids[block.start : block.stop]), [f"{i:064x}" for i in range(block.start, block.stop)])
                for site in sites:
                    for t in site.timesteps:
                        rows = values[site.site, t][block.start : block.stop]
                        rows = np.full_like(rows, 0.3) if site.constant else rows
                        part.write(site.site, t, rows.astype(np.float32))
        return writer.finish()


@pytest.fixture(scope="module")
def ids() -> list[str]:
    return [f"nsd-{i:05d}" for i in range(N)]


@pytest.fixture(scope="module")
def signal_of(store) -> np.ndarray:
    with open_store(store) as acts:
        return layouts.simulate(acts, SOURCES, PER_SOURCE)


@pytest.fixture(scope="module")
def betas(store, ids, signal_of, tmp_path_factory) -> Path:
    """Plain responses, each stimulus shown three times."""
    rows = np.random.default_rng(2).permutation(np.repeat(np.arange(N), 3))
    responses = make_responses(
        layouts.noisy(signal_of, rows).astype(np.float32),
        [ids[row] for row in rows],
        neuroid_coords={"voxel": np.arange(2 * PER_SOURCE), "roi": np.repeat(["V1", "hV4"], PER_SOURCE)},
        attrs={"simulated": "known sites plus noise", "source": "simulated.nc"},
        run=np.arange(len(rows)) // 18,
    )
    return to_netcdf(responses, tmp_path_factory.mktemp("betas") / "betas.nc")


def bltvs(*arguments: object) -> str:
    """Run in this process; the output, or an AssertionError with it."""
    done = run_bltvs("encode", *map(str, arguments), columns=160)
    assert done.exit_code == 0, done.output
    return done.output


QUICK = "--no-figures"


def refused(*arguments: object) -> str:
    done = run_bltvs("encode", *map(str, arguments), columns=160)
    assert done.exit_code == 1, done.output
    assert "Traceback" not in done.output
    return " ".join(done.output.split())


def check_winners(result: EncodingResult) -> None:
    """The first half of the targets follows V1/bu@0, the second V4/td@2."""
    best = result.best()
    won = result["name"].values[best["space"].values]
    early = best["roi"].values.astype(str) == "V1"
    assert (won[early] == "V1/bu@0").mean() > 0.9
    assert (won[~early] == "V4/td@2").mean() > 0.9


def test_files_carry_scores_ceilings_p_values_and_provenance(store, betas, tmp_path) -> None:
    folder = tmp_path / "out"
    said = bltvs(
        store,
        "--neural",
        betas,
        "-o",
        folder,
        "--ceiling",
        "split_half",
        "--n-permutations",
        50,
        "--fwer",
        "--keep-dual",
    )
    assert "V4/td@2" in said
    result = EncodingResult.load(folder / "result.h5")
    check_winners(result)
    assert {"r2", "alpha", "ceiling", "r2_normalised", "p_value", "q_value", "p_fwer", "dual"} <= set(
        result.dataset.data_vars
    )
    np.testing.assert_allclose(result["r2_normalised"], result["r2"] / result["ceiling"], rtol=1e-12)
    assert result["ceiling"].values.mean() == pytest.approx(3 * 0.7 / (1 + 2 * 0.7), abs=0.03)  # Spearman-Brown
    assert result.provenance["spec"]["features"]["weights_sha256"] == "0" * 64
    assert result.provenance["left_out"] == ["LGN/bu@0", "LGN/bu@1"]
    assert "scikit-learn" in result.provenance["versions"]
    table = pd.read_csv(folder / "scores.csv")
    assert len(table) == 7 * 2 * PER_SOURCE
    row = table[(table["name"] == "V4/td@2") & (table["voxel"] == 30)].iloc[0]
    at = result["name"].values.tolist().index("V4/td@2")
    assert row["r2"] == pytest.approx(float(result["r2"].values[at, 30]))
    best = pd.read_csv(folder / "best.csv")
    assert set(best.loc[best["roi"] == "V1", "area"]) == {"V1"}
    about = json.loads((folder / "provenance.json").read_text())
    assert about["spec"]["features"]["weights"] == "untrained"
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert figures == {"scores.png", "scores_V1.png", "scores_hV4.png", "best.png", "best_V1.png", "best_hV4.png",
                       "best_timestep.png"}  # fmt: skip
    from PIL import Image

    with Image.open(folder / "figures" / "scores.png") as image:
        described = image.text["Description"]
    assert "untrained" in described
    assert "known sites plus noise" in described
    assert not (folder / "parts").exists()


def test_a_finished_result_is_not_replaced_in_silence(store, betas, tmp_path) -> None:
    arguments = (store, "--neural", betas, "-o", tmp_path / "out", "--roi", "V1", "--areas", "V1", QUICK)
    bltvs(*arguments)
    assert "exists (and" in refused(*arguments, "--seed", 1)
    bltvs(*arguments, "--seed", 1, "--overwrite")
    assert EncodingResult.load(tmp_path / "out" / "result.h5").provenance["spec"]["seed"] == 1


@pytest.mark.parametrize(
    "options",
    [
        ["--solver", "pls", "--n-components", 5],
        ["--solver", "banded", "--bands", "area", "--candidates", 5],
        ["--transform", "pca:10", "--by", "loo"],
        ["--transform", "project:20", "--alphas", "1e-1:1e4:8", "--by", "kfold"],
        ["--transform", "zscore", "--dtype", "float64", "--threads", 1],
        ["--repetitions", "single", "--groups", "stimulus_id,run", "--folds", 2, "--streams", "bu"],
    ],
    ids=lambda o: " ".join(map(str, o[:4])),
)
def test_solvers_and_folds(store, betas, tmp_path, options) -> None:
    if "single" in options:  # repeats are spread over runs: everything hangs together
        assert "1 stimuli (or groups) cannot be split into 2 folds" in refused(
            store, "--neural", betas, "-o", tmp_path / "o", *options
        )
        return
    bltvs(store, "--neural", betas, "-o", tmp_path / "out", QUICK, *options)
    result = EncodingResult.load(tmp_path / "out" / "result.h5")
    assert result["r2"].values.max(axis=0).mean() > 0.5


def test_nsd_layout_with_the_ceiling_it_brings_and_maps(store, signal_of, tmp_path) -> None:
    root = layouts.write_nsd(tmp_path / "nsd", signal_of)
    folder = tmp_path / "out"
    bltvs(
        store, "--neural", root, "-o", folder, "--roi", "V1,hV4", "--ceiling", "given", "--partition", "stream", QUICK
    )
    result = EncodingResult.load(folder / "result.h5")
    check_winners(result)
    assert result["ceiling"].values == pytest.approx(result["ceiling"].values[0])
    assert 0.9 < result["ceiling"].values[0] < 1
    image = nibabel.load(folder / "maps" / "best_area.nii.gz")
    np.testing.assert_allclose(image.affine, layouts.AFFINE)
    names = json.loads((folder / "maps" / "best_area.json").read_text())
    labels = layouts.place(signal_of)[1]
    areas = image.get_fdata()
    assert names == {"0": "V1", "1": "V4"}
    assert (areas[labels == 1] == 0).mean() > 0.9
    assert (areas[labels == 7] == 1).mean() > 0.9
    assert np.isnan(areas[labels == 0]).all()
    every = nibabel.load(folder / "maps" / "r2_normalised.nii.gz")
    assert every.shape == (*layouts.SHAPE, 7)
    table = pd.read_csv(folder / "maps" / "r2_normalised.csv")
    at = int(table.loc[table["feature_space"] == "V4/td@2", "volume"].iloc[0])
    assert np.nanmean(every.get_fdata()[..., at][labels == 7]) > 0.9
    shares = PartitionResult.load(folder / "partition.h5")
    assert {"bu", "td", "bu & td"} == set(shares["part"].values)
    assert (folder / "figures" / "partition_V1.png").exists()
    unique = pd.read_csv(folder / "unique.csv")
    assert set(unique["roi"]) == {"all", "V1", "hV4"}
    here = unique[(unique["roi"] == "hV4") & (unique["area"] == "V4") & (unique["timestep"] == 2)].set_index("part")
    assert here.loc["td", "ci_low"] > 0.3
    assert here.loc["bu", "ci_low"] <= 0 <= here.loc["bu", "ci_high"]


def test_bids_layout_with_labels_as_an_option_of_the_reader(store, ids, signal_of, tmp_path) -> None:
    root = layouts.write_bids(tmp_path / "bids", signal_of, ids)
    names = json.dumps({1: "V1", 7: "hV4"})
    bltvs(
        store, "--neural", root, "-o", tmp_path / "out", "--option", f"labels={names}", "--roi", "V1", "--areas", "V1"
    )
    result = EncodingResult.load(tmp_path / "out" / "result.h5")
    assert set(result["roi"].values) == {"V1"}
    won = result["name"].values[result.best()["space"].values]
    assert (won == "V1/bu@0").mean() > 0.9
    assert (tmp_path / "out" / "figures" / "map_best_area.png").exists()


def test_algonauts_layout_and_renamed_stimuli(store, signal_of, tmp_path) -> None:
    subject = layouts.write_algonauts(tmp_path, signal_of)
    bltvs(store, "--neural", subject, "-o", tmp_path / "out", QUICK)
    check_winners(EncodingResult.load(tmp_path / "out" / "result.h5"))
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"nsd-00000": "another"}))
    assert "1 stimulus is in the neural data but not in the store: another" in refused(
        store, "--neural", subject, "-o", tmp_path / "x", "--stimuli", names
    )


def test_eeg_layout_gives_time_matrices_and_generalisation(store, ids, signal_of, tmp_path) -> None:
    folder = layouts.write_eeg2(tmp_path, signal_of[:, PER_SOURCE:], ids)
    out = tmp_path / "out"
    bltvs(
        store, "--neural", folder, "--option", "split=training", "--allow-pickle", "-o", out, "--time", "0:350ms",
        "--generalise", "V4/td@2", "--score", "r",
    )  # fmt: skip
    result = EncodingResult.load(out / "result.h5")
    assert result["time"].values == pytest.approx([0.0, 0.1, 0.2, 0.3])
    at = result["name"].values.tolist().index("V4/td@2")
    assert result["r"].values[at, :, 2:].mean() > 0.7 > 0.3 > abs(result["r"].values[at, :, :2].mean())
    matrix = xr.open_dataset(out / "generalisation_V4_td@2.h5", engine="h5netcdf")["r"]
    mean = matrix.mean("neuroid").values
    assert mean[2, 3] > 0.7
    assert abs(mean[0, 3]) < 0.3
    figures = {path.name for path in (out / "figures").iterdir()}
    assert {"time_matrix.png", "generalisation_V4_td@2.png"} <= figures


def test_mne_layout(store, ids, signal_of, tmp_path) -> None:
    pytest.importorskip("mne")
    path = layouts.write_mne(tmp_path / "P1-epo.fif", signal_of[:, PER_SOURCE:], ids)
    bltvs(store, "--neural", path, "-o", tmp_path / "out", "--areas", "V4", "--score", "r", QUICK)
    result = EncodingResult.load(tmp_path / "out" / "result.h5")
    assert result["name"].values[3] == "V4/td@2"
    assert result["r"].values[3, :, 3:].mean() > 0.7


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--areas", "V7"], "unknown area 'V7'"),
        (["--areas", "LGN/bu"], "is the same for every stimulus"),
        (["--alphas", "3,1"], "positive, finite and ascending"),
        (["--transform", "ica:3"], "a transform is written"),
        (["--transform", "pca:1000"], "PCA(n_components=1000, random_state=0, svd_solver='full') cannot be fitted"),
        (["--ceiling", "given"], "came without ncsnr"),
        (["--n-components", "3"], "--n-components is no option of --solver ridge"),
        (["--solver", "pls", "--by", "loo"], "--by is no option of --solver pls"),
        (["--time", "0:1s"], "these have none"),
        (["--option", "mask"], "name=value"),
        (["--option", "mask=1"], "has no option mask"),
        (["--roi", "V9"], "unknown roi 'V9'"),
        (["--folds", "61"], "cannot be split into 61 folds"),
        (["--memory", "100KiB"], "--memory grants"),
        (["--generalise", "V4/td@2"], "needs responses with time"),
        (["--partition", "stream", "--areas", "V1"], "a partition by stream tells at least two streams apart"),
        (["--areas", "V1,V4/td", "--streams", "bu"], "'V4/td' has no stream bu"),
        (["--timesteps", "0", "--areas", "V1,V4"], "'V4' is not active at timesteps 0"),
        (["--device", "gpu"], "unknown device 'gpu'"),
        (["--transform", "minmax"], "a transform is written 'zscore'"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(store, betas, tmp_path, options, said) -> None:
    assert said in refused(store, "--neural", betas, "-o", tmp_path / "out", *options)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--solver", "lasso"),
        ("--score", "rho"),
        ("--partition", "colour"),
        ("--ceiling", "guess"),
        ("--folds", "many"),
        ("--time", "0:1"),
        ("--alphas", "1:2"),
    ],
)
def test_values_that_do_not_exist_are_wrong_usage(store, betas, option, value) -> None:
    done = run_bltvs("encode", store, "--neural", betas, option, value)
    assert done.exit_code == 2
    assert value in done.stderr and option in done.stderr and "bltvs encode --help" in done.stderr


def test_choices_are_checked_before_any_file_is_opened() -> None:
    for option, value in (("--transform", "ica:3"), ("--alphas", "3,1"), ("--folds", "1"), ("--seed", "-1")):
        assert "there is no store" not in refused("none.h5", "--neural", "none.nc", option, value)


def test_one_feature_space_is_fitted_written_and_drawn(store, betas, tmp_path) -> None:
    """It was fitted, and then the choice of the best of several crashed."""
    options = ("--areas", "V1", "--timesteps", "0", "--ceiling", "split_half", "--n-permutations", "5")
    bltvs(store, "--neural", betas, "-o", tmp_path / "out", *options)
    result = EncodingResult.load(tmp_path / "out" / "result.h5")
    assert result["name"].values.tolist() == ["V1/bu@0"]
    best = pd.read_csv(tmp_path / "out" / "best.csv")
    assert (best["space"] == 0).all() and best["margin"].isna().all()
    assert (tmp_path / "out" / "figures" / "best_timestep.png").exists()


def test_other_stimuli_are_named(store, betas, tmp_path) -> None:
    from bltvs_neuro.neural import load_responses

    responses = load_responses(betas)
    fewer = to_netcdf(responses[responses["stimulus_id"].values != "nsd-00007"], tmp_path / "fewer.nc")
    options = (store, "--neural", fewer, "-o", tmp_path / "out")
    assert "1 stimulus is in the store but not in the neural data: nsd-00007" in refused(*options)
    bltvs(*options, "--on-mismatch", "intersect", "--areas", "V1", QUICK)
    (tmp_path / "no.nc").write_text("x")
    assert "no.nc" in refused(store, "--neural", tmp_path / "no.nc", "-o", tmp_path / "z")
    assert "there is no store" in refused(tmp_path / "none.h5", "--neural", betas, "-o", tmp_path / "z")


def test_killed_in_the_middle_it_goes_on_and_ends_with_the_same_numbers(store, betas, tmp_path) -> None:
    options = ["encode", str(store), "--neural", str(betas), "--n-permutations", "800", "-o"]
    command = [sys.executable, "-c", "from bltvs_neuro.cli import main; main()", *options, str(tmp_path / "killed")]
    parts = tmp_path / "killed" / "parts" / "encoding"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while len(list(parts.glob("*.npz"))) < 2 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in parts.glob("*.npz")}
    assert 2 <= len(kept) < 7
    other = [*options[1:-1], "--seed", "3", "-o", str(tmp_path / "killed")]
    assert "another sweep (differs in seed)" in refused(*other)
    bltvs(QUICK, *options[1:], tmp_path / "killed")
    bltvs(QUICK, *options[1:], tmp_path / "plain")
    a, b = (EncodingResult.load(tmp_path / name / "result.h5").dataset for name in ("killed", "plain"))
    xr.testing.assert_equal(a, b)
    assert (tmp_path / "killed" / "scores.csv").read_bytes() == (tmp_path / "plain" / "scores.csv").read_bytes()


def test_titles_say_solver_criterion_and_folds(store, betas, tmp_path) -> None:
    from bltvs_neuro.encoding.outputs.files import describe_result

    for solver, said in (("ridge", "Ridge, alpha by kfold, 3 folds"), ("ols", "OLS, 3 folds")):
        reduced = ("--transform", "pca:3") if solver == "ols" else ()
        options = ("--solver", solver, *reduced, "--areas", "V1@0", "--folds", 3, "--repetitions", "single", QUICK)
        bltvs(store, "--neural", betas, "-o", tmp_path / solver, *options)
        assert describe_result(EncodingResult.load(tmp_path / solver / "result.h5")).endswith(said)
