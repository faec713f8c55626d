"""Text of others: what is read, and what one sentence refuses."""

from __future__ import annotations

import pytest

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.foreign.text import decode_text, read_json, read_lines, read_text, whole_numbers


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_are_one(tmp_path, encoding, end):
    path = tmp_path / "x.txt"
    path.write_bytes(end.join(["größe", "猫", " b ", ""]).encode(encoding))
    assert read_text(path) == "größe\n猫\n b \n"
    assert read_lines(path) == ["größe", "猫", "b"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a\nb,gr\xf6\xdfe\n".encode("latin1"), r"x is no UTF-8 text: byte 6 \(0xf6, line 2\) cannot be .* save it as UTF-8"),
        (b"\xef\xbb\xbfa\r\n\xff", r"byte 6 \(0xff, line 2\)"),
        (b"a\r\rb\x00c", r"x is no text: byte 4 \(0x00, line 3\) is a NUL"),
        ("ab".encode("utf-16-le"), r"byte 1 \(0x00, line 1\) is a NUL; if it is UTF-16, save it as UTF-8"),
        (b"\xff\xfea", r"no UTF-16 text: byte 2 \(0x61"),
        (b"\xff\xfea\0\0\0", r"byte 4 \(0x00, line 1\) is a NUL"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_one_sentence(data, message):
    with pytest.raises(DataError, match=message) as caught:
        decode_text(data, "x")
    assert "\n" not in str(caught.value)


def test_the_error_is_the_callers(tmp_path):
    with pytest.raises(SpecError, match="there is no file"):
        read_text(tmp_path / "none", error=SpecError)
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_text(tmp_path)


def test_a_separator_inside_a_name_ends_no_line(tmp_path):
    (tmp_path / "x").write_text("a\x0cb\u2028c\nd\n", "utf-8")
    assert read_lines(tmp_path / "x") == ["a\x0cb\u2028c", "d"]


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "1" * 5000, "", "\ufeff\ufeff[]"])
def test_json_that_is_none(tmp_path, text):
    (tmp_path / "x.json").write_text(text, "utf-8")
    with pytest.raises(DataError, match=r"x\.json is not valid JSON"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize(("cell", "number"), [("12", 12), (" -3 ", -3), ("7.0", 7), ("+8.", 8)])
def test_whole_numbers(cell, number):
    assert whole_numbers([cell], "it", "t.csv").tolist() == [number]


@pytest.mark.parametrize("cell", ["12a", "1e400", "1e3", "٣", "1_0", "", "nan", "9" * 50, "1.5", "True"])
def test_what_is_no_whole_number(tmp_path, cell):
    with pytest.raises(DataError, match=r"trial in line 3 of t\.csv should be a whole number; got ") as caught:
        whole_numbers(["1", cell], "trial", "t.csv")
    assert len(str(caught.value)) < 120
