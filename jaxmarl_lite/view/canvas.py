"""The one door to matplotlib."""

from typing import Any

from jaxmarl_lite.core.errors import RunError


def new_figure(width: float, height: float) -> tuple[Any, Any]:
    """Return a figure and its axes, in inches, that draw without a screen.

    Raises RunError if matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise RunError("pictures need matplotlib: pip install 'jaxmarl-lite[plots]'.") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()
