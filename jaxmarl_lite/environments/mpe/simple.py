"""One agent walks to a landmark."""

import jax.numpy as jnp
from flax import struct

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.core.settings import require_int
from jaxmarl_lite.environments.mpe import world
from jaxmarl_lite.environments.mpe.scenario import Mark, Role, Scenario, WorldState


@struct.dataclass(eq=False)
class Simple(Scenario):
    """Agents that pass through one another walk to the first landmark.

    The semantics are those of simple_v3 of mpe2, which has one agent and one landmark. Reward of agent i is minus its
    squared distance to landmark 0. Actions and episodes: see Scenario.

    Returns, means of 4,096 episodes: -39.0 with uniformly random actions, -7.3 for one that brakes in time and else
    pushes along the axis of the larger distance.

    Observation of agent i (4 numbers for one landmark):

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 0-1 | own velocity | length/s | unbounded, about [-2, 2] |
    | 2 L numbers | each landmark's position less the own | length | unbounded |

    The global state is all positions, velocities and landmark positions: 4 A + 2 L numbers.

    Raises SettingError on a setting out of range.
    """

    num_agents: int = struct.field(pytree_node=False, default=1)
    """number of agents, A"""
    num_landmarks: int = struct.field(pytree_node=False, default=1)
    """number of landmarks, L"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("num_agents", self.num_agents)
        require_int("num_landmarks", self.num_landmarks)

    @property
    def roles(self) -> tuple[Role, ...]:
        """Agents, all alike."""
        return (Role("agent", self.num_agents, sees=2 + 2 * self.num_landmarks),)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """The goal, and others that mean nothing."""
        return (
            Mark("landmark", 1, colour="tab:red"),
            Mark("landmark", self.num_landmarks - 1),
        )

    def views(self, state: WorldState) -> list[Array]:
        """Show the own velocity and the landmarks."""
        seen = [state.agent_vel, world.relative(state.agent_pos, state.landmark_pos)]
        return [jnp.concatenate(seen, axis=1)]

    def rewards(self, state: WorldState) -> Array:
        """Pay minus the squared distance."""
        return -jnp.square(world.distance(state.agent_pos, state.landmark_pos[0]))
