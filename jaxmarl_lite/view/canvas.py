"""The one door to matplotlib."""

import base64
import io
from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Any

from jaxmarl_lite.core.errors import RunError, SettingError

FORMATS = (".png", ".svg", ".pdf")


def check_out(path: Path, formats: tuple[str, ...] = FORMATS) -> None:
    """Raise SettingError if `path` cannot be that of a file in one of `formats`."""
    if path.suffix.lower() not in formats:
        raise SettingError(f"out={str(path)!r} is not allowed: it must end in {', '.join(formats)}.")
    if path.parent.exists() and not path.parent.is_dir():
        raise SettingError(f"out={str(path)!r} is not allowed: {path.parent} is a file.")


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    """Return a figure and its axes, in inches, that draw without a screen; several axes are an array [rows, columns].

    Raises RunError if matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise RunError("pictures need matplotlib: pip install 'jaxmarl-lite[plots]'.") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=rows == columns == 1)


def check_picture(path: Path) -> None:
    """Raise what writing a figure to `path` would raise for its name or for want of matplotlib, before work is done."""
    check_out(path)
    new_figure(1.0, 1.0)


def count_steps(axes: Any) -> None:
    """Let the horizontal axis of a plot begin at 0 and count in thousands, millions and billions."""
    axes.set_xlim(0)
    axes.xaxis.set_major_formatter(_short)


def _short(number: float, _: int) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:g}{unit}"
    return f"{number:g}"


def verbatim(text: str) -> str:
    """Return a text that is drawn as it is: no dollar in a name that somebody gave begins mathematics."""
    return text.replace("$", r"\$")


def mark_of(points: Sized) -> str | None:
    """Return how a line's points are marked: not at all, but where there is only one and so no line."""
    return "o" if len(points) == 1 else None


def line_sample(style: Mapping[str, Any]) -> Any:
    """Return a line as a legend shows it."""
    from matplotlib.lines import Line2D

    return Line2D([], [], lw=2.0, **style)


def new_mosaic(width: float, height: float, layout: str) -> tuple[Any, dict[str, Any]]:
    """Return a figure, in inches, and its axes by the letters of `layout`; raises RunError as `new_figure` does."""
    figure, axes = new_figure(width, height)
    axes.remove()
    return figure, figure.subplot_mosaic(layout)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, and the folders above it; raises RunError, with the reason, if that cannot be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}.") from None


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure in the format of its suffix; raises RunError if that cannot be done."""
    write_bytes(path, _drawn(figure, path.suffix[1:].lower()))


def as_address(figure: Any) -> str:
    """Return a figure as the address of an image that has all of it within, for a page."""
    return "data:image/svg+xml;base64," + base64.b64encode(_drawn(figure, "svg")).decode()


def hex_colour(colour: str) -> str:
    """Return one of matplotlib's colours as #rrggbb; raises ImportError if it is not installed."""
    from matplotlib.colors import to_hex

    return to_hex(colour)


def _drawn(figure: Any, kind: str) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=120)
    return file.getvalue()
