"""The physics of the particle world: discs that push one another apart, with drag.

The semantics are those of the multi-agent particle environments (Lowe et al. 2017, arXiv:1706.02275) as maintained in
the package mpe2 (PettingZoo's v3 suffix): positions move before velocities do, so an action shows one step later.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Array

# Constants of the reference package; lengths in world units (the arena is [-1, 1]^2), times in seconds, masses 1.
TIME_STEP = 0.1
DAMPING = 0.25
CONTACT_FORCE = 100.0
CONTACT_MARGIN = 1e-3
ACCELERATION = 5.0

# Up to this many discs every pair gets lines of its own: a reduction over a tiny axis is a scalar loop on a CPU.
# Beyond, one broadcast over all pairs keeps the compiled program small.
_UNROLL = 12

Pair = Callable[[Array, Array], tuple[Array, ...]]


def sum_over_others(pair: Pair, pos: Array, *, sign: int) -> tuple[Array, ...]:
    """Return, for each disc i, the sum over the others j of pair(x_i - x_j, y_i - y_j); [A, 2] -> tuple of [A].

    `sign` is the symmetry of `pair` under exchange: 1 if it is even (overlaps), -1 if it is odd (forces).
    """
    x, y = pos[:, 0], pos[:, 1]
    num = pos.shape[0]
    if num > _UNROLL:
        others = ~np.eye(num, dtype=bool)
        terms = pair(x[:, None] - x, y[:, None] - y)
        return tuple(jnp.sum(jnp.where(others, term, 0.0), axis=1) for term in terms)
    zero = jnp.zeros(())
    sums = [[zero] * num for _ in jax.eval_shape(pair, zero, zero)]
    for i in range(num):
        for j in range(i + 1, num):
            for total, term in zip(sums, pair(x[i] - x[j], y[i] - y[j]), strict=True):
                total[i] = total[i] + term
                total[j] = total[j] + sign * term
    return tuple(jnp.stack(total) for total in sums)


def contact_force(pos: Array, reach: float) -> Array:
    """Return the contact forces on A discs whose centres repel nearer than `reach`; [A, 2] -> [A, 2].

    F = 100 (delta / d) k log(1 + exp(-(d - reach) / k)) with k = 0.001: the soft penetration of the reference. Two
    discs at one point push in no direction, where the reference divides by zero.
    """

    def pair(dx, dy):
        dist = safe_norm(dx, dy)
        depth = CONTACT_MARGIN * jax.nn.softplus((reach - dist) / CONTACT_MARGIN)
        push = CONTACT_FORCE * depth / jnp.where(dist > 0.0, dist, 1.0)
        return push * dx, push * dy

    return jnp.stack(sum_over_others(pair, pos, sign=-1), axis=-1)


def overlaps(pos: Array, reach: float) -> Array:
    """Return, for each of A discs, with how many others its centre is nearer than `reach`; [A, 2] -> float32 [A]."""
    return sum_over_others(lambda dx, dy: ((dx * dx + dy * dy < reach**2).astype(jnp.float32),), pos, sign=1)[0]


def nearest_distance(points: Array, pos: Array) -> Array:
    """Return the distance of each of L points to the nearest of A discs; [L, 2], [A, 2] -> [L]."""
    if pos.shape[0] > _UNROLL or points.shape[0] > _UNROLL:
        squares = jnp.min(jnp.sum(jnp.square(points[:, None] - pos), axis=-1), axis=1)
    else:
        squares = jnp.stack([_nearest_square(point, pos) for point in points])
    apart = squares > 0.0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, squares, 1.0)), 0.0)


def _nearest_square(point: Array, pos: Array) -> Array:
    return functools.reduce(jnp.minimum, [jnp.square(point[0] - p[0]) + jnp.square(point[1] - p[1]) for p in pos])


def safe_norm(x: Array, y: Array) -> Array:
    """Return sqrt(x^2 + y^2), with gradient 0 instead of NaN at the origin."""
    square = x * x + y * y
    apart = square > 0.0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1.0)), 0.0)


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
    num = values.shape[0]
    rows = [jnp.concatenate([values[:i], values[i + 1 :]]) - values[i] for i in range(num)]
    return jnp.stack(rows).reshape(num, -1)
