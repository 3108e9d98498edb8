"""How fast an environment steps."""

import statistics
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Env, Key
from jaxmarl_lite.core.settings import require_int
from jaxmarl_lite.environments.actions import random_action
from jaxmarl_lite.environments.vectorize import VecEnv, vectorize
from jaxmarl_lite.training.compilation import Stopwatch


def random_play(venv: VecEnv, steps: int, weights: Array, key: Key) -> Array:
    """Take `steps` random joint actions in every environment and return a number that depends on all that was seen.

    Every observation is read by a product with `weights` [A * O], as a policy's first layer would, rewards and ends
    are added up, and episodes begin anew when they end: nothing can be optimised away.
    """
    starting, playing = jax.random.split(key)
    team = jnp.ones(venv.spec.num_agents)

    def step(world, key):
        state, seen = world
        acting, moving = jax.random.split(key)
        action = random_action(acting, venv.spec, venv.num_envs)
        state, successor, ts = venv.step(moving, state, action)
        seen = seen + ts.obs.reshape(venv.num_envs, -1) @ weights + successor.reward @ team + successor.done
        return (state, seen), None

    state, ts = venv.reset(starting)
    seen = ts.obs.reshape(venv.num_envs, -1) @ weights
    return jax.lax.scan(step, (state, seen), jax.random.split(playing, steps))[0][1].sum()


def measure_stepping(env: Env, *, num_envs: int = 4096, steps: int = 1000, repeats: int = 5) -> dict[str, Any]:
    """Return the speed of random play, in environment steps a second, compile time apart.

    Raises SettingError on a count that is not a positive integer.
    """
    for name, value in (("num_envs", num_envs), ("steps", steps), ("repeats", repeats)):
        require_int(name, value)
    venv = vectorize(env, num_envs)
    key = jax.random.key(0)
    weights = jax.random.normal(key, (env.spec.num_agents * env.spec.obs_shape[0],))
    watch = Stopwatch()
    program = watch.compiled(partial(random_play, venv, steps), weights, key)
    program(weights, key).block_until_ready()
    speeds = []
    for repeat in range(repeats):
        begin = time.perf_counter()
        checksum = program(weights, jax.random.key(repeat)).block_until_ready()
        speeds.append(num_envs * steps / (time.perf_counter() - begin))
    return {
        "num_envs": num_envs,
        "steps": steps,
        "repeats": repeats,
        "trace_seconds": watch.trace_seconds,
        "compile_seconds": watch.compile_seconds,
        "env_steps_per_second": statistics.median(speeds),
        "env_steps_per_second_min": min(speeds),
        "env_steps_per_second_max": max(speeds),
        "is_finite": bool(jnp.isfinite(checksum)),
    }
