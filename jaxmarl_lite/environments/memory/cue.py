"""A cue is shown once, and asked for later."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jaxmarl_lite.core.env import Array, Key, TimeStep
from jaxmarl_lite.core.settings import require_int
from jaxmarl_lite.core.spec import Spec


class CueState(NamedTuple):
    """What is to be remembered."""

    cue: Array
    """int32 [A]"""
    time: Array
    """int32 [], steps played"""


@struct.dataclass(eq=False)
class Cue:
    """Each agent sees a cue of its own at the start, then nothing for `delay` steps, and is asked for it at the end.

    Each agent gets 1 if the action of the last step is its cue, else 0, and all other actions do nothing. The episode
    terminates behind that step. Whoever remembers gets 1 each; whoever does not, 1 / num_cues on average, as a
    uniformly random policy does.

    Observation of agent i (num_cues + 1 numbers):

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 0 to num_cues - 1 | in the first step the cue, one-hot; later zeros | - | 0 or 1 |
    | num_cues | the cue is asked for now | - | 0 or 1 |

    The global state is all cues, one-hot, whenever it is, and the time as a share of the episode: A num_cues + 1.
    """

    num_agents: int = struct.field(pytree_node=False, default=2)
    """number of agents, A"""
    num_cues: int = struct.field(pytree_node=False, default=4)
    """number of cues, and of actions"""
    delay: int = struct.field(pytree_node=False, default=8)
    """steps between seeing the cue and being asked for it"""

    def __post_init__(self) -> None:
        require_int("num_agents", self.num_agents)
        require_int("num_cues", self.num_cues, low=2)
        require_int("delay", self.delay)

    @property
    def spec(self) -> Spec:
        """The static description."""
        num, cues = self.num_agents, self.num_cues
        names = tuple(f"agent_{i}" for i in range(num))
        return Spec(names, (cues + 1,) * num, (cues,) * num, state_size=num * cues + 1, horizon=self.delay + 1)

    def reset(self, key: Key) -> tuple[CueState, TimeStep]:
        """Draw a cue for each agent."""
        cue = jax.random.randint(key, (self.num_agents,), 0, self.num_cues)
        state = CueState(cue, jnp.zeros((), jnp.int32))
        return state, self.observe(state)

    def step(self, key: Key, state: CueState, action: Array) -> tuple[CueState, TimeStep]:
        """Let time pass; the action of the last step is the answer."""
        del key
        is_asked = state.time == self.delay
        reward = jnp.where(is_asked, (action == state.cue).astype(jnp.float32), 0.0)
        state = state._replace(time=state.time + 1)
        ended = jnp.broadcast_to(is_asked, (self.num_agents,))
        return state, self.observe(state)._replace(reward=reward, terminated=ended)

    def observe(self, state: CueState) -> TimeStep:
        """Show a state as it is when an episode begins there."""
        num = self.num_agents
        cue = jax.nn.one_hot(state.cue, self.num_cues)
        asked = jnp.full((num, 1), state.time == self.delay, jnp.float32)
        time = jnp.reshape(state.time / (self.delay + 1), 1).astype(jnp.float32)
        return TimeStep(
            obs=jnp.concatenate([jnp.where(state.time == 0, cue, 0.0), asked], axis=1),
            state=jnp.concatenate([cue.ravel(), time]),
            legal=jnp.ones((num, self.num_cues), bool),
            active=jnp.ones(num, bool),
            reward=jnp.zeros(num),
            terminated=jnp.zeros(num, bool),
            truncated=jnp.zeros((), bool),
        )
