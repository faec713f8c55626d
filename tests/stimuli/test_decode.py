"""Every kind of image file that Pillow reads, and every way a file can be broken."""

from __future__ import annotations

import hashlib
import struct
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bltvs_neuro.errors import StimulusError
from bltvs_neuro.stimuli import IMAGE_FORMATS, decode, decode_image, pixel_sha256

from .made import gif, tga, tiff


def picture(height: int = 6, width: int = 9, channels: int = 3, seed: int = 0) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def saved(path: Path, image: Image.Image, **options: object) -> np.ndarray:
    image.save(path, **options)
    return decode_image(path)


@pytest.mark.parametrize("extension", [".png", ".bmp", ".tif", ".tiff", ".ppm"])
def test_lossless_rgb_comes_back_exactly(tmp_path, extension):
    rgb = picture()
    out = saved(tmp_path / f"a{extension}", Image.fromarray(rgb))
    assert np.array_equal(out, rgb)
    assert out.dtype == np.uint8
    assert out.flags.writeable
    assert out.flags.c_contiguous


@pytest.mark.parametrize("extension", [".jpg", ".webp", ".gif"])
def test_lossy_formats_equal_pillow(tmp_path, extension):
    image = Image.fromarray(picture(40, 50))
    out = saved(tmp_path / f"a{extension}", image)
    assert np.array_equal(out, np.asarray(Image.open(tmp_path / f"a{extension}").convert("RGB")))


def test_every_extension_names_a_format_of_pillow():
    Image.init()
    assert set(IMAGE_FORMATS.values()) <= set(Image.OPEN)
    assert not {"EPS", "WMF"} & set(IMAGE_FORMATS.values())


def test_grey_is_repeated(tmp_path):
    grey = picture(channels=1)
    out = saved(tmp_path / "a.png", Image.fromarray(grey))
    assert np.array_equal(out, np.stack([grey] * 3, axis=2))


def test_one_bit(tmp_path):
    bits = picture(channels=1) > 127
    out = saved(tmp_path / "a.png", Image.fromarray(bits))
    assert np.array_equal(out[:, :, 1], np.where(bits, 255, 0))


@pytest.mark.parametrize("extension", [".png", ".tif", ".pgm"])
def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path, extension):
    values = np.array([[0, 128, 129, 255, 257], [1000, 32768, 65278, 65406, 65535]], np.uint16)
    out = saved(
        tmp_path / f"a{extension}", Image.fromarray(values.astype(np.int32 if extension == ".pgm" else np.uint16))
    )
    expected = np.round(values / 257).astype(np.uint8)
    assert expected.tolist() == [[0, 0, 1, 1, 1], [4, 128, 254, 254, 255]]
    assert np.array_equal(out, np.stack([expected] * 3, axis=2))


def test_16_bit_big_endian_tiff(tmp_path):
    values = np.array([[0, 257, 65535]], ">u2")
    saved_as = Image.frombytes("I;16B", (3, 1), values.tobytes())
    assert saved(tmp_path / "a.tif", saved_as)[0, :, 0].tolist() == [0, 1, 255]


def test_16_bit_grey_with_a_transparent_value(tmp_path):
    values = np.array([[0, 257, 65535]], np.uint16)
    path = tmp_path / "a.png"
    path.write_bytes(png(3, 1, 16, 0, b"\x00" + values.astype(">u2").tobytes(), [(b"tRNS", struct.pack(">H", 257))]))
    assert decode_image(path)[0, :, 0].tolist() == [0, 128, 255]
    assert decode_image(path, background=None)[0, :, 0].tolist() == [0, 1, 255]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_32_bit_pictures_have_no_white_and_are_refused(tmp_path, dtype):
    Image.fromarray(np.ones((3, 3), dtype)).save(tmp_path / "a.tif")
    with pytest.raises(StimulusError, match="no defined white; save it as a PNG with 8 bits"):
        decode_image(tmp_path / "a.tif")


def test_alpha_is_composited_on_grey(tmp_path):
    rgba = picture(channels=4)
    rgba[0, 0] = (255, 0, 0, 0)
    rgba[0, 1] = (255, 0, 0, 255)
    rgba[0, 2] = (255, 0, 0, 51)
    out = saved(tmp_path / "a.png", Image.fromarray(rgba))
    colour, alpha = rgba[:, :, :3].astype(float), rgba[:, :, 3:] / 255
    assert np.abs(out - (colour * alpha + 128 * (1 - alpha))).max() <= 1
    assert out[0, :3].tolist() == [[128, 128, 128], [255, 0, 0], [153, 102, 102]]
    white = decode_image(tmp_path / "a.png", background=(255, 255, 255))
    assert white[0, :2].tolist() == [[255, 255, 255], [255, 0, 0]]
    assert np.array_equal(decode_image(tmp_path / "a.png", background=None), rgba[:, :, :3])


