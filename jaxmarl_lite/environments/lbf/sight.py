"""What foragers see: lists of things in a window, written for any number of trailing axes."""

import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Array

_BITS = 10  # of a coordinate or a level, where a thing is packed into one number
LARGEST = 2**_BITS - 2


def seen(pos: Array, level: Array, food_pos: Array, food_level: Array, *, sight: int) -> Array:
    """Return everybody's observation; [A, 2, ...], [A, ...], [F, 2, ...], [F, ...] -> float32 [A, 3 (F + A), ...]."""
    num = len(pos)
    start = jnp.maximum(pos - sight, 0)
    foods = []
    for (y, x), food in zip(food_pos, food_level, strict=True):
        near = (jnp.abs(pos[:, 0] - y) <= sight) & (jnp.abs(pos[:, 1] - x) <= sight) & (food > 0)
        foods.append(jnp.where(near, _packed(y - start[:, 0], x - start[:, 1], food), 0))
    others = []
    for k in range(num - 1):
        # The k-th of the others is agent k, or k + 1 to the agents before that.
        other = np.where(np.arange(num) > k, k, k + 1)
        row, column = pos[other, 0] - start[:, 0], pos[other, 1] - start[:, 1]
        near = (row >= 0) & (column >= 0) & (row <= 2 * sight) & (column <= 2 * sight)
        others.append(jnp.where(near, _packed(row, column, level[other]), 0))
    own = _packed(pos[:, 0] - start[:, 0], pos[:, 1] - start[:, 1], level)
    things = jnp.stack([*_closed_up(foods), own, *_closed_up(others)], axis=1)
    mask = 2**_BITS - 1
    triples = [(things >> 2 * _BITS) - 1, (things >> _BITS & mask) - 1, things & mask]
    return jnp.stack(triples, axis=2).reshape(num, -1, *pos.shape[2:]).astype(jnp.float32)


def _packed(row: Array, column: Array, level: Array) -> Array:
    """Return a thing as one number, so that 0 stands for nothing: (-1, -1, 0)."""
    return (row + 1 << 2 * _BITS) + (column + 1 << _BITS) + level


def _closed_up(things: list[Array]) -> list[Array]:
    """Return the numbers other than 0 first, in their order, then zeros."""
    closed = list(things)
    # Each in turn moves forward past the vacant places.
    for end in range(1, len(closed)):
        for i in reversed(range(end)):
            vacant = closed[i] == 0
            before, after = closed[i], closed[i + 1]
            closed[i], closed[i + 1] = jnp.where(vacant, after, before), jnp.where(vacant, 0, after)
    return closed
