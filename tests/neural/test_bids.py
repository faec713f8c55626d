"""Folders of BIDS: one run is one run, what is no data is no data, and events say what was shown."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

from bltvs_neuro.errors import DataError, SpecError, spelled_as
from bltvs_neuro.neural import load_responses
from bltvs_neuro.neural.reading.bids_names import named

from .conftest import code, save_nifti

SHAPE = (3, 2, 2)


def run(folder, stem, ids, *, space="", start=0, events="onset\tduration\ttrial_type\n", extension=".nii.gz"):
    """One run: its image codes trials from ``start``."""
    volumes = code(SHAPE, start + len(ids))[..., start:].astype(np.float32)
    image = save_nifti(folder / f"{stem}{space}_betas{extension}", volumes)
    if events:
        rows = "".join(f"{2 * n}\t1\t{i}\n" for n, i in enumerate(ids))
        (folder / f"{stem}_events.tsv").write_text(events + rows)
    return image


@pytest.fixture
def two_runs(tmp_path):
    func = tmp_path / "sub-01" / "ses-1" / "func"
    for number, start in ((2, 0), (10, 3)):
        run(func, f"sub-01_ses-1_task-x_run-{number}", ["a", "b", "a"], start=start)
    save_nifti(func / "sub-01_ses-1_desc-brain_mask.nii.gz", np.ones(SHAPE, np.uint8))
    return tmp_path


def first(root):
    return root / "sub-01/ses-1/func/sub-01_ses-1_task-x_run-2_betas.nii.gz"


@pytest.mark.parametrize(
    ("twin", "hint"),
    [
        ("sub-01_ses-1_task-x_run-2_betas.nii", r"entities='extension:.nii'"),
        ("sub-01_ses-1_task-x_run-2_space-T1w_betas.nii.gz", r"entities='space:none'"),
        ("sub-01_ses-1_task-x_run-2_res-2_betas.nii.gz", r"entities='res:none'"),
        ("sub-01_ses-1_task-x_run-2_desc-smooth_betas.nii.gz", r"entities='desc:none'"),
        ("sub-01_ses-1_task-x_run-2_echo-1_betas.nii.gz", r"entities='echo:none'"),
        ("sub-01_ses-1_task-x_run-2_hemi-L_betas.nii.gz", r"entities='hemi:none'"),
        ("sub-01_ses-1_task-x_run-2_stat-effect_betas.nii.gz", r"entities='stat:none'"),
        ("sub-01_ses-1_task-x_run-2_betas copy.nii.gz", r"entities='suffix:betas( copy)?'"),
        ("sub-01_ses-1_task-x_run-02_betas.nii.gz", r"keep one of them"),
        ("../sub-01_ses-1_task-x_run-2_betas.nii.gz", r"entities='folder:sub-01/ses-1(/func)?'"),
        ("../../../derivatives/glm/sub-01_ses-1_task-x_run-2_betas.nii.gz", r"entities='folder:derivatives/glm'"),
    ],
)
@pytest.mark.parametrize("linked", [False, True])
def test_one_run_in_two_files_is_refused(two_runs, twin, hint, linked):
    file = first(two_runs).parent / twin
    file.parent.mkdir(parents=True, exist_ok=True)
    if linked:
        file.symlink_to(first(two_runs))
    else:
        save_nifti(file, code(SHAPE, 3).astype(np.float32))
    with pytest.raises(DataError, match=r"one run of .* is in 2 files, .*betas.*betas.*: .*" + hint) as caught:
        load_responses(two_runs)
    assert file.name in str(caught.value)
    assert first(two_runs).name in str(caught.value)


def test_the_option_that_is_named_picks(two_runs):
    whole = load_responses(two_runs)
    func = first(two_runs).parent
    for number, start in ((2, 0), (10, 3)):
        image = func / f"sub-01_ses-1_task-x_run-{number}_space-MNI_desc-x_betas.nii.gz"
        save_nifti(image, -code(SHAPE, start + 3)[..., start:].astype(np.float32))
    for text in ("space:none", '{"desc": null}', {"space": None}):
        np.testing.assert_array_equal(load_responses(two_runs, entities=text), whole)
    for text in ("space:MNI", "desc:x,space:MNI", {"desc": "x"}):
        np.testing.assert_array_equal(load_responses(two_runs, entities=text), -whole)
    with pytest.raises(SpecError, match=r"unknown space among the entities= of the images 'T1w'; valid: .*MNI"):
        load_responses(two_runs, entities="space:T1w")
    with (
        pytest.raises(DataError, match=r"choose with --option entities=space:none"),
        spelled_as({"*": "--option {name}="}),
    ):
        load_responses(two_runs)


def test_levels_of_a_folder_are_picked(two_runs):
    whole = load_responses(two_runs)
    shutil.copytree(two_runs / "sub-01", two_runs / "derivatives" / "sub-01")
    with pytest.raises(DataError, match=r"\(1 more is, too\)"):
        load_responses(two_runs)
    np.testing.assert_array_equal(load_responses(two_runs, entities="folder:derivatives"), whole)
    np.testing.assert_array_equal(load_responses(two_runs / "sub-01"), whole)


@pytest.mark.parametrize(
    "name",
    [
        "._sub-01_ses-1_task-x_run-2_betas.nii.gz", ".sub-01_ses-1_task-x_run-2_betas.nii.gz", "Thumbs.db", ".DS_Store",
        "__MACOSX/sub-01_ses-1_task-x_run-2_betas.nii.gz", ".git/annex/sub-01_ses-1_task-x_run-2_betas.nii.gz",
        ".ipynb_checkpoints/sub-01_ses-1_task-x_run-3_betas.nii.gz", "~$sub-01_ses-1_task-x_run-3_betas.nii.gz",
        "._sub-01_ses-1_desc-brain_mask.nii.gz", "sub-01_ses-1_task-x_run-3_betas.nii.gz.part",
        "sub-01_ses-1_task-x_run-3_desc-betas_mask.nii.gz/x", "desktop.ini", "sub-01_ses-1_task-x_run-2_betas.json",
        "._sub-01_ses-1_task-x_run-2_events.tsv",
    ],
)  # fmt: skip
def test_what_is_no_data_changes_nothing(two_runs, name):
    whole = load_responses(two_runs)
    file = first(two_runs).parent / name
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_bytes(b"\0\5\x16\7")
    again = load_responses(two_runs)
    assert again.attrs == whole.attrs
    np.testing.assert_array_equal(again, whole)


def test_links_that_lead_nowhere_are_left_out_and_said(two_runs, caplog):
    whole = load_responses(two_runs)
    func = first(two_runs).parent
    os.symlink("../.git/annex/objects/x", func / "sub-01_ses-1_task-x_run-2_betas.nii")
    np.testing.assert_array_equal(load_responses(two_runs), whole)
    assert not caplog.records
    os.symlink("../.git/annex/objects/y", func / "sub-01_ses-1_task-x_run-3_betas.nii")
    np.testing.assert_array_equal(load_responses(two_runs), whole)
    assert "1 image is a link that leads nowhere (sub-01_ses-1_task-x_run-3_betas.nii); left out" in caplog.text
    for file in func.glob("*.nii.gz"):
        file.unlink()
    with pytest.raises(DataError, match=r"2 images are links that lead nowhere .*: fetch the content \(datalad get\)"):
        load_responses(two_runs)


def test_only_the_suffix_makes_a_mask(tmp_path):
    for task in ("masked", "backwardmask"):
        run(tmp_path, f"sub-01_task-{task}_run-1", ["a", "b"])
    save_nifti(tmp_path / "sub-01_mask.nii.gz", np.ones(SHAPE, np.uint8))
    save_nifti(tmp_path / "sub-01_task-masked_desc-betas_mask.nii.gz", np.ones(SHAPE, np.uint8))
    responses = load_responses(tmp_path, mask=tmp_path / "sub-01_mask.nii.gz")
    assert responses.task.values.tolist() == ["backwardmask"] * 2 + ["masked"] * 2
    with pytest.raises(DataError, match=r"2 masks lie beside .*: pass mask="):
        load_responses(tmp_path)


def test_masks_of_others_are_not_taken(two_runs):
    for stem in ("sub-02_desc-brain", "sub-01_ses-2", "sub-01_ses-1_run-3"):
        save_nifti(first(two_runs).parent / f"{stem}_mask.nii.gz", np.zeros(SHAPE, np.uint8))
    assert load_responses(two_runs).sizes["neuroid"] == 12


def test_runs_are_in_numeric_order(tmp_path):
    for session, number, start in (("10", "1", 6), ("2", "10", 4), ("2", "02", 2), ("2", "1", 0)):
        run(tmp_path, f"sub-01_ses-{session}_run-{number}", ["a", "b"], start=start)
    responses = load_responses(tmp_path, mask=np.ones(SHAPE))
    np.testing.assert_array_equal(responses[:, 0], code((1, 1, 1), 8)[0, 0, 0])
    assert responses.repetition.values.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert responses.run.values.tolist() == ["1", "1", "02", "02", "10", "10", "1", "1"]


@pytest.mark.parametrize("none", ["n/a", "", "NaN", " n/a ", "N/A"])
def test_rows_without_a_stimulus(tmp_path, none):
    header = "onset\tduration\ttrial_type\tstim_file\trun\tresponse_time\n"
    image = run(tmp_path, "sub-01_task-x", ["a", "b"], events="")
    rows = [f"0\t1\tfix\t{none}\t3\tn/a\n", "2\t1\tgo\ta.png\t3\t0.5\n", "4\t1\tgo\tb.png\t3\tn/a\n"]
    events = tmp_path / "sub-01_task-x_events.tsv"
    events.write_text(header + "".join(rows))
    responses = load_responses(image, mask=np.ones(SHAPE))
    assert responses.stimulus_id.values.tolist() == ["a.png", "b.png"]
    assert responses.onset.values.tolist() == [2, 4]
    assert responses.run.values.tolist() == ["3", "3"]
    assert responses.trial_type.values.tolist() == ["go", "go"]
    np.testing.assert_array_equal(responses.response_time, [0.5, np.nan])
    events.write_text(header + "".join(rows + rows[1:2]))
    with pytest.raises(
        DataError, match=r"names 3 stimuli in its column stim_file \(1 of 4 rows say n/a\), but .* has 2"
    ):
        load_responses(image, mask=np.ones(SHAPE))


def test_events_are_found_by_entities(tmp_path):
    """Also in another folder, with other zeros, with fewer entities, and next to those of other runs."""
    betas, raw = tmp_path / "derivatives", tmp_path / "sub-01"
    raw.mkdir()
    for number in ("01", "02"):
        run(betas, f"sub-01_task-x_run-{number}_space-T1w_desc-run-1", ["a"], events="")
    (raw / "sub-01_task-x_run-1_events.tsv").write_text("trial_type\na\n")
    (raw / "sub-01_task-x_events.tsv").write_text("trial_type\nb\n")
    (raw / "sub-01_task-y_run-2_events.tsv").write_text("trial_type\nc\n")
    (raw / "sub-01_task-x_run-2_echo-1_events.tsv").write_text("trial_type\nd\n")
    assert load_responses(tmp_path, mask=np.ones(SHAPE)).stimulus_id.values.tolist() == ["a", "b"]
    (tmp_path / "sub-01_task-x_run-1_events.tsv").write_text("trial_type\na\n")
    with pytest.raises(DataError, match=r"has 2 tables of events, .*: keep one of them"):
        load_responses(tmp_path, mask=np.ones(SHAPE))


def test_names_and_events_have_to_say_one_run(two_runs):
    events = first(two_runs).with_name("sub-01_ses-1_task-x_run-2_events.tsv")
    events.write_text("trial_type\trun\tsession\na\t02\t1\nb\t2\t01\na\t2\tn/a\n")
    load_responses(two_runs)
    events.write_text("trial_type\trun\na\t2\nb\t3\na\t2\n")
    with pytest.raises(DataError, match=r"run-2_events.tsv says run 3, but the names say run-2"):
        load_responses(two_runs)


def test_columns_of_events_that_mean_something_else_do_no_harm(tmp_path):
    names = ["stimulus_id", "repetition", "values", "attrs", "time", "i", "roi", "subject", "a/b", "presentation"]
    image = run(tmp_path, "sub-01_task-x", ["a"], events="")
    (tmp_path / "sub-01_task-x_events.tsv").write_text("\t".join(names) + "\n" + "\t".join(["7"] * len(names)) + "\n")
    responses = load_responses(image, mask=np.ones(SHAPE))
    assert responses.stimulus_id.values.tolist() == ["7"]
    assert responses.repetition.values.tolist() == [0]


@pytest.mark.parametrize("subject", ["01", "sub-01", 1, "1", ["01"], ("sub-01",)])
def test_subjects_however_they_are_written(two_runs, subject):
    shutil.copytree(two_runs / "sub-01", two_runs / "sub-02", symlinks=True)
    for file in (two_runs / "sub-02").rglob("sub-01*"):
        file.rename(file.with_name(file.name.replace("sub-01", "sub-02")))
    assert set(load_responses(two_runs, subject=subject).subject.values) == {"sub-01"}
    with pytest.raises(DataError, match=r"has sub-01, sub-02: choose one with subject="):
        load_responses(two_runs)
    both = load_responses(two_runs, subject=["01", "02"])
    assert list(dict.fromkeys(both["subject"].values)) == ["sub-01", "sub-02"]
    assert both.sizes["neuroid"] == 2 * load_responses(two_runs, subject="01").sizes["neuroid"]
    with pytest.raises(SpecError, match=r"unknown subject '3'; valid: sub-01, sub-02"):
        load_responses(two_runs, subject=3)
    with pytest.raises(SpecError, match=r"unknown subject '02'; valid: sub-01"):
        load_responses(first(two_runs), mask=np.ones(SHAPE), subject="02")


@pytest.mark.parametrize("form", ["dict", "json", "tsv", "text", "inline"])
def test_labels_in_every_form(two_runs, form):
    names = {"1": "V1", "2": "hV4"}
    mask = np.ones(SHAPE, np.int16)
    mask[0] = 2
    save_nifti(two_runs / "rois.nii.gz", mask)
    (two_runs / "rois.json").write_text('{"1": "V1", "2": "hV4"}')
    (two_runs / "rois.tsv").write_text("index\tname\n1\tV1\n2\thV4\n")
    labels = {
        "dict": names, "json": two_runs / "rois.json", "tsv": str(two_runs / "rois.tsv"), "text": "1:V1,2:hV4",
        "inline": '{"1": "V1", "2": "hV4"}',
    }[form]  # fmt: skip
    responses = load_responses(two_runs, mask=str(two_runs / "rois.nii.gz"), labels=labels)
    np.testing.assert_array_equal(responses.roi.values, np.where(responses.i == 0, "hV4", "V1"))
    with pytest.raises(SpecError, match=r"labels= should be .*; '.*rois.nii.gz' is a volume of regions"):
        load_responses(two_runs, labels=str(two_runs / "rois.nii.gz"))


def test_names_of_other_kinds_are_no_names_of_bids(tmp_path):
    for name in ("betas.nii", "CSI1_GLMbetas-TYPED_ses-01.nii.gz", "._sub-01_betas.nii", "sub-01__betas.nii"):
        assert named(tmp_path / name) is None
    save_nifti(tmp_path / "betas.nii", code(SHAPE, 2).astype(np.float32))
    with pytest.raises(DataError, match=r"has no images of betas \(sub-01_..._betas.nii.gz\)"):
        load_responses(tmp_path, format="bids")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"onset\tstimulus_id\n0\ta\0\n", "is a NUL"),
        (b"onset\tstimulus_id\n0\t\xe4\n", "is no UTF-8 text"),
        (b"onset\tstimulus_id\trun\n0\ta\t1\t9\n", "rows have more cells than the header has columns"),
        (b"onset\tstimulus_id\trun\n0\ta\n", "rows of .* have different lengths: 2, 3"),
    ],
)
def test_events_that_are_no_table(tmp_path, text, message):
    image = run(tmp_path, "sub-01_task-x", ["a"], events="")
    (tmp_path / "sub-01_task-x_events.tsv").write_bytes(text)
    with pytest.raises(DataError, match=message):
        load_responses(image, mask=np.ones(SHAPE))


def test_events_of_a_spreadsheet(tmp_path):
    image = run(tmp_path, "sub-01_task-x", ["a"], events="")
    (tmp_path / "sub-01_task-x_events.tsv").write_bytes("onset\tstimulus_id\n0\tä \n".encode("utf-16"))
    assert load_responses(image, mask=np.ones(SHAPE)).stimulus_id.values.tolist() == ["ä"]


def test_complex_volumes_are_refused(tmp_path):
    image = save_nifti(tmp_path / "sub-01_betas.nii.gz", np.ones((*SHAPE, 2), np.complex64))
    with pytest.raises(DataError, match="holds complex64: voxels are real numbers"):
        load_responses(image, mask=np.ones(SHAPE), stimuli=["a", "b"])


@pytest.mark.parametrize("labels", ["1:V1,1:V2", [("index", "name"), (1, "V1"), (1, "V2")]])
def test_a_region_has_one_name(tmp_path, labels):
    if not isinstance(labels, str):
        (tmp_path / "r.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in labels))
        labels = tmp_path / "r.tsv"
    image = run(tmp_path, "sub-01_task-x", ["a"])
    with pytest.raises((DataError, SpecError), match="1 stands there more than once"):
        load_responses(image, mask=np.ones(SHAPE), labels=labels)
