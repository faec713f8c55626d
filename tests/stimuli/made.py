"""Picture files written by hand from known samples, and what must be seen of them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np

GREY = (128, 128, 128)


def seen(colour: np.ndarray, white: int = 255, alpha: np.ndarray | None = None, *, premultiplied: bool = False):
    """uint8 (H, W, 3) on mid-grey, rounded half up from the samples in exact arithmetic."""
    colour = np.asarray(colour).astype(object)
    if colour.ndim == 2:
        colour = np.stack([colour] * 3, axis=2)
    if alpha is None:
        return ((colour * 510 + white) // (2 * white)).astype(np.uint8)
    opacity = np.asarray(alpha).astype(object)[:, :, None]
    top = colour * 255 * (white if premultiplied else opacity) + np.array(GREY, object) * white * (white - opacity)
    return ((2 * top + white**2) // (2 * white**2)).astype(np.uint8)


def packed(values: np.ndarray, bits: int) -> list[bytes]:
    """One string of bytes per row (H, W[, C]), the highest bit first."""
    flat = values.reshape(len(values), -1).astype(np.int64)
    stream = ((flat[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1).astype(np.uint8)
    return [row.tobytes() for row in np.packbits(stream.reshape(len(flat), -1), axis=1)]


def png(
    values: np.ndarray, bits: int, colour: int, extra: Sequence[tuple[bytes, bytes]] = (), *, interlaced: bool = False
) -> bytes:
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [values[y::dy, x::dx] for y, x, dy, dx in (passes if interlaced else [(0, 0, 1, 1)])]
    rows = b"".join(b"\0" + row for part in parts if part.size for row in packed(part, bits))
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, colour, 0, 0, interlaced)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def tiff(
    values: np.ndarray, bits: int, photometric: int | None, *, order: str = "<", deflated: bool = False,
    tags: dict[int, Sequence[int]] | None = None,
) -> bytes:  # fmt: skip
    """One strip, contiguous; ``tags`` are further ones of 16-bit numbers."""
    height, width = values.shape[:2]
    channels = values.shape[2] if values.ndim == 3 else 1
    if bits in (8, 16, 32, 64):
        data = values.astype(f"{order}{values.dtype.kind}{bits // 8}").tobytes()
    else:
        data = b"".join(packed(values, bits))
    if (tags or {}).get(266) == (2,):
        data = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
    data = zlib.compress(data) if deflated else data
    fields: dict[int, Sequence[int]] = {
        256: [width], 257: [height], 258: [bits] * channels, 259: [8 if deflated else 1], 277: [channels],
        278: [height], **({} if photometric is None else {262: [photometric]}), **(tags or {}),
    }  # fmt: skip
    count = len(fields) + 2
    after = 8 + 2 + count * 12 + 4
    entries, blob = [], b""
    for tag, numbers in fields.items():
        raw = struct.pack(f"{order}{len(numbers)}H", *numbers)
        if len(raw) > 4:
            entries.append((tag, 3, len(numbers), struct.pack(f"{order}I", after + len(blob))))
            blob += raw + b"\0" * (len(raw) % 2)
        else:
            entries.append((tag, 3, len(numbers), raw.ljust(4, b"\0")))
    for tag, number in ((273, after + len(blob)), (279, len(data))):
        entries.append((tag, 4, 1, struct.pack(f"{order}I", number)))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, count)
    body = b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in sorted(entries))
    return head + body + b"\0" * 4 + blob + data


def gif(
    index: np.ndarray, colours: np.ndarray, transparent: int | None = None, *, canvas: tuple[int, int] | None = None
) -> bytes:
    """Three bits a pixel, written without compression."""
    height, width = index.shape
    rows, columns = canvas or (height, width)
    codes = [code for value in index.ravel() for code in (8, int(value))] + [9]  # every pixel after a clear code
    number = sum(code << (4 * at) for at, code in enumerate(codes))
    data = number.to_bytes((len(codes) + 1) // 2, "little")
    blocks = b"".join(bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in range(0, len(data), 255))
    control = b"" if transparent is None else b"\x21\xf9\x04" + struct.pack("<BHBB", 1, 0, transparent, 0)
    return (
        b"GIF89a" + struct.pack("<HHBBB", columns, rows, 0x82, 0, 0) + colours.astype(np.uint8).tobytes() + control
        + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x03" + blocks + b"\0;"
    )  # fmt: skip


def bmp(
    rows: Sequence[bytes], width: int, height: int, bits: int, *, compression: int = 0, extra: bytes = b""
) -> bytes:
    """Rows from the lowest; a negative height is from the highest. ``extra`` is the palette or the masks."""
    data = b"".join(row + b"\0" * (-len(row) % 4) for row in rows)
    start = 54 + len(extra)
    colours = len(extra) // 4 if bits <= 8 else 0
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, colours, 0)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + extra + data


def tga(kind: int, bits: int, size: tuple[int, int], data: bytes, *, flags: int = 0x20, palette: bytes = b"") -> bytes:
    """``size`` is (height, width); the palette has 32 bits a colour."""
    table = (1, 0, len(palette) // 4, 32) if palette else (0, 0, 0, 0)
    return struct.pack("<BBBHHBHHHHBB", 0, table[0], kind, *table[1:], 0, 0, *size[::-1], bits, flags) + palette + data
