"""What a column of a table is: ids, coordinates and responses, as pandas and R write them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import squareform

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural import kind_of, load_rdms, load_responses, rdm_stimulus_ids, to_square
from bltvs_neuro.neural.reading.ids import read_list

from .conftest import random_rdms

VALUES = np.random.default_rng(0).normal(size=(4, 3))
COMMAS = ["dog, brown.png", "dog, black.png", "cat.png", "007"]
IDS = ["d", "a", "c", "b"]
SQUARE = random_rdms(1, 4)[0]


def written(path, text):
    path.write_text(text)
    return path


def sentence(read, path):
    """Why a table is refused; None if it is not."""
    try:
        read(path)
    except DataError as error:
        return str(error)
    return None


def test_ids_with_commas_stay_two_stimuli(tmp_path):
    for header in (True, False):
        path = tmp_path / f"{header}.csv"
        pd.DataFrame(VALUES, index=COMMAS).to_csv(path, header=header)
        responses = load_responses(path)
        assert responses.stimulus_id.values.tolist() == COMMAS
        np.testing.assert_array_equal(responses.values, VALUES)
        assert kind_of(path) == "responses"


@pytest.mark.parametrize(
    "ids", [[101, 205, 7, 101], ["007", "7", "1.0", "1"], ["NA", "null", "None", "nan"], [0, 1, 2, 3]]
)
@pytest.mark.parametrize("name", ["stimulus_id", "Stimulus ID", "stimulus", "image", None])
@pytest.mark.parametrize("columns", [["v1", "v2", "v3"], [0, 1, 2], [1, 2, 3], [5123, 5124, 77]])
def test_ids_are_text_as_written(tmp_path, ids, name, columns):
    pd.DataFrame(VALUES, index=pd.Index(ids, name=name), columns=columns).to_csv(tmp_path / "x.csv")
    responses = load_responses(tmp_path / "x.csv")
    assert responses.stimulus_id.values.tolist() == [str(i) for i in ids]
    assert responses.neuroid_id.values.tolist() == [str(c) for c in columns]
    np.testing.assert_array_equal(responses.values, VALUES)


def test_a_default_index_is_no_list_of_stimuli(tmp_path):
    path = tmp_path / "x.csv"
    pd.DataFrame(VALUES).to_csv(path)
    (tmp_path / "x.stimuli.txt").write_text("\n".join(IDS))
    responses = load_responses(path)
    assert responses.stimulus_id.values.tolist() == IDS
    np.testing.assert_array_equal(responses.values, VALUES)
    pd.DataFrame(VALUES).assign(stimulus_id=IDS).to_csv(path)
    np.testing.assert_array_equal(load_responses(path).values, VALUES)


@pytest.mark.parametrize("columns", [[0, 1, 2], ["v1", "v2", "v3"], None])
def test_tables_without_ids(tmp_path, columns):
    pd.DataFrame(VALUES, columns=columns).to_csv(tmp_path / "x.csv", index=False, header=columns is not None)
    responses = load_responses(tmp_path / "x.csv", stimuli=IDS)
    np.testing.assert_array_equal(responses.values, VALUES)
    with pytest.raises(DataError, match="does not say which stimuli its 4 presentations are"):
        load_responses(tmp_path / "x.csv")


@pytest.mark.parametrize(
    "text", ["0,1,2\n3,4,5\n", "a,1,2\nb,3,4\n", ",0.1,0.2\n5,1.0,2.0\n", "5,6\n0.5,0.7\n1.5,1.7\n"]
)
def test_a_first_row_that_may_be_names_or_values_is_refused(tmp_path, text):
    with pytest.raises(DataError, match="first row of .* may be names or values: write a row of names"):
        load_responses(written(tmp_path / "x.csv", text), stimuli=["a", "b"])


def test_coordinates_are_no_targets(tmp_path):
    frame = pd.DataFrame(VALUES, columns=["v1", "v2", "v3"])
    frame = frame.assign(Run=[1, 1, 2, 2], trial=range(4), rt=[0.5, 0.6, np.nan, 1], accuracy=1, onset=[0.0, 2, 4, 6])
    frame = frame.assign(ses=["01", "01", "02", "02"], sub="01", animacy=list("yyny"), stim_file=["a", "b", "a", "b"])
    frame.assign(trial_type="go").to_csv(tmp_path / "x.tsv", sep="\t", na_rep="n/a", index=False)
    responses = load_responses(tmp_path / "x.tsv")
    np.testing.assert_array_equal(responses.values, VALUES)
    assert responses.neuroid_id.values.tolist() == ["v1", "v2", "v3"]
    assert responses.run.values.tolist() == [1, 1, 2, 2]
    assert responses.session.values.tolist() == ["01", "01", "02", "02"]
    np.testing.assert_array_equal(responses.rt.values, [0.5, 0.6, np.nan, 1])
    assert {"trial", "accuracy", "onset", "animacy", "trial_type"} <= set(responses.coords)
    assert responses.subject.dims == ("neuroid",)
    assert load_responses(tmp_path / "x.tsv", subject="01", session=2).shape == (2, 3)


def test_repetitions_count_from_zero(tmp_path):
    text = "stimulus_id,repetition,v1\na,1,1\na,2,2\nb,1,3\n"
    assert load_responses(written(tmp_path / "x.csv", text)).repetition.values.tolist() == [0, 1, 0]
    with pytest.raises(DataError, match="repetitions of .* whole numbers from 0 or 1"):
        load_responses(written(tmp_path / "x.csv", text.replace("a,1", "a,first")))


def test_columns_can_be_chosen(tmp_path):
    path = written(tmp_path / "x.csv", "image,label,rt,v1,v2,note\na,1,0.5,1,2,9\nb,2,0.6,3,4,8\n")
    with pytest.raises(
        DataError, match=r"several columns that may be the stimulus ids: image, label; .*id_column='image'"
    ):
        load_responses(path)
    responses = load_responses(path, id_column="label")
    assert responses.stimulus_id.values.tolist() == ["1", "2"]
    assert responses.image.values.tolist() == ["a", "b"]
    chosen = load_responses(path, id_column="image", columns="rt,v2")
    assert chosen.neuroid_id.values.tolist() == ["rt", "v2"]
    np.testing.assert_array_equal(chosen.values, [[0.5, 2], [0.6, 4]])
    assert chosen.note.values.tolist() == [9, 8]
    with pytest.raises(SpecError, match="unknown column 'v3'"):
        load_responses(path, id_column="image", columns=["v3"])
    with pytest.raises(SpecError, match="unknown column of ids 'who'"):
        load_responses(path, id_column="who")
    np.save(tmp_path / "x.npy", VALUES)
    with pytest.raises(DataError, match="is no table with columns: leave id_column= out"):
        load_responses(tmp_path / "x.npy", id_column="a", stimuli=IDS)


def test_equal_columns_of_ids_are_no_choice(tmp_path):
    path = written(tmp_path / "x.csv", "stimulus_id,stimulus,v1\na,a,1\nb,b,2\n")
    assert load_responses(path).stimulus_id.values.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'stimulus_id,v1\na,"1,234"\nb,2\n',
            r"column 'v1' .* holds text among its numbers: '1,234' in row 2 .*columns=",
        ),
        ("stimulus_id,v1,v2\na,1,2\nb,x,4\n", "column 'v1' .*'x' in row 3"),
        ("stimulus_id,v1\na,50%\nb,20%\n", "column 'v1' .*'50%'"),
        ("stimulus_id,v1\na,1\n,2\n", r"stimulus id in row 3 of .* is empty \(column 'stimulus_id'"),
        (",v1\na,1\n ,2\n", "stimulus id in row 3"),
        ("a,1.5\n,2.5\n", "stimulus id in row 2"),
        ("stimulus_id,run,rt\na,1,2\nb,3,4\n", "no column of values; its columns: stimulus_id, run, rt"),
        ("stimulus_id,voxel,value\na,1,2\na,2,4\n", "has a column 'voxel', which presentations do not have.*pivot"),
        ("stimulus_id,time,v1\na,0.1,2\na,0.2,4\n", "has a column 'time'"),
        ("picture of,v1\na,1\nb,2\n", "does not say which stimuli"),
        ("stimulus_id,v1,v1\na,1,2\n", "several columns called v1"),
        ("a,b,c\n", "has a header but no rows"),
    ],
)
def test_bad_tables_of_responses(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        load_responses(written(tmp_path / "x.csv", text))


def test_subjects_in_rows(tmp_path):
    from bltvs_neuro.neural import average_repetitions
    from bltvs_neuro.rsa import compute_rdms
    from bltvs_neuro.rsa.rdms.neural import brain_rdms

    frame = pd.concat([pd.DataFrame(VALUES + k, columns=list("xyz")).assign(subject=f"S{k}", name=IDS) for k in (1, 2)])
    frame.loc[frame.subject == "S2", "x"] *= 3
    frame.to_csv(tmp_path / "x.csv", index=False)
    responses = load_responses(tmp_path / "x.csv")
    assert responses.repetition.values.tolist() == [0] * 8
    rdms = brain_rdms(tmp_path / "x.csv", metric="euclidean")
    assert rdms.subject.values.tolist() == ["S1", "S2"]
    for k in (1, 2):
        one = brain_rdms(tmp_path / "x.csv", metric="euclidean", subject=f"S{k}")
        np.testing.assert_allclose(one.values[0], rdms.values[k - 1])
    assert not np.allclose(rdms.values[0], rdms.values[1])
    for mix in (average_repetitions, compute_rdms):
        with pytest.raises(DataError, match=r"of subjects S1, S2, .*subject=S1"):
            mix(responses)


def test_runs_are_folds(tmp_path):
    from bltvs_neuro.rsa.rdms.neural import brain_rdms

    one = pd.DataFrame(VALUES, columns=list("xyz"), index=pd.Index(IDS, name="stimulus"))
    frame = pd.concat([(one * k).assign(run=k) for k in (1, 2)])
    frame.to_csv(tmp_path / "x.csv")
    rdms = brain_rdms(tmp_path / "x.csv", metric="crossnobis", folds="run")
    distances = ((VALUES[:, None] - VALUES[None]) ** 2).sum(-1)
    ratio = rdms.values[0] / squareform(distances, checks=False)
    np.testing.assert_allclose(ratio, ratio[0])


# RDMs


@pytest.mark.parametrize("sep", [",", ";", "\t", " "])
@pytest.mark.parametrize("style", ["both", "header", "rows", "named", "permuted", "bare", "index", "counted"])
def test_square_tables(tmp_path, sep, style):
    frame = pd.DataFrame(SQUARE, index=IDS, columns=IDS)
    options = {"sep": sep, "decimal": "," if sep == ";" else "."}
    if style == "named":
        frame.index.name = "name"
    if style == "permuted":
        frame = frame[["a", "b", "c", "d"]]
    if style in ("index", "counted"):
        frame = pd.DataFrame(SQUARE)
    path = tmp_path / ("x.csv" if sep in ",;" else "x.tsv" if sep == "\t" else "x.txt")
    index = style not in ("header", "bare", "counted")
    frame.to_csv(path, index=index, header=style not in ("rows", "bare"), **options)
    stimuli = IDS if style in ("bare", "index", "counted") else None
    assert kind_of(path) == "rdms"
    rdms = load_rdms(path, stimuli=stimuli)
    np.testing.assert_allclose(to_square(rdms).values[0], SQUARE, rtol=1e-15)
    assert rdm_stimulus_ids(rdms) == tuple(IDS)


def test_a_square_table_of_responses(tmp_path):
    values = np.random.default_rng(1).normal(size=(6, 6))
    path = tmp_path / "x.csv"
    for index in (list("abcdef"), ["e", "a", "a", "b", "c", "d"]):
        pd.DataFrame(values, index=index, columns=[f"v{i}" for i in range(6)]).to_csv(path)
        assert kind_of(path) == "responses"
        np.testing.assert_array_equal(load_responses(path).values, values)
    with pytest.raises(DataError, match=r"holds responses, not RDMs.*bltvs rsa.*format='rdm_array'"):
        load_rdms(path)


def test_labels_make_a_square_table_an_rdm(tmp_path):
    """Then damage is named, instead of the table being taken for responses."""
    frame = pd.DataFrame(SQUARE.copy(), index=IDS, columns=IDS)
    frame.iloc[0, 1] += 1
    frame.to_csv(tmp_path / "x.csv")
    with pytest.raises(DataError, match="is not symmetric"):
        load_rdms(tmp_path / "x.csv")
    pd.DataFrame(np.corrcoef(VALUES), index=IDS, columns=IDS).to_csv(tmp_path / "x.csv")
    with pytest.raises(DataError, match="a similarity matrix.*1 - r"):
        load_rdms(tmp_path / "x.csv")
    with pytest.raises(DataError, match="holds RDMs, not responses.*encoding models need responses"):
        load_responses(tmp_path / "x.csv")


def test_stimuli_may_be_called_as_columns_are(tmp_path):
    names = ["object", "run", "face", "time"]
    for index in (True, False):
        pd.DataFrame(SQUARE, index=names, columns=names).to_csv(tmp_path / "x.csv", index=index)
        assert rdm_stimulus_ids(load_rdms(tmp_path / "x.csv")) == tuple(names)


def test_condensed_rows_of_subjects(tmp_path):
    rows = np.stack([squareform(m) for m in random_rdms(2, 4)])
    frame = pd.DataFrame(rows, columns=[f"p{i}" for i in range(6)]).assign(subject=["S1", "S2"], roi="IT")
    frame.to_csv(tmp_path / "x.csv", index=False)
    rdms = load_rdms(tmp_path / "x.csv", stimuli=IDS)
    np.testing.assert_array_equal(rdms.values, rows)
    assert rdms.subject.values.tolist() == ["S1", "S2"]
    assert load_rdms(tmp_path / "x.csv", stimuli=IDS, subject="S2", roi="IT").shape == (1, 6)


def test_a_large_square_table_is_recognised_by_its_corner(tmp_path):
    square = random_rdms(1, 200)[0].round(3)
    names = [f"s{i}" for i in range(200)]
    for index in (True, False):
        pd.DataFrame(square, index=names, columns=names).to_csv(tmp_path / "x.csv", index=index)
        assert kind_of(tmp_path / "x.csv") == "rdms"
    np.save(tmp_path / "x.npy", square)
    pd.DataFrame(np.random.default_rng(0).normal(size=(200, 200)), index=names).to_csv(tmp_path / "x.csv")
    assert kind_of(tmp_path / "x.csv") == "responses"


# lists


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", 'n,stimulus_id\n0,007\n1,NA\n2,"a, b"\n'),
        ("l.csv", 'stimulus_id\n007\nNA\n"a, b"\n'),
        ("l.csv", '007\nNA\n"a, b"\n'),
        ("l.csv", ',0\n0,007\n1,NA\n2,"a, b"\n'),
        ("l.csv", ";ids;condition\n0;007;x\n1;NA;x\n2;a, b;x\n"),
        ("l.tsv", "\ufeffstimulus_id\tx\n007\t1\nNA\t2\na, b\t3\n"),
        ("l.txt", "\ufeff007\r\nNA\r\n\r\na, b"),
        ("l.json", '["007", "NA", "a, b"]'),
    ],
)
def test_lists(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_list(tmp_path / name) == ["007", "NA", "a, b"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("l.csv", "stimulus_id,x\na,1\n,2\n", "stimulus id in row 3"),
        ("l.csv", "x,y\na,1\nb,2\n", r"no column of stimulus ids \(stimulus_id, .*its columns: x, y"),
        (
            "l.csv",
            "stimulus,stimulus_id\na,1\nb,2\n",
            "several columns that may be .*: stimulus, stimulus_id; call the others something else",
        ),
        ("l.json", '["a", ""]', "entry 2 of .* is empty"),
        ("l.json", '["a", true]', "should be a JSON list"),
    ],
)
def test_bad_lists(tmp_path, name, text, message):
    with pytest.raises(DataError, match=message):
        read_list(written(tmp_path / name, text))


def test_numeric_ids_in_a_list_of_numbers(tmp_path):
    assert read_list(written(tmp_path / "l.csv", "12\n7\n012\n")) == ["12", "7", "012"]


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs")), min_size=1, max_size=5)
FLOATS = st.floats(allow_infinity=False, width=64).map(lambda x: x + 0.0)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_what_pandas_writes_comes_back(tmp_path_factory, data):
    """Responses with any ids, names of neuroids and coordinates: the same, or one sentence."""
    rows, columns = data.draw(st.integers(2, 6)), data.draw(st.integers(1, 5))
    values = np.array(data.draw(st.lists(FLOATS, min_size=rows * columns, max_size=rows * columns))).reshape(rows, -1)
    ids = data.draw(st.lists(NAMES, min_size=rows, max_size=rows))
    integers = st.just(list(range(columns)))
    names = data.draw(
        st.one_of(integers, st.lists(NAMES.map(lambda n: f"v_{n}"), min_size=columns, max_size=columns, unique=True))
    )
    frame = pd.DataFrame(
        values, columns=names, index=pd.Index(ids, name=data.draw(st.sampled_from([None, "stimulus_id"])))
    )
    if data.draw(st.booleans()):
        frame.insert(columns, "run", data.draw(st.lists(st.integers(0, 9), min_size=rows, max_size=rows)))
    sep, decimal = data.draw(st.sampled_from([(",", "."), ("\t", "."), (";", ","), (";", ".")]))
    path = tmp_path_factory.mktemp("t") / ("x.tsv" if sep == "\t" else "x.csv")
    frame.to_csv(path, sep=sep, decimal=decimal, na_rep=data.draw(st.sampled_from(["", "nan", "n/a"])))
    refused = sentence(load_responses, path)
    if refused is not None:
        assert "\n" not in refused
        return
    responses = load_responses(path)
    assert responses.stimulus_id.values.tolist() == ids
    assert responses.neuroid_id.values.tolist() == [str(name).strip() for name in names]
    np.testing.assert_array_equal(responses.values, values)
    if "run" in frame:
        assert responses.run.values.tolist() == frame["run"].tolist()


@pytest.mark.parametrize(
    "name",
    ["Sub ID", "subjectID", "trialNumber", "Trial No.", "rt_ms", "reaction_time_ms", "stim_onset", "StimOnset", "runIdx",
     "is_catch", "Session #", "ses_id", "block_num", "Unnamed: 0.1", "level_0", "image_number"],
)  # fmt: skip
def test_names_made_of_words_for_coordinates_are_no_targets(tmp_path, name):
    path = written(tmp_path / "x.csv", f"stimulus_id,{name},v1\na,1,0.5\nb,1,0.7\n")
    responses = load_responses(path)
    assert responses.neuroid_id.values.tolist() == ["v1"] and len(responses.coords) == 4


@pytest.mark.parametrize("name", ["voxel_12", "EEG 001", "response_1", "lV1", "class_0", "T7", "MEG0111", "position_2"])
def test_other_names_are_targets(tmp_path, name):
    responses = load_responses(written(tmp_path / "x.csv", f"stimulus_id,{name},v1\na,1,0.5\nb,1,0.7\n"))
    assert responses.neuroid_id.values.tolist() == [name, "v1"]


def test_blanks_around_ids_are_no_part_of_them(tmp_path):
    path = written(tmp_path / "x.csv", "stimulus_id , v1\na , 1\nb, 2\n")
    assert load_responses(path).stimulus_id.values.tolist() == ["a", "b"]
    path = written(tmp_path / "y.csv", "a ,.5,.25\nb ,.125,.75\n")
    assert load_responses(path).stimulus_id.values.tolist() == ["a", "b"]


def test_hexadecimal_numbers_are_no_words(tmp_path):
    path = written(tmp_path / "x.csv", "stimulus_id,v1,v2\na,0x10,1\nb,0x11,2\n")
    with pytest.raises(DataError, match="column 'v1' of .* holds text among its numbers: '0x10' in row 2"):
        load_responses(path)
