"""Policy terms, per element: arrays in, an array of the same shape out; the caller reduces."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

ILLEGAL_LOGIT = -1e9  # finite: -inf would make the gradient of the entropy NaN


def mask_logits(logits: Array, legal: Array) -> Array:
    """Return logits in which actions that are not legal, bool of the same shape, have no probability."""
    return jnp.where(legal, logits, ILLEGAL_LOGIT)


def sample_index(uniform: Array, probs: Array) -> Array:
    """Draw from probabilities [N, ...] by inverting their cumulative sum at `uniform` [...] in [0, 1); int32 [...].

    One uniform number a draw, where the Gumbel trick takes N. Never returns an index of probability zero.
    """
    cumulative = list(itertools.accumulate(probs))
    threshold = uniform * cumulative[-1]
    return sum(
        [(below <= threshold).astype(jnp.int32) for below in cumulative[:-1]], jnp.zeros(uniform.shape, jnp.int32)
    )


def categorical(logits: Array, action: Array) -> tuple[Array, Array]:
    """Return the log-probability of `action` [...] and the entropy under logits [N, ...]: two arrays [...].

    The choices lie along the first axis, so that each of them is a pass over contiguous memory.
    """
    shifted = logits - jax.lax.stop_gradient(logits.max(0))
    weight = jnp.exp(shifted)
    total = weight.sum(0)
    log_total = jnp.log(total)
    chosen = action == jnp.arange(logits.shape[0]).reshape(-1, *[1] * action.ndim)
    log_prob = jnp.where(chosen, shifted, 0.0).sum(0) - log_total
    return log_prob, log_total - (weight * shifted).sum(0) / total


def ppo_clip(log_prob: Array, old_log_prob: Array, advantage: Array, clip: Array | float) -> Array:
    """Return the clipped surrogate loss -min(r A, clip(r, 1 - clip, 1 + clip) A), r = exp(log_prob - old_log_prob).

    Schulman et al. 2017, arXiv:1707.06347, eq. 7, negated. Arrays [...] of one shape.
    """
    chex.assert_equal_shape([log_prob, old_log_prob, advantage])
    ratio = jnp.exp(log_prob - old_log_prob)
    return -jnp.minimum(ratio * advantage, jnp.clip(ratio, 1.0 - clip, 1.0 + clip) * advantage)


def policy_gradient(log_prob: Array, old_log_prob: Array, advantage: Array) -> Array:
    """Return the loss r A, negated, r = exp(log_prob - old_log_prob), whose gradient is that of -log_prob A at r = 1.

    Williams 1992, doi:10.1007/BF00992696; with r it is also the surrogate of Schulman et al. 2015, arXiv:1502.05477,
    eq. 14. Arrays [...] of one shape.
    """
    chex.assert_equal_shape([log_prob, old_log_prob, advantage])
    return -jnp.exp(log_prob - old_log_prob) * advantage


def in_basis(basis: Array, weights: Array) -> Array:
    """Return sum_f weights_f basis_f, a function of the action that is linear in F others; [F, ...] -> [...].

    With weights of Q(s, a_-i, .) and the basis of the chosen action this is its value; with the policy's mean of the
    basis it is what the agent's other actions would have brought, the counterfactual baseline. The one less the other
    is an advantage of which the policy's mean is zero (Foerster et al. 2018, arXiv:1705.08926, eq. 4).
    """
    chex.assert_equal_shape([basis, weights])
    return (basis * weights).sum(0)


def categorical_divergence(logits: Array, new_logits: Array) -> Array:
    """Return the Kullback-Leibler divergence KL(softmax(logits) || softmax(new_logits)); [N, ...] -> [...]."""
    old, new = jax.nn.log_softmax(logits, axis=0), jax.nn.log_softmax(new_logits, axis=0)
    return (jnp.exp(old) * (old - new)).sum(0)


def of_choice(values: Array, choice: Array) -> Array:
    """Return the value [...] of the chosen one of values [N, ...]."""
    is_chosen = choice == jnp.arange(values.shape[0]).reshape(-1, *[1] * choice.ndim)
    return jnp.where(is_chosen, values, 0.0).sum(0)


def of_team(told: Array) -> Array:
    """Return what is told of each agent [F, ..., A], one agent after another: [A F, ...]."""
    return jnp.moveaxis(told, -1, 0).reshape(-1, *told.shape[1:-1])


def of_others(told: Array) -> Array:
    """Return for each agent what is told of all others [F, ..., A], and zeros in its own place: [A F, ..., A]."""
    num_agents = told.shape[-1]
    is_other = 1.0 - np.eye(num_agents, dtype=np.float32).reshape(-1, *[1] * (told.ndim - 1), num_agents)
    return (jnp.moveaxis(told, -1, 0)[..., None] * is_other).reshape(-1, *told.shape[1:])
