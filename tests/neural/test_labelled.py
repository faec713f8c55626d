from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import squareform

from bltvs_neuro.errors import DataError, OutputError, SpecError
from bltvs_neuro.neural import (
    align_rdms,
    average_repetitions,
    check_rdms,
    check_responses,
    from_netcdf,
    make_rdms,
    make_responses,
    rdm_stimulus_ids,
    select_stimuli,
    to_netcdf,
    to_square,
)
from bltvs_neuro.neural.condensed import condensed_to_square, n_from_pairs, n_pairs, pair_index, square_to_condensed

from .conftest import random_rdms

IDS = ["d", "a", "c", "b"]


@given(st.integers(2, 400))
def test_n_from_pairs_inverts_n_pairs(n):
    assert n_from_pairs(n_pairs(n)) == n


@pytest.mark.parametrize("pairs", [0, 2, 5, 4185])
def test_n_from_pairs_refuses_other_numbers(pairs):
    with pytest.raises(DataError, match=f"{pairs} values are not the pairs"):
        n_from_pairs(pairs)


def test_condensed_order_is_that_of_scipy():
    square = random_rdms(3, 7)
    condensed = square_to_condensed(square)
    for got, matrix in zip(condensed, square, strict=True):
        np.testing.assert_allclose(got, squareform(matrix), rtol=1e-15)
        np.testing.assert_array_equal(condensed_to_square(got), squareform(got))
    i, j = np.array([5, 0, 3]), np.array([2, 6, 4])
    np.testing.assert_array_equal(
        condensed[0][pair_index(i, j, 7)], square_to_condensed(square)[0][pair_index(j, i, 7)]
    )
    np.testing.assert_allclose(condensed[0][pair_index(i, j, 7)], square[0][i, j])


def test_asymmetric_matrix_raises_and_says_where():
    square = random_rdms(1, 5)[0]
    square[3, 1] += 0.5
    with pytest.raises(DataError, match=r"not symmetric: 1 of 10 pairs .* most at \(1, 3\)"):
        make_rdms(square, list("abcde"), metric="x")
    mean = square_to_condensed(square, asymmetric="mean")
    np.testing.assert_allclose(condensed_to_square(mean)[1, 3], (square[1, 3] + square[3, 1]) / 2)


def test_rounding_is_no_asymmetry():
    square = random_rdms(1, 6)[0].astype(np.float32)
    square[0, 1] = np.nextafter(square[0, 1], 2)
    square_to_condensed(square)


def test_similarities_are_not_taken_for_dissimilarities():
    with pytest.raises(DataError, match=r"diagonal .* should be 0.*a similarity matrix"):
        square_to_condensed(np.corrcoef(np.random.default_rng(0).random((5, 9))))


def test_nan_diagonal_is_never_used_but_one_sided_nan_is_asymmetric():
    square = random_rdms(1, 4)[0]
    square[np.arange(4), np.arange(4)] = np.nan
    assert np.isfinite(square_to_condensed(square)).all()
    square[0, 1] = np.nan
    with pytest.raises(DataError, match=r"not symmetric"):
        square_to_condensed(square)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((2, 5)), r"4 stimuli have RDMs of shape \(4, 4\) or \(6,\).*got \(2, 5\)"),
        (np.array([[1, 2, 3, 4, 5, np.inf]]), "1 infinite values"),
        (np.array([["a"] * 6]), "should hold real numbers"),
        (np.array([[1j] * 6]), "should hold real numbers"),
        (np.array([[None] * 6]), "should hold real numbers; its type is object"),
    ],
)
def test_make_rdms_refuses(values, message):
    with pytest.raises(DataError, match=message):
        make_rdms(values, IDS, metric="x")


def test_duplicate_ids_are_named():
    with pytest.raises(DataError, match=r"repeat: a \(3 times\)"):
        make_rdms(np.ones(6), ["a", "a", "a", "b"], metric="x")


