"""What worlds of cells have in common: walls, moves, places drawn at random, and how a grid is drawn.

Positions are (row, column). Functions of positions are written for any number of trailing axes (`along_last`), with
small axes written out: on a CPU a reduction over a tiny axis is a scalar loop.
"""

import functools
import operator
from collections.abc import Collection, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Array, Key
from jaxmarl_lite.core.errors import SettingError

Cell = tuple[int, int]

NUM_MOVES = 4  # actions 0 up, 1 down, 2 left, 3 right; whatever is greater moves nowhere


def displacement(action: Array) -> Array:
    """Return the (row, column) by which actions move; int32 [A, ...] -> int32 [A, 2, ...]."""
    up, down, left, right = ((action == move).astype(jnp.int32) for move in range(NUM_MOVES))
    return jnp.stack([down - up, right - left], axis=1)


def move_together(before: Array, move: Array, walls: np.ndarray) -> tuple[Array, Array]:
    """Move A agents at once on a grid of `walls`; int32 [A, 2, ...] twice -> positions [A, 2, ...], bumps [...].

    A move off the grid or into a wall leaves an agent in place, and is a bump. Agents whose moves would end on one cell
    all go back, over and over until no two share a cell, which is one more bump of them all.
    """
    num = before.shape[0]
    wanted = before + move
    blocked = is_wall(wanted, walls)
    pos = jnp.where(blocked[:, None], before, wanted)
    collided = jnp.zeros(pos.shape[2:], bool)
    # Going back can only meet somebody who has not gone back yet, so A rounds always suffice.
    for _ in range(num - 1):
        shared = shares_cell(pos)
        collided |= any_of(shared)
        pos = jnp.where(shared[:, None], before, pos)
    return pos, total_of(blocked) + collided


def is_wall(pos: Array, walls: np.ndarray) -> Array:
    """Return whether positions [A, 2, ...] are off the grid or in a wall of `walls`, bool [rows, columns]."""
    rows, columns = walls.shape
    row, column = pos[:, 0], pos[:, 1]
    outside = (row < 0) | (row >= rows) | (column < 0) | (column >= columns)
    if not walls.any():
        return outside
    return outside | jnp.asarray(walls)[jnp.clip(row, 0, rows - 1), jnp.clip(column, 0, columns - 1)]


def shares_cell(pos: Array) -> Array:
    """Return whether each of A agents is not alone in its cell; [A, 2, ...] -> bool [A, ...]."""
    row, column = pos[:, 0], pos[:, 1]
    agents = range(pos.shape[0])
    same = [[(row[i] == row[j]) & (column[i] == column[j]) for j in agents if j != i] for i in agents]
    return jnp.stack([any_of(others) for others in same])


def any_of(flags: Sequence[Array] | Array) -> Array:
    """Return whether any of the rows of bool [A, ...] is set."""
    return functools.reduce(operator.or_, flags)


def total_of(values: Sequence[Array] | Array) -> Array:
    """Return the sum of the rows of [A, ...], as integers."""
    return functools.reduce(operator.add, (value.astype(jnp.int32) for value in values))


def draw_distinct(key: Key, num: int, count: int) -> Array:
    """Return `count` different numbers below `num`, all sequences of them equally likely; int32 [count].

    Each is drawn among those that are left, and counted past those that are taken, which are kept in order.
    """
    drawn = jax.random.randint(key, (count,), 0, num - np.arange(count))
    taken: list[Array] = []
    chosen = []
    for number in drawn:
        number = skip(number, taken)
        chosen.append(number)
        for place, other in enumerate(taken):
            taken[place], number = jnp.minimum(other, number), jnp.maximum(other, number)
        taken.append(number)
    return jnp.stack(chosen)


def skip(number: Array, taken: Sequence[Array]) -> Array:
    """Return the `number`-th integer, from 0, that is not among `taken`, which ascend."""
    for other in taken:
        number = number + (number >= other)
    return number


def wall_map(walls: Sequence[str] | None, size: int) -> np.ndarray:
    """Return where walls are, bool [size, size]; None: nowhere."""
    return np.array([[cell == "#" for cell in row] for row in walls or ("." * size,) * size])


def free_cells(walls: np.ndarray, taken: Collection[Cell] = ()) -> list[Cell]:
    """Return the cells that are neither wall nor taken, row by row."""
    free = [(int(row), int(column)) for row, column in np.argwhere(~walls)]
    return [cell for cell in free if cell not in taken]


def checked_walls(walls: Sequence[str], size: int) -> tuple[str, ...]:
    """Return a map as a string for each row; raises SettingError unless it is one of size x size cells."""
    rows = tuple(walls.split("/")) if isinstance(walls, str) else tuple(walls)
    if len(rows) != size or any(not isinstance(row, str) or len(row) != size or set(row) - set(".#") for row in rows):
        raise SettingError(
            f"walls={walls!r} is not allowed: it must be {size} strings of {size} characters, "
            "'.' for a free cell and '#' for a wall."
        )
    return rows


def draw_grid(axes: Any, walls: np.ndarray) -> None:
    """Draw cells, and walls as black ones, on matplotlib axes."""
    rows, columns = walls.shape
    axes.imshow(walls, cmap="Greys", vmin=0, vmax=1)
    axes.set_xticks(np.arange(columns + 1) - 0.5, labels=[])
    axes.set_yticks(np.arange(rows + 1) - 0.5, labels=[])
    axes.grid(color="0.8")


def draw_disc(axes: Any, pos: Any, color: str, text: str) -> None:
    """Draw an agent as a disc with its number, which is also what its artist is called by (see `Env`)."""
    from matplotlib import patches

    row, column = pos
    axes.add_patch(patches.Circle((column, row), 0.3, color=color, zorder=3, gid=f"agent {text}"))
    axes.annotate(text, (column, row), ha="center", va="center", color="white", zorder=4)
