"""How good algorithms are over tasks and seeds, and how sure that is (Agarwal et al. 2021, arXiv:2108.13264).

Scores are a list with an array for each of M tasks, float [..., N] of N runs; tasks may have different numbers of runs.
A statistic maps such a list to [...]; leading axes are whatever else there is, such as times or resamples.
"""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.stats

Scores = Sequence[np.ndarray]
Statistic = Callable[..., np.ndarray]

RESAMPLES = 2000
LEVEL = 0.95


def mean(scores: Scores) -> np.ndarray:
    """Return the mean over tasks of the mean over runs."""
    return np.mean([runs.mean(-1) for runs in scores], axis=0)


def median(scores: Scores) -> np.ndarray:
    """Return the median over tasks of the mean over runs."""
    return np.median([runs.mean(-1) for runs in scores], axis=0)


def interquartile_mean(scores: Scores) -> np.ndarray:
    """Return the mean of the middle half of all runs of all tasks: of n, floor(n / 4) are dropped at each end."""
    pooled = np.sort(np.concatenate(scores, axis=-1), axis=-1)
    num = pooled.shape[-1]
    return pooled[..., num // 4 : num - num // 4].mean(-1)


def optimality_gap(scores: Scores, target: float = 1.0) -> np.ndarray:
    """Return how far runs fall short of a score that would do: the mean over tasks and runs of max(target - x, 0)."""
    return mean([np.maximum(target - runs, 0.0) for runs in scores])


def performance_profile(scores: Scores, thresholds: np.ndarray) -> np.ndarray:
    """Return the share of runs above each of L thresholds, averaged over tasks, [L, ...]: section 4.2, equation 2."""
    return np.stack([mean([(runs > threshold).astype(float) for runs in scores]) for threshold in thresholds])


def probability_of_improvement(scores: Scores, others: Scores) -> np.ndarray:
    """Return how likely a run of the first scores better than one of the second, in a task drawn at random.

    P(X > Y) is the mean over tasks of the share of pairs of runs with x > y, where equal ones count half, which is the
    Mann-Whitney statistic over the number of pairs (section 4.3).
    """
    shares = []
    for x, y in zip(scores, others, strict=True):
        difference = x[..., :, None] - y[..., None, :]
        shares.append((0.5 * (np.sign(difference) + 1.0)).mean((-2, -1)))
    return np.mean(shares, axis=0)


def interval(statistic: Statistic, *groups: Scores, resamples: int = RESAMPLES) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 95 % interval of `statistic(*groups)`, by the stratified bootstrap (section 4.1).

    Runs are drawn with replacement within each task, `resamples` times, and the interval is from percentile to
    percentile. The draws are the same in every call. Where no task has two runs nothing is known of the interval, and
    both ends are NaN.
    """
    rng = np.random.default_rng(0)
    drawn = [[_resampled(rng, runs, resamples) for runs in scores] for scores in groups]
    low, high = np.quantile(statistic(*drawn), [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0], axis=-1)
    if all(runs.shape[-1] < 2 for scores in groups for runs in scores):
        return np.full_like(low, np.nan), np.full_like(high, np.nan)
    return low, high


def mean_interval(runs: np.ndarray) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean of float [N] runs by Student's t; None where one tells nothing of it."""
    num = len(runs)
    if num < 2:
        return None
    half = scipy.stats.t.ppf((1.0 + LEVEL) / 2.0, num - 1) * runs.std(ddof=1) / num**0.5
    return float(runs.mean() - half), float(runs.mean() + half)


def is_worse(runs: np.ndarray, best: np.ndarray) -> bool:
    """Return whether the mean of float [N] runs is below that of float [M] others by more than chance.

    That is Welch's t test for unequal variances, one-sided at 5 % (Welch 1947). Single runs tell nothing of chance:
    then the lower mean is worse.
    """
    if min(len(runs), len(best)) < 2 or max(runs.std(), best.std()) == 0.0:
        return bool(runs.mean() < best.mean())
    told = [figure for x in (runs, best) for figure in (x.mean(), x.std(ddof=1), len(x))]
    test = scipy.stats.ttest_ind_from_stats(*told, equal_var=False, alternative="less")
    return bool(test.pvalue < 1.0 - LEVEL)


def _resampled(rng: np.random.Generator, runs: np.ndarray, resamples: int) -> np.ndarray:
    """Return runs [..., N] drawn again and again, [..., resamples, N]."""
    num = runs.shape[-1]
    return np.take(runs, rng.integers(num, size=(resamples, num)), axis=-1)
