"""Parameters as one vector, and the steps that it takes."""

from collections.abc import Callable

import jax
import optax
from jax.flatten_util import ravel_pytree

from jaxmarl_lite.core.env import Array, Tree

ADAM_EPS = 1e-5  # as in the PPO implementations that the published curves come from


def first_opt_state(params: Tree, learns_apart: bool) -> Tree:
    """Return the optimiser's state before the first step."""
    return adam(learns_apart, 0.0, 0.0).init(as_vector(params, learns_apart)[0])


def as_vector(params: Tree, learns_apart: bool) -> tuple[Array, Callable[[Array], Tree]]:
    """Return all parameters as a vector [P], or [G, P] if there are several sets of them, and the way back."""
    if not learns_apart:
        return ravel_pytree(params)
    _, restore = ravel_pytree(jax.tree.map(lambda x: x[0], params))
    return jax.vmap(lambda own: ravel_pytree(own)[0])(params), jax.vmap(restore)


def adam(learns_apart: bool, lr: Array | float, max_norm: Array | float) -> optax.GradientTransformation:
    """Return Adam (Kingma and Ba 2015, arXiv:1412.6980), for gradients cut to a norm; several sets learn each apart."""
    optimiser = optax.chain(optax.clip_by_global_norm(max_norm), optax.adam(lr, eps=ADAM_EPS))
    if not learns_apart:
        return optimiser

    # One norm and one step for each set, so that no agent throttles another.
    def update(updates: Tree, state: Tree, params: Tree | None = None) -> tuple[Tree, Tree]:
        return jax.vmap(optimiser.update)(updates, state, params)

    return optax.GradientTransformation(jax.vmap(optimiser.init), update)
