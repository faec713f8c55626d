"""What is seen equals the samples of the file, at every depth; what has no certain reading is refused."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

from bltvs_neuro.errors import StimulusError
from bltvs_neuro.stimuli import IMAGE_FORMATS, decode_image

from .made import bmp, gif, png, seen, tga, tiff

SHAPE = (9, 13)
OLD_PILLOW = int(PIL.__version__.split(".")[0]) < 12


def drawn(bits: int, channels: int = 1) -> np.ndarray:
    """Samples with black, white and what lies between."""
    shape = SHAPE if channels == 1 else (*SHAPE, channels)
    values = np.random.default_rng(bits + channels).integers(0, 2**bits, shape)
    values[0, 0], values[0, 1] = 0, 2**bits - 1
    return values.astype(np.uint16 if bits > 8 else np.uint8)


def shown(tmp_path: Path, ending: str, content: bytes, **options: object) -> np.ndarray:
    path = tmp_path / f"a{ending}"
    path.write_bytes(content)
    return decode_image(path, **options)


# ---- PNG


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_png_grey_with_and_without_a_transparent_value(tmp_path, bits, interlaced):
    values, white = drawn(bits), 2**bits - 1
    assert np.array_equal(shown(tmp_path, ".png", png(values, bits, 0, interlaced=interlaced)), seen(values, white))
    for key in {0, 1, white}:
        content = png(values, bits, 0, [(b"tRNS", struct.pack(">H", key))], interlaced=interlaced)
        expected = seen(values, white, np.where(values == key, 0, white))
        assert np.array_equal(shown(tmp_path, ".png", content), expected), key
        assert np.array_equal(shown(tmp_path, ".png", content, background=None), seen(values, white))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_png_colour_and_alpha(tmp_path, bits, colour, channels, interlaced):
    values, white = drawn(bits, channels), 2**bits - 1
    content = png(values, bits, colour, interlaced=interlaced)
    own = values if channels == 3 else values[:, :, :-1] if channels == 4 else values[:, :, 0]
    expected = seen(own, white, None if channels == 3 else values[:, :, -1])
    assert np.array_equal(shown(tmp_path, ".png", content), expected)
    assert np.array_equal(shown(tmp_path, ".png", content, background=None), seen(own, white))


@pytest.mark.parametrize("bits", [8, 16])
def test_png_with_a_transparent_colour(tmp_path, bits):
    values, white = drawn(bits, 3), 2**bits - 1
    values[2:5, 3:6] = values[6, 6]
    values[7, 7] = values[6, 6] ^ [0, 0, 1]  # differs in the lowest bit alone
    content = png(values, bits, 2, [(b"tRNS", struct.pack(">3H", *values[6, 6].tolist()))])
    opaque = np.where((values == values[6, 6]).all(axis=2), 0, white)
    assert np.array_equal(shown(tmp_path, ".png", content), seen(values, white, opaque))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("opacities", [[], [0], [255, 0], [7, 200]])
def test_png_palette(tmp_path, bits, opacities):
    index = drawn(bits)
    table = np.random.default_rng(0).integers(0, 256, (2**bits, 3))
    opacity = np.array((opacities + [255] * 2**bits)[: 2**bits])
    extra = [(b"PLTE", table.astype(np.uint8).tobytes())] + ([(b"tRNS", bytes(opacities))] if opacities else [])
    expected = seen(table[index], 255, opacity[index])
    assert np.array_equal(shown(tmp_path, ".png", png(index, bits, 3, extra)), expected)


def test_png_profiles_are_not_applied(tmp_path):
    values = drawn(8, 3)
    for extra in (
        [(b"gAMA", struct.pack(">I", 100_000))],
        [(b"sRGB", b"\0")],
        [(b"cICP", bytes([9, 16, 0, 1]))],
        [(b"sBIT", bytes([5, 5, 5]))],
    ):
        assert np.array_equal(shown(tmp_path, ".png", png(values, 8, 2, extra)), values), extra


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_pictures_are_turned_upright(tmp_path, orientation):
    values = drawn(16, 3)
    exif = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)
    turned = shown(tmp_path, ".png", png(values, 16, 2, [(b"eXIf", exif)]))
    of_8_bits = shown(tmp_path, ".png", png(seen(values, 65535), 8, 2, [(b"eXIf", exif)]))
    of_tiff = shown(tmp_path, ".tif", tiff(values, 16, 2, tags={274: [orientation]}))
    assert np.array_equal(turned, of_8_bits)
    assert np.array_equal(turned, of_tiff)
    assert np.array_equal(turned, seen(values, 65535)) == (orientation == 1)


# ---- TIFF

GREY_TIFF = [(bits, 1) for bits in (1, 2, 4, 8, 12, 16)] + [(bits, 0) for bits in (1, 2, 4, 8, 16)]


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("bits", "photometric"), GREY_TIFF)
def test_tiff_grey(tmp_path, bits, photometric, order, deflated):
    values, white = drawn(bits), 2**bits - 1
    content = tiff(values, bits, photometric, order=order, deflated=deflated)
    if order == ">" and (bits == 12 or (bits == 16 and photometric == 0)):
        with pytest.raises(StimulusError, match="begins like a TIFF file, but .* save it as a PNG with 8 bits"):
            shown(tmp_path, ".tif", content)
    else:
        expected = seen(values if photometric else white - values, white)
        assert np.array_equal(shown(tmp_path, ".tif", content), expected)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_tiff_with_reversed_bits(tmp_path, bits):
    values = drawn(bits)
    content = tiff(values, bits, 1, tags={266: (2,)})
    assert np.array_equal(shown(tmp_path, ".tif", content), seen(values, 2**bits - 1))


ALPHA = {"none": (), "unspecified": (0,), "premultiplied": (1,), "not premultiplied": (2,)}


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ALPHA)
@pytest.mark.parametrize(("bits", "grey"), [(8, True), (8, False), (16, False)])
def test_tiff_colour_and_alpha(tmp_path, bits, grey, kind, order, deflated):
    extra, white = ALPHA[kind], 2**bits - 1
    colours = 1 if grey else 3
    values = drawn(bits, colours + len(extra)).reshape(*SHAPE, -1)
    if kind == "premultiplied":
        values[:, :, :-1] = np.minimum(values[:, :, :-1], values[:, :, -1:])
    own = values[:, :, 0] if grey else values[:, :, :3]
    alpha = values[:, :, -1] if extra in ((1,), (2,)) else None
    tags = {338: list(extra)} if extra else {}
    content = tiff(values, bits, 1 if grey else 2, order=order, deflated=deflated, tags=tags)
    if OLD_PILLOW and extra != (2,) and extra and (grey or deflated):
        pytest.skip("this Pillow reads fewer kinds of extra channels")
    expected = seen(own, white, alpha, premultiplied=kind == "premultiplied")
    assert np.array_equal(shown(tmp_path, ".tif", content), expected)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize(("unit", "per"), [(257, 257), (256, 256), (1, 257)])
def test_tiff_palette(tmp_path, bits, unit, per):
    """Colours have 16 bits: 8-bit ones times 257, times 256, or any."""
    index = drawn(bits)
    table = np.random.default_rng(1).integers(0, 65536 if unit == 1 else 256, (3, 2**bits)) * unit
    content = tiff(index, bits, 3, tags={320: table.ravel().tolist()})
    assert np.array_equal(shown(tmp_path, ".tif", content), ((table + per // 2) // per).T[index])


def test_cmyk(tmp_path):
    ink = drawn(8, 4).astype(int)
    expected = np.rint((255 - ink[:, :, :3]) * (255 - ink[:, :, 3:]) / 255)
    assert np.array_equal(shown(tmp_path, ".tif", tiff(ink.astype(np.uint8), 8, 5)), expected)


COMPRESSIONS = ["none", "lzw", "deflate", "packbits"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize(("bits", "channels"), [(8, 1), (16, 1), (8, 3), (16, 3)])
def test_tiff_of_another_writer(tmp_path, bits, channels, compression):
    """Tiles, planes, a predictor and BigTIFF, against tifffile."""
    tifffile = pytest.importorskip("tifffile")
    pytest.importorskip("imagecodecs")
    values = np.random.default_rng(0).integers(0, 2**bits, (37, 43, channels)).astype(f"u{bits // 8}").squeeze()
    common = {"photometric": "rgb" if channels == 3 else "minisblack", "compression": compression}
    forms = [{"bigtiff": True}, {"tile": (16, 16)}, {"byteorder": ">"}, {"rowsperstrip": 5}]
    forms += [{"predictor": True, "tile": (16, 16)}] if compression in ("lzw", "deflate") else []
    for form in forms:
        tifffile.imwrite(tmp_path / "a.tif", values, **common, **form)
        assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), values)
        assert np.array_equal(decode_image(tmp_path / "a.tif"), seen(values, 2**bits - 1)), form
    if channels == 3:
        tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(values, 2, 0), planarconfig="separate", **common)
        if bits == 8:
            assert np.array_equal(decode_image(tmp_path / "a.tif"), values)
        else:
            with pytest.raises(StimulusError, match="separate planes; save it as a PNG"):
                decode_image(tmp_path / "a.tif")


# ---- what has several readings

RGB565 = struct.pack("<3I", 0xF800, 0x7E0, 0x1F)
REFUSED = {
    "tiff of 10 bits": (".tif", lambda: tiff(drawn(10), 10, 1), "begins like a TIFF"),
    "tiff of 14 bits": (".tif", lambda: tiff(drawn(14), 14, 1), "begins like a TIFF"),
    "tiff of 12-bit colour": (".tif", lambda: tiff(drawn(12, 3), 12, 2), "begins like a TIFF"),
    "tiff of 32 bits": (".tif", lambda: tiff(drawn(8), 32, 1), "32 bits a channel"),
    "signed tiff of 8 bits": (".tif", lambda: tiff(drawn(8), 8, 1, tags={339: [2]}), "signed or of floating point"),
    "signed tiff of 16 bits": (".tif", lambda: tiff(drawn(8), 16, 1, tags={339: [2]}), "signed or of floating point"),
    "float32 tiff": (
        ".tif",
        lambda: tiff(drawn(8).astype("f4"), 32, 1, tags={339: [3]}),
        "signed or of floating point, with no defined white",
    ),
    "float64 tiff": (".tif", lambda: tiff(drawn(8).astype("f8"), 64, 1, tags={339: [3]}), "begins like a TIFF"),
    "tiff that does not say what black is": (".tif", lambda: tiff(drawn(8), 8, None), "0 is black or white"),
    "Lab tiff": (".tif", lambda: tiff(drawn(8, 3), 8, 8), "mode LAB"),
    "YCbCr tiff": (".tif", lambda: tiff(drawn(8, 3), 8, 6), "YCbCr without JPEG"),
    "CMYK tiff of 16 bits": (".tif", lambda: tiff(drawn(16, 4), 16, 5), "neither grey nor RGB"),
    "tiff with an 8-bit palette": (
        ".tif",
        lambda: tiff(drawn(1), 1, 3, tags={320: [0, 255, 0, 255, 0, 255]}),
        "palette have 8 bits",
    ),
    "gif with a smaller frame": (
        ".gif",
        lambda: gif(drawn(3), np.zeros((8, 3)), canvas=(15, 20)),
        "does not cover the whole picture",
    ),
    "bmp of 5 bits": (".bmp", lambda: bmp([bytes(28)] * 9, 14, 9, 16), "4 to 6 bits a colour"),
    "bmp of 5 and 6 bits": (
        ".bmp",
        lambda: bmp([bytes(28)] * 9, 14, 9, 16, compression=3, extra=RGB565),
        "4 to 6 bits",
    ),
    "tga of 5 bits": (".tga", lambda: tga(2, 16, SHAPE, bytes(2 * 9 * 13), flags=0x21), "4 to 6 bits"),
    "tga whose alpha is none": (".tga", lambda: tga(2, 32, SHAPE, bytes(4 * 9 * 13)), "last channel is transparency"),
    "tga with a palette of 32 bits": (
        ".tga",
        lambda: tga(1, 8, SHAPE, bytes(9 * 13), palette=bytes(1024)),
        "palette have 32 bits",
    ),
    "pgm above its white": (".pgm", lambda: b"P5 2 1 100\n" + bytes([100, 101]), "2 values from 0 to 100"),
    "pgm cut off": (".pgm", lambda: b"P5 2 1 1000\n\0\0\0", "cut off"),
    "pfm": (".ppm", lambda: b"Pf 1 1 -1.0\n" + struct.pack("<f", 1), "32-bit"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_certain_reading_is_refused(tmp_path, kind):
    ending, content, why = REFUSED[kind]
    with pytest.raises(StimulusError, match=why) as caught:
        shown(tmp_path, ending, content())
    assert "\n" not in str(caught.value)


# ---- the other formats


@pytest.mark.parametrize("white", [1, 15, 100, 255, 256, 1023, 4095, 65535])
def test_pgm_and_ppm_of_any_white(tmp_path, white):
    values = np.random.default_rng(white).integers(0, white + 1, (*SHAPE, 3))
    for magic, own in ((b"2", values[:, :, 0]), (b"5", values[:, :, 0]), (b"3", values), (b"6", values)):
        head = b"P%s\n# a remark\n13 9\n%d\n" % (magic, white)
        plain = "\n".join(" ".join(map(str, row)) for row in own.reshape(9, -1).tolist()).encode()
        data = own.astype(">u2" if white > 255 else "u1").tobytes()
        assert np.array_equal(shown(tmp_path, ".ppm", head + (plain if magic in b"23" else data)), seen(own, white))


def test_every_value_of_ten_bits_is_rounded_once(tmp_path):
    values = np.arange(1024).reshape(32, 32)
    assert np.array_equal(
        shown(tmp_path, ".pgm", b"P5 32 32 1023\n" + values.astype(">u2").tobytes()), seen(values, 1023)
    )


def test_pbm(tmp_path):
    bits = drawn(1)
    rows = np.packbits(bits, axis=1).tobytes()
    assert np.array_equal(shown(tmp_path, ".pbm", b"P4 13 9\n" + rows), seen(1 - bits, 1))
    plain = "\n".join("".join(map(str, row)) for row in bits.tolist()).encode()
    assert np.array_equal(shown(tmp_path, ".pbm", b"P1 13 9\n" + plain), seen(1 - bits, 1))


@pytest.mark.parametrize("ramp", [False, True])
@pytest.mark.parametrize("transparent", [None, 0, 5])
def test_gif(tmp_path, transparent, ramp):
    index = drawn(3)
    table = np.stack([np.arange(8)] * 3, 1) if ramp else np.random.default_rng(0).integers(0, 256, (8, 3))
    opacity = None if transparent is None else np.where(index == transparent, 0, 255)
    assert np.array_equal(shown(tmp_path, ".gif", gif(index, table, transparent)), seen(table[index], 255, opacity))


@pytest.mark.parametrize("from_the_top", [False, True])
def test_bmp(tmp_path, from_the_top):
    height, step = (-9, 1) if from_the_top else (9, -1)
    for bits in (1, 4, 8):
        index, table = drawn(bits), np.random.default_rng(0).integers(0, 256, (2**bits, 4), dtype=np.uint8)
        rows = [np.packbits(np.unpackbits(row[:, None], axis=1)[:, -bits:].ravel()).tobytes() for row in index[::step]]
        out = shown(tmp_path, ".bmp", bmp(rows, 13, height, bits, extra=table.tobytes()))
        assert np.array_equal(out, table[:, 2::-1][index]), bits
    for channels in (3, 4):  # the fourth of plain 32 bits is unused
        values = drawn(8, channels)
        out = shown(tmp_path, ".bmp", bmp([row.tobytes() for row in values[::step]], 13, height, 8 * channels))
        assert np.array_equal(out, values[:, :, 2::-1]), channels


def test_bmp_of_runs(tmp_path):
    index, table = drawn(8), np.random.default_rng(0).integers(0, 256, (256, 4), dtype=np.uint8)
    runs = b"".join(b"".join(bytes([1, value]) for value in row) + b"\0\0" for row in index[::-1]) + b"\0\1"
    out = shown(tmp_path, ".bmp", bmp([runs], 13, 9, 8, compression=1, extra=table.tobytes()))
    assert np.array_equal(out, table[:, 2::-1][index])


@pytest.mark.parametrize("flags", [0x00, 0x10, 0x20, 0x30])
def test_tga(tmp_path, flags):
    values = drawn(8, 4)
    stored = values if flags & 0x20 else values[::-1]
    stored = stored[:, ::-1] if flags & 0x10 else stored
    grey, rgb, rgba = stored[:, :, 0], stored[:, :, 2::-1], stored[:, :, [2, 1, 0, 3]]
    assert np.array_equal(shown(tmp_path, ".tga", tga(3, 8, SHAPE, grey.tobytes(), flags=flags)), seen(values[:, :, 0]))
    assert np.array_equal(shown(tmp_path, ".tga", tga(2, 24, SHAPE, rgb.tobytes(), flags=flags)), values[:, :, :3])
    out = shown(tmp_path, ".tga", tga(2, 32, SHAPE, rgba.tobytes(), flags=flags | 8))
    assert np.array_equal(out, seen(values[:, :, :3], 255, values[:, :, 3]))


def test_inks_of_a_jpeg(tmp_path):
    codecs = pytest.importorskip("imagecodecs")
    buffer = io.BytesIO()
    Image.frombytes("CMYK", (13, 9), drawn(8, 4).tobytes()).save(buffer, "JPEG", quality=95)
    content = buffer.getvalue()
    inks = codecs.jpeg8_decode(content, outcolorspace="CMYK").astype(int)  # inverted, as Adobe writes them
    expected = np.rint(inks[:, :, :3] * inks[:, :, 3:] / 255)
    assert np.array_equal(shown(tmp_path, ".jpg", content), expected)
    at = content.index(b"\xff\xee\x00\x0eAdobe")
    with pytest.raises(StimulusError, match="whether its inks are inverted"):
        shown(tmp_path, ".jpg", content[:at] + content[at + 16 :])


def codec_cases() -> list[tuple[str, str, int, int, dict[str, object]]]:
    lossless: dict[str, object] = {"lossless": True}
    cases = [(".jpg", "jpeg8", 8, c, {"level": 80, "subsampling": s}) for c in (1, 3) for s in ("444", "420", "422")]
    cases += [(".webp", "webp", 8, c, options) for c in (3, 4) for options in (lossless, {"level": 50})]
    cases += [(".jp2", "jpeg2k", 8, c, {"level": 0, "reversible": True}) for c in (1, 2, 3, 4)]
    cases += [(".jp2", "jpeg2k", 16, 1, {"level": 0, "reversible": True})]
    cases += [(".qoi", "qoi", 8, c, {}) for c in (3, 4)]
    if ".avif" in IMAGE_FORMATS:
        cases += [(".avif", "avif", 8, c, {"level": level}) for c in (1, 3, 4) for level in (60, 100)]
    return cases


@pytest.mark.parametrize(("ending", "codec", "bits", "channels", "options"), codec_cases())
def test_compressed_formats_equal_another_decoder(tmp_path, ending, codec, bits, channels, options):
    codecs = pytest.importorskip("imagecodecs")
    try:
        content = getattr(codecs, f"{codec}_encode")(drawn(bits, channels), **options)
        raw = getattr(codecs, f"{codec}_decode")(content).reshape(*SHAPE, -1)
    except codecs.DelayedImportError:
        pytest.skip(f"this imagecodecs has no {codec}")
    own = raw[:, :, :3] if raw.shape[2] > 2 else raw[:, :, 0]
    expected = seen(own, 2**bits - 1, raw[:, :, -1] if raw.shape[2] in (2, 4) else None)
    assert np.array_equal(shown(tmp_path, ending, content), expected)


@pytest.mark.parametrize(
    ("ending", "codec", "bits", "channels", "why"),
    [
        *((".jp2", "jpeg2k", bits, 1, "JPEG 2000 .* other than 8 bits") for bits in (4, 10, 12)),
        (".jp2", "jpeg2k", 16, 3, "JPEG 2000 .* other than 8 bits"),
        (".jpg", "jpeg8", 12, 1, "begins like a JPEG file"),
        (".avif", "avif", 10, 3, "more than 8 bits a channel"),
        (".jxl", "jpegxl", 8, 3, "begins like a JPEG XL file"),
    ],
)
def test_deep_compressed_formats_are_refused(tmp_path, ending, codec, bits, channels, why):
    codecs = pytest.importorskip("imagecodecs")
    if codec == "avif" and ".avif" not in IMAGE_FORMATS:
        pytest.skip("this Pillow reads no AVIF")
    options = {} if codec == "jpegxl" else {"bitspersample": bits}
    try:
        content = getattr(codecs, f"{codec}_encode")(drawn(bits, channels), **options)
    except codecs.DelayedImportError:
        pytest.skip(f"this imagecodecs has no {codec}")
    with pytest.raises(StimulusError, match=why):
        shown(tmp_path, ending, content)
