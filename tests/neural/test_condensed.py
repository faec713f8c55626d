"""Which square matrices are dissimilarities, at the smallest sizes and at the edge of rounding."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import squareform

from bltvs_neuro.errors import DataError
from bltvs_neuro.neural.condensed import condensed_to_square, looks_like_rdm, pair_index, square_to_condensed

ROUNDING = 1e-6  # of the largest value


def square(n: int, diagonal: float = 0.0) -> np.ndarray:
    return squareform(np.arange(1.0, n * (n - 1) / 2 + 1)) + diagonal * np.eye(n)


def off(values: np.ndarray, by: float) -> np.ndarray:
    """One entry of the upper triangle larger, by a share of the largest value."""
    values = values.copy()
    values[0, 1] += by * values.max()
    return values


NAN = np.where(square(4) == 2, np.nan, square(4))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (square(2), True), (square(3), True), (square(4), True), (square(5), True),
        (square(2, 1.0), True), (square(3, 1.0), True),  # similarities of few stimuli
        (square(3, 1 + 0.9e-6), True), (square(3, 1 + 2e-6), False), (square(3, -1.0), False),
        (square(2, 5.0), False), (square(3, 2.0), False), (square(4, 2.0), True),  # four that are symmetric are enough
        (off(square(3), 0.5), False), (off(square(4), 0.5), True),  # and so are four with a diagonal of zeros
        (off(square(4, 2.0), 0.5), False), (off(square(5, 2.0), 0.5 * ROUNDING), True),
        (off(square(5, 2.0), 2 * ROUNDING), False),
        (NAN, True), (NAN + 2 * np.eye(4), True), (np.full((4, 4), np.nan), True),
        (NAN + np.diag([np.nan] * 4), True), (np.full((3, 3), np.inf), False),
        (np.where(np.triu(np.isnan(NAN)), np.nan, square(4, 2.0)), False),  # missing on one side only
        (np.zeros((3, 4)), False), (np.zeros((4, 3)), False), (np.zeros((1, 1)), False), (np.zeros(4), False),
        (np.zeros((2, 2, 2)), False), (np.zeros((2, 2), bool), True), (np.zeros((2, 2), complex), False),
    ],
)  # fmt: skip
def test_what_looks_like_dissimilarities(values: np.ndarray, expected: bool) -> None:
    assert looks_like_rdm(values) is expected


def test_two_stimuli_have_one_pair() -> None:
    assert square_to_condensed([[0.0, 3.0], [3.0, 0.0]]).tolist() == [3]
    assert condensed_to_square([3.0]).tolist() == [[0, 3], [3, 0]]
    assert pair_index(np.array([0, 1]), np.array([1, 0]), 2).tolist() == [0, 0]
    for values in (np.zeros((1, 1)), np.zeros((2, 3)), np.zeros((3, 2)), np.zeros(2)):
        with pytest.raises(DataError, match="should be square"):
            square_to_condensed(values)


def test_rounding_is_averaged_and_more_is_refused_or_asked_for() -> None:
    values = square(4)
    close, far = off(values, 0.5 * ROUNDING), off(values, 2 * ROUNDING)
    np.testing.assert_allclose(square_to_condensed(close)[0], 1 + 0.25 * ROUNDING * 6, rtol=1e-12)
    with pytest.raises(DataError, match=r"1 of 6 pairs differ between the triangles, most at \(0, 1\)"):
        square_to_condensed(far)
    np.testing.assert_allclose(square_to_condensed(far, asymmetric="mean")[0], 1 + ROUNDING * 6, rtol=1e-12)
    with pytest.raises(DataError, match="diagonal of the matrix should be 0.*largest value is 0.5$"):
        square_to_condensed(square(4, 0.5))
    assert square_to_condensed(square(4, 0.9e-6 * 6)).tolist() == [1, 2, 3, 4, 5, 6]
