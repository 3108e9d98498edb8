"""Push: an agent walks to a goal that an adversary does not know and keeps it away from."""

import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.core.settings import require_int
from jaxmarl_lite.environments.mpe import world
from jaxmarl_lite.environments.mpe.scenario import Mark, Role, Scenario, WorldState


@struct.dataclass(eq=False)
class SimplePush(Scenario):
    """Good agents walk to the goal; adversaries do not know it, want to be there and push the others away.

    The semantics are those of simple_push_v3 of mpe2, which has one agent of each kind and two landmarks. A good agent
    gets minus its distance to the goal; an adversary the nearest good agent's distance less its own. The goal is drawn
    uniformly. Agents collide, landmarks do not. Actions and episodes: see Scenario.

    Returns, means of 4,096 episodes: with uniformly random actions -28.5 of the good agent and 0.4 of the adversary;
    -8.2 and -4.3 if the good agent walks to the goal and the adversary follows it.

    Observation of an adversary (8 numbers by default):

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 0-1 | own velocity | length/s | unbounded, about [-2, 2] |
    | 2 L numbers | each landmark's position less the own | length | unbounded |
    | 2 (A - 1) numbers | each other agent's position less the own, by index | length | unbounded |

    Observation of a good agent (19 numbers by default):

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 0-1 | own velocity | length/s | unbounded, about [-2, 2] |
    | 2-3 | the goal's position less the own | length | unbounded |
    | L + 1 numbers | own colour: 0.25, and 0.75 at the goal's number + 1 | - | 0.25, 0.75 |
    | 2 L numbers | each landmark's position less the own | length | unbounded |
    | L (L + 1) numbers | each landmark's colour: 0.1, and 0.9 at its number + 1 | - | 0.1, 0.9 |
    | 2 (A - 1) numbers | each other agent's position less the own, by index | length | unbounded |

    The global state is all positions, velocities, landmark positions, and the goal, one-hot: 4 A + 3 L numbers.

    Raises SettingError on a setting out of range.
    """

    num_good: int = struct.field(pytree_node=False, default=1)
    """number of good agents"""
    num_adversaries: int = struct.field(pytree_node=False, default=1)
    """number of adversaries"""
    num_landmarks: int = struct.field(pytree_node=False, default=2)
    """number of landmarks, L"""

    collides = True
    num_drawn = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("num_good", "num_adversaries", "num_landmarks"):
            require_int(name, getattr(self, name))

    @property
    def roles(self) -> tuple[Role, ...]:
        """Adversaries, then good agents."""
        landmarks = self.num_landmarks
        sees = 2 + 2 * landmarks + 2 * (self.num_adversaries + self.num_good - 1)
        return (
            Role("adversary", self.num_adversaries, sees, colour="tab:red"),
            Role("agent", self.num_good, sees + 2 + (landmarks + 1) ** 2),
        )

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Landmarks, one of which is the goal."""
        return (Mark("landmark", self.num_landmarks),)

    def aims(self, drawn: Array) -> dict[str, Array]:
        """One landmark is the goal of all."""
        return {"goal": drawn[0]}

    def views(self, state: WorldState) -> list[Array]:
        """Show where everything is, and good agents the goal, its colour and those of the landmarks."""
        pos, vel, num, good = state.agent_pos, state.agent_vel, self.num_adversaries, self.num_good
        landmarks, others = world.relative(pos, state.landmark_pos), world.relative_to_others(pos)
        goal = world.picked(state.landmark_pos, state.goal) - pos[num:]
        own = 0.25 + 0.5 * world.one_hot(state.goal[None] + 1, self.num_landmarks + 1)[0]
        colours = (0.1 + 0.8 * np.eye(self.num_landmarks, self.num_landmarks + 1, 1)).astype(np.float32).ravel()
        theirs = jnp.broadcast_to(world.column(colours, vel.ndim - 1), (len(colours), *vel.shape[2:]))
        known = [goal, world.to_each(own, good), landmarks[num:], world.to_each(theirs, good)]
        return [
            jnp.concatenate([vel[:num], landmarks[:num], others[:num]], axis=1),
            jnp.concatenate([vel[num:], *known, others[num:]], axis=1),
        ]

    def rewards(self, state: WorldState) -> Array:
        """Pay for nearness to the goal, and adversaries for the good agents' distance."""
        far = world.distance(state.agent_pos, world.picked(state.landmark_pos, state.goal))
        num = self.num_adversaries
        return world.joined([world.least(far[num:]) - far[:num], -far[num:]])
