"""The record behind which every network stands, and the ways to give one to each agent."""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen

from jaxmarl_lite.core.env import Array, Key, Tree

Sharing = Literal["shared", "independent"]


class Net(NamedTuple):
    """A function of sequences of a team: pure, with its memory passed in and out."""

    init: Callable[[Key], Tree]
    """key -> params"""
    carry: Callable[[int], Tree]
    """num_envs -> the memory at the start of an episode, leaves [E, A, ...]; () when feed-forward"""
    apply: Callable[[Tree, Tree, Array, Array], tuple[Tree, Array]]
    """(params, carry, x [T, E, A, I], restart bool [T, E]) -> (carry, y [T, E, A, ...]);
    memory is cleared before each step at which `restart` is set"""


def feed_forward(module: linen.Module, input_size: int, num_agents: int, sharing: Sharing) -> Net:
    """Give `module`, which maps [..., I] to [..., Y], to each of A agents.

    "shared": one set of parameters, and each agent's index is appended to its input, one-hot. "independent": one set
    of parameters per agent, in leaves with a leading axis A.
    """
    if sharing == "shared":
        return _memoryless(
            init=lambda key: module.init(key, jnp.zeros(input_size + num_agents)),
            apply=lambda params, x: _on_rows(module, params, with_agent_id(x)),
        )
    each = jax.vmap(functools.partial(_on_rows, module), in_axes=(0, 2), out_axes=2)
    return _memoryless(
        init=lambda key: jax.vmap(module.init, in_axes=(0, None))(
            jax.random.split(key, num_agents), jnp.zeros(input_size)
        ),
        apply=each,
    )


def with_agent_id(x: Array) -> Array:
    """Append each agent's index, one-hot: [T, E, A, I] -> [T, E, A, I + A]."""
    identity = jnp.broadcast_to(jnp.eye(x.shape[-2], dtype=x.dtype), (*x.shape[:-1], x.shape[-2]))
    return jnp.concatenate([x, identity], axis=-1)


def _on_rows(module: linen.Module, params: Tree, x: Array) -> Any:
    # One matrix of rows: the products of a dense layer and of its gradient then need no transposed copies.
    y = module.apply(params, x.reshape(-1, x.shape[-1]))
    return jax.tree.map(lambda y: y.reshape(*x.shape[:-1], *y.shape[1:]), y)


def _memoryless(init: Callable[[Key], Tree], apply: Callable[[Tree, Array], Any]) -> Net:
    def apply_sequence(params, carry, x, restart):
        del restart
        return carry, apply(params, x)

    return Net(init, lambda num_envs: (), apply_sequence)
