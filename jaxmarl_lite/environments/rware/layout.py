"""The map of a warehouse: where shelves stand, where robots drive, where they deliver."""

from typing import Literal, NamedTuple

import numpy as np

Size = Literal["tiny", "small", "medium", "large"]

# Rows and columns of blocks of shelves, as in the package rware 2.0.0.
BLOCKS: dict[Size, tuple[int, int]] = {"tiny": (1, 3), "small": (2, 3), "medium": (2, 5), "large": (3, 5)}


class Layout(NamedTuple):
    """A map of H x W cells."""

    is_home: np.ndarray
    """bool [H, W], cells that a shelf stands on at first; robots may put shelves down there only"""
    goals: tuple[int, int]
    """cells of delivery, numbered by rows"""

    @property
    def homes(self) -> np.ndarray:
        """The K homes of shelves, numbered by rows; int [K]."""
        return np.flatnonzero(self.is_home)


def build(shelf_rows: int, shelf_columns: int, column_height: int) -> Layout:
    """Return the map of the package rware 2.0.0: blocks of shelves, two wide, between aisles, one wide.

    The height is (column_height + 1) shelf_rows + 2, the width 3 shelf_columns + 1. In the middle of the lowest row
    of blocks is space for a queue before the two goals, which lie in the middle of the last row.
    """
    height, width = (column_height + 1) * shelf_rows + 2, 3 * shelf_columns + 1
    row, column = np.indices((height, width))
    middle = (column == width // 2 - 1) | (column == width // 2)
    aisle = (column % 3 == 0) | (row % (column_height + 1) == 0) | (row == height - 1)
    queue = middle & (row > height - (column_height + 3))
    first = (height - 1) * width + width // 2
    return Layout(~(aisle | queue), (first - 1, first))
