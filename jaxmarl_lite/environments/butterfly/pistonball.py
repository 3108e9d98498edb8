"""A row of pistons carries a ball to the left wall."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jaxmarl_lite.core.env import Array, Key, TimeStep
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_bool, require_int, require_number
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.core.tree import along_last
from jaxmarl_lite.environments.butterfly import picture
from jaxmarl_lite.environments.butterfly.disc import PITCH, RADIUS, TIME_STEP, Disc, disc_at, move

LOWEST, HIGHEST = 491.0, 427.0
"""y of the middle of a piston's head at either end of its way, in pixels from the top"""
STRIDE = 4.0
"""pixels that a piston moves at most in a step"""
START_LEVELS = 8
"""pistons start at one of these many levels, a stride apart, from the lowest up"""
START_HEIGHT = 410.0
DROP_X, DROP_Y = 30, 15
"""pixels by which the ball's start may be off, either way"""
MAX_SPIN = 6.0 * math.pi
SURFACE_FRICTION = 0.64
SURFACE_ELASTICITY = 0.0
"""of walls and pistons alike"""
MARGIN = 1.0
"""pixels from the wall at which the ball has arrived"""
UNIT = 100.0
"""pixels in the unit of length of observations"""
HORIZON = 125
NUM_FEATURES = 13


class PistonballState(NamedTuple):
    """Where everything is, in pixels from the top left corner of the reference's screen."""

    ball: Disc
    """position, velocity, angle and spin, and what the solver of contacts remembers"""
    pistons: Array
    """float32 [A], y of the middle of each head"""
    gap: Array
    """float32 [], whole pixels between ball and left wall"""
    start: Array
    """float32 [], the same when the episode began"""
    time: Array
    """int32 [], steps played"""


