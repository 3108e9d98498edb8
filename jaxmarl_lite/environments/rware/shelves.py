"""Shelves in cells and on robots, and which is requested next, written for any number of trailing axes."""

import functools
from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Array

# Kinds of shelf, in a cell or on a robot.
NOTHING, SHELF, REQUESTED = range(3)
NOWHERE = -1

Change = tuple[Array, Array | int]
"""a cell, or nowhere, and the kind that comes into it"""


def changed(kinds: Array, place: Array, changes: Iterable[Change]) -> Array:
    """Return what stands in places after changes, one after another; of kinds and numbers of cells that broadcast."""
    return functools.reduce(lambda kinds, change: jnp.where(place == change[0], change[1], kinds), changes, kinds)


def not_requested(rank: Array, shelves: Array, changes: Sequence[Change], load: Array, homes: np.ndarray) -> Array:
    """Return which of the shelves not requested has a rank: its cell, or H W plus the robot that carries it; [...].

    Counted are first those that stand after the changes to `shelves` [H W, ...], by rows, then those in `load` [A, ...].
    """

    def count(place, kind, left, chosen):
        is_left = kind == SHELF
        return left - is_left, jnp.where(is_left & (left == 0), place, chosen)

    def count_at(home, carry):
        cell = jnp.asarray(homes)[home]
        return count(cell, changed(shelves[cell], cell, changes), *carry)

    # A loop over homes, where alone shelves stand: a few numbers of each instance stay at hand.
    carry = jax.lax.fori_loop(0, len(homes), count_at, (rank, jnp.full_like(rank, NOWHERE)))
    for robot, kind in enumerate(load):
        carry = count(len(shelves) + robot, kind, *carry)
    return carry[1]
