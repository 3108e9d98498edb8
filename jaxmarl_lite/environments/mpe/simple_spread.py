"""Cooperative navigation: agents spread over landmarks without bumping into one another."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmarl_lite.core.env import Array, Key, TimeStep
from jaxmarl_lite.core.settings import require_bool, require_int, require_number
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.environments.mpe import world

AGENT_RADIUS = 0.15
LANDMARK_RADIUS = 0.05
HORIZON = 25


class SpreadState(NamedTuple):
    """Where everything is."""

    agent_pos: Array
    """float32 [A, 2]"""
    agent_vel: Array
    """float32 [A, 2], per second"""
    landmark_pos: Array
    """float32 [L, 2]"""
    time: Array
    """int32 [], steps played"""


@struct.dataclass(eq=False)
class SimpleSpread:
    """Cooperative navigation: A agents cover L landmarks and lose by touching.

    The semantics are those of simple_spread_v3 of the package mpe2 (PettingZoo). Reward of agent i is
    `(1 - local_ratio) G + local_ratio C_i`, where G = -sum over landmarks of the distance to the nearest agent and
    C_i = -(number of other agents nearer than two radii, 0.3). Positions begin uniform in [-1, 1]^2, velocities zero.
    Every episode is truncated after 25 steps and none terminates. Discrete actions are 0 none, 1 left, 2 right,
    3 down, 4 up; continuous ones five numbers in [0, 1], of which (a_2 - a_1, a_4 - a_3) pushes.

    With three agents a uniformly random policy gets a return, summed over agents, of -79.4, and agents that walk
    straight to their best assignment, bumping, -26.8.

    Observation of agent i (18 numbers for A = L = 3):

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 0-1 | own velocity | length/s | unbounded, about [-2, 2] |
    | 2-3 | own position | length | unbounded, begins in [-1, 1] |
    | 2 L numbers | each landmark's position less the own | length | unbounded |
    | 2 (A - 1) numbers | each other agent's position less the own, by index | length | unbounded |
    | 2 (A - 1) numbers | each other agent's message; nobody speaks | - | 0 |

    The global state is all positions, velocities and landmark positions: 4 A + 2 L numbers.
    """

    num_agents: int = struct.field(pytree_node=False, default=3)
    """number of agents, A"""
    num_landmarks: int | None = struct.field(pytree_node=False, default=None)
    """number of landmarks, L; None: as many as agents"""
    local_ratio: float = 0.5
    """share of the own collisions in the reward, from 0 to 1 (a leaf)"""
    continuous: bool = struct.field(pytree_node=False, default=False)
    """continuous instead of discrete actions"""

    def __post_init__(self) -> None:
        if self.num_landmarks is None:
            object.__setattr__(self, "num_landmarks", self.num_agents)
        require_int("num_agents", self.num_agents)
        require_int("num_landmarks", self.num_landmarks)
        require_number("local_ratio", self.local_ratio, low=0.0, high=1.0)
        require_bool("continuous", self.continuous)

    @property
    def spec(self) -> Spec:
        """The static description."""
        num, landmarks = self.num_agents, self.num_landmarks or 0
        return Spec(
            agents=tuple(f"agent_{i}" for i in range(num)),
            obs_sizes=(4 + 2 * landmarks + 4 * (num - 1),) * num,
            action_sizes=(5,) * num,
            state_size=4 * num + 2 * landmarks,
            horizon=HORIZON,
            action_kind="continuous" if self.continuous else "discrete",
        )

    def reset(self, key: Key) -> tuple[SpreadState, TimeStep]:
        """Place agents and landmarks at random."""
        num, landmarks = self.num_agents, self.num_landmarks or 0
        places = jax.random.uniform(key, (num + landmarks, 2), minval=-1.0, maxval=1.0)
        state = SpreadState(places[:num], jnp.zeros((num, 2)), places[num:], jnp.zeros((), jnp.int32))
        return state, self.observe(state)

    def step(self, key: Key, state: SpreadState, action: Array) -> tuple[SpreadState, TimeStep]:
        """Move the world by 0.1 s."""
        del key
        push = world.continuous_push(action) if self.continuous else world.discrete_push(action)
        force = world.ACCELERATION * push + world.contact_force(state.agent_pos, 2 * AGENT_RADIUS)
        pos, vel = world.integrate(state.agent_pos, state.agent_vel, force)
        state = SpreadState(pos, vel, state.landmark_pos, state.time + 1)
        return state, self.observe(state)._replace(reward=self._reward(state), truncated=state.time >= HORIZON)

    def draw(self, axes: Any, state: SpreadState, step: TimeStep) -> None:
        """Draw agents as discs and landmarks as dark dots."""
        from matplotlib import patches

        axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal", xticks=[], yticks=[])
        for pos in np.asarray(state.landmark_pos):
            axes.add_patch(patches.Circle(pos, LANDMARK_RADIUS, color="0.2"))
        for i, pos in enumerate(np.asarray(state.agent_pos)):
            axes.add_patch(patches.Circle(pos, AGENT_RADIUS, color=f"C{i}", alpha=0.7))
            axes.annotate(str(i), pos, ha="center", va="center")
        axes.set_title(f"step {int(state.time)}   reward {float(np.sum(step.reward)):+.2f}")

    def _reward(self, state: SpreadState) -> Array:
        distance = world.nearest_distance(state.landmark_pos, state.agent_pos)
        total = distance.sum()
        collisions = world.overlaps(state.agent_pos, 2 * AGENT_RADIUS)
        return -(1.0 - self.local_ratio) * total - self.local_ratio * collisions

    def observe(self, state: SpreadState) -> TimeStep:
        """Show a state as it is when an episode begins there."""
        num = self.num_agents
        pos, vel, landmarks = state.agent_pos, state.agent_vel, state.landmark_pos
        obs = jnp.concatenate(
            [
                vel,
                pos,
                (landmarks[None] - pos[:, None]).reshape(num, -1),
                world.relative_to_others(pos),
                jnp.zeros((num, 2 * (num - 1))),
            ],
            axis=1,
        )
        return TimeStep(
            obs=obs,
            state=jnp.concatenate([x.ravel() for x in (pos, vel, landmarks)]),
            legal=jnp.ones((num, 5), bool),
            active=jnp.ones(num, bool),
            reward=jnp.zeros(num),
            terminated=jnp.zeros(num, bool),
            truncated=jnp.zeros((), bool),
        )
