"""One parser for every table, against pandas, which wrote them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bltvs_neuro.errors import DataError
from bltvs_neuro.tables import numbers, read_cells, typed


def cells(path, text, **options):
    path.write_bytes(text.encode()) if isinstance(text, str) else path.write_bytes(text)
    grid = read_cells(path, **options)
    return grid.cells.tolist(), grid


def sentence(path):
    """Why a table is refused; None if it is not."""
    try:
        read_cells(path)
    except DataError as error:
        return str(error)
    return None


TABLE = [["id", "a", "b"], ["x", "1.5", "2"], ["y", "-3", "0.25"]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "id,a,b\nx,1.5,2\ny,-3,0.25\n"),
        ("t.csv", "id,a,b\r\nx,1.5,2\r\n\r\ny,-3,0.25"),
        ("t.csv", "\n\nid,a,b\nx,1.5,2\n\ny,-3,0.25\n\n"),
        ("t.csv", '"id","a","b"\n"x","1.5","2"\n"y","-3","0.25"\n'),
        ("t.csv", "id, a, b\nx, 1.5, 2\ny, -3, 0.25\n"),
        ("t.csv", "id;a;b\nx;1.5;2\ny;-3;0.25\n"),
        ("t.csv", "id,a,b,\nx,1.5,2,\ny,-3,0.25,\n"),
        ("t.csv", "id,a,b\nx,1.5,2,\ny,-3,0.25,\n"),
        ("t.csv", "id,a,b,\nx,1.5,2\ny,-3,0.25\n"),
        ("t.csv", "\ufeffid,a,b\nx,1.5,2\ny,-3,0.25\n"),
        ("t.tsv", "id\ta\tb\nx\t1.5\t2\ny\t-3\t0.25\n"),
        ("t.txt", "id a b\nx 1.5 2\ny -3 0.25\n"),
        ("t.txt", "id  a   b\nx 1.5 2\n  y -3  0.25 \n"),
        ("t.txt", "id\ta\tb\nx\t1.5\t2\ny\t-3\t0.25\n"),
        ("t.txt", "id,a,b\nx,1.5,2\ny,-3,0.25\n"),
        ("t.TXT", "id;a;b\nx;1.5;2\ny;-3;0.25\n"),
        ("t.csv", "id,a,b\nx,1.5,2\ny,-3,0.25\n".encode("utf-16")),
    ],
)
def test_dialects(tmp_path, name, text):
    assert cells(tmp_path / name, text)[0] == TABLE


def test_decimal_commas(tmp_path):
    got, grid = cells(tmp_path / "t.csv", "id;a;b\nx;1,5;2\ny;-3,25e2;\n")
    assert grid.decimal == ","
    np.testing.assert_array_equal(numbers(grid.cells[1:, 1:], ","), [[1.5, 2], [-325, np.nan]])
    assert got[1] == ["x", "1,5", "2"]


def test_quoting(tmp_path):
    got, _ = cells(tmp_path / "t.csv", 'id,a\n"dog, brown.png",1\n"two\nlines",2\n"a ""b""; c",3\n')
    assert [row[0] for row in got] == ["id", "dog, brown.png", "two\nlines", 'a "b"; c']


def test_semicolons_within_cells_of_a_comma_table(tmp_path):
    got, _ = cells(tmp_path / "t.csv", "dog;x.png,1,2\ncat;y.png,3,4\n")
    assert got == [["dog;x.png", "1", "2"], ["cat;y.png", "3", "4"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("a,b\n1,2\n1\n", "rows of .* have different lengths: 1, 2"),
        ("a,b,c\n1,2,3\n1,2\n4,5,6\n", "different lengths: 2, 3"),
        ("a,b\n1,2\n1,2,3\n", "different lengths: 2, 3"),
        ("a,b,c\n1,2\n", "different lengths: 2, 3"),
        ("a,b\n1,2,3,4\n", "different lengths: 2, 4"),
        ("v\n1,5\n2,5\n", "2 cells below a single name: write decimal points"),
        ('a,b\n"1,2\n', "cannot read the table"),
        ("a;b\n1.234,5;2\n1,5;2\n", r"numbers with commas \(1,5\) and with points \(1.234,5\)"),
        ("a;b\n1,5;1.234\n2,5;3\n", r"numbers with commas \(1,5\) and with points \(1.234\)"),
        (b"a,b\nx\0,1\n", "no text: byte 5 .0x00, line 2. is a NUL"),
        (b"a,b\n\xff\xfe,1\n", "no UTF-8 text: byte 4 .0xff, line 2."),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, text, message):
    (tmp_path / "t.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(DataError, match=message) as caught:
        read_cells(tmp_path / "t.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,a,b\n1,2,3\n", "several columns called a"),
        ("a,,b\n1,2,3\n", "column 2 of .* has no name"),
        ("a,b\n", "has a header but no rows"),
    ],
)
def test_headers_that_name_no_columns(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_cells(tmp_path / "t.csv").frame()


def test_tables_of_r_have_one_name_fewer(tmp_path):
    frame = cells(tmp_path / "t.txt", '"v1" "v2"\n"a b" 1 2\n"c" 3 4\n')[1].frame(row_names=True)
    assert list(frame) == ["", "v1", "v2"]
    assert frame[""].tolist() == ["a b", "c"]


def test_numbers_are_those_of_float_and_missing_values_those_of_pandas(tmp_path):
    texts = ["1", "-2.5e-3", ".5", "7.", " 8 ", "inf", "nan", "NaN", "", "n/a", "NULL", "None", "NA", "#N/A", "0.1"]
    got = numbers(texts)
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{text},0\n" for text in texts))
    np.testing.assert_array_equal(got, pd.read_csv(tmp_path / "t.csv")["x"].to_numpy(float))
    for odd in ("1_000", "1,5", "0x10", "١٢", "1.0D+00", "yes", "1 000", "50%"):
        assert numbers([odd, "1"]) is None, odd


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (["1", "2"], "i"), (["1", "2.5"], "f"), (["1", ""], "f"), (["True", "False"], "b"), (["a", "1"], "O"),
        (["007", "012"], "O"), (["0", "10"], "i"), (["0.5", "0"], "f"), (["12345678901234567890", "1"], "f"),
    ],
)  # fmt: skip
def test_types_of_columns(column, kind):
    got = typed(column)
    assert got.dtype.kind == kind
    if kind == "O":
        assert got.tolist() == column


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=6)
DIALECTS = [
    ("t.csv", {}), ("t.csv", {"quoting": 1}), ("t.csv", {"lineterminator": "\r\n"}), ("t.csv", {"encoding": "utf-8-sig"}),
    ("t.csv", {"encoding": "utf-16"}), ("t.csv", {"sep": ";", "decimal": ","}), ("t.csv", {"sep": ";"}),
    ("t.tsv", {"sep": "\t"}), ("t.txt", {"sep": "\t"}), ("t.csv", {"na_rep": "n/a"}), ("t.csv", {"float_format": "%.17g"}),
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_what_pandas_writes_comes_back(tmp_path_factory, data):
    """Texts and numbers of any table in any dialect, exactly or refused."""
    name, options = data.draw(st.sampled_from(DIALECTS))
    rows, columns = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
    floats = st.floats(allow_infinity=False, width=64)
    values = np.array(data.draw(st.lists(floats, min_size=rows * columns, max_size=rows * columns))).reshape(rows, -1)
    ids = data.draw(st.lists(TEXT, min_size=rows, max_size=rows))
    frame = pd.DataFrame(values, columns=[f"v{i}" for i in range(columns)])
    frame.insert(0, "stimulus_id", ids)
    path = tmp_path_factory.mktemp("t") / name
    frame.to_csv(path, index=False, **options)
    refused = sentence(path)
    if refused is not None:
        assert "\n" not in refused
        return
    grid = read_cells(path)
    read = grid.frame()
    assert read["stimulus_id"].tolist() == [name.strip() for name in ids]
    for column in frame.columns[1:]:
        np.testing.assert_array_equal(numbers(read[column].tolist(), grid.decimal), frame[column])


def test_the_mark_of_savetxt_is_no_name(tmp_path):
    np.savetxt(tmp_path / "t.csv", [[1, 2.5], [3, 4.5]], delimiter=",", header="stimulus_id,v1")
    assert read_cells(tmp_path / "t.csv").cells[0].tolist() == ["stimulus_id", "v1"]
    np.savetxt(tmp_path / "t.txt", [[1, 2.5], [3, 4.5]], header="stimulus_id v1")
    assert read_cells(tmp_path / "t.txt").cells[0].tolist() == ["stimulus_id", "v1"]