@struct.dataclass(eq=False)
class Pistonball:
    """A pistons in a row, which move up and down, let a ball roll to the left wall; all share one reward.

    The semantics are those of pistonball_v6 of the package pettingzoo 1.27 (Terry et al. 2021, arXiv:2009.14471).
    In a step the pistons move one after another, from left to right, each by at most 4 of the 64 pixels of its way,
    and behind each of these moves the world runs for 1/20 s: a step of 20 pistons is a second. The reward of everybody
    is 100 (gap before - gap now) / (gap at the start) + time_penalty, where the gap is that between ball and left wall,
    in whole pixels; the penalty is not due in the step that ends it. The episode terminates when the gap is at most a
    pixel, or would be after another 1/20 s at the ball's velocity, and is truncated after 125 steps. The ball starts
    near the right wall, pistons in the lower half of their way.

    Actions are one number in [-1, 1], up, as a share of 4 pixels; or, if not `continuous`, 0 down, 1 stay, 2 up.

    The physics is that of the reference's engine, pymunk, in float32 (`disc.py`): its solver with as many sweeps,
    restitution, Coulomb friction, correction of overlap and memory of impulses. It differs in what follows. Contacts
    are solved in a fixed order, the wall first and then pistons from right to left, where pymunk's order follows from
    the history of its search tree; this shows where the ball touches several at a time. There are no floor and no
    ceiling, which the ball cannot reach. Rounding differs, so that the path of a ball that rolls over an edge in one
    and stays in the other is another one from there; `scripts/pistonball_paths.py` draws and measures this.
    As in the reference, walls and pistons have elasticity 0, and an impact has the product of both, so the
    elasticity of the ball changes nothing, and neither does its mass, since all that it meets is infinitely heavy.

    Observation of piston i (13 numbers), lengths in units of 100 pixels, from what the reference's picture shows, the
    piston and its two neighbours and what is above them; the ball's numbers are 0 where no part of it is in there:

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 0-2 | height of the own piston, its left and its right neighbour; a wall's is 0 | way of 64 pixels | [0, 1] |
    | 3-4 | there is a piston on the left, on the right (else a wall) | - | 0 or 1 |
    | 5 | the ball is to be seen | - | 0 or 1 |
    | 6-7 | the ball's centre less that of the own piston's head, right and up | length | [-1, 1], about [0, 1] |
    | 8-9 | the ball's velocity, right and up | length/s | unbounded, about [-5, 5] |
    | 10-11 | cosine and sine of the ball's angle, clockwise | - | [-1, 1] |
    | 12 | the ball's spin, clockwise | 6 pi rad/s | unbounded, about [-1, 1] |

    With `image` it is the reference's picture of the same, row by row and with its colours in [0, 1], each pixel of it
    `pixel` pixels wide and high: floor(457 / pixel) rows of 120 / pixel, grey, or red, green and blue if `rgb`.

    The global state is all heights, the ball's centre (right of the left wall, above the lowest head), velocity, cosine
    and sine of its angle, and spin, in the same units: A + 7 numbers.

    With 20 pistons, in 4,096 episodes each, a uniformly random policy gets a return per piston of -4.6 (discrete -3.1),
    and reaches the wall in one of them. A wave, where pistons that see the ball more than 10 pixels to the left of
    their middle go up and all others down, gets 96.9; the ball is at the wall in 99 % of the episodes, which last 24
    steps on average.

    Raises SettingError on fewer than three pistons, between which the ball has no room, and on settings out of range.
    """

    num_pistons: int = struct.field(pytree_node=False, default=20)
    """number of pistons, A, at least 3"""
    continuous: bool = struct.field(pytree_node=False, default=True)
    """continuous instead of discrete actions"""
    time_penalty: float = -0.1
    """reward of every step that does not end the episode at the wall (a leaf)"""
    random_drop: bool = struct.field(pytree_node=False, default=True)
    """draw where the ball starts"""
    random_rotate: bool = struct.field(pytree_node=False, default=True)
    """draw how fast the ball spins when it starts, up to 6 pi rad/s either way"""
    ball_mass: float = 0.75
    """mass of the ball; changes nothing (a leaf)"""
    ball_friction: float = 0.3
    """coefficient of friction of the ball; that of a contact is 0.64 times this (a leaf)"""
    ball_elasticity: float = 1.5
    """elasticity of the ball; that of a contact is 0 times this (a leaf)"""
    horizon: int = struct.field(pytree_node=False, default=HORIZON)
    """steps after which an episode is truncated"""
    image: bool = struct.field(pytree_node=False, default=False)
    """observe pictures"""
    rgb: bool = struct.field(pytree_node=False, default=False)
    """pictures in colours instead of grey"""
    pixel: int = struct.field(pytree_node=False, default=4)
    """side of a pixel of a picture, in the reference's pixels, which divides 40"""

    def __post_init__(self) -> None:
        require_int("num_pistons", self.num_pistons, low=3)
        require_int("horizon", self.horizon)
        require_int("pixel", self.pixel)
        for name in ("continuous", "random_drop", "random_rotate", "image", "rgb"):
            require_bool(name, getattr(self, name))
        require_number("time_penalty", self.time_penalty)
        require_number("ball_mass", self.ball_mass, above=0.0)
        require_number("ball_friction", self.ball_friction, low=0.0)
        require_number("ball_elasticity", self.ball_elasticity, low=0.0)
        if PITCH % self.pixel:
            raise SettingError(f"pixel={self.pixel} is not allowed: it must divide {PITCH:g}.")

    @property
    def spec(self) -> Spec:
        """The static description."""
        num = self.num_pistons
        size = math.prod(picture.shape(self.pixel, self.rgb)) if self.image else NUM_FEATURES
        return Spec(
            agents=tuple(f"piston_{i}" for i in range(num)),
            obs_sizes=(size,) * num,
            action_sizes=(1 if self.continuous else 3,) * num,
            state_size=num + 7,
            horizon=self.horizon,
            action_kind="continuous" if self.continuous else "discrete",
            action_range=(-1.0, 1.0),
        )

    def reset(self, key: Key) -> tuple[PistonballState, TimeStep]:
        """Drop the ball near the right wall."""
        num = self.num_pistons
        drawn = jax.random.uniform(key, (num + 3,))
        pistons = LOWEST - STRIDE * jnp.floor(START_LEVELS * drawn[:num])
        x = PITCH * (num + 1) - RADIUS - DROP_X
        y = START_HEIGHT
        if self.random_drop:
            x += jnp.floor((2 * DROP_X + 1) * drawn[num]) - DROP_X
            y += jnp.floor((2 * DROP_Y + 1) * drawn[num + 1]) - DROP_Y
        x = jnp.maximum(x, PITCH + RADIUS + 1.0)
        spin = MAX_SPIN * (2.0 * drawn[num + 2] - 1.0) if self.random_rotate else jnp.zeros(())
        ball = disc_at(jnp.stack([x, jnp.asarray(y)]), spin)
        state = PistonballState(ball, pistons, _gap(ball), _gap(ball), jnp.zeros((), jnp.int32))
        return state, self.observe(state)

    def step(self, key: Key, state: PistonballState, action: Array) -> tuple[PistonballState, TimeStep]:
        """Move the pistons one after another."""
        del key
        num = self.num_pistons
        up = jnp.clip(action[:, 0], -1.0, 1.0) if self.continuous else action - 1.0
        target = jnp.clip(state.pistons - STRIDE * up, HIGHEST, LOWEST)
        friction = jnp.asarray(SURFACE_FRICTION * self.ball_friction)
        elasticity = jnp.asarray(SURFACE_ELASTICITY * self.ball_elasticity)
        ball = Disc(*along_last(_run)(state.pistons, target, friction, elasticity, *state.ball))
        reward, arrived = self.outcome(state, ball)
        time = state.time + 1
        state = PistonballState(ball, target, _gap(ball), state.start, time)
        return state, self.observe(state)._replace(
            reward=jnp.full(num, reward),
            terminated=jnp.full(num, arrived),
            truncated=(time >= self.horizon) & ~arrived,
        )

    def outcome(self, state: PistonballState, ball: Disc) -> tuple[Array, Array]:
        """Return everybody's reward, float32 [], if the ball goes on from `state` to `ball`, and whether it arrives."""
        gap = _gap(ball)
        arrived = gap + TIME_STEP * ball.vel[0] <= MARGIN
        return 100.0 * (state.gap - gap) / state.start + jnp.where(arrived, 0.0, self.time_penalty), arrived

    def observe(self, state: PistonballState) -> TimeStep:
        """Show a state as it is when an episode begins there."""
        num, ball = self.num_pistons, state.ball
        heights = _heights(state)
        if self.image:
            obs = picture.crops(ball.pos, ball.angle, state.pistons, self.pixel, self.rgb).reshape(num, -1)
        else:
            obs = self._features(state)
        origin = jnp.asarray([PITCH, LOWEST])
        return TimeStep(
            obs=obs,
            state=jnp.concatenate([heights, _relative(ball, *origin), _motion(ball)]),
            legal=jnp.ones((num, self.spec.num_actions), bool),
            active=jnp.ones(num, bool),
            reward=jnp.zeros(num),
            terminated=jnp.zeros(num, bool),
            truncated=jnp.zeros((), bool),
        )

    def draw(self, axes: Any, state: PistonballState, step: TimeStep) -> None:
        """Draw the pistons, the ball with a spoke that shows its angle, and the walls."""
        picture.draw(axes, state.ball, state.pistons)
        axes.set_title(f"step {int(state.time)}   reward {float(step.reward[0]):+.2f}")

    def _features(self, state: PistonballState) -> Array:
        num, ball = self.num_pistons, state.ball
        heights, wall, there = _heights(state), jnp.zeros(1), jnp.ones(num - 1)
        relative = _relative(ball, PITCH * (1.5 + jnp.arange(num)), state.pistons)
        seen = (jnp.abs(relative[0]) < (1.5 * PITCH + RADIUS) / UNIT).astype(jnp.float32)
        own = [
            heights,
            jnp.concatenate([wall, heights[:-1]]),
            jnp.concatenate([heights[1:], wall]),
            jnp.concatenate([wall, there]),
            jnp.concatenate([there, wall]),
            seen,
        ]
        of_ball = [seen * number for number in (*relative, *_motion(ball))]
        return jnp.stack([*own, *of_ball], axis=1)


def _run(pistons: Array, target: Array, friction: Array, elasticity: Array, *ball: Array) -> Disc:
    """Move each piston to its target in turn and let the ball go on for a while behind each."""

    def turn(i, world):
        pistons, ball = world
        pistons = jax.lax.dynamic_update_slice_in_dim(pistons, jax.lax.dynamic_slice_in_dim(target, i, 1), i, 0)
        return pistons, move(ball, pistons, friction, elasticity)

    return jax.lax.fori_loop(0, len(pistons), turn, (pistons, Disc(*ball)))[1]


def _gap(ball: Disc) -> Array:
    return jnp.maximum(jnp.floor(ball.pos[0] - RADIUS) - PITCH, 0.0)


def _heights(state: PistonballState) -> Array:
    return (LOWEST - state.pistons) / (LOWEST - HIGHEST)


def _relative(ball: Disc, x: Array | float, y: Array | float) -> Array:
    return jnp.stack([ball.pos[0] - x, y - ball.pos[1]]) / UNIT


def _motion(ball: Disc) -> Array:
    right, down = ball.vel[0] / UNIT, ball.vel[1] / UNIT
    return jnp.stack([right, -down, jnp.cos(ball.angle), jnp.sin(ball.angle), ball.spin / MAX_SPIN])
