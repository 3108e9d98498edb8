"""Seeds: learners that are many of the same."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Tree
from jaxmarl_lite.core.shard import COPY
from jaxmarl_lite.learners.learner import Learner, Phase


def over_seeds(function: Callable[[Tree], Tree]) -> Callable[[Tree], Tree]:
    """Return `function` of one seed as a function of K, in leaves with a leading axis K.

    On a CPU one after another: a core is kept busy by one, and products with an axis of seeds were half as fast even
    for K = 1 (IPPO with 16 environments, two cores). Accelerators want all of them together.
    """
    if jax.default_backend() == "cpu":
        return lambda seeds: jax.lax.map(function, seeds)
    return jax.vmap(function)


def on_states(function: Callable[[Tree], tuple[Tree, Tree]]) -> Callable[[Tree], tuple[Tree, Tree]]:
    """Return `over_seeds` of a function state -> (state, more) whose states take the place of the old ones.

    So no more than one seed's state is copied where there are several, and none where there is one.
    """
    if jax.default_backend() != "cpu":
        return jax.vmap(function)

    def turn(states: Tree, number: Array) -> tuple[Tree, Tree]:
        state, more = function(jax.tree.map(lambda x: x[number], states))
        put = functools.partial(jax.lax.dynamic_update_index_in_dim, index=number, axis=0)
        return jax.tree.map(put, states, state), more

    def one_by_one(states: Tree) -> tuple[Tree, Tree]:
        num_seeds = jax.tree.leaves(states)[0].shape[0]
        if num_seeds > 1:
            return jax.lax.scan(turn, states, jnp.arange(num_seeds))
        # A loop, even of one turn, would copy what it carries.
        return jax.tree.map(lambda x: x[None], function(jax.tree.map(lambda x: x[0], states)))

    return one_by_one


def replicate(learner: Learner, seeds: int) -> Learner:
    """Return a learner that trains `seeds` copies as one program; every leaf of its state gains a leading axis K.

    Copy k begins from `fold_in(key, k)`, so it learns the same whatever the number of copies.
    """

    def init(key, env):
        return jax.vmap(learner.init, in_axes=(0, None))(
            jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, jnp.arange(seeds)), env
        )

    def each(phase: Phase) -> Phase:
        return lambda passed, env, progress, shard: over_seeds(lambda one: phase(one, env, progress, shard))(passed)

    def env_axes(state):
        one = jax.eval_shape(lambda state: jax.tree.map(lambda x: x[0], state), state)
        return jax.tree.map(lambda axis: COPY if axis == COPY else axis + 1, learner.env_axes(one))

    phases = {name: each(phase) for name, phase in learner.phases.items()}
    return learner._replace(init=init, phases=phases, env_axes=env_axes)
