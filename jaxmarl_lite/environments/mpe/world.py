"""The physics of the particle world: discs that push one another apart, with drag.

The semantics are those of the multi-agent particle environments (Lowe et al. 2017, arXiv:1706.02275) as maintained in
the package mpe2 (PettingZoo's v3 suffix): positions move before velocities do, so an action shows one step later.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.core.tree import along_last

# Constants of the reference package; lengths in world units (the arena is [-1, 1]^2), times in seconds, masses 1.
TIME_STEP = 0.1
DAMPING = 0.25
CONTACT_FORCE = 100.0
CONTACT_MARGIN = 1e-3
ACCELERATION = 5.0

Pair = Callable[[Array, Array], tuple[Array, ...]]


def sum_over_others(pair: Pair, pos: Array, *, sign: int) -> tuple[Array, ...]:
    """Return for each disc i the sum over the others j of pair(x_i - x_j, y_i - y_j); [A, 2, ...] -> tuple of [A, ...].

    `sign` is the symmetry of `pair` under exchange: 1 if it is even (overlaps), -1 if it is odd (forces). Round s of
    A // 2 pairs every disc with the one s further on: each pair is computed once, and the program is of one size.
    """
    num = pos.shape[0]
    twice = [jnp.concatenate([x, x]) for x in (pos[:, 0], pos[:, 1])]

    def add(shift, totals):
        apart = [x[:num] - jax.lax.dynamic_slice_in_dim(x, shift, num) for x in twice]
        weight = jnp.where(2 * shift == num, 0.5, 1.0)  # discs opposite to one another meet twice
        return tuple(
            _add_rows(_add_rows(total, weight * term, 0), sign * weight * term, shift)
            for total, term in zip(totals, pair(*apart), strict=True)
        )

    shapes = jax.eval_shape(pair, *twice)
    totals = tuple(jnp.zeros(x.shape, x.dtype) for x in shapes)
    totals = jax.lax.fori_loop(1, num // 2 + 1, add, totals)
    return tuple(total[:num] + total[num:] for total in totals)


def _add_rows(total: Array, rows: Array, start: Array | int) -> Array:
    before = jax.lax.dynamic_slice_in_dim(total, start, len(rows))
    return jax.lax.dynamic_update_slice_in_dim(total, before + rows, start, 0)


def contact_force(pos: Array, reach: float) -> Array:
    """Return the contact forces on A discs whose centres repel nearer than `reach`; [A, 2] -> [A, 2].

    F = 100 (delta / d) k log(1 + exp(-(d - reach) / k)) with k = 0.001: the soft penetration of the reference. Two
    discs at one point push in no direction, where the reference divides by zero.
    """

    def pair(dx, dy):
        dist = safe_norm(dx, dy)
        depth = CONTACT_MARGIN * _softplus((reach - dist) / CONTACT_MARGIN)
        push = CONTACT_FORCE * depth / jnp.where(dist > 0.0, dist, 1.0)
        return push * dx, push * dy

    return along_last(lambda pos: jnp.stack(sum_over_others(pair, pos, sign=-1), axis=1))(pos)


def overlaps(pos: Array, reach: float) -> Array:
    """Return, for each of A discs, with how many others its centre is nearer than `reach`; [A, 2] -> float32 [A]."""

    def pair(dx, dy):
        return ((dx * dx + dy * dy < reach**2).astype(jnp.float32),)

    return along_last(lambda pos: sum_over_others(pair, pos, sign=1)[0])(pos)


@along_last
def nearest_distance(points: Array, pos: Array) -> Array:
    """Return the distance of each of L points to the nearest of A discs; [L, 2], [A, 2] -> [L]."""

    x, y = points[:, 0], points[:, 1]
    squares = [jnp.square(x - disc[0]) + jnp.square(y - disc[1]) for disc in pos]
    return _safe_sqrt(functools.reduce(jnp.minimum, squares))


def safe_norm(x: Array, y: Array) -> Array:
    """Return sqrt(x^2 + y^2), with gradient 0 instead of NaN at the origin."""
    return _safe_sqrt(x * x + y * y)


def _softplus(x: Array) -> Array:
    # As log1p, but several times as fast; what is lost is 1e-7 of a depth that is measured in thousandths.
    return jnp.maximum(x, 0.0) + jnp.log(1.0 + jnp.exp(-jnp.abs(x)))


def _safe_sqrt(x: Array) -> Array:
    apart = x > 0.0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, x, 1.0)), 0.0)


def integrate(pos: Array, vel: Array, force: Array) -> tuple[Array, Array]:
    """Return positions and velocities one time step later: p + v dt, then (1 - damping) v + F dt; all [A, 2]."""
    return pos + TIME_STEP * vel, (1.0 - DAMPING) * vel + TIME_STEP * force


def discrete_push(action: Array) -> Array:
    """Return the push of actions 0 none, 1 -x, 2 +x, 3 -y, 4 +y as unit vectors; int32 [A] -> float32 [A, 2]."""
    push = [(action == up).astype(jnp.float32) - (action == down).astype(jnp.float32) for down, up in ((1, 2), (3, 4))]
    return jnp.stack(push, axis=-1)


def continuous_push(action: Array) -> Array:
    """Return the push (a_2 - a_1, a_4 - a_3) of actions in [0, 1]^5; float32 [A, 5] -> float32 [A, 2]."""
    return jnp.stack([action[:, 2] - action[:, 1], action[:, 4] - action[:, 3]], axis=-1)


def relative_to_others(values: Array) -> Array:
    """Return, for each agent, the others' values less its own, in order of index; [A, D] -> [A, (A - 1) D]."""
    num, size = values.shape
    if num == 1:
        return jnp.zeros((1, 0))
    apart = (values - values[:, None]).reshape(num * num, size)
    # Without the first pair, those of an agent with itself are the last column of this table.
    return apart[1:].reshape(num - 1, num + 1, size)[:, :-1].reshape(num, -1)
