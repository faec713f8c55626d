"""What a user can get wrong: each an error that says what to do, or a behaviour that is written down."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import bltvs_neuro as bn
from bltvs_neuro.errors import DataError
from bltvs_neuro.neural import make_rdms, select_stimuli
from bltvs_neuro.rsa import compare_rdms, compute_rdms
from bltvs_neuro.rsa.inference.options import Inference

from .test_result import IDS, N, brain, models


def test_nan_rows_are_named():
    square = np.ones((N, N)) - np.eye(N)
    square[3] = square[:, 3] = np.nan
    rdms = make_rdms(square, IDS, metric="m", subject="a")
    with pytest.raises(DataError, match=r"without any: s3\. missing=.drop. drops"):
        compare_rdms(models(), rdms, inference=Inference(bootstrap=0, variance="jackknife"))


def test_unequal_sets_of_stimuli_are_named_or_intersected_on_request():
    fewer = select_stimuli(brain(), IDS[1:])
    with pytest.raises(DataError, match="1 stimulus is in the models but not in the neural data: s0"):
        compare_rdms(models(), fewer, inference=Inference(bootstrap=0, variance="jackknife"))
    assert (
        compare_rdms(
            models(), fewer, on_mismatch="intersect", inference=Inference(bootstrap=0, variance="jackknife")
        ).provenance["n_stimuli"]
        == N - 1
    )


def test_a_permuted_order_changes_nothing():
    order = np.random.default_rng(0).permutation(IDS)
    plain, moved = (
        compare_rdms(models(), b, inference=Inference(bootstrap=0, variance="jackknife"))
        for b in (brain(), select_stimuli(brain(), order))
    )
    for name in ("score", "se", "p_pairwise", "ceiling_lower"):
        np.testing.assert_allclose(moved.dataset[name], plain.dataset[name], rtol=1e-9, atol=1e-12)


def test_one_subject_has_no_ceiling_and_generalises_to_stimuli(caplog):
    with caplog.at_level(logging.WARNING):
        result = compare_rdms(models(), brain(subjects=("a",)), inference=Inference(bootstrap=0, variance="jackknife"))
    assert "inference is over stimuli only and there is no noise ceiling" in caplog.text
    assert np.isfinite(result.dataset["se"]).all() and np.isnan(result.dataset["ceiling_lower"]).all()
    assert np.isnan(result.dataset["p_below_ceiling"]).all()


def test_constant_features_are_undefined_named_and_not_compared(caplog):
    x = np.random.default_rng(0).normal(size=(N, 5))
    x[4] = 2.0
    with caplog.at_level(logging.WARNING):
        rdms = compute_rdms(x, stimulus_ids=IDS)
    assert "1 patterns without variance have undefined (NaN) dissimilarities: s4" in caplog.text
    with pytest.raises(DataError, match=r"stimuli without any: s4"):
        compare_rdms(rdms, brain(), inference=Inference(bootstrap=0, variance="jackknife"))


def test_a_constant_rdm_is_undefined_named_and_leaves_the_family_of_tests(caplog):
    values = models().values.copy()
    values[1] = 1.0
    constant = models().copy(data=values)
    with caplog.at_level(logging.WARNING):
        result = compare_rdms(constant, brain(), similarity="pearson", inference=Inference(bootstrap=20))
    assert "pearson is undefined (NaN) for RDMs without variance: V1/bu@1" in caplog.text
    data = result.dataset.isel(target=0)
    np.testing.assert_array_equal(np.isnan(data["score"]), [False, True, False, False])
    np.testing.assert_array_equal(np.isnan(data["p_zero_corrected"]), [False, True, False, False])
    assert float(data["best_share"][1]) == 0


def test_an_asymmetric_matrix_is_refused_and_says_where():
    square = np.ones((N, N)) - np.eye(N)
    square[2, 5] = 3.0
    with pytest.raises(DataError, match="symmetric"):
        make_rdms(square, IDS, metric="m")


def test_the_ten_lines_of_the_readme(tmp_path):
    """With made-up data of the same form."""
    rdms, neural = models(), brain(rois=("IT",))
    result = bn.compare_rdms(
        rdms, neural, similarity="corr_cov", inference=bn.Inference(bootstrap=1000), run=bn.Run(seed=0)
    )
    axes = result.plot_time_course(stream="bu")
    assert [axis.get_title() for axis in axes] == ["V1", "IT"]
    assert axes[0].get_ylabel() == "whitened correlation"
