"""Pictures of a warehouse."""

from typing import Any

import numpy as np

from jaxmarl_lite.environments.rware.layout import Layout

_FACING = np.array([(0, -1), (0, 1), (-1, 0), (1, 0)])  # (right, down) of up, down, left, right
_SHELF = {1: "#b8a38a", 2: "tab:red"}


def draw(axes: Any, state: Any, layout: Layout) -> None:
    """Draw homes as pale cells, goals as dark ones, shelves as squares (requested ones red), robots as discs."""
    from matplotlib import patches

    height, width = layout.is_home.shape
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")
    axes.set_xticks(np.arange(width + 1) - 0.5, labels=[])
    axes.set_yticks(np.arange(height + 1) - 0.5, labels=[])
    axes.tick_params(length=0)
    axes.grid(color="0.9")
    for cell in layout.homes:
        _square(axes, divmod(cell, width), 1.0, color="0.95")
    for cell in layout.goals:
        _square(axes, divmod(cell, width), 1.0, color="0.35")
    for cell in np.flatnonzero(state.shelves):
        _square(axes, divmod(cell, width), 0.8, color=_SHELF[int(state.shelves[cell])])
    for i, (row, column) in enumerate(np.asarray(state.agent_pos)):
        if state.load[i]:
            _square(axes, (row, column), 0.9, color=_SHELF[int(state.load[i])])
        ahead = 0.34 * _FACING[int(state.agent_dir[i])]
        axes.add_patch(patches.Circle((column, row), 0.34, fc=f"C{2 * i % 10}", ec="white", gid=f"agent {i}"))
        axes.plot([column, column + ahead[0]], [row, row + ahead[1]], color="white", lw=2.5, solid_capstyle="butt")


def _square(axes: Any, place: tuple[int, int], side: float, color: str) -> None:
    from matplotlib import patches

    row, column = place
    axes.add_patch(patches.Rectangle((column - side / 2, row - side / 2), side, side, color=color, lw=0))
