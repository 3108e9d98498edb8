"""Worlds of a few steps, each asking for one thing that a learner may get wrong."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmarl_lite.core.env import Array, Key, TimeStep
from jaxmarl_lite.core.settings import require_bool, require_int
from jaxmarl_lite.core.spec import Spec


class ProbeState(NamedTuple):
    """Where an episode stands."""

    sign: Array
    """int32 [A], what each agent is shown, in range(signs)"""
    time: Array
    """int32 [], steps played"""


@struct.dataclass(eq=False)
class Probe:
    """Agents are shown a sign each, drawn at the start, and the time; what is paid for is the probe's name.

    Agent i has `signs[i]` signs and `actions[i]` actions. Agents in `dying` are active in the first step only, and
    terminate behind it. With `turns` agent t mod A alone is to move in step t, and the others wait. The episode ends
    after `length` steps: it terminates, or is truncated with `limited`, and then would have gone on, so its values are
    those of an endless one.

    Observation of agent i: its sign one-hot (signs[i] numbers), then the time one-hot (`length` numbers; with
    `limited` only zeros, as the clock is not the world's). The global state is all observations, one after another.
    """

    reward: Callable[[Array, Array, Array], Array] = struct.field(pytree_node=False)
    """(sign [A], time [], action [A]) -> reward [A]"""
    signs: tuple[int, ...] = struct.field(pytree_node=False, default=(1,))
    actions: tuple[int, ...] = struct.field(pytree_node=False, default=(2,))
    length: int = struct.field(pytree_node=False, default=1)
    limited: bool = struct.field(pytree_node=False, default=False)
    """it is a time limit that ends the episode"""
    dying: tuple[int, ...] = struct.field(pytree_node=False, default=())
    turns: bool = struct.field(pytree_node=False, default=False)
    continuous: bool = struct.field(pytree_node=False, default=False)
    """an action is a number from -1 to 1"""

    def __post_init__(self) -> None:
        require_int("length", self.length)
        require_bool("limited", self.limited)
        require_bool("turns", self.turns)
        require_bool("continuous", self.continuous)

    @property
    def spec(self) -> Spec:
        """The static description."""
        sizes = tuple(signs + self.length for signs in self.signs)
        return Spec(
            agents=tuple(f"agent_{i}" for i in range(len(sizes))),
            obs_sizes=sizes,
            action_sizes=(1,) * len(sizes) if self.continuous else self.actions,
            state_size=len(sizes) * max(sizes),
            horizon=self.length,
            action_kind="continuous" if self.continuous else "discrete",
            action_range=(-1.0, 1.0) if self.continuous else (0.0, 1.0),
        )

    def reset(self, key: Key) -> tuple[ProbeState, TimeStep]:
        """Draw each agent's sign."""
        sign = jax.random.randint(key, (len(self.signs),), 0, jnp.array(self.signs))
        state = ProbeState(sign, jnp.zeros((), jnp.int32))
        return state, self.observe(state)

    def step(self, key: Key, state: ProbeState, action: Array) -> tuple[ProbeState, TimeStep]:
        """Pay for a joint action."""
        del key
        chosen = action[:, 0] if self.continuous else action
        reward = jnp.where(self._gone(state.time), 0.0, self.reward(state.sign, state.time, chosen))
        state = state._replace(time=state.time + 1)
        is_over = state.time >= self.length
        terminated = (is_over & (not self.limited)) | self._gone(state.time)
        return state, self.observe(state)._replace(
            reward=reward, terminated=terminated, truncated=is_over & jnp.asarray(self.limited)
        )

    def observe(self, state: ProbeState) -> TimeStep:
        """Show a state as it is when an episode begins there."""
        spec = self.spec
        width = spec.obs_shape[0]
        place = jnp.arange(width)
        time = jnp.array(self.signs)[:, None] + jnp.minimum(state.time, self.length - 1)
        seen = (place == state.sign[:, None]) | ((place == time) & (not self.limited))
        obs = seen.astype(jnp.float32)
        action = np.arange(spec.num_actions)
        has, rests = action < np.asarray(spec.action_sizes)[:, None], (action == 0) & spec.is_discrete
        active = self._active(state.time)
        return TimeStep(
            obs=obs,
            state=obs.ravel(),
            legal=jnp.where(active[:, None], has, rests),
            active=active,
            reward=jnp.zeros(spec.num_agents),
            terminated=jnp.zeros(spec.num_agents, bool),
            truncated=jnp.zeros((), bool),
        )

    def _gone(self, time: Array) -> Array:
        return jnp.asarray(np.isin(np.arange(len(self.signs)), self.dying)) & (time > 0)

    def _active(self, time: Array) -> Array:
        num = len(self.signs)
        return ~self._gone(time) & ((np.arange(num) == time % num) | (not self.turns))


def constant_reward() -> Probe:
    """One step that pays 1, whatever is done: the value is 1."""
    return Probe(lambda sign, time, action: jnp.ones(1))


def observed_reward() -> Probe:
    """One step that pays 1 if the sign is 1, else -1: the value is what is seen."""
    return Probe(lambda sign, time, action: 2.0 * sign - 1.0, signs=(2,))


def delayed_reward() -> Probe:
    """Three steps, of which the last pays 1: the value of the first is gamma^2."""
    return Probe(lambda sign, time, action: jnp.full(1, time == 2, jnp.float32), length=3)


def chosen_reward(continuous: bool = False) -> Probe:
    """One step that pays for the action: 1 for the second and nothing for the first; continuous, 1 - |action - 0.5|."""
    if continuous:
        return Probe(lambda sign, time, action: 1.0 - jnp.abs(action - 0.5), continuous=True)
    return Probe(lambda sign, time, action: action.astype(jnp.float32))


def credit() -> Probe:
    """One step that pays both agents for each action that is its agent's sign: 2 if both do what they see."""
    return Probe(_both_paid, signs=(2, 2), actions=(2, 2))


def time_limit(limited: bool = True) -> Probe:
    """Four steps that pay 1 each, cut off there: 1 / (1 - gamma). Terminating: less, as fewer are to come."""
    return Probe(lambda sign, time, action: jnp.ones(1), length=4, limited=limited)


def unlike_agents() -> Probe:
    """Agents of 2 signs and 2 actions, and of 4 and 4: each is paid 1 for doing what it sees."""
    return Probe(_each_paid, signs=(2, 4), actions=(2, 4))


def dying_agent() -> Probe:
    """Two steps that pay each agent for doing what it sees; the second agent dies after the first step: 2 and 1."""
    return Probe(_each_paid, signs=(2, 2), actions=(2, 2), length=2, dying=(1,))


def turns() -> Probe:
    """Three steps in which two agents take turns; both are paid 1 if who moves does what it sees: each 1 + g + g^2."""
    return Probe(_mover_pays, signs=(2, 2), actions=(2, 2), length=3, turns=True)


PROBES = {
    function.__name__: function
    for function in (
        constant_reward,
        observed_reward,
        delayed_reward,
        chosen_reward,
        credit,
        time_limit,
        unlike_agents,
        dying_agent,
        turns,
    )
}


def _each_paid(sign: Array, time: Array, action: Array) -> Array:
    return (action == sign).astype(jnp.float32)


def _mover_pays(sign: Array, time: Array, action: Array) -> Array:
    return jnp.full(2, (action == sign)[time % 2], jnp.float32)


def _both_paid(sign: Array, time: Array, action: Array) -> Array:
    return jnp.full(2, (action == sign).sum(), jnp.float32)
