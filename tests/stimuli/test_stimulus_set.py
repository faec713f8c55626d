"""StimulusSet: ids, order, metadata, and every constructor."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
from PIL import Image

from bltvs_neuro.datasets import KRIEGESKORTE92_IDS
from bltvs_neuro.errors import SpecError, StimulusError
from bltvs_neuro.stimuli import StimulusSet, pixel_sha256

DATA = Path(os.environ.get("BLTVS_DATA", Path(__file__).parents[2] / "../shared/data"))
MAT = DATA / "kriegeskorte92/Kriegeskorte_Neuron2008_supplementalData.mat"


def pictures(n: int, seed: int = 0, size: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def save(folder: Path, *names: str) -> dict[str, np.ndarray]:
    made = {}
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        made[name] = pictures(1, seed=number)[0]
        Image.fromarray(made[name]).save(path)
    return made


# ---- the set itself


def test_arrays():
    images = pictures(3)
    stimuli = StimulusSet.from_arrays(images, ids=["b", "a", "c"], metadata={"weight": [1.5, 2.5, 3.5]})
    assert stimuli.ids == ("b", "a", "c")
    assert len(stimuli) == 3
    assert np.array_equal(stimuli.load(1), images[1])
    assert np.array_equal(stimuli.load("c"), images[2])
    assert np.array_equal(stimuli.load(-1), images[2])
    assert stimuli.digest(2) == pixel_sha256(images[2]) == stimuli.digest("c")
    assert stimuli.metadata.loc["a", "weight"] == 2.5
    assert stimuli.metadata.index.name == "stimulus_id"
    assert [stimulus_id for stimulus_id, _ in stimuli] == ["b", "a", "c"]
    with pytest.raises(IndexError):
        stimuli.load(3)
    with pytest.raises(SpecError, match="unknown stimulus 'd'; valid: b, a, c"):
        stimuli.load("d")


def test_what_is_loaded_or_read_can_be_changed_without_harm():
    stimuli = StimulusSet.from_arrays(pictures(2), metadata={"x": [1, 2]})
    before = stimuli.digest(0)
    stimuli.load(0)[:] = 0
    frame = stimuli.metadata
    frame["x"] = 0
    assert stimuli.digest(0) == before
    assert stimuli.metadata["x"].tolist() == [1, 2]


def test_grey_arrays_become_rgb():
    grey = pictures(2)[..., 0]
    stimuli = StimulusSet.from_arrays(grey)
    assert np.array_equal(stimuli.load(1), np.stack([grey[1]] * 3, axis=2))
    assert stimuli.ids == ("stimulus_00000", "stimulus_00001")


@pytest.mark.parametrize(
    ("images", "why"),
    [
        (np.zeros((2, 4, 4, 3)), r"float64; pixels are uint8.*\(255 \* images\)\.round"),
        (np.zeros((2, 4, 4, 3), np.int64), "int64"),
        (np.zeros((2, 3, 4, 4), np.uint8), r"\(2, 3, 4, 4\)"),
        (np.zeros((4, 4), np.uint8), r"\(4, 4\)"),
        (np.zeros((2, 0, 4), np.uint8), r"\(2, 0, 4\)"),
    ],
)
def test_other_arrays_are_refused(images, why):
    with pytest.raises(StimulusError, match=why):
        StimulusSet.from_arrays(images)


@pytest.mark.parametrize(
    ("ids", "why"),
    [
        (["a", "a", "b"], "1 stimulus id is not unique: a"),
        (["a", 2, "b"], r"strings; got 2 \(int\)"),
        (["a", "", "b"], "empty"),
        (["a", "x\x00", "b"], "cannot be printed"),
        (["a", "b"], "2 ids for 3 pictures"),
    ],
)
def test_ids_are_unique_printable_strings(ids, why):
    with pytest.raises(StimulusError, match=why):
        StimulusSet.from_arrays(pictures(3), ids=ids)


def test_numpy_ids_become_str():
    stimuli = StimulusSet.from_arrays(pictures(2), ids=np.array(["a", "b"]))
    assert [type(stimulus_id) for stimulus_id in stimuli.ids] == [str, str]


def test_metadata_is_aligned_by_id_and_never_by_luck():
    frame = pd.DataFrame({"x": [1, 2, 3]}, index=["c", "a", "b"])
    stimuli = StimulusSet.from_arrays(pictures(3), ids=["a", "b", "c"], metadata=frame)
    assert stimuli.metadata["x"].tolist() == [2, 3, 1]
    assert frame.index.tolist() == ["c", "a", "b"]
    with pytest.raises(StimulusError, match="in the set but not in the metadata: d"):
        StimulusSet.from_arrays(pictures(3), ids=["a", "b", "d"], metadata=frame)
    with pytest.raises(StimulusError, match="2 rows for 3 stimuli"):
        StimulusSet.from_arrays(pictures(3), metadata=pd.DataFrame({"x": [1, 2]}))
    with pytest.raises(StimulusError, match="index repeats a"):
        StimulusSet.from_arrays(pictures(2), ids=["a", "b"], metadata=pd.DataFrame({"x": [1, 2]}, index=["a", "a"]))


def test_subset():
    images = pictures(5)
    stimuli = StimulusSet.from_arrays(images, ids=list("abcde"), metadata={"x": range(5)})
    for which in (["d", "b"], [3, 1], np.array([3, 1]), [-2, 1]):
        chosen = stimuli.subset(which)
        assert chosen.ids == ("d", "b")
        assert chosen.metadata["x"].tolist() == [3, 1]
        assert np.array_equal(chosen.load("b"), images[1])
    assert stimuli.subset(slice(1, None, 2)).ids == ("b", "d")
    assert stimuli.subset(stimuli.metadata["x"] > 2).ids == ("d", "e")
    assert stimuli.subset([3, 1, 0]).subset(["a"]).digest(0) == stimuli.digest("a")
    assert len(stimuli.subset([])) == 0
    for wrong, why in ((["a", "z"], "1 stimulus is not in .*: z"), ([5], "no position 5"), ([1.5], "chosen by ids")):
        with pytest.raises(StimulusError, match=why):
            stimuli.subset(wrong)
    with pytest.raises(StimulusError, match="a mask of 2 for 5 stimuli"):
        stimuli.subset([True, False])
    with pytest.raises(StimulusError, match="not unique"):
        stimuli.subset([0, 0])


def test_equality_is_ids_metadata_and_pixels(tmp_path):
    made = save(tmp_path, "a.png", "b.png")
    from_folder = StimulusSet.from_folder(tmp_path)
    from_arrays = StimulusSet.from_arrays(np.stack(list(made.values())), ids=list(made))
    assert from_folder == StimulusSet.from_folder(tmp_path)
    assert from_folder == from_arrays
    assert from_folder.subset(["b.png", "a.png"]) != from_folder
    assert from_folder != StimulusSet.from_arrays(pictures(2, seed=9), ids=list(made))
    assert from_arrays != StimulusSet.from_arrays(np.stack(list(made.values())), ids=list(made), metadata={"x": [1, 2]})
    assert from_folder != "something else"


def _digests(sets: list[StimulusSet]) -> list[list[str]]:
    return [[stimuli.digest(index) for index in range(len(stimuli))] for stimuli in sets]


def test_sets_of_every_kind_can_be_sent_to_a_spawned_process(tmp_path):
    images = np.stack(list(save(tmp_path / "f", "a.png", "b.png").values()))
    (tmp_path / "f/t.csv").write_text("path,x\na.png,1\nb.png,2\n")
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["images"] = images
    sets = [StimulusSet.open(tmp_path / path) for path in ("f", "f/t.csv", "s.h5")] + [StimulusSet.from_arrays(images)]
    here = _digests(sets)  # the HDF5 handle is open now
    assert here == [here[0]] * 4
    assert pickle.loads(pickle.dumps(sets)) == sets
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(_digests, sets).result(timeout=120) == here


def test_an_open_hdf5_handle_is_not_used_after_a_fork(tmp_path):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["images"] = pictures(2)
    stimuli = StimulusSet.open(tmp_path / "s.h5")
    here = _digests([stimuli])
    handle = stimuli._pixels._open
    assert handle is not None
    stimuli._pixels._open = (handle[0] + 1, handle[1])  # as it looks in a child: opened by another process
    assert _digests([stimuli]) == here
    assert stimuli._pixels._open[1] is not handle[1]


def test_repr_is_one_line_and_source_is_json(tmp_path):
    save(tmp_path, "a.png")
    for stimuli in (StimulusSet.from_folder(tmp_path), StimulusSet.synthetic(3, size=16)):
        assert "\n" not in repr(stimuli)
        assert str(len(stimuli)) in repr(stimuli)
        assert json.loads(json.dumps(stimuli.source)) == stimuli.source


# ---- folders


def test_folder_ids_are_relative_paths_in_natural_order(tmp_path):
    made = save(tmp_path, "img10.png", "img2.png", "img2.jpg", "a.1.png", "a.2.png", "z/img1.png", "B.PNG")
    stimuli = StimulusSet.from_folder(tmp_path)
    assert stimuli.ids == ("B.PNG", "a.1.png", "a.2.png", "img2.jpg", "img2.png", "img10.png", "z/img1.png")
    assert np.array_equal(stimuli.load("z/img1.png"), made["z/img1.png"])
    assert StimulusSet.from_folder(tmp_path, recursive=False).ids == stimuli.ids[:-1]
    assert StimulusSet.from_folder(tmp_path, pattern="z/*").ids == ("z/img1.png",)
    assert StimulusSet.from_folder(tmp_path, pattern="img*.png").ids == ("img2.png", "img10.png")


def test_the_order_does_not_depend_on_the_file_system(tmp_path, monkeypatch):
    save(tmp_path, "img1.png", "img01.png", "img001.png", "img2.png")
    straight = StimulusSet.from_folder(tmp_path).ids
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda top: nullcontext(list(scan(top))[::-1]))
    assert StimulusSet.from_folder(tmp_path).ids == straight == ("img001.png", "img01.png", "img1.png", "img2.png")


def test_an_empty_folder_says_what_was_found(tmp_path):
    with pytest.raises(StimulusError, match=r"no images in or below .* found: nothing"):
        StimulusSet.from_folder(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(StimulusError, match=r"found: no image: 1 \(notes.txt\)"):
        StimulusSet.from_folder(tmp_path)
    save(tmp_path, "a.png")
    with pytest.raises(StimulusError, match=r"pattern '\*.jpg'.*not matching the pattern: 1 \(a.png\)"):
        StimulusSet.from_folder(tmp_path, pattern="*.jpg")
    with pytest.raises(StimulusError, match="missing"):
        StimulusSet.from_folder(tmp_path / "nowhere")
    with pytest.raises(StimulusError, match="not a folder"):
        StimulusSet.from_folder(tmp_path / "a.png")


def test_a_damaged_image_is_named_when_it_is_loaded(tmp_path):
    save(tmp_path, "a.png", "b.png")
    (tmp_path / "b.png").write_bytes(b"")
    stimuli = StimulusSet.from_folder(tmp_path)
    assert stimuli.load("a.png").shape == (8, 8, 3)
    with pytest.raises(StimulusError, match=r"cannot read stimulus 'b.png': the file is empty"):
        stimuli.load("b.png")


# ---- tables


def test_table_keeps_metadata_with_dtypes_and_ids_as_text(tmp_path):
    made = save(tmp_path / "img", "a.png", "b.png")
    text = "\ufeffstimulus_id,path,animate,size,name,score\n007,img/b.png,True,3,cat,\nNA,img/a.png,False,4,,0.5\n"
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    stimuli = StimulusSet.from_table(tmp_path / "t.csv")
    assert stimuli.ids == ("007", "NA")
    assert np.array_equal(stimuli.load("007"), made["b.png"])
    frame = stimuli.metadata
    assert list(frame.columns) == ["animate", "size", "name", "score"]
    assert [frame[column].dtype.kind for column in ("animate", "size", "score")] == ["b", "i", "f"]
    assert frame["score"].isna().tolist() == [True, False]


def test_table_columns_can_be_named_and_tsv_is_read(tmp_path):
    save(tmp_path, "a.png", "b.png")
    (tmp_path / "t.tsv").write_text("who\twhere\tfile\nx\ta.png\t1\ny\tb.png\t2\n")
    stimuli = StimulusSet.from_table(tmp_path / "t.tsv", id_column="who", path_column="where")
    assert stimuli.ids == ("x", "y")
    assert stimuli.metadata["file"].tolist() == [1, 2]
    (tmp_path / "u.tsv").write_text("filename\tx\na.png\t1\nb.png\t2\n")
    assert StimulusSet.from_table(tmp_path / "u.tsv").ids == ("a.png", "b.png")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "stimulus_id;path;size;kind\n007;a.png;1,5;None\nNA;b.png;2;n/a\n"),
        ("t.csv", "\ufeffStimulus_ID,Path,size,kind\r\n007,a.png,1.5,None\r\n\r\nNA,b.png,2,\r\n"),
        ("t.csv", ",stimulus_id,path,size,kind\n0,007,a.png,1.5,None\n1,NA,b.png,2,NA\n"),
        ("t.tsv", "stimulus_id\tpath\tsize\tkind\n007\ta.png\t1.5\tNone\nNA\tb.png\t2\tn/a\n"),
    ],
)
def test_tables_as_spreadsheets_and_pandas_write_them(tmp_path, name, text):
    save(tmp_path, "a.png", "b.png")
    (tmp_path / name).write_bytes(text.encode())
    stimuli = StimulusSet.open(tmp_path / name)
    assert stimuli.ids == ("007", "NA")
    assert list(stimuli.metadata.columns) == ["size", "kind"]
    assert stimuli.metadata["size"].tolist() == [1.5, 2.0]
    assert stimuli.metadata["kind"].iloc[0] == "None"
    assert stimuli.metadata["kind"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("path,x,x\na.png,1,2\n", "several columns called x"),
        ("path,x\na.png,1\nb.png\n", "different lengths: 1, 2"),
        ("stimulus_id,path\na,a.png\na,b.png\n", "1 id is in more than one row: a"),
        ("path\na.png\nnowhere.png\n", "1 of 2 files are missing: .*nowhere.png"),
        ("stimulus_id,path\na,a.png\n,b.png\n", "column 'stimulus_id' is empty in row 3"),
        (
            "id,picture\na,a.png\n",
            "none of the columns may be the path; say path_column=NAME; its columns: id, picture",
        ),
        ("path,file\na.png,a.png\n", "any of path, file may be the path"),
        ("path\n", "a header but no rows"),
        ("", "cannot read the table"),
        ("path,x\na.png,1,2\nb.png,1,2\n", "more cells than the header"),
        ('path,x\n"a.png,1\n', "cannot read the table"),
        ("path,x\na.png,1\nb.png,1,2,3\n", "different lengths"),
    ],
)
def test_bad_tables(tmp_path, text, why):
    save(tmp_path, "a.png", "b.png")
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(StimulusError, match=why):
        StimulusSet.from_table(tmp_path / "t.csv")


def test_bad_table_calls(tmp_path):
    save(tmp_path, "a.png")
    (tmp_path / "t.csv").write_text("path\na.png\n")
    with pytest.raises(StimulusError, match="no column 'nope'; it has: path"):
        StimulusSet.from_table(tmp_path / "t.csv", id_column="nope")
    with pytest.raises(StimulusError, match="there is no file"):
        StimulusSet.from_table(tmp_path / "none.csv")
    (tmp_path / "t.csv").write_bytes(b"path\n\xff\xfe.png\n")
    with pytest.raises(StimulusError, match="is no UTF-8 text: byte 5"):
        StimulusSet.from_table(tmp_path / "t.csv")


# ---- HDF5


@pytest.fixture
def brick(tmp_path):
    images = pictures(12, size=5)
    with h5py.File(tmp_path / "nsd.hdf5", "w") as file:
        file.create_dataset("imgBrick", data=images, chunks=(1, 5, 5, 3))
        file["other"] = np.zeros((3, 4, 4, 3), np.uint8)
        file["floats"] = np.zeros((3, 4, 4, 3))
    return tmp_path / "nsd.hdf5", images


def test_hdf5_brick(brick):
    path, images = brick
    stimuli = StimulusSet.from_hdf5(path)
    assert stimuli.ids[:2] == ("nsd-00000", "nsd-00001")
    assert len(stimuli) == 12
    assert np.array_equal(stimuli.load("nsd-00007"), images[7])
    chosen = StimulusSet.from_hdf5(path, rows=[9, 2], prefix="shared_", metadata={"x": [1, 2]})
    assert chosen.ids == ("shared_00009", "shared_00002")
    assert np.array_equal(chosen.load(0), images[9])
    assert StimulusSet.from_hdf5(path, rows=slice(3, 5)).ids == ("nsd-00003", "nsd-00004")
    assert StimulusSet.from_hdf5(path, "other").ids[0] == "stimulus_00000"
    assert stimuli.subset(["nsd-00007", "nsd-00001"]) == StimulusSet.from_hdf5(path, rows=[7, 1])


def test_hdf5_dataset_is_never_guessed(brick, tmp_path):
    path, images = brick
    with h5py.File(path, "r+") as file:
        file.move("imgBrick", "deep/pictures")
    with pytest.raises(StimulusError, match=r"2 datasets could be the pictures.*say dataset=NAME.*deep/pictures uint8"):
        StimulusSet.from_hdf5(path)
    assert np.array_equal(StimulusSet.from_hdf5(path, "/deep/pictures").load(3), images[3])
    with pytest.raises(StimulusError, match="no dataset 'nope'; it holds deep/pictures"):
        StimulusSet.from_hdf5(path, "nope")
    with pytest.raises(StimulusError, match="floats holds float64"):
        StimulusSet.from_hdf5(path, "floats")
    with pytest.raises(StimulusError, match="no position 12"):
        StimulusSet.from_hdf5(path, "deep/pictures", rows=[12])
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(StimulusError, match=r"no dataset could be the pictures.*no datasets"):
        StimulusSet.from_hdf5(tmp_path / "empty.h5")
    (tmp_path / "text.h5").write_text("x")
    with pytest.raises(StimulusError, match="cannot be opened as HDF5"):
        StimulusSet.from_hdf5(tmp_path / "text.h5")
    with pytest.raises(StimulusError, match="there is no such file"):
        StimulusSet.from_hdf5(tmp_path / "none.h5")


def test_hdf5_read_errors_name_the_stimulus(brick):
    path, _ = brick
    stimuli = StimulusSet.from_hdf5(path)
    path.unlink()
    with pytest.raises(StimulusError, match=r"cannot read stimulus 'nsd-00003': row 3 of"):
        stimuli.load(3)


def test_hdf5_ids_do_not_depend_on_the_rows_chosen(tmp_path):
    with h5py.File(tmp_path / "big.h5", "w") as file:
        pictures = file.create_dataset("imgBrick", (123_456, 2, 2, 3), np.uint8, chunks=(1000, 2, 2, 3))
        pictures[[0, 123_455]] = 7
    assert StimulusSet.from_hdf5(tmp_path / "big.h5", rows=[0, 123_455]).ids == ("nsd-000000", "nsd-123455")


# ---- the 92 objects


@pytest.mark.skipif(not MAT.is_file(), reason="BLTVS_DATA holds no kriegeskorte92 folder")
def test_the_92_objects(monkeypatch):
    monkeypatch.setenv("BLTVS_DATA", str(DATA))
    stimuli = StimulusSet.open("kriegeskorte92")
    assert stimuli.ids == KRIEGESKORTE92_IDS
    assert stimuli.load(0).shape == (175, 175, 3)
    assert len({stimuli.digest(index) for index in range(92)}) == 92
    assert stimuli.load(0)[0, 0].tolist() == [128, 128, 128]
    frame = stimuli.metadata
    assert list(frame.columns) == ["category", "human", "face", "animal", "natural"]
    assert [frame[column].dtype.kind for column in frame.columns[1:]] == ["b"] * 4
    runs = [("human bodypart", 12), ("human face", 12), ("nonhuman bodypart", 12), ("nonhuman face", 12)]
    runs += [("natural inanimate", 23), ("artificial inanimate", 21)]
    assert frame["category"].tolist() == [name for name, count in runs for _ in range(count)]
    assert frame["human"].tolist() == [index < 24 for index in range(92)]
    assert frame["animal"].tolist() == [index < 48 for index in range(92)]
    assert frame["natural"].tolist() == [index < 71 for index in range(92)]
    assert stimuli == StimulusSet.open(MAT)


def test_other_mat_files_are_refused(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x": np.zeros(3)})
    with pytest.raises(StimulusError, match="no variable stimuli_92objs"):
        StimulusSet.from_mat92(tmp_path / "a.mat")
    scipy.io.savemat(tmp_path / "b.mat", {"stimuli_92objs": np.zeros(92)})
    with pytest.raises(StimulusError, match="not a struct array of 92"):
        StimulusSet.from_mat92(tmp_path / "b.mat")
    (tmp_path / "c.mat").write_bytes(b"MATLAB 5.0" + bytes(200))
    with pytest.raises(StimulusError, match=r"cannot read .*c\.mat as a \.mat file"):
        StimulusSet.from_mat92(tmp_path / "c.mat")
    with pytest.raises(StimulusError, match="there is no file"):
        StimulusSet.from_mat92(tmp_path / "d.mat")


# ---- the synthetic set and open()


def test_synthetic_set_is_decided_by_its_seed():
    stimuli = StimulusSet.synthetic(7, size=32, seed=3)
    assert stimuli.metadata["category"].tolist() == ["grating", "shape", "texture"] * 2 + ["grating"]
    assert stimuli == StimulusSet.synthetic(7, size=32, seed=3)
    assert stimuli != StimulusSet.synthetic(7, size=32, seed=4)
    assert StimulusSet.synthetic(12, size=32, seed=3).subset(range(7)) == stimuli
    assert len({stimuli.digest(index) for index in range(7)}) == 7
    with pytest.raises(StimulusError, match="got 0 of 224"):
        StimulusSet.synthetic(0)


def test_open_dispatches_by_what_the_path_is(tmp_path, brick):
    made = save(tmp_path / "set", "a.png", "b.png")
    (tmp_path / "set/t.csv").write_text("path\nb.png\n")
    assert StimulusSet.open(tmp_path / "set").ids == ("a.png", "b.png")
    assert np.array_equal(StimulusSet.open(str(tmp_path / "set/a.png")).load("a.png"), made["a.png"])
    assert StimulusSet.open(tmp_path / "set/t.csv").ids == ("b.png",)
    assert len(StimulusSet.open(brick[0])) == 12
    assert len(StimulusSet.open("synthetic")) == 24
    (tmp_path / "notes.txt").write_text("x")
    for path, why in ((tmp_path / "none", "does not exist"), (tmp_path / "notes.txt", "is of an unknown kind")):
        with pytest.raises(StimulusError, match=f"{why}; stimuli are a folder of images.*kriegeskorte92, synthetic"):
            StimulusSet.open(path)


# ---- bricks of others


def brick_of(path, shape, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("imgBrick", shape, np.uint8, **options)
    return path


def test_pictures_that_were_never_written_are_not_black(tmp_path):
    path = brick_of(tmp_path / "x.h5", (6, 4, 4, 3), chunks=(1, 4, 4, 3))
    with h5py.File(path, "r+") as file:
        for row in (0, 2, 3):
            file["imgBrick"][row] = 5
    with pytest.raises(StimulusError, match=r"3 of 6 pictures were never written .* black \(rows 1, 4, 5\)"):
        StimulusSet.from_hdf5(path)
    chosen = StimulusSet.from_hdf5(path, rows=[3, 0])
    assert chosen.ids == ("nsd-00003", "nsd-00000") and (chosen.load(0) == 5).all()


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((2**40, 4, 4), {"chunks": (64, 4, 4)}, r"declares \d+ bytes .* only 0 are stored"),
        (
            (1, 200_000, 200_000, 3),
            {"chunks": (1, 500, 500, 3)},
            r"declares pictures of 200000 x 200000, more than the",
        ),
    ],
)
def test_bricks_that_declare_too_much(tmp_path, shape, options, message):
    with pytest.raises(StimulusError, match=message):
        StimulusSet.from_hdf5(brick_of(tmp_path / "x.h5", shape, **options))


def test_pictures_of_another_file_are_refused(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(4096))
    path = brick_of(tmp_path / "x.h5", (64, 8, 8), external=[(str(tmp_path / "secret"), 0, 4096)])
    with pytest.raises(StimulusError, match=r"its values lie in another file \('.*secret'\)"):
        StimulusSet.from_hdf5(path)
