"""The record behind which every network stands, and the ways to give one to each agent."""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
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
    """(params, carry, x [I, E, T, A], restart bool [E, T]) -> (carry, y [Y, E, T, A]);
    memory is cleared before each step at which `restart` is set"""


def feed_forward(module: linen.Module, input_size: int, num_agents: int, sharing: Sharing) -> Net:
    """Give `module`, which maps columns [I, R] to [Y, R], to each of A agents.

    "shared": one set of parameters, and each agent's index is appended to its input, one-hot. "independent": one set
    of parameters per agent, in leaves with a leading axis A.
    """
    if sharing == "shared":
        return _memoryless(
            init=lambda key: module.init(key, jnp.zeros((input_size + num_agents, 1))),
            apply=functools.partial(_on_columns, module, ids=np.eye(num_agents, dtype=np.float32)),
        )
    return _memoryless(
        init=lambda key: jax.vmap(module.init, in_axes=(0, None))(
            jax.random.split(key, num_agents), jnp.zeros((input_size, 1))
        ),
        apply=jax.vmap(functools.partial(_on_columns, module), in_axes=(0, -1), out_axes=-1),
    )


def _on_columns(module: linen.Module, params: Tree, x: Array, ids: np.ndarray | None = None) -> Any:
    # A column for each agent and step: all products of a dense layer and of its gradient then run at full speed.
    columns = x.reshape(x.shape[0], -1)
    if ids is not None:
        columns = jnp.concatenate([columns, jnp.tile(ids, columns.shape[1] // len(ids))])
    y: Any = module.apply(params, columns)
    return y.reshape(-1, *x.shape[1:])


def _memoryless(init: Callable[[Key], Tree], apply: Callable[[Tree, Array], Any]) -> Net:
    def apply_sequence(params, carry, x, restart):
        del restart
        return carry, apply(params, x)

    return Net(init, lambda num_envs: (), apply_sequence)
