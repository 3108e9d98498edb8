"""Value terms, per element: arrays in, an array of the same shape out; the caller reduces."""

import chex
import jax
import jax.numpy as jnp

Array = jax.Array


def clipped_value_loss(value: Array, old_value: Array, target: Array, clip: Array | float) -> Array:
    """Return max((v - g)^2, (old + clip(v - old, -clip, clip) - g)^2) / 2 for values v and targets g.

    The value function of the PPO implementation of Schulman et al. 2017 (arXiv:1707.06347) is kept near the one that
    collected the data in this way; an infinite `clip` gives the plain squared error. Arrays [...] of one shape.
    """
    chex.assert_equal_shape([value, old_value, target])
    near = old_value + jnp.clip(value - old_value, -clip, clip)
    return 0.5 * jnp.maximum(jnp.square(value - target), jnp.square(near - target))
