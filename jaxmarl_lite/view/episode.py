"""Episodes as they were played, moment by moment."""

from typing import Any, NamedTuple

import jax

from jaxmarl_lite.core.env import Array, Env, Key, TimeStep, Tree


class Frame(NamedTuple):
    """One moment of an episode."""

    state: Tree
    step: TimeStep
    """what the state shows, and the reward for coming to it"""
    action: Array | None
    """the joint action that was chosen there, [A] or [A, D]; None at the end"""


def play_episode(env: Env, policy: Any, key: Key) -> list[Frame]:
    """Return one episode, from reset to its end, on the host."""
    step = jax.jit(env.step)
    state, ts = env.reset(key)
    frames, carry = [], None
    for step_key in jax.random.split(key, env.spec.horizon):
        acting, moving = jax.random.split(step_key)
        action, carry = policy(acting, ts, carry)
        frames.append(jax.device_get(Frame(state, ts, action)))
        state, ts = step(moving, state, action)
        if bool(ts.done):
            break
    return [*frames, jax.device_get(Frame(state, ts, None))]
