"""What robots of a warehouse see round them, written for any number of trailing axes."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.environments.rware.layout import Layout

# What is in a cell, as bits of one number in the order in which they are shown.
_ROBOT, _UP, _SHELF, _REQUESTED = 1, 1 << 1, 1 << 5, 1 << 6
_NUM_BITS = 7


def sense(pos: Array, facing: Array, load: Array, shelves: Array, *, layout: Layout, reach: int) -> Array:
    """Return everybody's observation; [A, 2, ...], [A, ...] twice, [H W, ...] -> float32 [A, O, ...]."""
    row, column = pos[:, 0], pos[:, 1]
    is_aisle = jnp.asarray(~layout.is_home.ravel())[row * layout.is_home.shape[1] + column]
    own = [column, row, load > 0, *(facing == way for way in range(4)), is_aisle]
    own = jnp.stack([x.astype(jnp.float32) for x in own], axis=1)
    bit = np.arange(_NUM_BITS, dtype=np.int32).reshape(1, -1, *[1] * row[0].ndim)

    def shown(seen):
        own, cells = seen
        bits = (cells[:, None] >> bit) & 1
        return jnp.concatenate([own, bits.reshape(-1, *cells.shape[1:]).astype(jnp.float32)])

    # A loop, as XLA would otherwise look into a cell again for each of its bits.
    return jax.lax.map(shown, (own, _cells_around(pos, facing, load, shelves, layout, reach)))


def _cells_around(pos: Array, facing: Array, load: Array, shelves: Array, layout: Layout, reach: int) -> Array:
    """Return what is in each of the K cells round each robot, as bits; int32 [A, K, ...]."""
    height, width = layout.is_home.shape
    trailing = pos.shape[2:]
    down, right = (x.reshape(1, -1, *[1] * len(trailing)) for x in np.indices((2 * reach + 1,) * 2) - reach)
    row, column = pos[:, 0, None] + down, pos[:, 1, None] + right
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    cell = jnp.where(inside, row * width + column, 0)
    there = jnp.take_along_axis(shelves, cell.reshape(-1, *trailing), axis=0).reshape(cell.shape)
    robot, shelf = jnp.full_like(cell, _UP), jnp.where(inside, there, 0)
    for (y, x), way, carried in zip(pos, facing, load, strict=True):
        is_here = (row == y) & (column == x)
        robot = jnp.where(is_here, _ROBOT | (_UP << way), robot)
        shelf = jnp.where(is_here & (carried > 0), carried, shelf)
    return robot | jnp.where(shelf > 0, _SHELF, 0) | jnp.where(shelf == 2, _REQUESTED, 0)
