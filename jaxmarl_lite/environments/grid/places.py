"""Random places on a grid, written for any number of trailing axes, without sorting."""

import jax.numpy as jnp

from jaxmarl_lite.core.env import Array


def digit(uniform: Array, base: Array | int) -> tuple[Array, Array]:
    """Return a uniform integer below `base`, int32, and the uniform rest of a uniform number in [0, 1)."""
    scaled = uniform * base
    # Rounding may carry a number just below 1 up to the base.
    whole = jnp.minimum(jnp.floor(scaled), base - 1)
    return whole.astype(jnp.int32), jnp.clip(scaled - whole, 0.0, 1.0)


def distinct(ranks: list[Array]) -> list[Array]:
    """Return distinct integers from their ranks among those left over: rank k is below n - k, results below n."""
    taken: list[Array] = []  # in ascending order
    drawn = []
    for rank in ranks:
        for other in taken:
            rank = rank + (rank >= other)
        drawn.append(rank)
        taken = inserted(taken, rank)
    return drawn


def inserted(ascending: list[Array], number: Array) -> list[Array]:
    """Return ascending numbers with another one in its place."""
    result = []
    for other in ascending:
        result.append(jnp.minimum(other, number))
        number = jnp.maximum(other, number)
    return [*result, number]


def in_order(keys: list[Array], values: list[Array]) -> list[tuple[Array, Array]]:
    """Return pairs of key and value in the order of keys, equal ones in the order given."""
    pairs = list(zip(keys, values, strict=True))
    for end in range(1, len(pairs)):
        for i in reversed(range(end)):
            (key, value), (next_key, next_value) = pairs[i], pairs[i + 1]
            swap = key > next_key
            pairs[i] = (jnp.where(swap, next_key, key), jnp.where(swap, next_value, value))
            pairs[i + 1] = (jnp.where(swap, key, next_key), jnp.where(swap, value, next_value))
    return pairs


def pick(free: Array, uniform: Array) -> tuple[Array, Array, Array]:
    """Return row and column of a uniformly random free cell, and whether there is any; bool [H, W, ...] -> [...].

    Where no cell is free, row and column are 0.
    """
    in_row = free.sum(1, dtype=jnp.int32)
    num = in_row.sum(0)
    row, rank = _locate(in_row, digit(uniform, num)[0])
    is_row = jnp.arange(len(free)).reshape(-1, *[1] * (free.ndim - 1)) == row
    column, _ = _locate((free & is_row).any(0), rank)
    return row, column, num > 0


def _locate(counts: Array, rank: Array) -> tuple[Array, Array]:
    """Return in which of K bins the thing of a rank lies, and its rank there; [K, ...], [...] -> int32 [...] each."""
    ends = jnp.cumsum(counts, 0, dtype=jnp.int32)
    is_before = ends <= rank
    return is_before.sum(0, dtype=jnp.int32), rank - jnp.where(is_before, ends, 0).max(0)
