"""The switch riddle: prisoners, one of them in a room with a switch every day, must tell when all have been there."""

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

NONE, TELL, ON, OFF = range(4)


class SwitchState(NamedTuple):
    """A day in prison."""

    switch: Array
    """bool [], it is on"""
    inside: Array
    """int32 [], who is in the room"""
    has_been: Array
    """bool [A], who has been there, today included"""
    time: Array
    """int32 [], days that have passed"""


@struct.dataclass(eq=False)
class SwitchRiddle:
    """A prisoners, one a day in a room with a switch; one of them must say that all have been there, when it is true.

    Each day a prisoner, uniformly drawn, is in the room. Only he acts: 0 none, 1 tell, 2 switch on, 3 switch off.
    The others wait, and their only legal action is none. Telling ends the episode and pays everybody 1 if all have
    been in the room, today included, and costs `penalty` if not; nothing else is paid. The switch is off at first.
    The episode terminates behind day 4 A - 6 also if nobody has told (2 days at least); that limit is the riddle's,
    and not a clock that cuts it off. What others did is to be seen from the switch alone, so a prisoner needs
    memory of whether he has been there, and of the day.

    The riddle is that of Foerster et al. 2016, arXiv:1605.06676, section 6.1, where the switch is a channel of one bit
    beside the actions none and tell; here it stays as it is unless it is set, and telling does not set it.

    The best return for three prisoners is 20/27 = 0.741, the probability that all have been in the room in 6 days: the
    switch is turned on by the second different prisoner, and the third, who finds it on, tells. A uniformly random
    policy, over legal actions, gets -0.480. Both are exact, and of the penalty 1.

    Observation of prisoner i:

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 0 | he is in the room | - | 0 or 1 |
    | 1 | the switch is on; outside the room 0 | - | 0 or 1 |

    The global state is who is inside, one-hot, who has been inside, whether the switch is on, and the days that have
    passed as a share of the limit: 2 A + 2 numbers.
    """

    num_agents: int = struct.field(pytree_node=False, default=3)
    """number of prisoners, A"""
    penalty: float = 1.0
    """what it costs everybody to tell too soon (a leaf)"""

    def __post_init__(self) -> None:
        require_int("num_agents", self.num_agents, low=2)
        require_number("penalty", self.penalty, low=0.0)

    @property
    def spec(self) -> Spec:
        """The static description."""
        num = self.num_agents
        names = tuple(f"prisoner_{i}" for i in range(num))
        return Spec(names, (2,) * num, (4,) * num, state_size=2 * num + 2, horizon=4 * num - 6)

    def reset(self, key: Key) -> tuple[SwitchState, TimeStep]:
        """Begin the first day."""
        inside = self._drawn(key)
        state = SwitchState(jnp.zeros((), bool), inside, self._is(inside), jnp.zeros((), jnp.int32))
        return state, self.observe(state)

    def step(self, key: Key, state: SwitchState, action: Array) -> tuple[SwitchState, TimeStep]:
        """Let the one inside act, and bring in the next."""
        is_inside = self._is(state.inside)
        chosen = functools.reduce(operator.add, jnp.where(is_inside, action, 0))
        told, time = chosen == TELL, state.time + 1
        reward = jnp.where(told, jnp.where(functools.reduce(operator.and_, state.has_been), 1.0, -self.penalty), 0.0)
        is_over = told | (time >= self.spec.horizon)
        inside = self._drawn(key)
        switch = (state.switch | (chosen == ON)) & (chosen != OFF)
        state = SwitchState(switch, inside, state.has_been | self._is(inside), time)
        return state, self.observe(state)._replace(
            reward=jnp.full(self.num_agents, reward), terminated=jnp.full(self.num_agents, is_over)
        )

    def observe(self, state: SwitchState) -> TimeStep:
        """Show a state as it is when an episode begins there."""
        num = self.num_agents
        is_inside = self._is(state.inside)
        day = jnp.reshape(state.time / self.spec.horizon, 1)
        obs = jnp.stack([is_inside, is_inside & state.switch], axis=1).astype(jnp.float32)
        switch = jnp.reshape(state.switch, 1)
        flags = jnp.concatenate([is_inside, state.has_been, switch]).astype(jnp.float32)
        return TimeStep(
            obs=obs,
            state=jnp.concatenate([flags, day.astype(jnp.float32)]),
            legal=is_inside[:, None] | (jnp.arange(4) == NONE),
            active=is_inside,
            reward=jnp.zeros(num),
            terminated=jnp.zeros(num, bool),
            truncated=jnp.zeros((), bool),
        )

    def draw(self, axes: Any, state: SwitchState, step: TimeStep) -> None:
        """Draw the room with its lamp, lit while the switch is on, and a tick below whoever has been there."""
        from matplotlib import patches

        num = self.num_agents
        axes.set(xlim=(-0.8, num - 0.2), ylim=(-0.8, 2.6), aspect="equal", xticks=[], yticks=[])
        middle = (num - 1) / 2
        axes.add_patch(patches.Rectangle((middle - 0.7, 0.75), 1.4, 1.6, fc="0.95", ec="0.3", lw=2))
        lamp = "gold" if state.switch else "0.75"
        axes.add_patch(patches.Circle((middle, 2.0), 0.18, fc=lamp, ec="0.3"))
        for i, has_been in enumerate(np.asarray(state.has_been)):
            place = (middle, 1.2) if i == int(state.inside) else (i, 0.0)
            look = {"fc": f"C{i % 10}", "alpha": 1.0 if has_been else 0.25, "gid": f"agent {i}"}
            axes.add_patch(patches.Circle(place, 0.3, **look))
            axes.annotate(str(i), place, ha="center", va="center")
            axes.annotate("✓" if has_been else "", (i, -0.55), ha="center", va="center")
        told = float(np.asarray(step.reward)[0])
        said = "   told: right" if told > 0 else "   told: wrong" if told < 0 else ""
        axes.set_title(f"day {int(state.time) + 1} of {self.spec.horizon}{said}")

    def _drawn(self, key: Key) -> Array:
        return jnp.floor(jax.random.uniform(key) * self.num_agents).astype(jnp.int32)

    def _is(self, prisoner: Array) -> Array:
        return jnp.arange(self.num_agents) == prisoner
