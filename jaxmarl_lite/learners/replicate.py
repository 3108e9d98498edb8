"""Seeds: learners that are many of the same."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Tree
from jaxmarl_lite.core.shard import COPY
from jaxmarl_lite.learners.learner import Learner, Phase


def over_seeds(function: Callable[[Tree], Tree]) -> Callable[[Tree], Tree]:
    """Return `function` of one seed as a function of K, in leaves with a leading axis K.

    On a CPU one after another: a core is kept busy by one, and products with an axis of seeds were half as fast even
    for K = 1 (IPPO with 16 environments, two cores). Accelerators want all of them together.
    """
    if jax.default_backend() != "cpu":
        return jax.vmap(function)

    def one_by_one(seeds: Tree) -> Tree:
        if jax.tree.leaves(seeds)[0].shape[0] > 1:
            return jax.lax.map(function, seeds)
        # A loop, even of one turn, would copy what it carries.
        return jax.tree.map(lambda x: x[None], function(jax.tree.map(lambda x: x[0], seeds)))

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
