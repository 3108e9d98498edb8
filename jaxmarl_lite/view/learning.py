"""Learning curves of several algorithms and environments."""

import itertools
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxmarl_lite.ops.reliability import RESAMPLES, interquartile_mean, interval
from jaxmarl_lite.view.canvas import count_steps, line_sample, mark_of, new_figure, save_figure, verbatim
from jaxmarl_lite.view.runs import RETURN, Curve
from jaxmarl_lite.view.table import write_table

_COLUMNS = 3  # panels beside one another
_LETTERS_PER_INCH = 12  # of a legend, about


class Band(NamedTuple):
    """The interquartile mean over seeds at each step, and its interval; float [T]."""

    middle: np.ndarray
    low: np.ndarray
    high: np.ndarray


def band_of(curve: Curve) -> Band:
    """Return what is drawn of a curve."""
    scores = [curve.values]
    return Band(interquartile_mean(scores), *interval(interquartile_mean, scores))


def draw_curves(curves: Sequence[Curve], path: Path, *, metric: str) -> None:
    """Draw a panel for each environment: a line for each algorithm, and a band where it has several seeds.

    Raises RunError if a file cannot be written or matplotlib is not installed.
    """
    tasks, styles = list(dict.fromkeys(curve.task for curve in curves)), styles_of(curves)
    columns = min(len(tasks), _COLUMNS)
    rows = math.ceil(len(tasks) / columns)
    figure, panels = new_figure(max(7.0, 0.6 + 4.6 * columns), 0.9 + 3.4 * rows, rows, columns)
    panels = np.ravel(panels)
    table = []
    for curve in curves:
        band = draw_band(panels[tasks.index(curve.task)], curve, styles[curve.algo])
        numbers = zip(curve.steps, *band, itertools.repeat(curve.values.shape[1]))
        table += [(curve.task, curve.algo, *row) for row in numbers]
    for axes, task in zip(panels, tasks, strict=False):
        axes.set_title(verbatim(textwrap.fill(task, 50)), fontsize=11)
    for axes in panels[len(tasks) :]:
        axes.set_axis_off()
    figure.supxlabel(f"environment steps of each seed\n{curves_note(curves)}", fontsize=9)
    figure.supylabel("return, summed over agents" if metric == RETURN else verbatim(metric), fontsize=10)
    add_legend(figure, styles, {algo: f"{algo} ({_seeds(curves, algo)})" for algo in styles})
    save_figure(figure, path)
    write_table(path, ["environment", "algorithm", "env_steps", "iqm", "low", "high", "seeds"], table)


def draw_band(axes: Any, curve: Curve, style: Mapping[str, Any]) -> Band:
    """Draw a curve into a panel and return what is drawn of it."""
    band = band_of(curve)
    axes.plot(curve.steps, band.middle, lw=2.0, marker=mark_of(curve.steps), **style)
    axes.fill_between(curve.steps, band.low, band.high, color=style["color"], alpha=0.2, lw=0)
    axes.grid(color="0.9")
    count_steps(axes)
    return band


def styles_of(curves: Sequence[Curve]) -> dict[str, dict[str, Any]]:
    """Return the colour and the dashes of each algorithm, the same in every panel."""
    algos = dict.fromkeys(curve.algo for curve in curves)
    return {algo: {"color": f"C{i % 10}", "ls": ("-", "--", ":")[i // 10 % 3]} for i, algo in enumerate(algos)}


def add_legend(figure: Any, styles: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    """Put one legend of all panels above them, with a text for each algorithm."""
    texts = [textwrap.fill(text, 60) for text in labels.values()]
    widest = max(len(line) for text in texts for line in text.splitlines())
    ncols = min(len(labels), max(1, int(_LETTERS_PER_INCH * figure.get_figwidth() / (widest + 8))))
    lines = [line_sample(styles[algo]) for algo in labels]
    figure.legend(lines, list(map(verbatim, texts)), loc="outside upper center", ncols=ncols, frameon=False, fontsize=9)


def count_seeds(numbers: Iterable[int]) -> str:
    """Return how many seeds there are, in words: from the fewest to the most."""
    few, *_, many = sorted([*numbers] * 2)
    return f"{few} seed{'s' if few > 1 else ''}" if few == many else f"{few} to {many} seeds"


def curves_note(curves: Sequence[Curve]) -> str:
    """Return what lines and bands are."""
    if all(curve.values.shape[1] == 1 for curve in curves):
        return "one seed: no interval is known"
    return f"interquartile mean over seeds, and its 95 % interval by {RESAMPLES:,} bootstrap resamples of seeds"


def _seeds(curves: Sequence[Curve], algo: str) -> str:
    return count_seeds(curve.values.shape[1] for curve in curves if curve.algo == algo)
