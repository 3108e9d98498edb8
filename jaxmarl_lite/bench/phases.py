"""The phases of a learner's step, each as a program of its own."""

import statistics
import warnings
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxmarl_lite.bench.timing import seconds_of
from jaxmarl_lite.core.env import Env, Tree
from jaxmarl_lite.core.shard import WHOLE
from jaxmarl_lite.learners.learner import Learner, Phase
from jaxmarl_lite.training.compilation import Stopwatch

SHOWN_AS = {"collect": "policy", "estimate": "returns"}


def compile_phases(learner: Learner, env: Env, state: Tree, watch: Stopwatch) -> tuple[dict[str, Any], Tree]:
    """Return each phase compiled for what the one before really returns, and the state after a step of them.

    `state` is used up: phases take over the memory of what is passed on, as they do inside one program.
    """
    programs, passed = {}, state
    for name, phase in learner.phases.items():
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Some donated buffers were not usable")
            programs[name] = watch.compiled(_named(name, phase), passed, env, _start(), donate=(0,))
        passed = jax.block_until_ready(programs[name](passed, env, _start()))
    return programs, passed[0]


def step_in_phases(programs: dict[str, Any], state: Tree, env: Env) -> tuple[dict[str, float], Tree]:
    """Take a step, using up `state`; returns (seconds of each phase, state)."""
    seconds, passed, progress = {}, state, _start()
    for name, program in programs.items():
        seconds[name], passed = seconds_of(partial(program, passed, env, progress))
    return seconds, passed[0]


def time_phases(programs: dict[str, Any], state: Tree, env: Env, repeats: int) -> tuple[dict[str, list[float]], Tree]:
    """Take `repeats` steps one after another, using up `state`; returns (seconds of each phase in each, state)."""
    steps = []
    for _ in range(repeats):
        seconds, state = step_in_phases(programs, state, env)
        steps.append(seconds)
    return {name: [seconds[name] for seconds in steps] for name in programs}, state


def shares(seconds: dict[str, list[float]], env_seconds: float) -> dict[str, dict[str, float]]:
    """Return the median seconds of each phase and its share of their sum.

    Collecting is split into what stepping the environments alone takes, `env_seconds`, and the rest: the policy.
    """
    parts = {}
    for name, values in seconds.items():
        parts[SHOWN_AS.get(name, name)] = statistics.median(values)
        if name == "collect":
            collecting = parts.pop("policy")
            parts["env"] = min(env_seconds, collecting)
            parts["policy"] = collecting - parts["env"]
    return with_shares(parts)


def with_shares(parts: dict[str, float]) -> dict[str, dict[str, float]]:
    """Return for each part its seconds and its share of their sum."""
    whole = sum(parts.values())
    return {name: {"seconds": value, "share": value / whole} for name, value in parts.items()}


def _named(name: str, phase: Phase) -> Any:
    def run(passed, env, progress):
        return phase(passed, env, progress, WHOLE)

    run.__name__ = name  # by which the compiled program is known in traces
    return run


def _start() -> jax.Array:
    return jnp.zeros(())
