"""Terms by which a sum of agents' values is fitted to a joint value, per element; the caller reduces."""

import jax
import jax.numpy as jnp

Array = jax.Array

_FAR = 1e9  # of what is not legal; finite: the gradient of an infinite number's square would be NaN


def optimal_gap(total: Array, joint: Array, offset: Array) -> Array:
    """Return L_opt = (Q' - Q + V)^2 at the agents' best actions, where Q' + V is to equal Q.

    Q' is the sum of the agents' values, Q the joint value, of which no gradient is taken, and V the offset of the
    state (Son et al. 2019, arXiv:1905.05408, theorem 1 and the loss L_opt of QTRAN-base). Arrays [...] of one shape.
    """
    return jnp.square(_gap(total, joint, offset))


def lower_gap(total: Array, joint: Array, offset: Array) -> Array:
    """Return L_nopt = min(Q' - Q + V, 0)^2 at any actions, where Q' + V is to be no less than Q.

    Son et al. 2019, arXiv:1905.05408, theorem 1 and the loss L_nopt of QTRAN-base; arrays as in `optimal_gap`.
    """
    return jnp.square(jnp.minimum(_gap(total, joint, offset), 0.0))


def least_gap(total: Array, joint: Array, offset: Array, legal: Array) -> Array:
    """Return L_nopt-min = (min over an agent's own actions of Q' - Q + V)^2; [N, ...] -> [...].

    Whatever the others do, one of the agent's legal actions, bool [N, ...], is to have Q' + V = Q, and none less: a
    stronger condition than that of `lower_gap` (Son et al. 2019, arXiv:1905.05408, theorem 2 and the loss of
    QTRAN-alt). `total` and `joint` are [N, ...], with the own action along the first axis, and `offset` [...].
    """
    return jnp.square(jnp.where(legal, _gap(total, joint, offset), _FAR).min(0))


def _gap(total: Array, joint: Array, offset: Array) -> Array:
    return total - jax.lax.stop_gradient(joint) + offset
