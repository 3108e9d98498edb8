"""Shelves in cells and on robots, and which is requested next, written for any number of trailing axes."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Array

# Kinds of shelf, in a cell or on a robot.
NOTHING, SHELF, REQUESTED = range(3)
NOWHERE = -1

Change = tuple[Array, Array | int]
"""a cell, or nowhere, and the kind that comes into it"""


def changed(shelves: Array, changes: Sequence[Change], width: int) -> Array:
    """Return what stands in each cell after changes, one after another; [H W, ...], W cells in a row -> [H W, ...]."""
    column = jnp.arange(width).reshape(-1, *[1] * (shelves.ndim - 1))

    def change_row(row, shelves):
        first = row * width
        kinds = jax.lax.dynamic_slice_in_dim(shelves, first, width)
        return jax.lax.dynamic_update_slice_in_dim(shelves, _after(changes, first + column, kinds), first, 0)

    # A loop, as XLA would otherwise work out the changes again for each cell.
    return jax.lax.fori_loop(0, len(shelves) // width, change_row, shelves)


def not_requested(rank: Array, shelves: Array, changes: Sequence[Change], load: Array, homes: np.ndarray) -> Array:
    """Return which of the shelves not requested has a rank: its cell, or H W plus the robot that carries it; [...].

    First are counted those that stand after the changes to `shelves`, [H W, ...], by rows, then those in `load`.
    """

    def count(place, kind, left, chosen):
        is_left = kind == SHELF
        return left - is_left, jnp.where(is_left & (left == 0), place, chosen)

    def count_at(home, carry):
        cell = jnp.asarray(homes)[home]
        return count(cell, _after(changes, cell, shelves[cell]), *carry)

    # A loop over homes, where alone shelves stand: a few numbers of each instance stay at hand.
    carry = jax.lax.fori_loop(0, len(homes), count_at, (rank, jnp.full_like(rank, NOWHERE)))
    for robot, kind in enumerate(load):
        carry = count(len(shelves) + robot, kind, *carry)
    return carry[1]


def _after(changes: Sequence[Change], cell: Array, kind: Array) -> Array:
    """Return the kind that a cell has after changes."""
    return functools.reduce(lambda kind, change: jnp.where(cell == change[0], change[1], kind), changes, kind)
