"""Episodes as they were played, moment by moment."""

from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxmarl_lite.core.env import Array, Env, Key, TimeStep, Tree
from jaxmarl_lite.training.folder import RunFolder
from jaxmarl_lite.training.load import TrainedPolicy


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


def play_episodes(policy: TrainedPolicy, key: int, episodes: int) -> list[list[Frame]]:
    """Return episodes of a trained team, which follow from the number of a random key."""
    keys = jax.random.split(jax.random.key(key), episodes)
    return [play_episode(policy.env, policy, one) for one in keys]


def about_run(path: Path, *, seed: int, key: int, is_drawn: bool) -> dict[str, Any]:
    """Return what is to be told of episodes of a run; `is_drawn` if actions were drawn, not the likeliest taken."""
    config = RunFolder.open(path).config()
    return {
        "title": f"{config['algo']} in {config['env']}",
        "run": path,
        "seed": seed,
        "actions": "drawn" if is_drawn else "likeliest",
        "key of the episodes": key,
        **config["env_settings"],
    }