def test_coordinates_must_fit():
    with pytest.raises(DataError, match=r"'subject' needs one value per RDM, 2; got shape"):
        make_rdms(np.ones((2, 6)), IDS, metric="x", subject=["s"] * 3)


def test_square_and_condensed_make_the_same_rdms():
    square = random_rdms(2, 4)
    a = make_rdms(square, IDS, metric="x", subject=["s", "t"])
    b = make_rdms(square_to_condensed(square), IDS, metric="x", subject=["s", "t"])
    xr.testing.assert_identical(a, b)
    assert rdm_stimulus_ids(a) == tuple(IDS)
    np.testing.assert_allclose(to_square(a).sel(stimulus_a="c", stimulus_b="d"), square[:, 2, 0])


def test_make_rdms_does_not_keep_or_change_its_input():
    values = np.ones((1, 6))
    rdms = make_rdms(values, IDS, metric="x")
    values[:] = 7
    assert float(rdms.max()) == 1


@settings(deadline=None, max_examples=40)
@given(st.permutations(list("abcdef")), st.integers(2, 6))
def test_selection_follows_ids(order, count):
    square = random_rdms(2, 6)
    rdms = make_rdms(square, list("abcdef"), metric="x")
    chosen = select_stimuli(rdms, order[:count])
    rows = ["abcdef".index(s) for s in order[:count]]
    np.testing.assert_allclose(to_square(chosen).values, square[:, rows][:, :, rows])
    assert rdm_stimulus_ids(chosen) == tuple(order[:count])


def test_align_brings_both_into_the_order_of_the_first():
    square = random_rdms(1, 4)
    a = make_rdms(square, IDS, metric="x")
    b = select_stimuli(a, ["a", "b", "c", "d"])
    left, right = align_rdms(a, b)
    np.testing.assert_array_equal(left, right)
    assert rdm_stimulus_ids(right) == tuple(IDS)


def test_unequal_sets_raise_with_the_difference():
    a = make_rdms(np.ones(6), ["a", "b", "c", "d"], metric="x")
    b = make_rdms(np.ones(6), ["e", "d", "c", "b"], metric="x")
    message = "1 stimulus is in the model but not in the brain: a; 1 stimulus is in the brain but not in the model: e"
    with pytest.raises(DataError, match=message):
        align_rdms(a, b, names=["the model", "the brain"])
    left, right = align_rdms(a, b, on_mismatch=r"intersect")
    assert rdm_stimulus_ids(left) == rdm_stimulus_ids(right) == ("b", "c", "d")
    with pytest.raises(SpecError, match=r"unknown on_mismatch 'drop'"):
        align_rdms(a, b, on_mismatch=r"drop")


def test_too_few_common_stimuli():
    a = make_rdms(np.ones(3), ["a", "b", "c"], metric="x")
    b = make_rdms(np.ones(3), ["a", "b", "z"], metric="x")
    with pytest.raises(DataError, match=r"only 2 stimuli are common"):
        align_rdms(a, b, on_mismatch=r"intersect")


def test_selecting_unknown_stimuli_names_them():
    with pytest.raises(DataError, match=r"in the selection but not in the RDMs: zz"):
        select_stimuli(make_rdms(np.ones(6), IDS, metric="x"), ["a", "zz"])


def test_pairs_reordered_by_hand_are_refused():
    rdms = make_rdms(np.arange(6.0), IDS, metric="x")
    for order in ([1, 0, 2, 3, 4, 5], [0, 1, 2, 4, 3, 5]):  # the second leaves stimulus_a as it was
        with pytest.raises(DataError, match=r"not in condensed order"):
            check_rdms(rdms.isel(pair=order))


