"""Value terms, per element: arrays in, an array of the same shape out; the caller reduces."""

import math

import chex
import jax
import jax.numpy as jnp

Array = jax.Array


def value_loss(
    value: Array, old_value: Array, target: Array, clip: Array | float, limit: Array | float = math.inf
) -> Array:
    """Return max(l(v - g), l(old + clip(v - old, -clip, clip) - g)) for values v and targets g.

    l(e) = e^2 / 2 within `limit` and linear beyond (Huber 1964, doi:10.1214/aoms/1177703732). The value function of
    the PPO implementation of Schulman et al. 2017 (arXiv:1707.06347) is kept near the one that collected the data in
    this way; an infinite `clip` and `limit` give the plain squared error. Arrays [...] of one shape.
    """
    chex.assert_equal_shape([value, old_value, target])
    near = old_value + jnp.clip(value - old_value, -clip, clip)
    return jnp.maximum(huber(value - target, limit), huber(near - target, limit))


def huber(error: Array, limit: Array | float) -> Array:
    """Return e^2 / 2 for errors e [...] within `limit`, and what goes on from there in a line beyond."""
    size = jnp.abs(error)
    within = jnp.minimum(size, limit)
    return within * (size - 0.5 * within)
