"""Uniformly random play."""

import math

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Key
from jaxmarl_lite.core.spec import Spec

_WORD_BITS = 32
_BIAS_BITS = 16  # no action is more likely than another by more than 2^-16


def random_action(key: Key, spec: Spec, num_envs: int) -> Array:
    """Draw uniformly random joint actions, legal or not: int32 [E, A], or float32 [E, A, D] if continuous.

    Discrete agents share random words: a 32-bit word holds several base-N digits, and drawing bits is what costs.
    """
    if not spec.is_discrete:
        low, high = spec.action_range
        return jax.random.uniform(key, (num_envs, spec.num_agents, spec.num_actions), minval=low, maxval=high)
    if len(set(spec.action_sizes)) > 1:
        return jax.random.randint(key, (num_envs, spec.num_agents), 0, jnp.asarray(spec.action_sizes))
    base = spec.num_actions
    per_word = max(1, int((_WORD_BITS - _BIAS_BITS) / math.log2(max(base, 2))))
    words = jax.random.bits(key, (num_envs, -(-spec.num_agents // per_word)), jnp.uint32)
    digits = [(words // base**place) % base for place in range(per_word)]
    return jnp.stack(digits, axis=-1).reshape(num_envs, -1)[:, : spec.num_agents].astype(jnp.int32)


def random_legal_action(key: Key, spec: Spec, legal: Array) -> Array:
    """Draw uniformly among what `legal`, bool [..., A, N], allows; int32 [..., A], or float32 [..., A, D]."""
    if not spec.is_discrete:
        low, high = spec.action_range
        return jax.random.uniform(key, legal.shape, minval=low, maxval=high)
    rank = jnp.cumsum(legal, axis=-1)
    chosen = jnp.floor(jax.random.uniform(key, legal.shape[:-1]) * rank[..., -1]).astype(jnp.int32)
    return jnp.argmax(rank > chosen[..., None], axis=-1).astype(jnp.int32)
