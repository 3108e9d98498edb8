"""Functions on pytrees and on flags that JAX itself does not have."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Tree


def batch_last(tree: Tree) -> Tree:
    """Move the leading axis of every leaf to the end."""
    return jax.tree.map(lambda x: jnp.moveaxis(x, 0, -1), tree)


def batch_first(tree: Tree) -> Tree:
    """Move the last axis of every leaf to the front."""
    return jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0), tree)


def when_any(flags: Array, compute: Callable[[], Tree], otherwise: Callable[[], Tree]) -> Tree:
    """Return `compute()` if any flag is set, else `otherwise()`, without ever running both.

    For work that few elements need and that is selected elementwise afterwards. A plain `lax.cond` turns into a
    select, which pays for both branches, as soon as it is vmapped over seeds; here the flags of the whole batch
    decide together, so the branch stays a branch.
    """
    return jax.lax.cond(_anywhere(flags.any()), compute, otherwise)


@jax.custom_batching.custom_vmap
def _anywhere(flag: Array) -> Array:
    return flag


@_anywhere.def_vmap
def _anywhere_in_batch(axis_size, in_batched, flag):
    del axis_size
    return _anywhere(flag.any(0) if in_batched[0] else flag), False
