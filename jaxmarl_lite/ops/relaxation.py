"""Draws through which gradients pass, and noise that wanders: arrays in, arrays of the same shape out."""

import jax
import jax.numpy as jnp

Array = jax.Array


def gumbel_softmax(logits: Array, gumbel: Array, temperature: Array | float) -> Array:
    """Return softmax((logits + gumbel) / temperature) of logits and Gumbel noise [N, ...], along the first axis.

    The colder, the nearer to a one-hot draw from softmax(logits) (Jang et al. 2017, arXiv:1611.01144,
    eq. 2; Maddison et al. 2017, arXiv:1611.00712, eq. 10).
    """
    return jax.nn.softmax((logits + gumbel) / temperature, axis=0)


def straight_through(soft: Array) -> Array:
    """Return the greatest of numbers [N, ...] as a one-hot whose gradient is theirs (Jang et al. 2017, section 2.2)."""
    hard = jax.nn.one_hot(jnp.argmax(soft, axis=0), soft.shape[0], axis=0)
    return jax.lax.stop_gradient(hard - soft) + soft


def ornstein_uhlenbeck(x: Array, normal: Array, deviation: Array | float, pull: float = 0.15) -> Array:
    """Return noise x [...] a step later, x - pull x + deviation normal, which forgets within some 1 / pull steps.

    Uhlenbeck and Ornstein 1930, doi:10.1103/PhysRev.36.823, in steps of time 1; the pull is that of Lillicrap et al.
    2016, arXiv:1509.02971, section 7.
    """
    return (1.0 - pull) * x + deviation * normal
