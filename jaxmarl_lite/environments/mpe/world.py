"""The physics of the particle world: discs that push one another apart, with drag.

The semantics are those of the multi-agent particle environments (Lowe et al. 2017, arXiv:1706.02275) as maintained in
the package mpe2 (PettingZoo's v3 suffix). Every function takes any number of trailing axes, for instances.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Array

# Constants of the reference package; lengths in world units (the arena is [-1, 1]^2), times in seconds, masses 1.
TIME_STEP = 0.1
DAMPING = 0.25
CONTACT_FORCE = 100.0
CONTACT_MARGIN = 1e-3

MOVES = 5  # actions of one who moves: none, -x, +x, -y, +y

Pair = Callable[..., tuple[Array, ...]]


def sum_over_others(pair: Pair, pos: Array, radii: np.ndarray, *, sign: int) -> tuple[Array, ...]:
    """Return for each disc i the sum over the others j of pair(x_i - x_j, y_i - y_j, r_i + r_j), from [A, 2, ...].

    `sign` is the symmetry of `pair` under exchange: 1 if it is even (overlaps), -1 if it is odd (forces). Round s of
    A // 2 pairs every disc with the one s further on: each pair is computed once, and the program is of one size.
    """
    num = pos.shape[0]
    twice = [jnp.concatenate([x, x]) for x in (pos[:, 0], pos[:, 1])]
    is_uniform = bool((radii == radii[0]).all())
    twice_radii = column(np.concatenate([radii, radii]), pos.ndim - 1)

    def reaches(shift):
        if is_uniform:
            return 2.0 * float(radii[0])
        return twice_radii[:num] + jax.lax.dynamic_slice_in_dim(twice_radii, shift, num)

    def add(shift, totals):
        apart = [x[:num] - jax.lax.dynamic_slice_in_dim(x, shift, num) for x in twice]
        weight = jnp.where(2 * shift == num, 0.5, 1.0)  # discs opposite to one another meet twice
        return tuple(
            _add_rows(_add_rows(total, weight * term, 0), sign * weight * term, shift)
            for total, term in zip(totals, pair(*apart, reaches(shift)), strict=True)
        )

    shapes = jax.eval_shape(pair, *twice, 1.0)
    totals = tuple(jnp.zeros(x.shape, x.dtype) for x in shapes)
    totals = jax.lax.fori_loop(1, num // 2 + 1, add, totals)
    return tuple(total[:num] + total[num:] for total in totals)


def _add_rows(total: Array, rows: Array, start: Array | int) -> Array:
    before = jax.lax.dynamic_slice_in_dim(total, start, len(rows))
    return jax.lax.dynamic_update_slice_in_dim(total, before + rows, start, 0)


def contact(dx: Array, dy: Array, reach: Array | float) -> tuple[Array, Array]:
    """Return the push, for a unit of contact force, on a disc that lies (dx, dy) from another's centre.

    F = (delta / d) k log(1 + exp(-(d - reach) / k)) with k = 0.001: the soft penetration of the reference. Two
    discs at one point push in no direction, where the reference divides by zero.
    """
    dist = safe_norm(dx, dy)
    depth = CONTACT_MARGIN * _softplus((reach - dist) / CONTACT_MARGIN)
    push = depth / jnp.where(dist > 0.0, dist, 1.0)
    return push * dx, push * dy


def contacts(pos: Array, radii: np.ndarray) -> Array:
    """Return the pushes among A discs, for a unit of contact force; [A, 2, ...] -> [A, 2, ...]."""
    return jnp.stack(sum_over_others(contact, pos, radii, sign=-1), axis=1)


def contacts_with(obstacles: Array, pos: Array, reaches: np.ndarray) -> Array:
    """Return the pushes of L immovable discs on A others; [L, 2, ...], [A, 2, ...], [A] -> [A, 2, ...]."""
    x, y = pos[:, 0], pos[:, 1]
    reach = column(reaches, x.ndim)
    return added([jnp.stack(contact(x - disc[0], y - disc[1], reach), axis=1) for disc in obstacles])


def overlaps(pos: Array, radii: np.ndarray) -> Array:
    """Return, for each of A discs, how many others overlap with it; [A, 2, ...] -> float32 [A, ...]."""

    def pair(dx, dy, reach):
        return ((dx * dx + dy * dy < reach**2).astype(jnp.float32),)

    return sum_over_others(pair, pos, radii, sign=1)[0]


def touching(pos: Array, others: Array, reach: float) -> Array:
    """Return how many of M others each of A discs overlaps with; [A, 2, ...], [M, 2, ...] -> float32 [A, ...]."""
    squares = [jnp.square(pos[:, 0] - disc[0]) + jnp.square(pos[:, 1] - disc[1]) for disc in others]
    return added([(square < reach**2).astype(jnp.float32) for square in squares])


def nearest_distance(points: Array, pos: Array) -> Array:
    """Return the distance of each of L points to the nearest of A discs; [L, 2, ...], [A, 2, ...] -> [L, ...]."""
    x, y = points[:, 0], points[:, 1]
    squares = [jnp.square(x - disc[0]) + jnp.square(y - disc[1]) for disc in pos]
    return _safe_sqrt(least(squares))


def distance(pos: Array, point: Array) -> Array:
    """Return the distance of each of A discs to one point, or to one each; [A, 2, ...] -> [A, ...]."""
    delta = pos - point
    return safe_norm(delta[:, 0], delta[:, 1])


def safe_norm(x: Array, y: Array) -> Array:
    """Return sqrt(x^2 + y^2), with gradient 0 instead of NaN at the origin."""
    return _safe_sqrt(x * x + y * y)


def unit(vectors: Array) -> Array:
    """Return vectors [A, 2, ...] with length 1; a zero remains zero."""
    length = safe_norm(vectors[:, 0], vectors[:, 1])
    return vectors / jnp.where(length > 0.0, length, 1.0)[:, None]


def _softplus(x: Array) -> Array:
    # As log1p, but several times as fast; what is lost is 1e-7 of a depth that is measured in thousandths.
    return jnp.maximum(x, 0.0) + jnp.log(1.0 + jnp.exp(-jnp.abs(x)))


def _safe_sqrt(x: Array) -> Array:
    apart = x > 0.0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, x, 1.0)), 0.0)


def limited(vel: Array, max_speed: Array | float) -> Array:
    """Return velocities [A, 2, ...] shortened to `max_speed` where they are longer."""
    speed = safe_norm(vel[:, 0], vel[:, 1])
    is_fast = speed > max_speed
    return vel * jnp.where(is_fast, max_speed / jnp.where(is_fast, speed, 1.0), 1.0)[:, None]


def discrete_push(action: Array) -> Array:
    """Return the push of actions 0 none, 1 -x, 2 +x, 3 -y, 4 +y as unit vectors; int32 [A, ...] -> [A, 2, ...]."""
    push = [(action == up).astype(jnp.float32) - (action == down).astype(jnp.float32) for down, up in ((1, 2), (3, 4))]
    return jnp.stack(push, axis=1)


def continuous_push(action: Array) -> Array:
    """Return the push (a_2 - a_1, a_4 - a_3) of actions in [0, 1]^5; float32 [A, 5, ...] -> [A, 2, ...]."""
    return jnp.stack([action[:, 2] - action[:, 1], action[:, 4] - action[:, 3]], axis=1)


def edge_cost(pos: Array) -> Array:
    """Return what being near or beyond the edges of the arena costs each of A discs; [A, 2, ...] -> [A, ...].

    For each coordinate 0 below 0.9, 10 (|x| - 0.9) from there to 1, and min(exp(2 |x| - 2), 10) beyond.
    """
    far = jnp.abs(pos)
    beyond = jnp.exp(jnp.minimum(2.0 * far - 2.0, np.float32(np.log(10.0))))
    cost = jnp.where(far < 0.9, 0.0, jnp.where(far < 1.0, 10.0 * (far - 0.9), beyond))
    return cost[:, 0] + cost[:, 1]


def relative(pos: Array, points: Array) -> Array:
    """Return points as each of A discs sees them; [A, 2, ...], [L, 2, ...] -> [A, 2 L, ...]."""
    return flat(points[None] - pos[:, None])


def relative_to_others(pos: Array) -> Array:
    """Return the other discs as each of A sees them, by index; [A, 2, ...] -> [A, 2 (A - 1), ...]."""
    return flat(without_self(pos[None] - pos[:, None]))


def of_others(rows: Array) -> Array:
    """Return what the others of A have, to each of them, by index; [A, D, ...] -> [A, (A - 1) D, ...]."""
    return flat(without_self(to_each(rows, len(rows))))


def to_each(values: Array, num: int) -> Array:
    """Return the same values [D, ...] for each of `num` agents; -> [num, D, ...]."""
    return jnp.broadcast_to(values[None], (num, *values.shape))


def without_self(table: Array) -> Array:
    """Return what each of A knows of each other, from what it knows of each; [A, A, ...] -> [A, A - 1, ...]."""
    num, rest = len(table), table.shape[2:]
    if num == 1:
        return table[:, :0]
    # Without the first pair, those of an agent with itself are the last column of this table.
    pairs = table.reshape(num * num, *rest)[1:].reshape(num - 1, num + 1, *rest)
    return pairs[:, :-1].reshape(num, num - 1, *rest)


def flat(table: Array) -> Array:
    """Return [A, L, D, ...] as [A, L D, ...]."""
    return table.reshape(table.shape[0], table.shape[1] * table.shape[2], *table.shape[3:])


def joined(parts: list[Array]) -> Array:
    """Return parts one after another; a single one is not copied."""
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts)


def one_hot(index: Array, num: int) -> Array:
    """Return float32 [A, num, ...] with a 1 in row i at `index` [A, ...]."""
    return (index[:, None] == column(np.arange(num), index.ndim)[None]).astype(jnp.float32)


def picked(rows: Array, index: Array) -> Array:
    """Return that of L rows which `index` [...] says; [L, D, ...] -> [D, ...]."""
    return functools.reduce(lambda row, i: jnp.where(index == i, rows[i], row), range(1, len(rows)), rows[0])


def added(terms: Sequence[Array] | Array) -> Array:
    """Return the sum over the first axis, written out: on a CPU a reduction over a tiny axis is a scalar loop."""
    return functools.reduce(jnp.add, terms)


def least(terms: Sequence[Array] | Array) -> Array:
    """Return the minimum over the first axis, written out."""
    return functools.reduce(jnp.minimum, terms)


def column(values: np.ndarray, ndim: int) -> Array:
    """Return numbers [A] as an array of `ndim` axes that broadcasts over all but the first."""
    return jnp.asarray(values).reshape(-1, *(1,) * (ndim - 1))
