"""The physics of a disc on a row of pistons between two walls, computed as the engine Chipmunk does.

A step of 1/20 s moves the disc, finds what it touches, and solves for the impulses: sweeps over the contacts, each of
which changes the velocities that the next one sees, begin with the impulses of the step before (Catto 2005, "Iterative
Dynamics with Temporal Coherence", GDC). Overlap is undone by a velocity of its own, which moves the disc once and is
then forgotten, so a rising piston lifts the disc and does not throw it.

Coordinates are those of the screen, in pixels: x to the right, y down; angles turn from x to y; times in seconds.
Impulses are per mass: what a disc touches does not give way, so its mass cancels everywhere. Nothing pushes it off its
centre but friction. All functions are written for any number of trailing axes, the instances.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array

TIME_STEP = 1.0 / 20.0
GRAVITY = 750.0
RADIUS = 40.0
PITCH = 40.0
"""width of a piston, and the x of the left wall"""
HEAD_RADIUS = 5.0
"""a piston's head is a segment PITCH - 2 HEAD_RADIUS long with round ends"""
WALL_RADIUS = 1.0
SWEEPS = 10
SLOP = 0.1
"""overlap that is left as it is"""
CORRECTED = 1.0 - 0.0001**TIME_STEP
"""share of an overlap that a step undoes"""
MEMORY = 4
"""steps after which a contact that was lost is forgotten"""
REACH = 3
"""pistons that the disc can touch at a time"""
CONTACTS = REACH + 1
"""those and a wall; at least three pistons' width apart, the walls are never touched together"""

SPIN_SHARE = 2.0 / RADIUS
"""spin lost to a tangential impulse: R over the moment of inertia per mass, R^2 / 2"""
GRIP = 1.0 / (1.0 + RADIUS * SPIN_SHARE)
"""share of the sliding velocity that is the impulse which stops it"""

Vector = tuple[Array, Array]


class Disc(NamedTuple):
    """A disc's motion, and what the solver remembers of its contacts."""

    pos: Array
    """float32 [2, ...], the centre"""
    vel: Array
    """float32 [2, ...], per second"""
    angle: Array
    """float32 [...]"""
    spin: Array
    """float32 [...], per second"""
    lift: Array
    """float32 [2, ...], the velocity that undoes overlap, per second"""
    first: Array
    """int32 [...], index of the leftmost piston in reach"""
    normal_impulse: Array
    """float32 [C, ...], of the pistons in reach, from left to right, and of a wall"""
    friction_impulse: Array
    """float32 [C, ...]"""
    absence: Array
    """int32 [C, ...], steps since each contact last touched; 1: in the step before"""


class _Contact(NamedTuple):
    normal: Vector  # from the disc outwards
    touches: Array
    overlap: Array


class _Motion(NamedTuple):
    vel: Vector
    spin: Array
    lift: Vector


def disc_at(pos: Array, spin: Array) -> Disc:
    """Return a disc at rest that touches nothing yet, at `pos` [2, ...] with `spin` [...]."""
    none = jnp.zeros((CONTACTS, *spin.shape))
    absence = jnp.full(none.shape, MEMORY, jnp.int32)
    still = jnp.zeros_like(pos)
    return Disc(pos, still, jnp.zeros_like(spin), spin, still, _first_in_reach(pos[0]), none, none, absence)


def move(disc: Disc, pistons: Array, friction: Array | float, elasticity: Array | float) -> Disc:
    """Return the disc one time step later; `pistons` [A, ...] are the y of the middles of the heads.

    `friction` and `elasticity` are the products of the coefficients of both that touch, as in Chipmunk.
    """
    pos = disc.pos + TIME_STEP * (disc.vel + disc.lift)
    first = _first_in_reach(pos[0])
    contacts = [*_contacts_with_pistons(pos, first, pistons), _contact_with_wall(pos, len(pistons))]
    old = _follow(disc, first)
    motion, impulses = _solve(disc, contacts, old, friction, elasticity)
    absence = [jnp.where(c.touches, 1, jnp.minimum(a + 1, MEMORY)) for c, a in zip(contacts, old[2], strict=True)]
    return Disc(
        pos=pos,
        vel=jnp.stack(motion.vel),
        angle=disc.angle + TIME_STEP * disc.spin,
        spin=motion.spin,
        lift=jnp.stack(motion.lift),
        first=first,
        normal_impulse=jnp.stack([normal for normal, _ in impulses]),
        friction_impulse=jnp.stack([tangential for _, tangential in impulses]),
        absence=jnp.stack(absence),
    )


def _first_in_reach(x: Array) -> Array:
    return jnp.floor(x / PITCH).astype(jnp.int32) - (REACH - 1)


def _contacts_with_pistons(pos: Array, first: Array, pistons: Array) -> list[_Contact]:
    contacts = []
    for k in range(REACH):
        index = first + k
        exists = (index >= 0) & (index < len(pistons))
        height = jnp.take_along_axis(pistons, jnp.clip(index, 0, len(pistons) - 1)[None], axis=0)[0]
        left = PITCH * (index + 1) + HEAD_RADIUS
        x = jnp.clip(pos[0], left, left + PITCH - 2 * HEAD_RADIUS) - pos[0]
        y = height - pos[1]
        square = x * x + y * y
        apart = jnp.sqrt(jnp.maximum(square, 1e-6))
        overlap = RADIUS + HEAD_RADIUS - apart
        contacts.append(_Contact((x / apart, y / apart), exists & (overlap > 0.0), overlap))
    return contacts


