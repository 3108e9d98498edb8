"""Each agent sees a cue of its own once, and later everybody is asked for everybody's."""

import functools
import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmarl_lite.core.env import Array, Key, TimeStep
from jaxmarl_lite.core.settings import require_int, require_number
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.environments.comm.channel import heard


class TeamCueState(NamedTuple):
    """What is to be remembered, and what was said."""

    cue: Array
    """int32 [A]"""
    word: Array
    """int32 [A]; -1 before they are said"""
    time: Array
    """int32 [], steps played"""


@struct.dataclass(eq=False)
class TeamCue:
    """A agents see a cue each, wait, say a word each, and are then asked for every cue, their own first.

    In the first step everybody sees its own cue, and nothing in the `delay - 1` steps behind it. Then everybody is
    told to speak: its action is the word, which all others hear in the step after that, once; with probability
    `noise` they all hear a word drawn uniformly instead. In that step and the A - 1 behind it there is a question a
    step: in the q-th, q = 0 ... A - 1, agent i is asked for the cue of agent (i + q) mod A. Words and answers are
    actions below `num_cues`; in other steps actions do nothing. The reward is common: each right answer pays
    everybody 1 / A^2. The episode terminates behind the last question.

    So the own cue must be remembered for the first question, and both remembered and passed on for the others. The best
    return of each agent is 1; without a word between them, 1 / A + (1 - 1 / A) / C for C cues (0.625 by default); and
    without memory 1 / C (0.25), as uniformly random play has it. All are exact.

    Observation of agent i:

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | C numbers | in the first step its cue, one-hot; later zeros | - | 0 or 1 |
    | (A - 1) C numbers | words of agents i + 1, i + 2, ... (mod A), one-hot, in the step behind them | - | 0 or 1 |
    | 1 number | it is to speak now | - | 0 or 1 |
    | A numbers | the question asked now, one-hot; zeros before | - | 0 or 1 |

    The global state is all cues, one-hot, whenever it is, all words, one-hot or zeros before they are said, and the
    time as a share of the episode: 2 A C + 1 numbers.
    """

    num_agents: int = struct.field(pytree_node=False, default=2)
    """number of agents, A"""
    num_cues: int = struct.field(pytree_node=False, default=4)
    """number of cues, of words and of actions, C"""
    delay: int = struct.field(pytree_node=False, default=4)
    """steps between seeing the cue and speaking"""
    noise: float = 0.0
    """probability that a word is replaced by a random one (a leaf)"""

    def __post_init__(self) -> None:
        require_int("num_agents", self.num_agents, low=2)
        require_int("num_cues", self.num_cues, low=2)
        require_int("delay", self.delay)
        require_number("noise", self.noise, low=0.0, high=1.0)

    @property
    def spec(self) -> Spec:
        """The static description."""
        num, cues = self.num_agents, self.num_cues
        return Spec(
            agents=tuple(f"agent_{i}" for i in range(num)),
            obs_sizes=(num * cues + 1 + num,) * num,
            action_sizes=(cues,) * num,
            state_size=2 * num * cues + 1,
            horizon=self.delay + 1 + num,
        )

    def reset(self, key: Key) -> tuple[TeamCueState, TimeStep]:
        """Draw a cue for each agent."""
        num = self.num_agents
        cue = jax.random.randint(key, (num,), 0, self.num_cues)
        state = TeamCueState(cue, jnp.full(num, -1, jnp.int32), jnp.zeros((), jnp.int32))
        return state, self.observe(state)

    def step(self, key: Key, state: TeamCueState, action: Array) -> tuple[TeamCueState, TimeStep]:
        """Let time pass: actions are words, or answers, or nothing."""
        num, action = self.num_agents, action.astype(jnp.int32)
        right = [(action == _from(state.cue, q)) & (self._question(state) == q) for q in range(num)]
        share = functools.reduce(operator.add, functools.reduce(operator.or_, right).astype(jnp.float32)) / num**2
        word = heard(action, self.num_cues, self.noise, jax.random.uniform(key, (num,)))
        word = jnp.where(state.time == self.delay, word, state.word)
        state = TeamCueState(state.cue, word, state.time + 1)
        return state, self.observe(state)._replace(
            reward=jnp.full(num, share), terminated=jnp.full(num, state.time == self.spec.horizon)
        )

    def observe(self, state: TeamCueState) -> TimeStep:
        """Show a state as it is when an episode begins there."""
        num, cues = self.num_agents, self.num_cues
        cue, word = jax.nn.one_hot(state.cue, cues), jax.nn.one_hot(state.word, cues)
        question = self._question(state)
        others = [jnp.where(question == 0, _from(word, q), 0.0) for q in range(1, num)]
        told = jnp.concatenate([jnp.reshape(state.time == self.delay, 1), jnp.arange(num) == question])
        signs = jnp.broadcast_to(told.astype(jnp.float32), (num, 1 + num))
        time = jnp.reshape(state.time / self.spec.horizon, 1).astype(jnp.float32)
        return TimeStep(
            obs=jnp.concatenate([jnp.where(state.time == 0, cue, 0.0), *others, signs], axis=1),
            state=jnp.concatenate([cue.ravel(), word.ravel(), time]),
            legal=jnp.ones((num, cues), bool),
            active=jnp.ones(num, bool),
            reward=jnp.zeros(num),
            terminated=jnp.zeros(num, bool),
            truncated=jnp.zeros((), bool),
        )

    def draw(self, axes: Any, state: TeamCueState, step: TimeStep) -> None:
        """Draw each agent with its cue below it, and above it what it said."""
        from matplotlib import patches

        num = self.num_agents
        axes.set(xlim=(-0.7, num - 0.3), ylim=(-1.1, 1.3), aspect="equal", xticks=[], yticks=[])
        is_shown = int(state.time) == 0
        for i, (cue, word) in enumerate(zip(np.asarray(state.cue), np.asarray(state.word), strict=True)):
            axes.add_patch(patches.Circle((i, 0), 0.25, fc=f"C{i % 10}", gid=f"agent {i}"))
            axes.annotate(str(i), (i, 0), ha="center", va="center", color="white")
            card = {"boxstyle": "round", "fc": "gold" if is_shown else "0.9", "ec": "0.3"}
            axes.annotate(f"cue {cue}", (i, -0.6), ha="center", va="center", bbox=card)
            if word >= 0:
                bubble = {"boxstyle": "round4", "fc": "white", "ec": f"C{i % 10}"}
                axes.annotate(f"“{word}”", (i, 0.6), ha="center", va="center", bbox=bubble)
        axes.set_title(f"{self._phase(state)}   reward {float(step.reward[0]):+.2f}")

    def _phase(self, state: TeamCueState) -> str:
        time = int(state.time)
        question = int(self._question(state))
        if time == self.spec.horizon:
            return "the end"
        if question >= 0:
            return "own cue?" if question == 0 else f"cue of i + {question}?"
        return "speak" if time == self.delay else "cues are shown" if time == 0 else "wait"

    def _question(self, state: TeamCueState) -> Array:
        """Return which question is asked now, from 0; negative before."""
        return state.time - (self.delay + 1)


def _from(values: Array, further: int) -> Array:
    """Return for each agent the value of the one so much further on, round; [A, ...]."""
    return jnp.concatenate([values[further:], values[:further]])
