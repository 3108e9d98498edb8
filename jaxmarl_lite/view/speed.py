"""Speeds against the number of environments."""

from pathlib import Path
from typing import Any

from jaxmarl_lite.view.canvas import check_out, new_figure, save_figure, verbatim


def draw_speeds(points: list[dict[str, Any]], path: Path, title: str) -> None:
    """Draw environment steps a second against the number of environments: the median, and a band from min to max.

    Raises SettingError if `path` cannot be that of a picture, RunError if it cannot be written or matplotlib is not
    installed.
    """
    check_out(path)
    figure, axes = new_figure(7.0, 4.2)
    points = sorted(points, key=lambda point: point["num_envs"])
    sizes = [point["num_envs"] for point in points]
    low, median, high = ([point[f"env_steps_per_second{part}"] for point in points] for part in ("_min", "", "_max"))
    axes.fill_between(sizes, low, high, color="C0", alpha=0.25, lw=0, label=f"all {points[0]['repeats']} repeats")
    axes.plot(sizes, median, color="C0", lw=2.0, marker="o", label="median")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.set(xlabel="environments", ylabel="environment steps a second", title=verbatim(title))
    axes.grid(color="0.9", which="both")
    axes.legend(loc="best")
    save_figure(figure, path)
