"""``bltvs rsa`` and ``bltvs neural`` on a small store and made-up brains."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from bltvs_neuro.extraction.options import ExtractRun
from bltvs_neuro.features.select import Select
from bltvs_neuro.neural import make_rdms, make_responses, rdm_stimulus_ids, to_netcdf
from bltvs_neuro.rsa import RsaResult, compute_rdms
from bltvs_neuro.rsa.inference.options import Inference
from bltvs_neuro.store import open_store

N = 8


def bltvs(*arguments):
    """Run a command in this process: it needs no new interpreter and no torch."""

    from tests.running import bltvs as run_bltvs

    done = run_bltvs(*arguments)
    return done


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    from bltvs_neuro import StimulusSet, extract, load_model, pool

    path = tmp_path_factory.mktemp("store") / "acts.h5"
    model = load_model("imagenet", weights="untrained", image_size=128)
    extract(
        model,
        StimulusSet.synthetic(N),
        path,
        Select("V1,V4", timesteps="0:3"),
        reduce=pool(2),
        run=ExtractRun(workers=0, device="cpu"),
    )
    return path


@pytest.fixture(scope="module")
def brain(store, tmp_path_factory):
    """RDMs of three subjects and two rois that are V4/bu at timestep 2 with noise, stimuli in another order."""
    with open_store(store) as acts:
        true = compute_rdms(acts, sites=Select("V4/bu", timesteps=2))
    rng = np.random.default_rng(0)
    ids = np.array(rdm_stimulus_ids(true))
    from bltvs_neuro.neural import select_stimuli

    noise = 0.05 * true.values.std()
    values = np.concatenate([true.values + rng.normal(0, noise, true.shape) for _ in range(6)])
    rdms = make_rdms(values, ids, metric="correlation", subject=list("abcabc"), roi=["IT"] * 3 + ["EVC"] * 3)
    return to_netcdf(select_stimuli(rdms, rng.permutation(ids)), tmp_path_factory.mktemp("brain") / "brain.nc")


def test_the_command_gives_the_numbers_of_python_and_finds_the_true_site(store, brain, tmp_path):
    done = bltvs(
        "rsa", store, "--neural", brain, "--roi", "IT", "--similarity", "pearson", "--bootstrap", 20, "-o", tmp_path
    )
    assert done.exit_code == 0, done.stderr
    assert "the store's weights are untrained" in done.stderr
    assert "V4/bu@2" in done.stdout
    result = RsaResult.load(tmp_path / "rsa.nc")
    assert result.best()["model"].tolist() == ["V4/bu@2"]
    from bltvs_neuro.rsa import compare_rdms
    from bltvs_neuro.rsa.rdms.neural import brain_rdms

    with open_store(store) as acts:
        again = compare_rdms(
            compute_rdms(acts), brain_rdms(brain, roi="IT"), similarity="pearson", inference=Inference(bootstrap=20)
        )
    np.testing.assert_allclose(result.dataset["score"], again.dataset["score"], rtol=1e-12)
    np.testing.assert_allclose(result.dataset["ci_low"], again.dataset["ci_low"], rtol=1e-12)
    of_models = result.provenance["inputs"]["models"]["attrs"]
    assert of_models["weights"] == "untrained" and len(of_models["weights_sha256"]) == 64
    frame = pd.read_csv(tmp_path / "rsa.csv")
    assert len(frame) == 2 * 2 * 3
    names = {p.name for p in tmp_path.iterdir()}
    assert {"rsa_time_course.png", "rsa_matrix.png", "rsa_rdms.png", "rsa_trajectories.png", "rsa_pairs.csv"} <= names
    with Image.open(tmp_path / "rsa_time_course.png") as picture:
        about = json.loads(picture.text["Description"])
        below = np.asarray(picture.convert("RGB"), dtype=int)[-40:]
    assert about["weights"] == "untrained" and about["weights_sha256"] == of_models["weights_sha256"]
    assert (below[..., 0] - below[..., 1] > 100).any()  # in red the figure itself says that the weights are untrained


def test_choices_of_the_model_side(store, brain, tmp_path):
    common = ["--neural", brain, "--bootstrap", 5, "--figures", "none"]
    done = bltvs("rsa", store, *common, "--combine", "mean", "--areas", "V4", "--streams", "bu", "-o", tmp_path / "m")
    assert done.exit_code == 0, done.stderr
    assert pd.read_csv(tmp_path / "m" / "rsa.csv")["model"].unique().tolist() == ["V4/bu"]
    assert not list((tmp_path / "m").glob("*.png"))
    done = bltvs("rsa", store, *common, "--combine", "streams", "--timesteps", "1:3", "-o", tmp_path / "s")
    assert done.exit_code == 0, done.stderr
    models = pd.read_csv(tmp_path / "s" / "rsa.csv")["model"].unique().tolist()
    assert sorted(models) == ["V1/bu+td@1", "V1/bu+td@2", "V4/bu+td@1", "V4/bu+td@2"]


def test_responses_become_rdms_per_subject_and_roi(store, tmp_path):
    rng = np.random.default_rng(0)
    with open_store(store) as acts:
        ids = list(acts.stimulus_ids)
    values = rng.normal(size=(2 * N, 12))
    responses = make_responses(
        values, ids * 2, neuroid_coords={"subject": ["a"] * 6 + ["b"] * 6, "roi": "V1"}, run=[1] * N + [2] * N
    )
    file = to_netcdf(responses, tmp_path / "responses.nc")
    done = bltvs(
        "rsa", store, "--neural", file, "--neural-metric", "crossnobis", "--folds-by", "run", "--bootstrap", 5,
        "--figures", "none", "-o", tmp_path / "r",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    result = RsaResult.load(tmp_path / "r" / "rsa.nc")
    assert result.dataset.sizes["subject"] == 2
    assert result.provenance["inputs"]["brain"]["attrs"]["metric"] == "crossnobis"


def test_movies_give_a_time_matrix_with_clusters(store, tmp_path):
    with open_store(store) as acts:
        true = compute_rdms(acts, sites=Select("V4/bu", timesteps=2))
    rng = np.random.default_rng(0)
    times = np.arange(0, 0.3, 0.05)
    rows = [(s, t) for s in "abcdef" for t in times]
    values = np.stack([(t >= 0.15) * true.values[0] + rng.normal(0, true.values.std(), true.shape[1]) for _, t in rows])
    movie = make_rdms(
        values, rdm_stimulus_ids(true), metric="x", subject=[s for s, _ in rows], time=[t for _, t in rows]
    )
    file = to_netcdf(movie, tmp_path / "meg.nc")
    done = bltvs("rsa", store, "--neural", file, "--similarity", "pearson", "--bootstrap", 50, "-o", tmp_path / "m")
    assert done.exit_code == 0, done.stderr
    peaks = pd.read_csv(tmp_path / "m" / "rsa_peaks.csv").set_index("site")
    assert peaks.loc["V4/bu", "latency"] >= 0.15
    data = xr.open_dataset(tmp_path / "m" / "rsa_time.nc", engine="h5netcdf")
    late = data["in_cluster"].sel(site="V4/bu", timestep=2).values
    assert (data["p_corrected"].values[late[3:] - 1] <= 0.05).all() and (late[3:] > 0).all() and (late[:2] == 0).all()
    assert json.loads(data.attrs["provenance"])["options"]["seed"] == 0
    assert (tmp_path / "m" / "rsa_time_matrix.png").stat().st_size > 10_000
    assert len(pd.read_csv(tmp_path / "m" / "rsa_clusters.csv"))
    plain = bltvs("rsa", store, "--neural", file, "--bootstrap", 0, "--confidence", 0.5, "-o", tmp_path / "p")
    assert plain.exit_code == 0, plain.stderr
    assert pd.read_csv(tmp_path / "p" / "rsa_peaks.csv")[["ci_low", "ci_high"]].isna().all(axis=None)
    about = xr.open_dataset(tmp_path / "p" / "rsa_time.nc", engine="h5netcdf").attrs["provenance"]
    assert json.loads(about)["options"]["confidence"] == 0.5
    unused = bltvs("rsa", store, "--neural", file, "--test", "sign_flip", "-o", tmp_path / "u")
    assert unused.exit_code == 1
    assert "--test have no meaning for neural data over time" in unused.stderr
    early = bltvs("rsa", store, "--neural", file, "--time", "400:500ms", "-o", tmp_path / "w")
    assert (
        early.exit_code == 1 and "no time of the neural data lies in 0.4 to 0.5 s; theirs: 0 to 0.25 s" in early.stderr
    )


def test_what_cannot_be_compared_is_one_sentence(store, brain, tmp_path):
    other = make_rdms(np.ones((2, 28)), [f"x{i}" for i in range(N)], metric="m", subject=["a", "b"])
    cases = (
        (
            ["--neural", to_netcdf(other, tmp_path / "o.nc")],
            "no stimulus of the models is in the neural data: one of the 8 in the models is grating_000",
        ),
        (["--neural", tmp_path / "nothing.nc"], "does not exist; data sets known by name"),
        (["--neural", brain, "--areas", "V7"], "unknown area 'V7'"),
        (["--neural", brain, "--roi", "MT"], "unknown roi 'MT'"),
        (["--neural", brain, "--similarity", "r2"], "unknown similarity"),
        (["--neural", brain, "--option", "x"], "an option is written name=value"),
        (["--neural", brain, "--time", "0:100ms"], "--time is for neural data with time; these have none"),
        (["--neural", brain, "--folds-by", "run"], "--folds-by is for responses"),
        (["--neural", brain, "--figures", "gif"], "unknown figure format 'gif'"),
        (["--neural", brain, "--categories", "kind"], "unknown column of the stimuli 'kind'"),
    )
    for arguments, said in cases:
        failed = bltvs("rsa", store, *arguments, "-o", tmp_path / "x")
        assert failed.exit_code == 1, arguments
        assert said in " ".join(failed.stderr.split()), failed.stderr
        assert "Traceback" not in failed.stderr


def test_neural_lists_readers_and_describes_files(brain, tmp_path):
    listed = bltvs("neural")
    assert listed.exit_code == 0
    for name in ("meadows", "nsd", "kriegeskorte92:monkey", "bltvs_neuro[meg]"):
        assert name in listed.stdout
    described = bltvs("neural", brain)
    assert described.exit_code == 0, described.stderr
    for text in ("6 rdm", "3: a, b, c", "2: IT, EVC", "none"):
        assert text in described.stdout, described.stdout
    (tmp_path / "notes.txt").write_text("hello")
    failed = bltvs("neural", tmp_path / "notes.txt")
    assert failed.exit_code == 1 and "Readers:" in failed.stderr


def test_a_store_of_nsds_pictures_meets_nsds_responses(tmp_path):
    """The ids of the pictures' file, of betas and of Algonauts 2023 are one spelling, and so is that of file names."""
    import h5py

    from bltvs_neuro import StimulusSet, extract, load_model, pool
    from bltvs_neuro.neural import load_responses

    from . import layouts

    images = np.random.default_rng(0).integers(0, 255, (N, 32, 32, 3)).astype(np.uint8)
    with h5py.File(tmp_path / "nsd_stimuli.hdf5", "w") as file:
        file["imgBrick"] = images
    subject = layouts.write_algonauts(tmp_path, np.random.default_rng(1).standard_normal((N, 12)))
    model = load_model("imagenet", weights="untrained", image_size=128)
    options = dict(sites="V1@0:2", reduce=pool(2), run=ExtractRun(workers=0, device="cpu"))
    extract(model, StimulusSet.from_hdf5(tmp_path / "nsd_stimuli.hdf5"), tmp_path / "brick.h5", **options)
    done = bltvs("rsa", tmp_path / "brick.h5", "--neural", subject, "--bootstrap", 5, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    root = layouts.write_nsd(tmp_path / "nsd", np.random.default_rng(1).standard_normal((N, 12)))
    done = bltvs("rsa", tmp_path / "brick.h5", "--neural", root, "--subject", "2", "--session", "1", "--bootstrap", 5,
                 "-o", tmp_path / "nsd_out")  # fmt: skip
    assert done.exit_code == 0, done.output
    folder = subject / "training_split" / "training_images"
    for file in folder.iterdir():
        Image.fromarray(images[int(file.stem[-5:])]).save(file)
    pictures = StimulusSet.from_folder(folder)
    assert set(load_responses(subject, ids="file").stimulus_id.values) == set(pictures.ids)


@pytest.fixture
def bids(store, tmp_path):
    """Two runs of two subjects with every stimulus of the store, runs told by names for one and by events for the other."""
    from . import layouts

    with open_store(store) as acts:
        ids = [str(i) for i in acts.stimuli["stimulus_id"]]
    signal = np.random.default_rng(0).standard_normal((N, 12))
    layouts.write_bids(tmp_path / "bids" / "sub-01", signal, ids)
    rows = np.tile(np.arange(N), 2)
    volumes, labels = layouts.place(layouts.noisy(signal, rows))
    layouts.save_nifti(tmp_path / "bids/sub-02/sub-02_task-x_betas.nii.gz", volumes)
    layouts.save_nifti(tmp_path / "bids/sub-02/sub-02_desc-roi_mask.nii.gz", labels)
    table = "".join(f"{i}\t{ids[row]}\t{i // N + 9}\n" for i, row in enumerate(rows))
    (tmp_path / "bids/sub-02/sub-02_task-x_events.tsv").write_text("onset\tstim_file\trun\n" + table)
    (tmp_path / "names.tsv").write_text("index\tname\n1\tV1\n7\thV4\n")
    return tmp_path / "bids"


@pytest.mark.parametrize("subject", ["01", "sub-02"])
def test_runs_of_names_and_of_events_are_folds(store, bids, tmp_path, subject):
    done = bltvs(
        "rsa", store, "--neural", bids, "--subject", subject, "--neural-metric", "crossnobis", "--folds-by", "run",
        "--option", f"labels={tmp_path / 'names.tsv'}", "--roi", "V1", "--bootstrap", 5, "-o", tmp_path / "out",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    done = bltvs("encode", store, "--neural", bids, "--subject", subject, "--repetitions", "single", "--groups",
                 "stimulus_id,run", "--no-figures", "--folds", 2, "-o", tmp_path / "encode")  # fmt: skip
    # every stimulus is in both runs, so that all rows are one group: the coordinate was found
    assert "2 folds need at least 2 stimuli (or groups); there are 1" in done.stderr or "1" in done.stderr
    assert "no coordinate" not in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--subject", "03"], r"unknown subject '03'; valid: sub-01, sub-02"),
        ([], r"has sub-01, sub-02: choose one with --subject"),
        (["--subject", "01", "--option", "labels=rois.nii.gz"], r"--option labels=... should be"),
        (["--subject", "01", "--option", "labels=7"], r"--option labels=... should be"),
        (["--subject", "01", "--option", "mask=x.nii"], r"--option mask=... should be .*there is no file 'x.nii'"),
        (["--subject", "01", "--option", "subject=01"], r"--subject and --option subject=... say the same"),
        (["--subject", "01", "--option", "path=x"], r"bids has no option path; its options: mask, labels, column, ent"),
        (["--subject", "01", "--option", "metric=x"], r"bids has no option metric"),
        (["--option", "column=a", "--option", "column=b"], r"--option column=... is given twice"),
    ],
)
@pytest.mark.parametrize("command", ["rsa", "encode"])
def test_wrong_options_of_a_reader_are_one_sentence(store, bids, tmp_path, options, message, command):
    if command == "encode" and options.count("--subject") > 1:
        options = ["--subject", "01,02"]  # given once, with several in it
    done = bltvs(command, store, "--neural", bids, "-o", tmp_path / "out", *options)
    assert done.exit_code == 1
    assert re.search(message, " ".join(done.stderr.split())), done.stderr


