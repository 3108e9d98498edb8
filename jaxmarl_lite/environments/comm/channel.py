"""What becomes of words on their way."""

import jax.numpy as jnp

from jaxmarl_lite.core.env import Array


def heard(word: Array, num_words: int, noise: Array | float, chance: Array) -> Array:
    """Return the words [...] as they are heard: each, with probability `noise`, replaced by one of all, uniformly.

    `chance` [...], uniform in [0, 1), decides both whether and by which.
    """
    # What is below `noise` is, as a share of it, again a uniform number.
    garbled = jnp.floor(chance / jnp.maximum(noise, 1e-6) * num_words)
    return jnp.where(chance < noise, garbled, word).astype(jnp.int32)