def _contact_with_wall(pos: Array, num_pistons: int) -> _Contact:
    """Return the contact with the nearer wall."""
    middle = PITCH * (1 + 0.5 * num_pistons)
    side = jnp.where(pos[0] < middle, -1.0, 1.0)
    overlap = RADIUS + WALL_RADIUS - (0.5 * PITCH * num_pistons - jnp.abs(pos[0] - middle))
    return _Contact((side, jnp.zeros_like(side)), overlap > 0.0, overlap)


def _follow(disc: Disc, first: Array) -> tuple[list[Array], ...]:
    """Return impulses and absences of the last step, moved on to where the same pistons are now in reach."""
    shift = first - disc.first
    rows = []
    for values, forgotten in ((disc.normal_impulse, 0.0), (disc.friction_impulse, 0.0), (disc.absence, MEMORY)):
        padded = [forgotten, *values[:REACH], forgotten]
        moved = [
            jnp.where(shift == 0, padded[k + 1], jnp.where(shift == 1, padded[k + 2], padded[k])) for k in range(REACH)
        ]
        near = jnp.abs(shift) <= 1
        rows.append([*(jnp.where(near, value, forgotten) for value in moved), values[REACH]])
    return tuple(rows)


def _solve(
    disc: Disc,
    contacts: list[_Contact],
    old: tuple[list[Array], ...],
    friction: Array | float,
    elasticity: Array | float,
) -> tuple[_Motion, list[Vector]]:
    """Return the motion after gravity and impulses, and the impulses, normal and tangential, of each contact.

    An impulse is kept while a contact is lost for a few steps, but only one that was not lost is applied at the start.
    """
    x, y = disc.vel[0], disc.vel[1]
    bounces = [elasticity * _dot(c.normal, (x, y)) for c in contacts]
    wanted = [CORRECTED / TIME_STEP * jnp.maximum(c.overlap - SLOP, 0.0) for c in contacts]
    still = jnp.zeros_like(x)
    motion = _Motion((x, y + TIME_STEP * GRAVITY), disc.spin, (still, still))
    impulses, lifts = [], [still] * len(contacts)
    for contact, normal, tangential, absence in zip(contacts, *old, strict=True):
        kept = absence < MEMORY
        normal, tangential = (jnp.where(kept, value, 0.0) for value in (normal, tangential))
        warm = contact.touches & (absence == 1)
        motion = _pushed(motion, contact, jnp.where(warm, normal, 0.0), jnp.where(warm, tangential, 0.0))
        impulses.append((normal, tangential))

    def sweep(_, carried):
        motion, impulses, lifts = carried
        for i in reversed(range(CONTACTS)):
            motion, lifts[i] = _lifted(motion, contacts[i], lifts[i], wanted[i])
            motion, impulses[i] = _met(motion, contacts[i], impulses[i], bounces[i], friction)
        return motion, impulses, lifts

    return jax.lax.fori_loop(0, SWEEPS, sweep, (motion, impulses, lifts))[:2]


def _lifted(motion: _Motion, contact: _Contact, lift: Array, wanted: Array) -> tuple[_Motion, Array]:
    """Let one contact undo its overlap."""
    total = jnp.maximum(lift + wanted + _dot(contact.normal, motion.lift), 0.0)
    total = jnp.where(contact.touches, total, 0.0)
    return motion._replace(lift=_minus(motion.lift, total - lift, contact.normal)), total


def _met(
    motion: _Motion, contact: _Contact, impulse: Vector, bounce: Array, friction: Array | float
) -> tuple[_Motion, Vector]:
    """Let one contact stop what goes into it and, as far as its normal impulse allows, what slides along it."""
    into = _dot(contact.normal, motion.vel) + bounce
    sliding = _dot(_turned(contact.normal), motion.vel) + RADIUS * motion.spin
    normal = jnp.maximum(impulse[0] + into, 0.0)
    limit = friction * normal
    tangential = jnp.clip(impulse[1] + GRIP * sliding, -limit, limit)
    normal = jnp.where(contact.touches, normal, impulse[0])
    tangential = jnp.where(contact.touches, tangential, impulse[1])
    return _pushed(motion, contact, normal - impulse[0], tangential - impulse[1]), (normal, tangential)


def _pushed(motion: _Motion, contact: _Contact, normal: Array, tangential: Array) -> _Motion:
    vel = _minus(_minus(motion.vel, normal, contact.normal), tangential, _turned(contact.normal))
    return motion._replace(vel=vel, spin=motion.spin - SPIN_SHARE * tangential)


def _turned(vector: Vector) -> Vector:
    return -vector[1], vector[0]


def _dot(a: Vector, b: Vector) -> Array:
    return a[0] * b[0] + a[1] * b[1]


def _minus(a: Vector, scale: Array, b: Vector) -> Vector:
    return a[0] - scale * b[0], a[1] - scale * b[1]
