"""Seeds: learners that are many of the same."""

import jax
import jax.numpy as jnp

from jaxmarl_lite.learners.learner import Learner


def replicate(learner: Learner, seeds: int) -> Learner:
    """Return a learner that trains `seeds` copies as one program; every leaf of its state gains a leading axis K.

    Copy k begins from `fold_in(key, k)`, so it learns the same whatever the number of copies.
    """

    def init(key, env):
        return jax.vmap(learner.init, in_axes=(0, None))(
            jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, jnp.arange(seeds)), env
        )

    return learner._replace(init=init, step=jax.vmap(learner.step, in_axes=(0, None, None)))
