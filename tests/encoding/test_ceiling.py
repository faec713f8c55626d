from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.encoding.scores.ceiling import (
    CEILINGS,
    ceiling_from_ncsnr,
    ncsnr,
    noise_ceiling,
    normalise_r,
    normalise_r2,
    normalised_mean,
    spearman_brown,
    split_half,
)
from bltvs_neuro.encoding.scores.score import pearson, r2
from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural.labelled import make_responses
from tests.calibration.encoding_ceilings import DESIGNS, measure


def simulate(n: int, reps: int, t: int, share: float, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """Trials with a single-trial signal share, and the true signal."""
    rng = np.random.default_rng(seed)
    signal = np.sqrt(share) * rng.standard_normal((n, t))
    return [s + np.sqrt(1 - share) * rng.standard_normal((reps, t)) for s in signal], signal


@pytest.mark.parametrize("method", list(CEILINGS))
@pytest.mark.parametrize(("share", "reps"), [(0.2, 3), (0.5, 2), (0.3, 8)])
def test_every_ceiling_recovers_the_truth_and_a_perfect_model_scores_one(method: str, share: float, reps: int) -> None:
    trials, signal = simulate(400, reps, 200, share)
    truth = share / (share + (1 - share) / reps)
    ceiling = CEILINGS[method](trials)
    assert ceiling.mean() == pytest.approx(truth, abs=0.01)
    mean = np.array([rows.mean(axis=0) for rows in trials])
    assert normalise_r(pearson(mean, signal), ceiling).mean() == pytest.approx(1, abs=0.02)
    assert normalise_r2(r2(mean, signal), ceiling).mean() == pytest.approx(1, abs=0.03)


def test_ncsnr_follows_its_published_formula() -> None:
    trials, _ = simulate(30, 3, 4, 0.4)
    stack = np.array(trials)  # (stimulus, repetition, target)
    z = (stack - stack.mean(axis=(0, 1))) / stack.reshape(-1, 4).std(axis=0, ddof=1)
    noise = np.sqrt(z.var(axis=1, ddof=1).mean(axis=0))
    np.testing.assert_allclose(ncsnr(trials), np.sqrt(np.maximum(1 - noise**2, 0)) / noise)
    # the data set's own form, in percent: 100 n^2 / (n^2 + 1/3)
    np.testing.assert_allclose(100 * ceiling_from_ncsnr(0.7, 3), 100 * 0.49 / (0.49 + 1 / 3))
    assert ceiling_from_ncsnr(np.inf, 3) == 1


def test_spearman_brown_predicts_the_reliability_of_more_repetitions() -> None:
    trials, _ = simulate(2000, 8, 20, 0.3)
    two = pearson(np.array([r[0] for r in trials]), np.array([r[1] for r in trials])).mean()
    eight = pearson(np.array([r[:4].mean(0) for r in trials]), np.array([r[4:].mean(0) for r in trials])).mean()
    assert spearman_brown(two, 4) == pytest.approx(eight, abs=0.01)
    assert split_half(trials, n_splits=3).mean() == pytest.approx(spearman_brown(two, 8), abs=0.01)


def test_a_labelled_array_of_any_order_with_time_and_uneven_repeats() -> None:
    trials, _ = simulate(40, 4, 6, 0.5)
    trials = [rows[: 1 + i % 4] for i, rows in enumerate(trials)]
    ids = [f"s{i}" for i, rows in enumerate(trials) for _ in rows]
    order = np.random.default_rng(0).permutation(len(ids))
    values = np.concatenate(trials).reshape(-1, 3, 2)[order]
    responses = make_responses(values, [ids[i] for i in order], neuroid_coords={"voxel": range(3)}, time=[0.1, 0.2])
    for method in ("ncsnr", "repetition_variance"):
        np.testing.assert_allclose(noise_ceiling(responses, method), CEILINGS[method](trials).reshape(3, 2), rtol=1e-6)
    assert noise_ceiling(responses).shape == (3, 2)


def test_no_signal_gives_nan_not_a_large_score() -> None:
    np.testing.assert_array_equal(np.isnan(normalise_r(np.array([0.1, 0.1]), np.array([-0.2, 0.25]))), [True, False])
    assert np.isnan(normalise_r2(np.array([0.1]), np.array([0.0]))).all()


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
def test_ceilings_are_of_the_stimuli_that_scores_are_of(design) -> None:
    """The analysis of variance within .02 of the truth on held-out seeds; a perfect model's ratio of means within .05."""
    found = measure(design, "repetition_variance", 20_010)
    assert found["ceiling"] == pytest.approx(found["truth"], abs=0.02)
    if found["truth"]:
        assert found["ratio of means"] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("method", ["split_half", "ncsnr"])
@pytest.mark.parametrize("number", [1, 2, 4, 5, 6])
def test_other_ceilings_too_where_voxels_have_signal_or_none_has(number, method) -> None:
    found = measure(DESIGNS[number], method, 20_011)
    assert found["ceiling"] == pytest.approx(found["truth"], abs=0.04 if number == 4 else 0.02)


def test_sessions_that_are_stimuli_are_refused() -> None:
    values = np.random.default_rng(0).standard_normal((20, 3))
    one_each = make_responses(values, [f"s{i // 2}" for i in range(20)], neuroid_coords={}, session=np.arange(20) // 2)
    with pytest.raises(DataError, match="10 stimuli lie in 10 sessions.*leave out the coordinate session"):
        noise_ceiling(one_each)


def test_a_ratio_of_means_by_hand() -> None:
    score, ceiling = np.array([0.2, 0.1, 0.0, np.nan, 0.3]), np.array([0.4, 0.01, -0.1, 0.5, np.nan])
    assert normalised_mean(score, ceiling) == pytest.approx(0.3 / 0.31)
    assert np.isnan(normalised_mean(np.array([0.1]), np.array([-0.1])))
    np.testing.assert_allclose(normalise_r2(score, ceiling), [0.5, np.nan, np.nan, np.nan, np.nan])


def test_too_few_repeats_and_unknown_methods() -> None:
    with pytest.raises(DataError, match="at least 3 stimuli shown more than once; got 2"):
        ncsnr([np.ones((2, 1)), np.ones((2, 1)), np.ones((1, 1))])
    with pytest.raises(SpecError, match="one per stimulus"):
        ncsnr([np.ones(3)])
    with pytest.raises(SpecError, match=r"unknown noise ceiling 'splithalf'.*'split_half'"):
        noise_ceiling(None, "splithalf")  # type: ignore[arg-type]