def test_missing_rows_are_named_or_kept():
    square = random_rdms(2, 4)
    square[:, 2], square[:, :, 2] = np.nan, np.nan
    rdms = make_rdms(square, IDS, metric="x")
    with pytest.raises(DataError, match=r"6 of 12 dissimilarities are missing .* without any value: c\."):
        check_rdms(rdms)
    check_rdms(rdms, missing="keep")
    check_rdms(select_stimuli(rdms, ["a", "b", "d"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.transpose(), "dims"),
        (lambda r: r.values, "got ndarray"),
        (lambda r: r.drop_vars("stimulus_b"), "stimulus_b is missing"),
        (lambda r: r.astype("float32"), "float64; got float32"),
        (lambda r: r[:0], "selection is empty"),
        (lambda r: r[:, :5], "5 values are not the pairs"),
    ],
)
def test_check_rdms_refuses(change, message):
    with pytest.raises(DataError, match=message):
        check_rdms(change(make_rdms(np.ones((2, 6)), IDS, metric="x")))


def responses(n_time=None, dtype="f4"):
    shape = (5, 3) if n_time is None else (5, 3, n_time)
    values = np.random.default_rng(1).random(shape).astype(dtype)
    time = None if n_time is None else np.arange(n_time) / 100
    return make_responses(
        values,
        list("abaab"),
        neuroid_coords={"voxel": [4, 5, 6], "roi": ["V1", "V1", "V2"], "subject": "S1"},
        time=time,
        session=[1, 1, 1, 2, 2],
        attrs={"affine": np.eye(4), "none": None, "flag": True, "empty": "", "list": [1], "count": 3, "x": 0.5},
    )


def test_repetitions_are_counted_in_order():
    assert responses().repetition.values.tolist() == [0, 0, 1, 2, 1]


@pytest.mark.parametrize("n_time", [None, 4])
def test_average_repetitions_matches_groupby(n_time):
    data = responses(n_time, "f8")
    mean = average_repetitions(data)
    reference = data.drop_vars(["repetition", "session"]).groupby("stimulus_id").mean()
    assert mean.stimulus_id.values.tolist() == ["a", "b"]
    assert mean.n_repetitions.values.tolist() == [3, 2]
    np.testing.assert_allclose(mean.values, reference.transpose("stimulus_id", ...).values, rtol=1e-14)
    check_responses(mean)
    assert "session" not in mean.coords
    assert list(mean.roi.values) == ["V1", "V1", "V2"]


def test_missing_repetition_is_missing_in_the_mean():
    data = responses()
    data[2, 1] = np.nan
    mean = average_repetitions(data)
    assert np.isnan(mean.values).tolist() == [[False, True, False], [False, False, False]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": np.ones((4, 3))}, "4 presentations but 5 stimulus ids"),
        ({"values": np.ones((5, 3, 2))}, r"without time are \(presentation, neuroid\); got shape"),
        ({"time": [0.1]}, "with time are"),
        ({"values": np.ones((5, 3), dtype=object)}, "should be real numbers"),
        ({"neuroid_coords": {"voxel": [1, 2]}}, "'voxel' needs one value per neuroid, 3"),
        ({"repetition": [0, 1]}, "'repetition' needs one value per presentation, 5"),
        ({"values": np.ones((5, 3, 2)), "time": [0.1, 0.2, 0.3]}, "2 samples in time but 3 times"),
    ],
)
def test_make_responses_refuses(arguments, message):
    usual = {"values": np.ones((5, 3)), "stimulus_ids": list("abcde"), "neuroid_coords": {}}
    with pytest.raises(DataError, match=message):
        make_responses(**{**usual, **arguments})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.transpose(), "dims"),
        (lambda r: r.drop_vars("stimulus_id"), "stimulus_id as a coordinate"),
        (lambda r: r.assign_coords(repetition=("presentation", [-1, 0, 0, 0, 0])), "counts from 0"),
        (lambda r: r.assign_coords(repetition=("presentation", [0.5, 0, 0, 0, 0])), "counts from 0"),
        (lambda r: r[:, :0], "empty"),
    ],
)
def test_check_responses_refuses(change, message):
    with pytest.raises(DataError, match=message):
        check_responses(change(responses()))


