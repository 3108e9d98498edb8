"""Gradient steps on parts of a rollout: which environments go together, and how their gradient is added up."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Key, Tree
from jaxmarl_lite.core.shard import Shard

# On a CPU, activations of about so many rows stay in a core's cache from the forward to the backward pass
# (two MLPs of 64-64: 1.5 times as fast as 24,576 rows at once). Accelerators want all of them together.
_CACHED_ROWS = 2048


def shuffled(key: Key, num_envs: int, minibatches: int, shard: Shard) -> Array:
    """Return for each minibatch the environments that it holds, int32 [minibatches, num_envs / minibatches].

    Of every `minibatches` consecutive environments each minibatch gets one, at random. So there is nothing to sort,
    every device has an equal part of every minibatch, and that part does not depend on the number of devices.
    """
    blocks = num_envs // minibatches
    numbers = shard.first(blocks) + jnp.arange(blocks)
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, numbers)
    draws = jax.vmap(lambda key: jax.random.bits(key, (minibatches,)))(keys)
    place = jnp.arange(minibatches)
    precedes = (draws[:, None, :] < draws[:, :, None]) | (
        (draws[:, None, :] == draws[:, :, None]) & (place < place[:, None])
    )
    rank = precedes.sum(-1)
    member = jnp.argmax(rank[:, None, :] == place[:, None], axis=-1)
    return (member + minibatches * jnp.arange(blocks)[:, None]).T


def sum_over_parts(compute: Callable[[Array], Tree], chosen: Array, rows_per_env: int) -> Tree:
    """Return the sum of `compute(part)` over parts of `chosen` [n] as large as are worked on at full speed."""
    parts = _parts(chosen.shape[0], rows_per_env) if jax.default_backend() == "cpu" else 1
    if parts == 1:
        return compute(chosen)

    def add(total, part):
        return jax.tree.map(jnp.add, total, compute(part)), None

    shapes = jax.eval_shape(compute, chosen[: chosen.shape[0] // parts])
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    return jax.lax.scan(add, nothing, chosen.reshape(parts, -1))[0]


def map_parts(compute: Callable[[Tree], Array], tree: Tree, rows_per_env: int) -> Array:
    """Return `compute(tree)`, leaves [n, ...] -> [n, ...], worked out in parts as large as go at full speed."""
    num_envs = jax.tree.leaves(tree)[0].shape[0]
    parts = _parts(num_envs, rows_per_env) if jax.default_backend() == "cpu" else 1
    if parts == 1:
        return compute(tree)
    cut = jax.tree.map(lambda x: x.reshape(parts, -1, *x.shape[1:]), tree)
    made = jax.lax.map(compute, cut)
    return made.reshape(num_envs, *made.shape[2:])


def _parts(num_envs: int, rows_per_env: int) -> int:
    """Return the least divisor of `num_envs` that makes parts of at most _CACHED_ROWS rows, or of one environment."""
    least = math.ceil(num_envs * rows_per_env / _CACHED_ROWS)
    return next((n for n in range(least, num_envs) if num_envs % n == 0), num_envs)