def test_grey_with_alpha(tmp_path):
    image = Image.merge("LA", [Image.new("L", (2, 1), 200), Image.new("L", (2, 1), 0)])
    assert (saved(tmp_path / "a.png", image) == 128).all()


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_transparent_colour_of_a_png(tmp_path, mode):
    image = Image.new(mode, (2, 1), (10, 20, 30) if mode == "RGB" else 10)
    image.putpixel((1, 0), (1, 2, 3) if mode == "RGB" else 1)
    out = saved(tmp_path / "a.png", image, transparency=(10, 20, 30) if mode == "RGB" else 10)
    assert out[0].tolist() == [[128] * 3, [1, 2, 3] if mode == "RGB" else [1, 1, 1]]


def test_palette(tmp_path):
    image = Image.fromarray(picture(20, 20)).quantize(16)
    out = saved(tmp_path / "a.png", image)
    assert np.array_equal(out, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("transparency", [0, b"\x00\xff"])
@pytest.mark.parametrize("extension", [".png", ".gif"])
def test_transparent_palette_gives_no_warning(tmp_path, transparency, extension):
    if extension == ".gif" and isinstance(transparency, bytes):
        pytest.skip("a GIF has one transparent index")
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = saved(tmp_path / f"a{extension}", image, transparency=transparency)
    assert out[0].tolist() == [[128, 128, 128], [0, 255, 0]]


def test_cmyk_equals_pillow(tmp_path):
    image = Image.fromarray(picture(16, 16)).convert("CMYK")
    out = saved(tmp_path / "a.tif", image)
    assert np.array_equal(out, np.asarray(image.convert("RGB")))
    assert saved(tmp_path / "a.jpg", image).shape == (16, 16, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("extension", [".png", ".tif", ".jpg"])
def test_exif_orientation_is_applied(tmp_path, orientation, extension):
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = 255  # bright at the top left
    undo = {  # how the stored picture must lie for a viewer that obeys the tag
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation](upright)))
    out = saved(tmp_path / f"a{extension}", stored, exif=exif)
    assert out.shape == upright.shape
    assert np.abs(out.astype(int) - upright).max() < 12  # JPEG is lossy


@pytest.mark.parametrize("extension", [".gif", ".tif", ".png", ".webp"])
def test_several_frames_are_refused(tmp_path, extension):
    frames = [Image.fromarray(picture(16, 16, seed=seed)) for seed in range(3)]
    frames[0].save(tmp_path / f"a{extension}", save_all=True, append_images=frames[1:])
    with pytest.raises(StimulusError, match="it has 3 frames and a stimulus is one"):
        decode_image(tmp_path / f"a{extension}")


def test_previews_of_a_camera_are_ignored(tmp_path):
    frames = [Image.fromarray(picture(16, 16, seed=seed)) for seed in range(2)]
    frames[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "b.jpg", format="JPEG")
    assert Image.open(tmp_path / "a.jpg").format == "MPO"
    assert np.array_equal(decode_image(tmp_path / "a.jpg"), decode_image(tmp_path / "b.jpg"))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: list[tuple[bytes, bytes]] = ()) -> bytes:  # type: ignore[assignment]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    between = b"".join(chunk(kind, data) for kind, data in extra)
    return b"\x89PNG\r\n\x1a\n" + header + between + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


