"""Cooperative reference: each agent knows where another should go, and can only say so."""

import jax.numpy as jnp
from flax import struct

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.core.settings import require_int, require_number
from jaxmarl_lite.environments.mpe import world
from jaxmarl_lite.environments.mpe.scenario import Mark, Role, Scenario, WorldState


@struct.dataclass(eq=False)
class SimpleReference(Scenario):
    """Every agent moves and speaks; agent i is told which landmark agent i + 1 (the last: agent 0) should reach.

    The semantics are those of simple_reference_v3 of mpe2, which has two agents, three landmarks and ten words. With
    R_i = -(distance of agent i + 1 to the landmark that agent i is told of), the reward of agent i is
    `(1 - local_ratio) mean(R) + local_ratio R_i`. `state.goal[i]` is the landmark that agent i is told of. Nobody
    collides. Actions and episodes: see Scenario.

    Returns, means of 4,096 episodes: -28.3 for each agent with uniformly random actions; -9.2 if each says the number
    of the landmark and walks, from the second step on, where it is told to.

    Observation of agent i (21 numbers by default):

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 0-1 | own velocity | length/s | unbounded, about [-2, 2] |
    | 2 L numbers | each landmark's position less the own | length | unbounded |
    | L numbers | colour of the landmark it is told of: 0.25, and 0.75 at its number | - | 0.25, 0.75 |
    | C (A - 1) numbers | what each other agent said, by index | - | [0, 1] |

    The global state is all positions, velocities, landmark positions, messages, and what each agent is told of,
    one-hot: 4 A + 2 L + A C + A L numbers.

    Raises SettingError on a setting out of range.
    """

    num_agents: int = struct.field(pytree_node=False, default=2)
    """number of agents, A, at least 2"""
    num_landmarks: int = struct.field(pytree_node=False, default=3)
    """number of landmarks, L"""
    num_words: int = struct.field(pytree_node=False, default=10)
    """number of words, C"""
    local_ratio: float = 0.5
    """share of the own R_i in the reward, from 0 to 1 (a leaf)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("num_agents", self.num_agents, low=2)
        require_int("num_landmarks", self.num_landmarks)
        require_int("num_words", self.num_words)
        require_number("local_ratio", self.local_ratio, low=0.0, high=1.0)

    @property
    def roles(self) -> tuple[Role, ...]:
        """Agents, all alike."""
        sees = 2 + 3 * self.num_landmarks + self.num_words * (self.num_agents - 1)
        return (Role("agent", self.num_agents, sees, speaks=True),)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Places to go to."""
        return (Mark("landmark", self.num_landmarks),)

    @property
    def num_drawn(self) -> int:
        """Everybody is told of a landmark."""
        return self.num_agents

    def aims(self, drawn: Array) -> dict[str, Array]:
        """Everybody is told of a landmark."""
        return {"goal": drawn}

    def views(self, state: WorldState) -> list[Array]:
        """Show the landmarks, where another should go, and what was said."""
        colour = 0.25 + 0.5 * world.one_hot(state.goal, self.num_landmarks)
        landmarks = world.relative(state.agent_pos, state.landmark_pos)
        return [jnp.concatenate([state.agent_vel, landmarks, colour, world.of_others(state.comm)], axis=1)]

    def rewards(self, state: WorldState) -> Array:
        """Pay each for where the next one is, and all for the mean."""
        pupils = jnp.concatenate([state.agent_pos[1:], state.agent_pos[:1]])
        places = jnp.stack([world.picked(state.landmark_pos, goal) for goal in state.goal])
        own = -world.distance(pupils, places)
        return (1.0 - self.local_ratio) * world.added(own) / self.num_agents + self.local_ratio * own