def test_netcdf_round_trip_of_rdms(tmp_path):
    attrs = {"sha256": "k", "list": [1, 2], "none": None, "flag": True, "empty": "", "count": 3, "json": "json:trick"}
    rdms = make_rdms(random_rdms(2, 4), IDS, metric="x", attrs=attrs, subject=["ü", "t"], time=[0.1, 0.2])
    rdms[0, 2] = np.nan
    back = from_netcdf(to_netcdf(rdms, tmp_path / "rdms.nc"))
    xr.testing.assert_identical(back, rdms)
    assert [type(v) for v in back.attrs.values()] == [type(v) for v in rdms.attrs.values()]
    assert list(tmp_path.iterdir()) == [tmp_path / "rdms.nc"]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("n_time", [None, 4])
def test_netcdf_round_trip_of_responses(tmp_path, n_time, dtype):
    data = responses(n_time, dtype)
    back = from_netcdf(to_netcdf(data, tmp_path / "responses.nc"))
    assert back.dtype == data.dtype
    np.testing.assert_array_equal(back.attrs.pop("affine"), data.attrs.pop("affine"))
    xr.testing.assert_identical(back, data)


def test_netcdf_opens_in_the_default_engine_too(tmp_path):
    pytest.importorskip("netCDF4")
    path = to_netcdf(make_rdms(np.ones((1, 6)), IDS, metric="x"), tmp_path / "rdms.nc")
    with xr.open_dataset(path, engine="netcdf4") as dataset:
        assert dataset.stimulus_id.values.tolist() == IDS


def test_netcdf_that_is_none(tmp_path):
    (tmp_path / "x.nc").write_bytes(b"not netcdf at all")
    with pytest.raises(DataError, match=r"cannot be opened as HDF5"):
        from_netcdf(tmp_path / "x.nc")
    xr.Dataset({"other": ("x", [1.0])}).to_netcdf(tmp_path / "y.nc", engine="h5netcdf")
    with pytest.raises(DataError, match=r"holds other; expected dissimilarity or response"):
        from_netcdf(tmp_path / "y.nc")


def test_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", fail)
    with pytest.raises(OutputError, match=r"rdms.nc cannot be written: disk full"):
        to_netcdf(make_rdms(np.ones((1, 6)), IDS, metric="x"), tmp_path / "rdms.nc")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", [None, float("nan"), np.float32("nan"), "", "  ", np.datetime64("NaT")])
def test_missing_ids_never_make_a_stimulus(missing):
    with pytest.raises(DataError, match=r"2 of 4 stimulus ids are missing .*, at positions 1, 3 from 0"):
        make_responses(np.ones((4, 2)), ["a", missing, "b", missing], neuroid_coords={})
    with pytest.raises(DataError, match=r"1 of 3 stimulus ids are missing .*, at positions 2 from 0"):
        make_rdms([1, 2, 3], ["a", "b", missing], metric="m")


def test_numbers_as_ids():
    responses = make_responses(np.ones((4, 1)), [11.0, 7, np.int64(3), "nan"], neuroid_coords={})
    assert responses.stimulus_id.values.tolist() == ["11", "7", "3", "nan"]


def test_missing_values_in_arrays_of_text_are_no_ids():
    from bltvs_neuro.neural.reading.ids import as_text

    cells = np.array(["a ", None, float("nan"), 3.0, b"b", np.array(["c"], dtype=object)], dtype=object)
    assert as_text(cells) == ["a", "", "", "3", "b", "c"]
    with pytest.raises(DataError, match="2 of 6 stimulus ids are missing"):
        make_responses(np.ones((6, 2)), as_text(cells), neuroid_coords={})


def test_a_nul_in_an_id_is_refused():
    with pytest.raises(DataError, match="holds a NUL"):
        make_responses(np.ones((2, 1)), ["a\0b", "a\0c"], neuroid_coords={})
