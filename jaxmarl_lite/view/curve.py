"""Learning curves."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from jaxmarl_lite.core.errors import RunError
from jaxmarl_lite.training.callbacks import Beginning, Result, Watcher
from jaxmarl_lite.training.folder import CURVE
from jaxmarl_lite.view.canvas import mark_of, new_figure, save_figure, verbatim

_CURVES = (("return_sum", "while learning", "0.6"), ("eval_return_sum", "in evaluation", "C0"))


class Curve(Watcher):
    """Draws a run's curve into its folder when it has ended; a warning says why it cannot."""

    def begin(self, run: Beginning) -> None:
        """Hear where the folder is."""
        self._folder = run.folder

    def end(self, result: Result | None) -> None:
        """Draw what the run left."""
        if result is None or self._folder is None:
            return
        try:
            title = f"{result.summary['algo']} in {result.summary['env']}"
            draw_curve(result.rows, self._folder / CURVE, title)
        except RunError as error:
            warnings.warn(f"no curve was drawn: {error}", stacklevel=2)


def draw_curve(rows: list[dict[str, Any]], path: Path, title: str) -> None:
    """Draw the return of a run's rows against environment steps: each seed thin, their mean thick.

    Raises RunError if matplotlib is not installed or the file cannot be written.
    """
    figure, axes = new_figure(7.0, 4.2)
    seeds = sorted({row["seed"] for row in rows})
    for name, label, colour in _CURVES:
        series = [[row for row in rows if row["seed"] == seed] for seed in seeds]
        steps = [row["env_steps"] for row in series[0]] if series else []
        values = np.array([[_number(row[name]) for row in one] for one in series])
        for value in values if len(seeds) > 1 else ():
            axes.plot(steps, value, color=colour, lw=0.7, alpha=0.6, marker=mark_of(steps))
        if len(values):
            averaged = f", mean of {len(seeds)} seeds" if len(seeds) > 1 else ""
            axes.plot(steps, values.mean(0), color=colour, lw=2.2, marker=mark_of(steps), label=label + averaged)
    axes.set(xlabel="environment steps", ylabel="return, summed over agents", title=verbatim(title))
    axes.grid(color="0.9")
    axes.legend(loc="lower right")
    save_figure(figure, path)


def _number(value: float | None) -> float:
    return np.nan if value is None else value
