"""What robots of a warehouse see round them, written for any number of trailing axes."""

import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.environments.rware.layout import Layout


def sense(pos: Array, facing: Array, load: Array, shelves: Array, *, layout: Layout, reach: int) -> Array:
    """Return everybody's observation; [A, 2, ...], [A, ...] twice, [H W, ...] -> float32 [A, O, ...]."""
    num, trailing = len(pos), pos.shape[2:]
    height, width = layout.is_home.shape
    row, column = pos[:, 0], pos[:, 1]
    down, right = (x.reshape(1, -1, *[1] * len(trailing)) for x in np.indices((2 * reach + 1,) * 2) - reach)
    cell_row, cell_column = row[:, None] + down, column[:, None] + right
    inside = (cell_row >= 0) & (cell_row < height) & (cell_column >= 0) & (cell_column < width)
    cell = jnp.where(inside, cell_row * width + cell_column, 0)
    there = jnp.take_along_axis(shelves, cell.reshape(-1, *trailing), axis=0).reshape(cell.shape)
    shelf = jnp.where(inside, there, 0)
    robot = jnp.zeros_like(cell)  # 0: none, else 1 + its direction
    for j in range(num):
        is_here = (cell_row == row[j]) & (cell_column == column[j])
        robot = jnp.where(is_here, 1 + facing[j], robot)
        shelf = jnp.where(is_here & (load[j] > 0), load[j], shelf)
    direction = jnp.maximum(robot - 1, 0)
    cells = [robot > 0, *(direction == way for way in range(4)), shelf > 0, shelf == 2]
    is_aisle = jnp.asarray(~layout.is_home.ravel())[row * width + column]
    own = [column, row, load > 0, *(facing == way for way in range(4)), is_aisle]
    own = jnp.stack([x.astype(jnp.float32) for x in own], axis=1)
    seen = jnp.stack([x.astype(jnp.float32) for x in cells], axis=2)
    return jnp.concatenate([own, seen.reshape(num, -1, *trailing)], axis=1)
