"""Speeds against the number of environments."""

from pathlib import Path
from typing import Any

from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.view.canvas import new_figure

FORMATS = (".png", ".svg", ".pdf")


def check_speeds_drawable(path: Path) -> None:
    """Raise SettingError if `path` cannot be that of a picture, RunError if matplotlib is not installed."""
    if path.suffix.lower() not in FORMATS:
        raise SettingError(f"out={str(path)!r} is not allowed: it must end in {', '.join(FORMATS)}.")
    if path.parent.exists() and not path.parent.is_dir():
        raise SettingError(f"out={str(path)!r} is not allowed: {path.parent} is a file.")
    new_figure(1.0, 1.0)


def draw_speeds(points: list[dict[str, Any]], path: Path, title: str) -> None:
    """Draw environment steps a second against the number of environments: the median, and a band from min to max.

    Raises SettingError if `path` cannot be that of a picture, RunError if it cannot be written or matplotlib is not
    installed.
    """
    check_speeds_drawable(path)
    figure, axes = new_figure(7.0, 4.2)
    points = sorted(points, key=lambda point: point["num_envs"])
    sizes = [point["num_envs"] for point in points]
    low, median, high = ([point[f"env_steps_per_second{part}"] for point in points] for part in ("_min", "", "_max"))
    axes.fill_between(sizes, low, high, color="C0", alpha=0.25, lw=0, label=f"all {points[0]['repeats']} repeats")
    axes.plot(sizes, median, color="C0", lw=2.0, marker="o", label="median")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.set(xlabel="environments", ylabel="environment steps a second", title=title)
    axes.grid(color="0.9", which="both")
    axes.legend(loc="best")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}.") from None
