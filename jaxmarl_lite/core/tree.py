"""Functions on pytrees and on flags that JAX itself does not have."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.experimental.layout import Layout, with_layout_constraint

from jaxmarl_lite.core.env import Array, Tree


def batch_last(tree: Tree) -> Tree:
    """Move the leading axis of every leaf to the end, in memory too."""
    return jax.tree.map(_last_in_memory, tree)


def _last_in_memory(x: Array) -> Array:
    x = jnp.moveaxis(x, 0, -1)
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        return x
    # Left to itself, XLA may choose the other order, and goes through the batch in strides (rware/warehouse: a fifth).
    return with_layout_constraint(x, Layout(tuple(range(x.ndim))))


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


def along_last(function: Callable[..., Tree]) -> Callable[..., Tree]:
    """Let `function` of trees, written for any number of trailing axes, see the instances of a `vmap` as one of them.

    `vmap` moves its axis to the front wherever an operation broadcasts, and passes over memory become strided. Where
    agents meet agents that costs several times the arithmetic; written for trailing axes, nothing moves. What the
    function depends on and a `vmap` may batch has to be an argument, never closed over.
    """

    def call(*args):
        leaves, structure = jax.tree.flatten(args)
        return _along_last(lambda *leaves: function(*jax.tree.unflatten(structure, leaves)))(*leaves)

    return call


def _along_last(function: Callable[..., Tree]) -> Callable[..., Tree]:
    wrapped = jax.custom_batching.custom_vmap(function)

    @wrapped.def_vmap
    def _(axis_size, in_batched, *args):
        given = [
            jnp.moveaxis(x, 0, -1)
            if batched
            else jnp.broadcast_to(jnp.asarray(x)[..., None], (*jnp.shape(x), axis_size))
            for x, batched in zip(args, in_batched, strict=True)
        ]
        result = function(*given)
        return batch_first(result), jax.tree.map(lambda _: True, result)

    # A custom batching rule has no gradient: where one is asked for, `vmap` does as it likes.
    differentiable = jax.custom_jvp(wrapped)
    differentiable.defjvp(lambda primals, tangents: jax.jvp(function, primals, tangents))
    return differentiable
