"""Cooperative communication: a speaker that cannot move tells a listener where to go."""

import jax.numpy as jnp
from flax import struct

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.core.settings import require_int
from jaxmarl_lite.environments.mpe import world
from jaxmarl_lite.environments.mpe.scenario import Mark, Role, Scenario, WorldState


@struct.dataclass(eq=False)
class SimpleSpeakerListener(Scenario):
    """The speaker knows the goal, stays where it is and speaks; the listener hears it and walks.

    The semantics are those of simple_speaker_listener_v4 of mpe2, which has three landmarks and three words. Both get
    minus the squared distance of the listener to the goal, which is drawn uniformly. Nobody collides. Actions and
    episodes: see Scenario.

    Returns, means of 4,096 episodes: -40.4 for each agent with uniformly random actions; -8.9 if the speaker says the
    goal's number and the listener walks there from the second step on.

    Observation of the speaker (3 numbers by default): the goal's colour, L numbers, 0.15 and 0.65 at the goal.
    Observation of the listener (11 numbers by default):

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 0-1 | own velocity | length/s | unbounded, about [-2, 2] |
    | 2 L numbers | each landmark's position less the own | length | unbounded |
    | C numbers | what the speaker said | - | [0, 1] |

    The global state is all positions, velocities, landmark positions, the message, and the goal, one-hot:
    8 + 3 L + C numbers.

    Raises SettingError on a setting out of range.
    """

    num_landmarks: int = struct.field(pytree_node=False, default=3)
    """number of landmarks, L"""
    num_words: int | None = struct.field(pytree_node=False, default=None)
    """number of words, C; None: as many as landmarks"""

    num_drawn = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_words is None:
            object.__setattr__(self, "num_words", self.num_landmarks)
        require_int("num_landmarks", self.num_landmarks)
        require_int("num_words", self.num_words)

    @property
    def roles(self) -> tuple[Role, ...]:
        """A speaker and a listener."""
        words = self.num_words or 0
        return (
            Role("speaker", 1, self.num_landmarks, radius=0.075, moves=False, speaks=True, colour="tab:purple"),
            Role("listener", 1, 2 + 2 * self.num_landmarks + words, radius=0.075),
        )

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Landmarks, one of which is the goal."""
        return (Mark("landmark", self.num_landmarks, radius=0.04),)

    def aims(self, drawn: Array) -> dict[str, Array]:
        """One landmark is the goal."""
        return {"goal": drawn[0]}

    def views(self, state: WorldState) -> list[Array]:
        """Show the goal to the speaker, and the landmarks and the word to the listener."""
        goal = 0.15 + 0.5 * world.one_hot(state.goal[None], self.num_landmarks)
        landmarks = world.relative(state.agent_pos[1:], state.landmark_pos)
        return [goal, jnp.concatenate([state.agent_vel[1:], landmarks, state.comm], axis=1)]

    def rewards(self, state: WorldState) -> Array:
        """Pay both minus the squared distance."""
        goal = world.picked(state.landmark_pos, state.goal)
        far = world.distance(state.agent_pos[1:], goal)[0]
        return world.to_each(-jnp.square(far), 2)
