"""Cooperative navigation: agents spread over landmarks without bumping into one another."""

import jax.numpy as jnp
from flax import struct

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.core.settings import require_bool, require_int, require_number
from jaxmarl_lite.environments.mpe import world
from jaxmarl_lite.environments.mpe.scenario import Mark, Role, Scenario, WorldState

AGENT_RADIUS = 0.15


@struct.dataclass(eq=False)
class SimpleSpread(Scenario):
    """Cooperative navigation: A agents cover L landmarks and lose by touching.

    The semantics are those of simple_spread_v3 of the package mpe2 (PettingZoo). Reward of agent i is
    `(1 - local_ratio) G + local_ratio C_i`, where G = -sum over landmarks of the distance to the nearest agent and
    C_i = -(number of other agents nearer than two radii, 0.3). Positions begin uniform in [-1, 1]^2, velocities zero.
    Actions and episodes: see Scenario.

    With three agents a uniformly random policy gets a return, summed over agents, of -79.4, and agents that walk
    straight to their best assignment, bumping, -26.8.

    Old results are on other scales. With `dynamics="openai"` and `self_collision` twice the return summed over agents
    is that of the original package and of Papoudakis et al. 2021 (arXiv:2006.07869), and the return itself that of
    PettingZoo before 1.22.4 (before 1.23 without `self_collision`); random play gets -115.8 then.

    Observation of agent i (18 numbers for A = L = 3):

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 0-1 | own velocity | length/s | unbounded, about [-2, 2] |
    | 2-3 | own position | length | unbounded, begins in [-1, 1] |
    | 2 L numbers | each landmark's position less the own | length | unbounded |
    | 2 (A - 1) numbers | each other agent's position less the own, by index | length | unbounded |
    | 2 (A - 1) numbers | each other agent's message; nobody speaks | - | 0 |

    The global state is all positions, velocities and landmark positions: 4 A + 2 L numbers.

    Raises SettingError on a setting out of range.
    """

    num_agents: int = struct.field(pytree_node=False, default=3)
    """number of agents, A"""
    num_landmarks: int | None = struct.field(pytree_node=False, default=None)
    """number of landmarks, L; None: as many as agents"""
    local_ratio: float = 0.5
    """share of the own collisions in the reward, from 0 to 1 (a leaf)"""
    self_collision: bool = struct.field(pytree_node=False, default=False)
    """an agent collides with itself, which costs it 1 in C_i at every step, as in old versions"""

    collides = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_landmarks is None:
            object.__setattr__(self, "num_landmarks", self.num_agents)
        require_int("num_agents", self.num_agents)
        require_int("num_landmarks", self.num_landmarks)
        require_number("local_ratio", self.local_ratio, low=0.0, high=1.0)
        require_bool("self_collision", self.self_collision)

    @property
    def roles(self) -> tuple[Role, ...]:
        """Agents, all alike."""
        sees = 4 + 2 * (self.num_landmarks or 0) + 4 * (self.num_agents - 1)
        return (Role("agent", self.num_agents, sees, radius=AGENT_RADIUS),)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Places to be covered."""
        return (Mark("landmark", self.num_landmarks or 0),)

    def views(self, state: WorldState) -> list[Array]:
        """Show everybody and everything."""
        pos, vel = state.agent_pos, state.agent_vel
        others = world.relative_to_others(pos)
        seen = [vel, pos, world.relative(pos, state.landmark_pos), others, jnp.zeros_like(others)]
        return [jnp.concatenate(seen, axis=1)]

    def rewards(self, state: WorldState) -> Array:
        """Pay all for landmarks that are near somebody, and each for its own collisions."""
        far = world.added(world.nearest_distance(state.landmark_pos, state.agent_pos))
        collisions = world.overlaps(state.agent_pos, self.radii) + float(self.self_collision)
        return -(1.0 - self.local_ratio) * far - self.local_ratio * collisions
