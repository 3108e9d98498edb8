"""Algorithms held against one another over all environments, as Agarwal et al. 2021 (arXiv:2108.13264) advise."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_known
from jaxmarl_lite.ops import reliability
from jaxmarl_lite.view.canvas import new_mosaic, save_figure, verbatim
from jaxmarl_lite.view.learning import add_legend, count_seeds, styles_of
from jaxmarl_lite.view.runs import RETURN, Curve, require_one_length
from jaxmarl_lite.view.table import write_table

AGGREGATES = {
    "median": reliability.median,
    "interquartile mean": reliability.interquartile_mean,
    "mean": reliability.mean,
    "optimality gap": reliability.optimality_gap,
}
_LAYOUT = "ABCD;EEFF"
_THRESHOLDS = 101

Bounds = Mapping[str, tuple[float, float]]
"""the returns that score 0 and 1, by the environment's name"""
Row = tuple[str, str, str, float, float, float]


class Compared(NamedTuple):
    """The scores of the last evaluations, made comparable between environments."""

    scores: dict[str, list[np.ndarray]]
    """by algorithm: for each environment float [N], (return - low) / (high - low)"""
    bounds: dict[str, tuple[float, float]]
    """by environment"""
    left_out: list[str]
    """environments in which not all algorithms were trained, or that have no scale"""
    given: frozenset[str]
    """environments whose bounds were given"""


def compare(curves: Sequence[Curve], given: Bounds | None = None, *, is_planned: bool = False) -> Compared:
    """Return the scores of all algorithms in the environments that they have in common.

    Bounds that are not given are the worst and the best evaluation of any seed in an environment. With `is_planned`
    algorithms may have been trained for unlike lengths, and environments in which all evaluations are equal, so that
    there is no scale, are left out.

    Raises SettingError if there are not two algorithms, they share no environment, they were not trained equally long
    there, or a bound cannot be used.
    """
    given, tasks = dict(given or {}), list(dict.fromkeys(curve.task for curve in curves))
    for task in given:
        require_known("environment in bounds", task, tasks)
    algos = list(dict.fromkeys(curve.algo for curve in curves))
    if len(algos) < 2:
        raise SettingError(f"scores need two algorithms to compare, and these runs are all of {algos[0]}.")
    of = {(curve.algo, curve.task): curve for curve in curves}
    shared = [task for task in tasks if all((algo, task) in of for algo in algos)]
    if is_planned:
        values = {task: np.concatenate([of[algo, task].values.ravel() for algo in algos]) for task in shared}
        shared = [task for task in shared if task in given or np.ptp(values[task]) > 0.0]
    if not shared:
        raise SettingError(
            f"scores need an environment in which all of {', '.join(algos)} were trained"
            f"{', and not to the same returns only' * is_planned}: there is none."
        )
    for task in () if is_planned else shared:
        require_one_length([of[algo, task] for algo in algos])
    bounds = {task: _bounds(task, [of[algo, task] for algo in algos], given) for task in shared}
    scores = {
        algo: [(of[algo, task].values[-1] - low) / (high - low) for task, (low, high) in bounds.items()]
        for algo in algos
    }
    return Compared(scores, bounds, [task for task in tasks if task not in shared], frozenset(given))


def draw_scores(
    curves: Sequence[Curve],
    path: Path,
    *,
    bounds: Bounds | None = None,
    is_planned: bool = False,
    metric: str = RETURN,
) -> Compared:
    """Draw aggregate scores, performance profiles and probabilities of improvement, and return what they are of.

    `metric` is what the curves are of.

    Raises SettingError as `compare` does, RunError if a file cannot be written or matplotlib is not installed.
    """
    compared = compare(curves, bounds, is_planned=is_planned)
    scores, styles = compared.scores, styles_of(curves)
    figure, panels = new_mosaic(11.0, 3.4 + 0.55 * len(scores) + 2.0, _LAYOUT)
    rows: list[Row] = []
    for axes, (name, statistic) in zip((panels[letter] for letter in "ABCD"), AGGREGATES.items(), strict=True):
        rows += _aggregate(axes, name, statistic, scores, styles)
    for letter in "BCD":
        panels[letter].tick_params(labelleft=False)
    rows += draw_profiles(panels["E"], scores, styles)
    rows += _improvements(panels["F"], scores)
    labels = {algo: f"{algo} ({count_seeds(map(len, tasks))})" for algo, tasks in scores.items()}
    add_legend(figure, styles, labels)
    figure.supxlabel(verbatim(textwrap.fill(scores_note(compared, metric), 170)), fontsize=8)
    save_figure(figure, path)
    known = [("bounds", "", task, np.nan, *ends) for task, ends in compared.bounds.items()]
    write_table(path, ["quantity", "algorithm", "against", "value", "low", "high"], [*rows, *known])
    return compared


