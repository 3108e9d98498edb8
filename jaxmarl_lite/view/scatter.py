"""What a sweep found: the return of every trial against each setting that was searched."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmarl_lite.view.canvas import new_figure, save_figure, verbatim


def draw_trials(rows: Sequence[Mapping[str, Any]], log: Mapping[str, bool], path: Path, title: str) -> None:
    """Draw the return of each trial's row against its settings, one picture for each; the best first in `rows`.

    `log` says of every setting whether its axis is logarithmic. Trials that diverged are crosses on the lower edge, the
    best is a star, and those that were dropped early are pale.

    Raises RunError if matplotlib is not installed or the file cannot be written.
    """
    figure, panels = new_figure(1.0 + 3.4 * len(log), 3.8, 1, len(log))
    panels = np.ravel(panels)
    for axes in panels[1:]:
        axes.sharey(panels[0])
        axes.tick_params(labelleft=False)
    sound = [row for row in rows if row["return_sum"] is not None]
    scores = np.array([row["return_sum"] for row in sound])
    longest = max(row["rung"] for row in rows)
    faded = np.array([0.9 if row["rung"] == longest else 0.35 for row in sound])
    for axes, (name, is_log) in zip(panels, log.items(), strict=True):
        values = np.array([row["settings"][name] for row in sound])
        axes.scatter(values, scores, color="C0", alpha=faded, s=28, lw=0)
        for row in (row for row in sound if row["return_sum_ci95"] is not None):
            axes.vlines(row["settings"][name], *row["return_sum_ci95"], color="C0", alpha=0.2, lw=1.0)
        axes.plot(values[:1], scores[:1], marker="*", ms=14, color="C3", ls="", label="best")
        lost = [row["settings"][name] for row in rows if row["return_sum"] is None]
        if lost:
            edge = axes.get_xaxis_transform()
            axes.plot(lost, [0.03] * len(lost), marker="x", color="0.3", ls="", transform=edge, label="diverged")
        axes.set_xscale("log" if is_log else "linear")
        axes.xaxis.set_minor_formatter("")
        axes.set_xlabel(verbatim(name))
        axes.grid(color="0.9")
    _show_returns_of_trials(panels[0], scores)
    panels[0].set_ylabel("return, summed over agents")
    figure.legend(*panels[-1].get_legend_handles_labels(), loc="outside lower right", ncols=2, frameon=False)
    figure.suptitle(verbatim(title))
    save_figure(figure, path)


def _show_returns_of_trials(axes: Any, scores: np.ndarray) -> None:
    # Intervals of two seeds can be so wide that the trials themselves would look alike.
    room = 0.15 * max(float(np.ptp(scores)), 0.01 * float(np.abs(scores).max()), 1e-3)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_ylim(scores.min() - 2 * room, scores.max() + room)
