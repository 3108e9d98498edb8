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


class _Contacts(NamedTuple):
    """Where the disc meets what is in reach; every array [C, ...], or [...] of one contact."""

    normal: Vector  # from the disc outwards
    touches: Array
    overlap: Array

    def at(self, i: int) -> "_Contacts":
        """Return one of them."""
        return _Contacts((self.normal[0][i], self.normal[1][i]), self.touches[i], self.overlap[i])


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
    contacts = _contacts(pos, first, pistons)
    followed = _follow(disc, first)
    motion, normal, tangential = _solve(followed, contacts, friction, elasticity)
    return Disc(
        pos=pos,
        vel=jnp.stack(motion.vel),
        angle=disc.angle + TIME_STEP * disc.spin,
        spin=motion.spin,
        lift=jnp.stack(motion.lift),
        first=first,
        normal_impulse=jnp.stack(normal),
        friction_impulse=jnp.stack(tangential),
        absence=jnp.where(contacts.touches, 1, jnp.minimum(followed.absence + 1, MEMORY)),
    )


def _first_in_reach(x: Array) -> Array:
    return jnp.floor(x / PITCH).astype(jnp.int32) - (REACH - 1)


def _contacts(pos: Array, first: Array, pistons: Array) -> _Contacts:
    """Return the contacts with the pistons in reach, from left to right, and with the nearer wall."""
    num = len(pistons)
    index = jnp.stack([first + k for k in range(REACH)])
    left = PITCH * (index + 1) + HEAD_RADIUS
    x = jnp.clip(pos[0], left, left + PITCH - 2 * HEAD_RADIUS) - pos[0]
    y = jnp.take_along_axis(pistons, jnp.clip(index, 0, num - 1), axis=0) - pos[1]
    apart = jnp.sqrt(jnp.maximum(x * x + y * y, 1e-6))
    overlap = RADIUS + HEAD_RADIUS - apart
    middle = 0.5 * PITCH * (num + 2)
    side = jnp.where(pos[0] < middle, -1.0, 1.0)
    into_wall = RADIUS + WALL_RADIUS - (0.5 * PITCH * num - jnp.abs(pos[0] - middle))
    exists = (index >= 0) & (index < num)
    return _Contacts(
        normal=(_with(x / apart, side), _with(y / apart, jnp.zeros_like(side))),
        touches=_with(exists & (overlap > 0.0), into_wall > 0.0),
        overlap=_with(overlap, into_wall),
    )


def _with(of_pistons: Array, of_wall: Array) -> Array:
    return jnp.concatenate([of_pistons, of_wall[None]])


def _follow(disc: Disc, first: Array) -> Disc:
    """Return the disc with its memory of contacts shifted to where the same pistons are in reach from `first` on."""
    shift = first - disc.first

    def shifted(values, forgotten):
        pistons = values[:REACH]
        none = jnp.full_like(pistons[:1], forgotten)
        padded = jnp.concatenate([none, pistons, none])
        moved = jnp.where(shift == 1, padded[2:], jnp.where(shift == -1, padded[:-2], forgotten))
        return _with(jnp.where(shift == 0, pistons, moved), values[REACH])

    return disc._replace(
        normal_impulse=shifted(disc.normal_impulse, 0.0),
        friction_impulse=shifted(disc.friction_impulse, 0.0),
        absence=shifted(disc.absence, MEMORY),
    )


def _solve(
    disc: Disc, contacts: _Contacts, friction: Array | float, elasticity: Array | float
) -> tuple[_Motion, list[Array], list[Array]]:
    """Return the motion after gravity and impulses, and each contact's impulses, normal and tangential.

    An impulse is kept while its contact is lost for a few steps, but only one that was not lost is applied at once.
    """
    vel = disc.vel[0], disc.vel[1]
    bounce = elasticity * _dot(contacts.normal, vel)
    wanted = CORRECTED / TIME_STEP * jnp.maximum(contacts.overlap - SLOP, 0.0)
    kept = disc.absence < MEMORY
    normal, tangential = (jnp.where(kept, x, 0.0) for x in (disc.normal_impulse, disc.friction_impulse))
    warm = contacts.touches & (disc.absence == 1)
    still = jnp.zeros_like(disc.spin)
    motion = _Motion((vel[0], vel[1] + TIME_STEP * GRAVITY), disc.spin, (still, still))
    for i in range(CONTACTS):
        motion = _pushed(motion, contacts.at(i).normal, *(jnp.where(warm, x, 0.0)[i] for x in (normal, tangential)))

    # A loop that is unrolled only twice, and selects in it rather than normals of length 0 for what is not touched: XLA
    # works out chains of such operations over and over where it fuses more of them (not half as fast; unrolled ten
    # times, the program takes minutes to compile).
    def sweep(_, carried):
        motion, normal, tangential, lift = carried
        normal, tangential, lift = list(normal), list(tangential), list(lift)
        for i in reversed(range(CONTACTS)):
            contact = contacts.at(i)
            motion, lift[i] = _lifted(motion, contact, lift[i], wanted[i])
            motion, normal[i], tangential[i] = _met(motion, contact, normal[i], tangential[i], bounce[i], friction)
        return motion, normal, tangential, lift

    begun = motion, list(normal), list(tangential), [still] * CONTACTS
    return jax.lax.fori_loop(0, SWEEPS, sweep, begun, unroll=2)[:3]


def _lifted(motion: _Motion, contact: _Contacts, lift: Array, wanted: Array) -> tuple[_Motion, Array]:
    """Let one contact undo its overlap."""
    total = jnp.maximum(lift + wanted + _dot(contact.normal, motion.lift), 0.0)
    total = jnp.where(contact.touches, total, 0.0)
    return motion._replace(lift=_minus(motion.lift, total - lift, contact.normal)), total


def _met(
    motion: _Motion, contact: _Contacts, normal: Array, tangential: Array, bounce: Array, friction: Array | float
) -> tuple[_Motion, Array, Array]:
    """Let one contact stop what goes into it and, as far as its normal impulse allows, what slides along it."""
    into = _dot(contact.normal, motion.vel) + bounce
    sliding = _dot(_turned(contact.normal), motion.vel) + RADIUS * motion.spin
    new_normal = jnp.where(contact.touches, jnp.maximum(normal + into, 0.0), normal)
    limit = friction * new_normal
    held = jnp.clip(tangential + GRIP * sliding, -limit, limit)
    new_tangential = jnp.where(contact.touches, held, tangential)
    motion = _pushed(motion, contact.normal, new_normal - normal, new_tangential - tangential)
    return motion, new_normal, new_tangential


def _pushed(motion: _Motion, direction: Vector, normal: Array, tangential: Array) -> _Motion:
    vel = _minus(_minus(motion.vel, normal, direction), tangential, _turned(direction))
    return motion._replace(vel=vel, spin=motion.spin - SPIN_SHARE * tangential)


def _turned(vector: Vector) -> Vector:
    return -vector[1], vector[0]


def _dot(a: Vector, b: Vector) -> Array:
    return a[0] * b[0] + a[1] * b[1]


def _minus(a: Vector, scale: Array, b: Vector) -> Vector:
    return a[0] - scale * b[0], a[1] - scale * b[1]
