"""Choosing by the values of actions: the choices lie along the first axis, each a pass over contiguous memory."""

import jax
import jax.numpy as jnp

Array = jax.Array

ILLEGAL_VALUE = -1e9  # finite, so that nothing that it meets becomes NaN


def best_choice(values: Array, legal: Array) -> Array:
    """Return the number of the best legal choice, the first of equals: values and legal [N, ...] -> int32 [...]."""
    return jnp.argmax(jnp.where(legal, values, ILLEGAL_VALUE), axis=0).astype(jnp.int32)


def epsilon_greedy(values: Array, legal: Array, epsilon: Array | float) -> Array:
    """Return the probabilities [N, ...] of taking, with probability `epsilon` [...], any legal choice, else the best.

    Watkins 1989, "Learning from delayed rewards". Values and legal [N, ...].
    """
    is_best = best_choice(values, legal) == jnp.arange(values.shape[0]).reshape(-1, *[1] * (values.ndim - 1))
    return (1.0 - epsilon) * is_best + epsilon * legal / jnp.maximum(legal.sum(0), 1)


def decayed(first: Array, last: Array, share: Array, progress: Array) -> Array:
    """Return a number that goes in a line from `first` to `last` within the first `share` of a run."""
    return first + (last - first) * jnp.minimum(progress / jnp.maximum(share, 1e-8), 1.0)


def epsilon_of_each(epsilon: Array, number: Array, total: int, spread: Array) -> Array:
    """Return epsilon^(1 + spread i / (total - 1)) for actors of these numbers i, so that some explore and some do not.

    Horgan et al. 2018, arXiv:1803.00933, section 4, who have epsilon = 0.4 and spread = 7.
    """
    return epsilon ** (1.0 + spread * number / max(total - 1, 1))


def dueling(outputs: Array, legal: Array) -> Array:
    """Return Q = V + A - mean of A over legal actions, of outputs (A, V): [N + 1, ...] and legal [N, ...] -> [N, ...].

    Wang et al. 2016, arXiv:1511.06581, eq. 9.
    """
    advantage, value = outputs[:-1], outputs[-1]
    mean = jnp.where(legal, advantage, 0.0).sum(0) / jnp.maximum(legal.sum(0), 1)
    return value + advantage - mean
