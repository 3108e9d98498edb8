"""The record behind which every network stands, and the way to give one to each agent of a team."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Array, Key, Tree
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.nn.gru import Recurrent
from jaxmarl_lite.nn.mlp import MLP
from jaxmarl_lite.nn.table import Table

Sharing = Literal["shared", "group", "independent"]
Module = MLP | Recurrent | Table


class Net(NamedTuple):
    """A function of sequences of a team: pure, with its memory passed in and out."""

    init: Callable[[Key], Tree]
    """key -> params"""
    carry: Callable[[int], Tree]
    """num_envs -> the memory at the start of an episode, leaves [E, A, ...]; () when feed-forward"""
    apply: Callable[..., tuple[Tree, Array]]
    """(params, carry, x [I, E, T, A], restart bool [E, T], agents=None) -> (carry, y [Y, E, T, A]);
    memory is cleared before each step at which `restart` is set; `agents`, int32 [A'], says which agents the axis A
    is of, where it is not of all"""
    unroll: Callable[..., tuple[Tree, Array]]
    """the same, but with the memory after each step, leaves [E, T, A, ...], instead of that after the last one"""


def owners(spec: Spec, sharing: Sharing) -> tuple[int, ...]:
    """Return for each agent the number of the set of parameters that it uses."""
    if sharing == "shared":
        return (0,) * spec.num_agents
    if sharing == "independent":
        return tuple(range(spec.num_agents))
    group_of = {agent: number for number, group in enumerate(spec.groups) for agent in group}
    return tuple(group_of[agent] for agent in range(spec.num_agents))


def for_team(module: Module, input_size: int, owners: Sequence[int]) -> Net:
    """Give `module` to each of A agents, of which `owners` says the number of the parameters that each uses.

    Where several agents use the same, each agent's index is appended to its input, one-hot. With one set the
    parameters are those of `module`; with G sets their leaves have a leading axis G.
    """
    num_agents, num_sets = len(owners), max(owners) + 1
    is_told_apart = num_sets < num_agents or num_sets == 1
    ids = np.eye(num_agents, dtype=np.float32) if is_told_apart else np.zeros((0, num_agents), np.float32)

    def init_one(key: Key) -> Tree:
        x = jnp.zeros((input_size + len(ids), 1, 1, 1))
        return module.init(key, module.carry(1, 1), x, jnp.zeros((1, 1), bool))

    def init(key: Key) -> Tree:
        return init_one(key) if num_sets == 1 else jax.vmap(init_one)(jax.random.split(key, num_sets))

    def apply(
        params: Tree, carry: Tree, x: Array, restart: Array, agents: Array | None = None, every: bool = False
    ) -> tuple[Tree, Array]:
        if len(ids):
            mine = ids if agents is None else jnp.asarray(ids)[:, agents]
            mine = jnp.broadcast_to(mine[:, None, None], (len(ids), *x.shape[1:]))
            x = jnp.concatenate([x, mine])
        if num_sets == 1:
            return _applied(module, params, carry, x, restart, every)
        return _each(module, _of_agents(params, owners, agents), carry, x, restart, every)

    return Net(init, lambda num_envs: module.carry(num_envs, num_agents), apply, functools.partial(apply, every=True))


def _applied(module: Module, params: Tree, carry: Tree, x: Array, restart: Array, every: bool) -> tuple[Tree, Array]:
    made: Any = module.apply(params, carry, x, restart, every)
    return made


def _of_agents(params: Tree, owners: Sequence[int], agents: Array | None) -> Tree:
    """Return the parameters of each agent, from those of each set."""
    if agents is not None:
        return jax.tree.map(lambda leaf: leaf[jnp.asarray(owners)[agents]], params)
    if list(owners) == list(range(len(owners))):
        return params
    # Pieces put together: the gradient of a gather would be a scatter.
    return jax.tree.map(lambda leaf: jnp.stack([leaf[owner] for owner in owners]), params)


def _each(module: Module, params: Tree, carry: Tree, x: Array, restart: Array, every: bool) -> tuple[Tree, Array]:
    """Apply `module` with each agent's own parameters."""
    of_memory = 2 if every else 1  # the axis of agents in what is returned of it

    def one(params, carry, x):
        carry = jax.tree.map(lambda leaf: leaf[:, None], carry)
        carry, y = _applied(module, params, carry, x[..., None], restart, every)
        return jax.tree.map(lambda leaf: jnp.squeeze(leaf, of_memory), carry), y[..., 0]

    return jax.vmap(one, in_axes=(0, 1, -1), out_axes=(of_memory, -1))(params, carry, x)
