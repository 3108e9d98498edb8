"""Estimators over tasks and seeds against their definitions, written out."""

import numpy as np
import pytest
import scipy.stats

from jaxmarl_lite.ops import reliability

STATISTICS = [reliability.mean, reliability.median, reliability.interquartile_mean, reliability.optimality_gap]


def sample(seed=0, shape=(3, 7)):
    return list(np.random.default_rng(seed).normal(0.6, 0.4, shape))


@pytest.mark.parametrize("runs", range(1, 14))
def test_the_interquartile_mean_is_the_mean_trimmed_by_a_quarter_on_each_side(runs):
    scores = sample(runs, (2, runs))
    want = scipy.stats.trim_mean(np.concatenate(scores), 0.25)
    assert reliability.interquartile_mean(scores) == pytest.approx(want)


def test_aggregates_of_known_scores():
    scores = [np.array([0.0, 1.0, 2.0, 3.0]), np.array([10.0]), np.array([0.5, 0.5])]  # ragged on purpose
    assert reliability.mean(scores) == pytest.approx((1.5 + 10.0 + 0.5) / 3)
    assert reliability.median(scores) == 1.5
    assert reliability.interquartile_mean(scores) == pytest.approx(np.mean([0.5, 0.5, 1.0, 2.0, 3.0]))
    assert reliability.optimality_gap(scores) == pytest.approx((0.25 + 0.0 + 0.5) / 3)
    assert reliability.optimality_gap(scores, 2.0) == pytest.approx((0.75 + 0.0 + 1.5) / 3)


def test_a_profile_is_the_share_of_runs_above_each_threshold():
    scores = [np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 1.5])]
    thresholds = np.array([-1.0, 0.0, 1.0, 1.5, 3.0])
    want = [1.0, (0.75 + 1.0) / 2, (0.5 + 0.5) / 2, (0.5 + 0.0) / 2, 0.0]
    np.testing.assert_allclose(reliability.performance_profile(scores, thresholds), want)


def test_the_probability_of_improvement_is_the_mann_whitney_statistic():
    rng = np.random.default_rng(1)
    x, y = (list(rng.integers(0, 5, (3, runs)).astype(float)) for runs in (6, 9))  # with many ties
    parts = [scipy.stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)) for a, b in zip(x, y, strict=True)]
    assert reliability.probability_of_improvement(x, y) == pytest.approx(np.mean(parts))
    assert reliability.probability_of_improvement(y, x) == pytest.approx(1.0 - np.mean(parts))
    assert reliability.probability_of_improvement(x, x) == pytest.approx(0.5)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_leading_axes_are_many_lists_of_scores(statistic):
    rng = np.random.default_rng(2)
    many = [rng.normal(size=(4, runs)) for runs in (5, 8)]
    np.testing.assert_allclose(statistic(many), [statistic([runs[i] for runs in many]) for i in range(4)])


def test_the_interval_of_a_mean_is_nearly_that_of_theory():
    rng = np.random.default_rng(3)
    scores = [rng.normal(0.0, 1.0, 400), rng.normal(5.0, 3.0, 400)]
    low, high = reliability.interval(reliability.mean, scores)
    error = 0.5 * np.sqrt(sum(runs.var() / len(runs) for runs in scores))
    centre = reliability.mean(scores)
    np.testing.assert_allclose([low, high], [centre - 1.96 * error, centre + 1.96 * error], atol=0.3 * error)


def test_runs_are_drawn_within_their_task():
    scores = [np.zeros(5), np.full(5, 10.0)]
    for statistic in STATISTICS[:2]:
        assert reliability.interval(statistic, scores) == (5.0, 5.0)


def test_an_interval_is_the_same_every_time_and_holds_the_value():
    scores, others = sample(0), sample(1)
    first, again = (reliability.interval(reliability.probability_of_improvement, scores, others) for _ in range(2))
    assert first == again
    assert first[0] < reliability.probability_of_improvement(scores, others) < first[1]


def test_intervals_of_times_are_each_of_its_own_time():
    curve = np.stack([sample(0)[0], 100.0 + sample(1)[0]])
    low, high = reliability.interval(reliability.interquartile_mean, [curve])
    middle = reliability.interquartile_mean([curve])
    assert low.shape == high.shape == (2,)
    assert ((low < middle) & (middle < high)).all()
    assert high[0] < low[1]


def test_one_seed_tells_nothing_of_the_interval():
    low, high = reliability.interval(reliability.mean, [np.ones(1), np.zeros(1)])
    assert np.isnan([low, high]).all()
    assert not np.isnan(reliability.interval(reliability.mean, [np.ones(1), np.zeros(2)])).any()


def test_a_mean_is_worse_only_by_more_than_chance():
    rng = np.random.default_rng(0)
    best, far = rng.normal(1.0, 1.0, 8), rng.normal(-3.0, 3.0, 8)
    near = best[::-1] - 0.2
    for runs in (near, far):
        test = scipy.stats.ttest_ind(runs, best, equal_var=False, alternative="less")
        assert reliability.is_worse(runs, best) == (test.pvalue < 0.05)
    assert reliability.is_worse(far, best)
    assert not reliability.is_worse(near, best)
    assert not reliability.is_worse(best, best)
    sure = np.full(3, 2.0)
    assert [reliability.is_worse(sure - delta, sure) for delta in (0.0, 0.1)] == [False, True]
    assert reliability.is_worse(np.array([1.0]), np.array([2.0]))
    assert reliability.mean_interval(np.array([1.0])) is None
    expected = scipy.stats.t.interval(0.95, 7, best.mean(), scipy.stats.sem(best))
    np.testing.assert_allclose(reliability.mean_interval(best), expected)
