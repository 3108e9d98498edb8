"""How fast an environment steps."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxmarl_lite.bench.timing import seconds_of, spread
from jaxmarl_lite.core.env import Array, Env, Key
from jaxmarl_lite.core.settings import require_int
from jaxmarl_lite.core.shard import COPY, Shard
from jaxmarl_lite.environments.actions import random_action
from jaxmarl_lite.environments.vectorize import vectorize
from jaxmarl_lite.training.compilation import Stopwatch
from jaxmarl_lite.training.placement import Placement, share_equally

ENV_STEPS = 2**20  # of a repeat, where their number is left to us
ENVS_FOR_NOTHING = 127  # a step of one environment costs about as much as one of this many more
FEWEST_STEPS = 25


def random_play(num_envs: int, steps: int, shard: Shard, env: Env, weights: Array, key: Key) -> Array:
    """Take `steps` random joint actions in every environment; returns numbers [E] that depend on all that was seen.

    Every observation is read by a product with `weights` [A * O], as a policy's first layer would, of columns like all
    networks here, rewards and ends are added up, and episodes begin anew when they end: nothing can be optimised away.
    Devices draw apart.
    """
    num_local = shard.part(num_envs)
    venv = vectorize(env, num_local, first=shard.first(num_local))
    starting, playing = jax.random.split(jax.random.fold_in(key, venv.first))
    team = jnp.ones(venv.spec.num_agents)

    def read(ts):
        return weights @ ts.obs.reshape(num_local, -1).T

    def step(world, key):
        state, seen = world
        acting, moving = jax.random.split(key)
        action = random_action(acting, venv.spec, num_local)
        state, successor, ts = venv.step(moving, state, action)
        seen = seen + read(ts) + team @ successor.reward.T + successor.done
        return (state, seen), None

    state, ts = venv.reset(starting)
    return jax.lax.scan(step, (state, read(ts)), jax.random.split(playing, steps))[0][1]


def steps_for(num_envs: int) -> int:
    """Return how many steps make a repeat of about the same time for any number of environments."""
    return max(FEWEST_STEPS, ENV_STEPS // (num_envs + ENVS_FOR_NOTHING))


def measure_stepping(
    env: Env, *, num_envs: int = 4096, steps: int | None = None, repeats: int = 5, devices: int | None = None
) -> dict[str, Any]:
    """Return the speed of random play, in environment steps a second, compile time apart.

    A repeat takes `steps` steps in each environment; None: as many as `steps_for` says. `devices` share the
    environments; None: as many as there are and can share them equally.

    Raises SettingError on a count that is not a positive integer, or devices that are not there or cannot share.
    """
    require_int("num_envs", num_envs)
    steps = steps_for(num_envs) if steps is None else steps
    require_int("steps", steps)
    require_int("repeats", repeats)
    devices = share_equally(num_envs, devices)
    place = Placement.over(devices)
    key = jax.random.key(0)
    weights = jax.random.normal(key, (env.spec.num_agents * env.spec.obs_shape[0],))
    watch = Stopwatch()
    play = place.spread(partial(random_play, num_envs, steps, place.shard), in_axes=(COPY, COPY, COPY), out_axes=0)
    program = watch.compiled(play, env, weights, key)
    checksum = program(env, weights, key).block_until_ready()
    runs = [seconds_of(partial(program, env, weights, jax.random.key(repeat))) for repeat in range(repeats)]
    return {
        "num_envs": num_envs,
        "devices": devices,
        "steps": steps,
        "repeats": repeats,
        "trace_seconds": watch.trace_seconds,
        "compile_seconds": watch.compile_seconds,
        **spread("env_steps_per_second", [num_envs * steps / seconds for seconds, _ in runs]),
        "is_finite": all(bool(jnp.isfinite(result).all()) for result in (checksum, *(result for _, result in runs))),
    }