def _bounds(task: str, curves: Sequence[Curve], given: Bounds) -> tuple[float, float]:
    values = np.concatenate([curve.values.ravel() for curve in curves])
    low, high = given.get(task, (float(values.min()), float(values.max())))
    if not low < high:
        raise SettingError(
            f"scores in {task} cannot be brought to one scale from {low:g} to {high:g}: give its bounds, lower first."
        )
    return low, high


def _aggregate(axes: Any, name: str, statistic: Any, scores: Mapping[str, Any], styles: Mapping[str, Any]) -> list[Row]:
    rows = []
    for place, (algo, tasks) in enumerate(scores.items()):
        value, (low, high) = float(statistic(tasks)), reliability.interval(statistic, tasks)
        colour = styles[algo]["color"]
        axes.barh(place, high - low, left=low, height=0.5, color=colour, alpha=0.35)
        axes.plot([value, value], [place - 0.25, place + 0.25], color=colour, lw=2.5)
        rows.append((name, algo, "", value, float(low), float(high)))
    axes.set_yticks(range(len(scores)), labels=list(map(verbatim, scores)))
    axes.set_ylim(len(scores) - 0.4, -0.6)
    axes.set_title(name + (" (less is better)" if name == "optimality gap" else ""), fontsize=10)
    axes.use_sticky_edges = False
    axes.margins(x=0.08)
    axes.grid(color="0.9", axis="x")
    return rows


def draw_profiles(axes: Any, scores: Mapping[str, Any], styles: Mapping[str, Any]) -> list[Row]:
    """Draw the performance profile of each algorithm into a panel, and return its numbers."""
    every = np.concatenate([runs for tasks in scores.values() for runs in tasks])
    thresholds = np.linspace(min(0.0, every.min()), max(1.0, every.max()), _THRESHOLDS)
    rows = []
    for algo, tasks in scores.items():

        def profile(drawn: reliability.Scores) -> np.ndarray:
            return reliability.performance_profile(drawn, thresholds)

        share, (low, high) = profile(tasks), reliability.interval(profile, tasks)
        axes.plot(thresholds, share, lw=2.0, **styles[algo])
        axes.fill_between(thresholds, low, high, color=styles[algo]["color"], alpha=0.2, lw=0)
        columns = zip(thresholds, share, low, high, strict=True)
        rows += [("performance profile", algo, f"{threshold:.4g}", *rest) for threshold, *rest in columns]
    axes.set(xlabel="score x", ylabel="share of runs above x", ylim=(-0.02, 1.02))
    axes.set_title("performance profile", fontsize=10)
    axes.grid(color="0.9")
    return rows


def _improvements(axes: Any, scores: Mapping[str, Any]) -> list[Row]:
    algos, statistic, rows = list(scores), reliability.probability_of_improvement, []
    table = np.full((len(algos), len(algos)), np.nan)
    for (row, x), (column, y) in ((a, b) for a in enumerate(algos) for b in enumerate(algos) if a != b):
        value, (low, high) = (
            float(statistic(scores[x], scores[y])),
            reliability.interval(statistic, scores[x], scores[y]),
        )
        table[row, column] = value
        text = f"{value:.2f}" + ("" if np.isnan(low) else f"\n{low:.2f} to {high:.2f}")
        axes.text(column, row, text, ha="center", va="center", fontsize=8 if len(algos) < 6 else 6)
        rows.append(("probability of improvement", x, y, value, float(low), float(high)))
    axes.imshow(table, cmap="RdBu", vmin=0.0, vmax=1.0, alpha=0.75, aspect="auto")
    names = list(map(verbatim, algos))
    axes.set_xticks(range(len(algos)), labels=names, rotation=0 if len(algos) < 5 else 30)
    axes.set_yticks(range(len(algos)), labels=names)
    axes.set_title("probability that the row does better than the column", fontsize=10)
    return rows


def scores_note(compared: Compared, metric: str = RETURN) -> str:
    """Return what scores and intervals are, of curves of a metric."""
    told = [
        f"{task} {low:.4g} to {high:.4g}{' (given)' if task in compared.given else ''}"
        for task, (low, high) in compared.bounds.items()
    ]
    listed = "; ".join(told[:8]) + ("; ..." if len(told) > 8 else "")
    value = "return" if metric == RETURN else metric
    return (
        f"Scores are ({value} - low) / (high - low) of each seed's last evaluation; low and high are the worst and "
        f"best evaluation among these runs, or given: {listed}. Bars and bands are 95 % intervals by "
        f"{reliability.RESAMPLES:,} bootstrap resamples of seeds within environments."
    )
