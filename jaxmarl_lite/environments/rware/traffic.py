"""Who may go where when many robots move at once, written for any number of trailing axes."""

import functools
import operator
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array


def moves(cell: Array, target: Array) -> Array:
    """Return which of A robots go from their cell to their target; int32 [A, ...] twice -> bool [A, ...].

    The rule of the package rware 2.0.0, whose robots are edges of a graph of cells. A robot that stays stays, and so
    do two that would change places. Into a cell goes only one, and only if nobody stays there: one in a circle of
    three or more, else the one with the longest queue behind it. Among queues of equal length networkx takes the one
    whose head's cell it has met first; it meets every robot's cell and then its target, in the order of robots.
    (Where there are more than three robots it may go by the order of a Python set instead, an accident of hashing;
    this does not.)
    """
    num = len(cell)
    behind = target[:, None] == cell[None]  # [A, A, ...]: i would take j's place
    goes = target != cell
    met = 2 * jnp.broadcast_to(jnp.arange(num).reshape(-1, *[1] * (cell.ndim - 1)), cell.shape)
    met = functools.reduce(jnp.minimum, (jnp.where(behind[j], 2 * j + 1, 2 * num) for j in range(num)), met)
    goes &= ~_any(behind[:, j] & behind[j] & goes[j] for j in range(num))
    behind &= goes[:, None]
    queue = _until_still(functools.partial(_longer_queues, behind), jnp.zeros_like(cell), rounds=num)
    rivals = (
        goes[j] & (target[j] == target) & ((queue[j] > queue) | ((queue[j] == queue) & (met[j] < met)))
        for j in range(num)
    )
    return _until_still(functools.partial(_unblocked, behind), goes & ~_any(rivals), rounds=num)


def _longer_queues(behind: Array, queue: Array) -> Array:
    """Return the length of the longest queue behind each robot, one more of which is known; on a circle it grows."""
    return functools.reduce(jnp.maximum, (jnp.where(row, queue[i] + 1, 0) for i, row in enumerate(behind)))


def _unblocked(behind: Array, going: Array) -> Array:
    """Return those of the going into whose target's place nobody stays."""
    return going & ~_any(behind[:, j] & ~going[j] for j in range(len(going)))


def _until_still(function: Callable[[Array], Array], value: Array, rounds: int) -> Array:
    """Apply a function over and over until nothing changes, at most so many times."""

    def step(carry):
        following = function(carry[1])
        return carry[0] + 1, following, (following != carry[1]).any()

    start = (0, value, jnp.ones((), bool))
    return jax.lax.while_loop(lambda carry: carry[2] & (carry[0] < rounds), step, start)[1]


def _any(flags: Iterable[Array]) -> Array:
    return functools.reduce(operator.or_, flags)
