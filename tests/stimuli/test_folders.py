"""What of a folder is a stimulus, what is left out, and what is told of it."""

from __future__ import annotations

import logging
import os
import socket
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bltvs_neuro.errors import StimulusError, StimulusWarning
from bltvs_neuro.stimuli import IMAGE_FORMATS, StimulusSet, decode_image
from bltvs_neuro.stimuli.decode import OTHER_PICTURES

NO_PICTURES = {"BUFR", "GRIB", "HDF5", "MPEG", "IPTC"}
"""What Pillow recognises but only other programs read."""


def save(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path, format="PNG")


def ids(folder: Path, **options: object) -> tuple[str, ...]:
    """Ids of a folder that gives no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return StimulusSet.from_folder(folder, **options).ids


def test_every_extension_that_pillow_reads_is_read_or_told_of():
    Image.init()
    known = {ending for ending, name in Image.registered_extensions().items() if name in Image.OPEN}
    none = {ending for ending, name in Image.registered_extensions().items() if name in NO_PICTURES}
    assert known - none - set(IMAGE_FORMATS) - OTHER_PICTURES == set()
    assert not set(IMAGE_FORMATS) & OTHER_PICTURES
    for ending in (".jfif", ".jpe", ".tga", ".apng", ".dib", ".pnm", ".j2k"):
        assert ending in IMAGE_FORMATS


@pytest.mark.parametrize("ending", sorted(IMAGE_FORMATS))
def test_extensions_that_are_read(tmp_path, ending):
    save(tmp_path, f"a{ending}", f"B{ending.upper()}")
    assert ids(tmp_path) == (f"B{ending.upper()}", f"a{ending}")


def test_pictures_that_are_not_read_are_told_of(tmp_path):
    save(tmp_path, "a.png", "photo.heic", "sub/scan.PSD", "IMG_0001", "old.png_large")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").touch()
    with pytest.warns(StimulusWarning) as told:
        assert StimulusSet.from_folder(tmp_path).ids == ("a.png",)
    assert [str(warning.message) for warning in told] == [
        f"{tmp_path}: left out pictures of a kind that is not read (convert them to PNG): 2 (photo.heic, sub/scan.PSD); "
        "pictures without the extension of one (rename them): 2 (IMG_0001, old.png_large)"
    ]
    assert ids(tmp_path, pattern="a*") == ("a.png",)  # chosen on purpose


def test_what_is_no_picture_is_logged(tmp_path, caplog):
    save(tmp_path, "a.png", "._a.png", ".hidden/b.png", "__MACOSX/c.png", "sub/.d.png", "@eaDir/a.png/thumb.png")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "Thumbs.db").write_text("x")
    with caplog.at_level(logging.INFO):
        assert ids(tmp_path) == ("a.png",)
    assert "hidden or left by a system: 6 (" in caplog.text
    assert "no image: 1 (notes.txt)" in caplog.text


def test_links_to_files_and_folders_are_followed(tmp_path):
    save(tmp_path / "elsewhere", "a.png", "deep/b.png")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "chosen.png").symlink_to(tmp_path / "elsewhere/a.png")
    (folder / "faces").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to(tmp_path / "elsewhere")
    assert ids(folder) == ("again/a.png", "again/deep/b.png", "chosen.png", "faces/a.png", "faces/deep/b.png")
    assert ids(folder, recursive=False) == ("chosen.png",)
    (folder / "lost.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(StimulusError, match=r"lost\.png is a link that leads nowhere; remove it or restore its target"):
        StimulusSet.from_folder(folder)


def test_links_that_run_in_circles_are_told_of(tmp_path):
    save(tmp_path / "set", "a.png")
    save(tmp_path / "other", "b.png")
    (tmp_path / "set/self").symlink_to(tmp_path / "set")
    (tmp_path / "set/other").symlink_to(tmp_path / "other")
    (tmp_path / "other/back").symlink_to(tmp_path / "set")
    (tmp_path / "set/loop").symlink_to(tmp_path / "set/loop")
    with pytest.warns(StimulusWarning, match=r"linked folders that lead back .*: 2 \(other/back/, self/\)$"):
        assert StimulusSet.from_folder(tmp_path / "set").ids == ("a.png", "other/b.png")


def test_a_folder_named_like_a_picture_is_a_folder(tmp_path):
    save(tmp_path, "x.png/a.png")
    (tmp_path / "y.png").mkdir()
    assert ids(tmp_path) == ("x.png/a.png",)
    with pytest.raises(StimulusError, match=r"y\.png is a folder and no file"):
        decode_image(tmp_path / "y.png")


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    save(tmp_path, "a.png", "locked/b.png")
    scan = os.scandir

    def locked(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(StimulusError, match=r"the folder .*locked.* cannot be read \(Permission denied\)"):
        StimulusSet.from_folder(tmp_path)


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    save(tmp_path, "a.png")

    def locked(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", locked)
    with pytest.raises(StimulusError, match=r"stimulus 'a': the file cannot be opened \(Permission denied\)$"):
        decode_image(tmp_path / "a.png", name="a")


def special(folder: Path, kind: str, name: str) -> Path:
    path = folder / name
    if kind == "named pipe":
        os.mkfifo(path)
    elif kind == "socket":
        here = os.getcwd()
        os.chdir(folder)  # the path of a socket must be short
        try:
            socket.socket(socket.AF_UNIX).bind(name)
        finally:
            os.chdir(here)
    else:
        path.symlink_to("/dev/zero")
    return path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("kind", ["named pipe", "socket", "device"])
def test_what_would_be_waited_for_is_refused(tmp_path, kind):
    path = special(tmp_path, kind, "a.png")
    for read in (decode_image, StimulusSet.open):
        with pytest.raises(StimulusError, match=f"a.png is a {kind} and no file"):
            read(path)
    with pytest.raises(StimulusError, match=f"a.png is a {kind} and no file; remove it"):
        StimulusSet.from_folder(tmp_path)
    for name in ("t.csv", "b.h5", "92.mat"):
        other = special(tmp_path, kind, name)
        with pytest.raises(StimulusError, match=f"is a {kind} and no file"):
            StimulusSet.open(other)
    for read in (StimulusSet.from_table, StimulusSet.from_hdf5):
        with pytest.raises(StimulusError, match=f"t.csv is a {kind} and no file"):
            read(tmp_path / "t.csv")


def test_names_that_cannot_be_printed_are_told_of_in_escapes(tmp_path):
    save(tmp_path, "a.png", "b\n.heic")
    (tmp_path / os.fsdecode(b"\xff.heic")).touch()
    with pytest.warns(StimulusWarning, match=r"2 \(\\udcff\.heic, b\\n\.heic\)") as told:
        StimulusSet.from_folder(tmp_path)
    str(told[0].message).encode("utf-8")
    save(tmp_path, "c\n.png")
    with pytest.raises(StimulusError, match=r"cannot be printed: 'c\\n.png'"):
        StimulusSet.from_folder(tmp_path, pattern="*.png")


def test_a_name_that_is_no_unicode_is_refused(tmp_path):
    save(tmp_path, "a.png")
    os.rename(os.fsencode(tmp_path / "a.png"), os.path.join(os.fsencode(tmp_path), b"\xff.png"))
    with pytest.raises(StimulusError, match="not valid Unicode; rename it"):
        StimulusSet.from_folder(tmp_path)


def test_names_that_differ_only_in_unicode_form_collide(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD"))
    save(tmp_path / "one", decomposed)
    for pattern in ("*", composed, decomposed):
        assert ids(tmp_path / "one", pattern=pattern) == (composed,)
    assert StimulusSet.from_folder(tmp_path / "one").load(0).shape == (8, 8, 3)
    save(tmp_path / "two", composed, decomposed)
    with pytest.raises(StimulusError, match=r"two files .* have the id 'é.png'"):
        StimulusSet.from_folder(tmp_path / "two")


def test_one_picture_counts_by_its_content(tmp_path):
    save(tmp_path, "IMG_0001", "a.jfif")
    assert StimulusSet.open(tmp_path / "IMG_0001").ids == ("IMG_0001",)
    assert np.array_equal(StimulusSet.open(tmp_path / "a.jfif").load(0)[0, 0], [1, 0, 0])
    assert StimulusSet.open(tmp_path / "a.jfif").source["background"] == [128, 128, 128]


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (["cat/a.png", "cat/b.png", "dog/a.png"], {"category": ["cat", "cat", "dog"]}),
        (["a.png", "b.png"], {}),
        (["cat/a.png", "b.png"], {}),  # one lies outside
        (["images/a.png", "images/b.png"], {}),  # a folder that tells nothing
        (["cat/a.png", "dog/x/a.png"], {}),
        (["cat/1/a.png", "dog/1/a.png"], {"folder_1": ["cat", "dog"], "folder_2": ["1", "1"]}),
    ],
)
def test_what_folders_tell_becomes_columns(tmp_path, names, columns):
    save(tmp_path, *names)
    stimuli = StimulusSet.from_folder(tmp_path)
    assert stimuli.metadata.to_dict("list") == columns
    assert StimulusSet.open(tmp_path) == stimuli


def test_categories_go_into_the_store_and_are_used_without_a_table(tmp_path):
    from bltvs_neuro import BLT_VS, ExtractRun, extract, mean
    from tests.running import bltvs

    rng = np.random.default_rng(0)
    for number in range(12):
        path = tmp_path / "pictures" / ("red", "blue")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 60, (16, 16, 3)).astype(np.uint8)
        pixels[..., 0 if number % 2 else 2] += 150
        Image.fromarray(pixels).save(path)
    model = BLT_VS(timesteps=2, num_classes=3, bio_unroll=False, image_size=128, width=0.0625).eval()
    store = tmp_path / "acts.h5"
    extract(model, StimulusSet.open(tmp_path / "pictures"), store, "V1/bu", reduce=mean(), run=ExtractRun(workers=0))
    told = bltvs("info", store)
    assert "column category" in told.stdout and "2: blue, red" in told.stdout, told.stdout
    done = bltvs("decode", store, "--labels", "category", "--folds", 3, "--classifier", "ridge")
    assert done.exit_code == 0 and "chance 0.500" in " ".join(done.stdout.split()), done.output
    flat = tmp_path / "flat.h5"
    pictures = StimulusSet.from_folder(tmp_path / "pictures" / "red")
    extract(model, pictures, flat, "V1/bu", reduce=mean(), run=ExtractRun(workers=0))
    for command in (("decode", flat, "--labels", "category"), ("decode", flat, "--labels", "x")):
        failed = bltvs(*command)
        assert failed.exit_code == 1
        assert (
            "no other: extract from a folder with one folder per class, or from a table with columns" in failed.stderr
        )
