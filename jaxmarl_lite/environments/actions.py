"""Uniformly random play."""

import math

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Key
from jaxmarl_lite.core.spec import Spec

_RANDOM_BITS = 23  # in one uniform float32
_BIAS_BITS = 16  # no action is more likely than another by more than 2^-16


def random_action(key: Key, spec: Spec, num_envs: int) -> Array:
    """Draw uniformly random joint actions, legal or not: int32 [E, A], or float32 [E, A, D] if continuous.

    Discrete agents share random numbers: a uniform number holds several base-N digits, and drawing is what costs.
    """
    if not spec.is_discrete:
        low, high = spec.action_range
        return jax.random.uniform(key, (num_envs, spec.num_agents, spec.num_actions), minval=low, maxval=high)
    per_number = max(1, int((_RANDOM_BITS - _BIAS_BITS) / math.log2(max(spec.num_actions, 2))))
    numbers = list(jax.random.uniform(key, (-(-spec.num_agents // per_number), num_envs)))
    actions = []
    for agent, size in enumerate(spec.action_sizes):
        scaled = numbers[agent // per_number] * size
        action = jnp.floor(scaled)
        numbers[agent // per_number] = scaled - action
        actions.append(action.astype(jnp.int32))
    return jnp.stack(actions, axis=-1)


def random_legal_action(key: Key, spec: Spec, legal: Array) -> Array:
    """Draw uniformly among what `legal`, bool [..., A, N], allows; int32 [..., A], or float32 [..., A, D]."""
    if not spec.is_discrete:
        low, high = spec.action_range
        return jax.random.uniform(key, legal.shape, minval=low, maxval=high)
    rank = jnp.cumsum(legal, axis=-1)
    chosen = jnp.floor(jax.random.uniform(key, legal.shape[:-1]) * rank[..., -1]).astype(jnp.int32)
    return jnp.argmax(rank > chosen[..., None], axis=-1).astype(jnp.int32)