BROKEN = {
    "empty": (lambda good: b"", "the file is empty"),
    "text": (lambda good: b"this is not an image\n", r"the file \(21 bytes\) is no image"),
    "cut in the middle": (lambda good: good[: len(good) // 2], "damaged or cut off"),
    "cut in the header": (lambda good: good[:20], "damaged, cut off or of a kind|damaged or cut off"),
    "flipped bits": (
        lambda good: good[:60] + bytes(255 - b for b in good[60:90]) + good[90:],
        "damaged or cut off|damaged, cut off",
    ),
    "postscript": (lambda good: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", "is no image"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named_with_the_reason(tmp_path, kind):
    Image.fromarray(picture(64, 64)).save(tmp_path / "good.png")
    damage, why = BROKEN[kind]
    path = tmp_path / "bad.png"
    path.write_bytes(damage((tmp_path / "good.png").read_bytes()))
    with pytest.raises(StimulusError, match=f"^cannot read stimulus 'bad': .*({why})") as caught:
        decode_image(path, name="bad")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("extension", [".jpg", ".gif", ".tif", ".webp", ".bmp"])
def test_files_cut_anywhere_raise_one_kind_of_error_or_give_a_picture(tmp_path, extension):
    Image.fromarray(picture(32, 32)).save(tmp_path / f"good{extension}")
    good = (tmp_path / f"good{extension}").read_bytes()
    path = tmp_path / f"bad{extension}"
    refused = 0
    for length in range(0, len(good), max(1, len(good) // 60)):
        path.write_bytes(good[:length])
        try:
            assert decode_image(path).shape == (32, 32, 3)
        except StimulusError:
            refused += 1
    assert refused > 30


def test_what_pillow_warns_of_is_logged_with_the_name(tmp_path, recwarn, caplog):
    image = Image.fromarray(picture(32, 32))
    image.save(tmp_path / "a.jpg", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x05\x01\x12")
    assert decode_image(tmp_path / "a.jpg", name="a").shape == (32, 32, 3)
    assert list(recwarn) == []
    assert "stimulus 'a': " in caplog.text


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(StimulusError, match=r"there is no file .*nothing\.png"):
        decode_image(tmp_path / "nothing.png")
    with pytest.raises(StimulusError, match="is a folder and no file"):
        decode_image(tmp_path)


@pytest.mark.parametrize(("width", "height"), [(9000, 9000), (12_000, 12_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_an_error_and_no_warning(tmp_path, recwarn, width, height):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(width, height, 8, 2, b"\x00" * 1000))
    with pytest.raises(StimulusError, match="80,000,000 pixels that are read"):
        decode_image(path)
    assert list(recwarn) == []
    assert decode.MAX_PIXELS == 80_000_000


WIDTH_1, WIDTH_HUGE = struct.pack("<HHIHH", 256, 3, 1, 1, 0), struct.pack("<HHII", 256, 4, 1, 10**9)
BOMBS = {
    ".ppm": b"P6 100000 100000 255\n" + bytes(100),
    ".pgm": b"P2 100000 100000 1023\n1 2 3",
    ".gif": gif(np.zeros((2, 2), int), np.zeros((8, 3)), canvas=(60_000, 60_000)),
    ".bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 200, 0, 0, 54, 40, 100_000, 100_000, 1, 24, *[0] * 6),
    ".tif": tiff(np.zeros((1, 1), np.uint8), 8, 1).replace(WIDTH_1, WIDTH_HUGE),
    ".tga": tga(2, 24, (65535, 65535), bytes(100)),
}


@pytest.mark.parametrize("ending", BOMBS)
def test_bombs_of_other_formats(tmp_path, ending):
    (tmp_path / f"a{ending}").write_bytes(BOMBS[ending])
    with pytest.raises(StimulusError, match="80,000,000 pixels that are read"):
        decode_image(tmp_path / f"a{ending}")


def test_a_wrong_background_is_refused(tmp_path):
    with pytest.raises(StimulusError, match="three ints from 0 to 255"):
        decode_image(tmp_path / "a.png", background=(0, 0, 256))


def test_pixel_sha256_is_what_its_docstring_says():
    rgb = picture()
    assert pixel_sha256(rgb) == hashlib.sha256(struct.pack("<3q", 6, 9, 3) + rgb.tobytes()).hexdigest()
    assert pixel_sha256(rgb[::-1]) == pixel_sha256(rgb[::-1].copy())
    assert pixel_sha256(rgb) != pixel_sha256(rgb.reshape(9, 6, 3))
    with pytest.raises(StimulusError, match="float64"):
        pixel_sha256(rgb / 255)


def test_the_same_pixels_in_two_formats_have_one_digest(tmp_path):
    image = Image.fromarray(picture())
    assert pixel_sha256(saved(tmp_path / "a.png", image)) == pixel_sha256(saved(tmp_path / "a.bmp", image))


def test_a_damaged_length_takes_no_memory(tmp_path):
    """A box of a JPEG 2000 that declares 2 GiB: no more than the file is read."""
    Image.fromarray(np.zeros((20, 24, 3), np.uint8)).save(tmp_path / "a.jp2")
    data = bytearray((tmp_path / "a.jp2").read_bytes())
    data[data.index(b"jp2h") - 4] = 0x80
    (tmp_path / "a.jp2").write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(StimulusError, match=r"a\.jp2.*damaged"):
            decode_image(tmp_path / "a.jp2")
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_a_file_beyond_all_pictures_is_refused(tmp_path):
    with (tmp_path / "a.tif").open("wb") as file:
        file.truncate(decode.MAX_BYTES + 1)
    with pytest.raises(StimulusError, match="more than the 641,048,576 that are read"):
        decode_image(tmp_path / "a.tif")
