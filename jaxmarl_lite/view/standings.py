"""Who did how well in which task, and as tables for people and programs."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxmarl_lite.ops.reliability import interval, is_worse, mean_interval
from jaxmarl_lite.view.runs import Curve
from jaxmarl_lite.view.scores import AGGREGATES, Compared

NOTE = (
    "Return summed over agents in the last evaluation: the mean over seeds and its 95 % interval (Student's t). Bold: "
    "the best of a task, and those that are not significantly worse (Welch's t test over seeds, one-sided, 5 %)."
)
COLUMNS = ("task", "algorithm", "seed", "env_steps", "return", "best_return")


class Standing(NamedTuple):
    """How an algorithm did in a task."""

    mean: float
    """over seeds, of the last evaluation"""
    interval: tuple[float, float] | None
    """95 %; None of one seed"""
    is_best: bool
    """whether none is significantly better"""


class Aggregate(NamedTuple):
    """A statistic of an algorithm's scores over all tasks."""

    value: float
    interval: tuple[float, float]
    """95 %; NaN where no task has two seeds"""


Standings = Mapping[tuple[str, str], Standing]
"""by algorithm and task"""


def standings_of(curves: Sequence[Curve]) -> Standings:
    """Return how each algorithm did in each of its tasks."""
    last = {(curve.algo, curve.task): curve.values[-1] for curve in curves}
    best: dict[str, np.ndarray] = {}
    for (_, task), runs in last.items():
        best[task] = max(best.get(task, runs), runs, key=np.mean)
    return {
        (algo, task): Standing(float(runs.mean()), mean_interval(runs), not is_worse(runs, best[task]))
        for (algo, task), runs in last.items()
    }


def aggregates_of(compared: Compared) -> dict[str, dict[str, Aggregate]]:
    """Return statistics of scores over all tasks, by their name and the algorithm."""
    return {
        name: {
            algo: Aggregate(float(statistic(scores)), pair(interval(statistic, scores)))
            for algo, scores in compared.scores.items()
        }
        for name, statistic in AGGREGATES.items()
    }


def pair(ends: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    """Return the ends of the interval of a single number."""
    return float(ends[0]), float(ends[1])


def per_seed(curves: Sequence[Curve]) -> list[tuple[str, str, int, int, float, float]]:
    """Return a row of `COLUMNS` for each seed; `best_return` is that of its best evaluation."""
    return [
        (curve.task, curve.algo, seed, int(curve.steps[-1]), float(values[-1]), float(values.max()))
        for curve in curves
        for seed, values in enumerate(curve.values.T)
    ]


def markdown(title: str, curves: Sequence[Curve], compared: Compared | None) -> str:
    """Return the standings, and what `compared` says over all tasks, as Markdown."""
    algos, tasks = (list(dict.fromkeys(getattr(curve, name) for curve in curves)) for name in ("algo", "task"))
    standings = standings_of(curves)
    lines = [f"# {title}", "", *_row(["task", *algos]), *_row(["---"] * (len(algos) + 1))]
    for task in tasks:
        lines += _row([task, *(_cell(standings.get((algo, task))) for algo in algos)])
    lines += ["", NOTE]
    if compared is not None:
        known = list(compared.scores)
        lines += ["", *_row([f"score over {len(compared.bounds)} task(s)", *known]), *_row(["---"] * (len(known) + 1))]
        for name, of in aggregates_of(compared).items():
            lines += _row([name, *(f"{of[algo].value:.3f}{between(of[algo].interval, 3)}" for algo in known)])
    return "\n".join(lines) + "\n"


def between(ends: tuple[float, float] | None, digits: int) -> str:
    """Return an interval in words, or nothing where it is not known."""
    if ends is None or np.isnan(ends[0]):
        return ""
    return f" [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"


def _cell(standing: Standing | None) -> str:
    if standing is None:
        return ""
    text = f"{standing.mean:.2f}"
    return (f"**{text}**" if standing.is_best else text) + between(standing.interval, 2)


def _row(cells: Sequence[str]) -> list[str]:
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"]
