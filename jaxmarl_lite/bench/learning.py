"""How fast a learner trains, and where the time goes."""

from functools import partial
from typing import Any

import jax
import numpy as np

from jaxmarl_lite.bench.phases import compile_phases, shares, time_phases
from jaxmarl_lite.bench.stepping import measure_stepping
from jaxmarl_lite.bench.timing import seconds_of, spread
from jaxmarl_lite.core.env import Env, Key
from jaxmarl_lite.core.settings import require_int
from jaxmarl_lite.core.shard import COPY
from jaxmarl_lite.environments.contract import check_shapes
from jaxmarl_lite.learners.learner import Learner
from jaxmarl_lite.learners.replicate import replicate
from jaxmarl_lite.training.compilation import Stopwatch
from jaxmarl_lite.training.loop import run_updates
from jaxmarl_lite.training.placement import Placement, share_equally

ENV_STEPS = 100_000  # of a repeat, where the updates are left to us: about a second on two cores


def measure_training(
    learner: Learner,
    env: Env,
    key: Key,
    *,
    updates: int | None = None,
    repeats: int = 5,
    seeds: int = 1,
    devices: int | None = None,
) -> dict[str, Any]:
    """Return the speed of training, in environment steps a second of all seeds together, and each phase's share.

    A repeat is one call of a program of `updates` updates; None: as many as make 100,000 environment steps, at least
    one. `devices` share the environments; None: as many as there are and can share them equally. Phases are timed
    apart, as programs of their own on one device, so their sum need not be the time of an update.

    Raises SettingError on a count that is not a positive integer, devices that are not there or cannot share, or an
    environment that the learner cannot learn in.
    """
    steps_per_update = checked_steps(learner, env, repeats, seeds)
    updates = max(1, ENV_STEPS // steps_per_update) if updates is None else updates
    require_int("updates", updates)
    place = Placement.over(share_equally(learner.settings.equal_parts, devices))
    many, watch = replicate(learner, seeds), Stopwatch()
    state = Stopwatch().compiled(many.init, key, env, once=True)(key, env)
    axes = many.env_axes(state)
    state = place.lay(state, axes)
    block = partial(run_updates, learner, updates, place.shard, done=0, total=updates)
    block = place.spread(block, in_axes=(axes, COPY), out_axes=(axes, COPY))
    program = watch.compiled(block, state, env, donate=(0,))
    for _ in range(1 + learner.settings.idle_updates // updates):
        state, metrics = jax.block_until_ready(program(state, env))
        state = place.lay(state, axes)
    speeds = []
    for _ in range(repeats):
        seconds, (state, metrics) = seconds_of(partial(program, state, env))
        state = place.lay(state, axes)
        speeds.append(updates * steps_per_update / seconds)
    state = jax.device_put(state, jax.devices()[0])
    programs, state = compile_phases(many, env, state, Stopwatch())
    phases, _ = time_phases(programs, state, env, repeats)
    steps_env = "collect" in phases
    stepping = _env_seconds(env, learner.settings.num_envs * seeds, steps_per_update, repeats) if steps_env else 0.0
    return {
        "num_envs": learner.settings.num_envs,
        "seeds": seeds,
        "devices": place.mesh.size,
        "updates": updates,
        "env_steps_per_update": steps_per_update,
        "repeats": repeats,
        "trace_seconds": watch.trace_seconds,
        "compile_seconds": watch.compile_seconds,
        **spread("env_steps_per_second", speeds),
        "phases": shares(phases, stepping),
        "is_finite": all(bool(np.isfinite(value).all()) for value in jax.device_get(metrics).values()),
    }


def checked_steps(learner: Learner, env: Env, repeats: int, seeds: int) -> int:
    """Return the environment steps of an update of all seeds.

    Raises SettingError on a count that is not a positive integer or an environment that the learner cannot learn in.
    """
    require_int("repeats", repeats)
    require_int("seeds", seeds)
    learner.check(env.spec)
    check_shapes(env)
    return learner.settings.steps_per_update * seeds


def _env_seconds(env: Env, num_envs: int, steps: int, repeats: int) -> float:
    """Return the seconds that `steps` steps take, of all environments together, if nothing else is done."""
    return steps / measure_stepping(env, num_envs=num_envs, repeats=repeats, devices=1)["env_steps_per_second"]