def test_our_own_files_are_no_neural_data(store, brain, tmp_path):
    done = bltvs(
        "rsa", store, "--neural", brain, "--roi", "IT", "--bootstrap", 5, "--figures", "none", "-o", tmp_path / "r"
    )
    assert done.exit_code == 0, done.stderr
    for command, given, what in (
        ("rsa", store, "is an activation store"), ("encode", tmp_path / "r" / "rsa.nc", "is a result of kind 'rsa'"),
    ):  # fmt: skip
        refused = bltvs(command, store, "--neural", given, "-o", tmp_path / "x")
        assert refused.exit_code == 1 and f"{what}, not neural data" in " ".join(refused.stderr.split())
    assert "data set of RDMs, not responses" in " ".join(
        bltvs("encode", store, "--neural", "kriegeskorte92").stderr.split()
    )
    several = bltvs("rsa", store, "--neural", brain, "--neural", brain, "-o", tmp_path / "y")
    assert several.exit_code == 1 and "is given twice" in several.stderr


def test_categories_are_a_column_of_the_stimuli(store, brain, tmp_path):
    common = ["rsa", store, "--neural", brain, "--bootstrap", 5, "--figures", "none", "-o", tmp_path / "c"]
    done = bltvs(*common, "--clusters", "kind")
    assert done.exit_code != 0
    assert "unknown column of the stimuli 'kind'" in done.stderr
    done = bltvs(*common, "--clusters", "category")
    assert "results for new categories need at least 6; got" in " ".join(done.stderr.split())
    done = bltvs(*common, "--clusters", "stimulus_id")
    assert done.exit_code == 0, done.stderr
    frame = pd.read_csv(tmp_path / "c" / "rsa.csv")
    assert set(frame["generalises_to"]) == {"new subjects, new categories of stimuli"}
