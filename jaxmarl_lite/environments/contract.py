"""What an environment promises, checked."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Env, TimeStep, Tree
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.environments.actions import random_legal_action
from jaxmarl_lite.environments.vectorize import vectorize


def check_env(env: Env, *, num_envs: int = 4, seed: int = 0) -> None:
    """Play an environment with random legal actions and check everything that learners rely on.

    It must be a hashable spec's worth: shapes and dtypes as the spec says, the same under jit, vmap and auto-reset;
    finite values; at least one legal action for every active agent, and nothing to choose for any other; an end within
    the horizon; truncation apart from termination; an agent that has terminated gone until the episode ends; and the
    same result for the same key.

    Raises SettingError with one sentence that says what is wrong.
    """
    check_shapes(env)
    key = jax.random.key(seed)
    steps = 2 * env.spec.horizon + 2
    state, ts = env.reset(key)  # each operation by itself: rounded as in `observe`, which must show the same
    _check_values(env.spec, jax.tree.map(lambda x: x[None], ts), "after reset")
    _check(not bool(ts.done), "an episode is over as soon as it begins")
    trace = jax.jit(_play, static_argnums=(2, 3))(env, key, num_envs, steps)
    again = jax.jit(_play, static_argnums=(2, 3))(env, key, num_envs, steps)
    same = jax.tree.map(lambda a, b: bool(np.array_equal(a, b, equal_nan=True)), trace, again)
    _check(all(jax.tree.leaves(same)), "the same key does not give the same episode")
    successors, currents = trace
    _check_values(env.spec, successors, "after step")
    _check_values(env.spec, currents, "after auto-reset")
    _check_ends(env.spec, successors, currents)
    _check_gone(successors, currents)
    _check_observe(env, key, state, ts)


def check_shapes(env: Env) -> None:
    """Check spec, shapes and dtypes of reset and step without running them.

    Raises SettingError with one sentence that says what is wrong.
    """
    spec = getattr(env, "spec", None)
    _check(isinstance(spec, Spec), f"spec is {spec!r} and should be a Spec")
    assert isinstance(spec, Spec)
    key = jax.eval_shape(lambda: jax.random.key(0))
    action_shape = (spec.num_agents,) if spec.is_discrete else (spec.num_agents, spec.num_actions)
    action = jax.ShapeDtypeStruct(action_shape, jnp.int32 if spec.is_discrete else jnp.float32)
    begun = _traced("reset", env.reset, key)
    _check_pair("reset", begun)
    stepped = _traced("step", env.step, key, begun[0], action)
    _check_pair("step", stepped)
    for name, (_, ts) in (("reset", begun), ("step", stepped)):
        for field, (shape, dtype) in _expected(spec).items():
            got = getattr(ts, field)
            _check(
                tuple(got.shape) == shape and got.dtype == dtype,
                f"{name} returns {field} as {got.dtype}{list(got.shape)} and the spec says {dtype}{list(shape)}",
            )
    before, after = (jax.tree.map(lambda x: (x.shape, x.dtype), out[0]) for out in (begun, stepped))
    _check(before == after, f"step changes the state's shapes or dtypes from {before} to {after}")
    _traced("stepping many of it", lambda env, key: _play(env, key, num_envs=2, steps=1), env, key)


def _traced(name: str, function: Callable[..., Any], *args: Any) -> Any:
    try:
        return jax.eval_shape(function, *args)
    except Exception as error:  # whatever somebody's environment raises
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SettingError(f"environment fails its contract: {name} cannot be traced by jit ({first_line}).") from error


def _check_pair(name: str, out: Any) -> None:
    is_pair = isinstance(out, tuple) and len(out) == 2 and isinstance(out[1], TimeStep)
    _check(is_pair, f"{name} must return (state, TimeStep)")


def _expected(spec: Spec) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    agents, number, flag = spec.num_agents, np.dtype(np.float32), np.dtype(bool)
    return {
        "obs": ((agents, *spec.obs_shape), number),
        "state": ((spec.state_size,), number),
        "legal": ((agents, spec.num_actions), flag),
        "active": ((agents,), flag),
        "reward": ((agents,), number),
        "terminated": ((agents,), flag),
        "truncated": ((), flag),
    }


def _play(env: Env, key: jax.Array, num_envs: int, steps: int) -> tuple[TimeStep, TimeStep]:
    """Return successors and current steps [T, E, ...] of random legal play with auto-reset."""
    venv = vectorize(env, num_envs)
    starting, playing = jax.random.split(key)

    def step(world, key):
        state, ts = world
        acting, moving = jax.random.split(key)
        action = random_legal_action(acting, env.spec, ts.legal)
        state, successor, ts = venv.step(moving, state, action)
        return (state, ts), (successor, ts)

    return jax.lax.scan(step, venv.reset(starting), jax.random.split(playing, steps))[1]


def _check_values(spec: Spec, ts: TimeStep, when: str) -> None:
    for field in ("obs", "state", "reward"):
        _check(bool(np.isfinite(getattr(ts, field)).all()), f"{field} is not finite {when}")
    legal, active = np.asarray(ts.legal), np.asarray(ts.active)
    _check(bool(np.all(legal.any(-1) | ~active)), f"an active agent has no legal action {when}")
    spare, which = (1, "one legal action") if spec.is_discrete else (0, "no legal component")
    _check(
        bool(np.all((legal.sum(-1) == spare) | active)),
        f"an agent that is not active has a choice {when}: it must have {which}, so that doing nothing has one value",
    )
    beyond = np.arange(spec.num_actions) >= np.asarray(spec.action_sizes)[:, None]
    _check(not (legal & beyond).any(), f"an action beyond an agent's action_sizes is legal {when}")


def _check_ends(spec: Spec, successors: TimeStep, currents: TimeStep) -> None:
    truncated, terminated = np.asarray(successors.truncated), np.asarray(successors.terminated).all(-1)
    done = truncated | terminated
    length = np.zeros(done.shape[1], int)
    for ended in done:
        length = length + 1
        _check(bool((length <= spec.horizon).all()), f"an episode goes on after the horizon of {spec.horizon} steps")
        length = np.where(ended, 0, length)
    _check(
        not (truncated & terminated).any(), "a step is both truncated and terminated: an episode ends for one reason"
    )
    outcome = (currents.reward, currents.done)
    _check(not any(np.asarray(x)[done].any() for x in outcome), "a step that begins an episode has a reward or an end")


def _check_gone(successors: TimeStep, currents: TimeStep) -> None:
    """Check agents that have terminated before others: in the steps that are acted on, and in what these bring."""
    gone = np.asarray(currents.terminated)
    terminated, reward = (np.asarray(x)[1:] for x in (successors.terminated, successors.reward))
    later = ((gone[:-1] & ~terminated, "is back"), (gone[:-1] & (reward != 0), "is paid"))
    for fault, what in ((gone & np.asarray(currents.active), "is active"), *later):
        _check(not fault.any(), f"an agent that has terminated {what}: it must be gone until the episode ends")


def _check_observe(env: Env, key: jax.Array, state: Tree, ts: TimeStep) -> None:
    observe = getattr(env, "observe", None)
    if observe is None:
        return
    seen = observe(state)
    for field in TimeStep._fields:
        same = np.array_equal(getattr(seen, field), getattr(ts, field))
        _check(same, f"observe shows another {field} than reset does")
    state, ts = jax.jit(env.step)(key, state, random_legal_action(key, env.spec, ts.legal))
    seen = jax.jit(observe)(state)
    for field in ("obs", "state", "legal", "active"):
        same = np.allclose(getattr(seen, field), getattr(ts, field), atol=1e-6)
        _check(same, f"observe shows another {field} than step does")


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SettingError(f"environment fails its contract: {otherwise}.")
