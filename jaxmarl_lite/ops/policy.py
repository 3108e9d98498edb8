"""Policy terms, per element: arrays in, an array of the same shape out; the caller reduces."""

import chex
import jax
import jax.numpy as jnp

Array = jax.Array

ILLEGAL_LOGIT = -1e9  # finite: -inf would make the gradient of the entropy NaN


def mask_logits(logits: Array, legal: Array) -> Array:
    """Return logits [..., N] in which actions that are not legal, bool [..., N], have no probability."""
    return jnp.where(legal, logits, ILLEGAL_LOGIT)


def sample_index(key: Array, probs: Array) -> Array:
    """Draw from probabilities [..., N] by inverting their cumulative sum; int32 [...].

    One uniform number a draw, where the Gumbel trick takes N. Never returns an index of probability zero.
    """
    cumulative = jnp.cumsum(probs, axis=-1)
    threshold = jax.random.uniform(key, probs.shape[:-1]) * cumulative[..., -1]
    return jnp.sum(cumulative[..., :-1] <= threshold[..., None], axis=-1, dtype=jnp.int32)


def ppo_clip(log_prob: Array, old_log_prob: Array, advantage: Array, clip: Array | float) -> Array:
    """Return the clipped surrogate loss -min(r A, clip(r, 1 - clip, 1 + clip) A), r = exp(log_prob - old_log_prob).

    Schulman et al. 2017, arXiv:1707.06347, eq. 7, negated. Arrays [...] of one shape.
    """
    chex.assert_equal_shape([log_prob, old_log_prob, advantage])
    ratio = jnp.exp(log_prob - old_log_prob)
    return -jnp.minimum(ratio * advantage, jnp.clip(ratio, 1.0 - clip, 1.0 + clip) * advantage)
