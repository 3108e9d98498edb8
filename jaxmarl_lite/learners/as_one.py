"""A team as a single agent, which sees the global state and chooses the joint action."""

import functools
import math
from collections.abc import Callable
from dataclasses import replace

import jax.numpy as jnp
from flax import struct

from jaxmarl_lite.core.env import Array, Env, Key, TimeStep, Tree
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.spec import Spec

MOST_ACTIONS = 4096  # joint ones; each is an output of the network, and compared with all others


@struct.dataclass(eq=False)
class AsOne:
    """An environment whose only agent plays for the whole team; its reward is the sum of theirs."""

    env: Env

    @property
    def spec(self) -> Spec:
        """The description of the single agent; raises SettingError as `spec_as_one` does."""
        return spec_as_one(self.env.spec)

    @property
    def observe(self) -> Callable[[Tree], TimeStep] | None:
        """What shows a state, if the environment has such a thing."""
        observe = getattr(self.env, "observe", None)
        return None if observe is None else lambda state: as_one(self.env.spec, observe(state))

    def reset(self, key: Key) -> tuple[Tree, TimeStep]:
        """Begin an episode."""
        state, ts = self.env.reset(key)
        return state, as_one(self.env.spec, ts)

    def step(self, key: Key, state: Tree, action: Array) -> tuple[Tree, TimeStep]:
        """Play a joint action, int32 [1]."""
        state, ts = self.env.step(key, state, actions_of(self.env.spec, action))
        return state, as_one(self.env.spec, ts)


def spec_as_one(spec: Spec) -> Spec:
    """Return the description of a single agent in the place of a team.

    Raises SettingError if there are too many joint actions, or no global state to choose by.
    """
    num_actions = math.prod(spec.action_sizes)
    if num_actions > MOST_ACTIONS:
        sizes = " x ".join(map(str, spec.action_sizes))
        raise SettingError(
            f"{sizes} = {num_actions} joint actions are more than the {MOST_ACTIONS} that central=True allows."
        )
    if not spec.state_size:
        raise SettingError("central=True is not allowed here: the environment has no global state to choose by.")
    return replace(spec, agents=("team",), obs_sizes=(spec.state_size,), action_sizes=(num_actions,), groups=((0,),))


def as_one(spec: Spec, ts: TimeStep) -> TimeStep:
    """Return what the single agent is shown of steps, leaves [..., A, ...]."""
    legal = [ts.legal[..., agent, :size] for agent, size in enumerate(spec.action_sizes)]
    joint = functools.reduce(lambda a, b: (a[..., :, None] & b[..., None, :]).reshape(*a.shape[:-1], -1), legal)
    return ts._replace(
        obs=ts.state[..., None, :],
        legal=joint[..., None, :],
        active=ts.active.any(-1, keepdims=True),
        reward=ts.reward.sum(-1, keepdims=True),
        terminated=ts.terminated.all(-1, keepdims=True),
    )


def actions_of(spec: Spec, joint: Array) -> Array:
    """Return each agent's action in joint actions, int32 [..., 1] -> [..., A]; the last agent's changes first."""
    sizes = spec.action_sizes
    steps = [math.prod(sizes[agent + 1 :]) for agent in range(len(sizes))]
    return jnp.concatenate([joint // step % size for step, size in zip(steps, sizes, strict=True)], axis=-1)
