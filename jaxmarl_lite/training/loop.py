"""The one training loop: blocks of updates on the device, everything else on the host between them."""

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Env, Key, Tree
from jaxmarl_lite.core.errors import RunError
from jaxmarl_lite.core.shard import COPY, Shard
from jaxmarl_lite.environments import registry
from jaxmarl_lite.environments.contract import check_shapes
from jaxmarl_lite.learners.learner import Learner
from jaxmarl_lite.learners.replicate import on_states, over_seeds, replicate
from jaxmarl_lite.training.callbacks import Audience, Beginning, Callback, Progress, Result
from jaxmarl_lite.training.claims import hold
from jaxmarl_lite.training.compilation import Stopwatch, enable_cache
from jaxmarl_lite.training.evaluate import evaluate, summarise
from jaxmarl_lite.training.folder import TIMING, Row, RunFolder
from jaxmarl_lite.training.machine import machine, versions
from jaxmarl_lite.training.memory import available_memory, is_surely_small, memory_plan, require_memory
from jaxmarl_lite.training.placement import Placement, choose_devices
from jaxmarl_lite.training.plan import Plan, Schedule, from_config, lengthened, schedule, to_config

_EPISODES = 1  # the axis of episodes, after that of seeds


def train(
    learner: Learner,
    env: Env,
    key: Key,
    *,
    steps: float,
    seeds: int = 1,
    out: str | Path | None = None,
    overwrite: bool = False,
    callbacks: Sequence[Callback] = (),
    **plan: Any,
) -> Result:
    """Train `learner` in `env` for `steps` environment steps in each of `seeds` seeds, as one program.

    With `out`, a folder is left from which the run can be resumed, evaluated and rendered. `plan` takes the other
    fields of `Plan`: blocks, eval_episodes, sample_eval, keep, devices. Callbacks see each block's `Progress` on the
    host; a `Watcher`, such as `jml.track` makes, hears of the beginning and the end too.

    Raises SettingError on a value that is not allowed, before anything is compiled or written, and RunError if
    another process works on `out` or learning produces a number that is not finite; what was saved before stays.
    """
    sizes = Plan(steps=steps, seeds=seeds, **plan)
    check_shapes(env)
    sizes = fitted(learner, env, sizes)
    cut = schedule(sizes, learner.settings.steps_per_update)
    key = typed(key)
    config = {} if out is None else {**to_config(learner, env, key, sizes, cut), "versions": versions()}
    with hold(out), Audience(callbacks) as audience:
        folder = None if out is None else RunFolder.create(out, config, overwrite=overwrite)
        return audience.end(_run(learner, env, key, sizes, cut, folder, audience))


def resume(
    out: str | Path, *, steps: float | None = None, devices: int | None = None, callbacks: Sequence[Callback] = ()
) -> Result:
    """Go on with the run in `out` from its last sound checkpoint, or from the start if it has none.

    The result is, bit for bit, that of a run never stopped, if as many devices share the environments as before;
    with other `devices`, or where there are fewer than before, it is the same but for the rounding of sums. With
    `steps` the run is lengthened to that many for each seed; schedules, such as that of the learning rate, then follow
    the new length.

    Raises SettingError if there is no run or it cannot be lengthened so, RunError if another process works on it or no
    checkpoint can be used.
    """
    folder = RunFolder.open(out)
    with hold(out):
        return _resume(folder, steps, devices, callbacks)


def _resume(folder: RunFolder, steps: float | None, devices: int | None, callbacks: Sequence[Callback]) -> Result:
    learner, env, key, plan, cut = from_config(folder.config_of_run())
    as_before = plan.devices if (plan.devices or 1) <= jax.device_count() else None
    if devices is None and as_before != plan.devices:
        warnings.warn(
            f"this run was trained on {plan.devices} devices, and there are {jax.device_count()} here: it goes on, and "
            "sums are rounded otherwise.",
            stacklevel=3,
        )
    plan = replace(plan, devices=choose_devices(learner, plan.eval_episodes, devices or as_before))
    _require_room(learner, env, plan)
    if steps is not None:
        cut = lengthened(cut, steps, learner.settings.steps_per_update)
        folder.update_config(
            plan={**folder.config()["plan"], "steps": steps},
            schedule={"updates_per_block": cut.updates_per_block, "blocks": cut.blocks},
        )
    with Audience(callbacks) as audience:
        return audience.end(_run(learner, env, key, plan, cut, folder, audience))


def _run(
    learner: Learner,
    env: Env,
    key: Key,
    plan: Plan,
    cut: Schedule,
    folder: RunFolder | None,
    audience: Audience,
) -> Result:
    enable_cache()
    watch = Stopwatch()
    learning, evaluating = jax.random.split(key)
    many = replicate(learner, plan.seeds)
    place = Placement.over(plan.devices or 1)
    first, state = _begin(many, env, learning, folder, watch)
    axes = many.env_axes(state)
    state = place.lay(state, axes)
    steps_per_block = cut.updates_per_block * learner.settings.steps_per_update
    rows, timings = (folder.rows(), folder.rows(TIMING)) if folder else ([], [])
    audience.begin(Beginning(learner, env, key, plan, folder and folder.path, rows))
    if folder and first == cut.blocks and (summary := folder.summary(cut.blocks * steps_per_block)):
        return Result(state, rows, summary)
    block = partial(run_updates, learner, cut.updates_per_block, place.shard)
    block = place.spread(block, in_axes=(axes, COPY, COPY, COPY), out_axes=(axes, COPY))
    run_block = watch.compiled(block, state, env, jnp.zeros((), jnp.int32), jnp.ones(()), donate=(0,))
    test = place.spread(partial(_test, learner, plan, place.shard), (COPY, COPY, COPY), _EPISODES)
    test = watch.compiled(test, learner.params(state), env, evaluating)

    for block in range(first + 1, cut.blocks + 1):
        begin = time.perf_counter()
        done = jnp.asarray((block - 1) * cut.updates_per_block, jnp.int32)
        state, metrics = jax.block_until_ready(run_block(state, env, done, jnp.asarray(cut.updates, jnp.float32)))
        timing = {"block": block, "train_seconds": time.perf_counter() - begin}
        state, metrics = place.lay(state, axes), jax.device_get(metrics)
        _require_finite(metrics, block, folder)
        begin = time.perf_counter()
        tested = summarise(jax.device_get(test(learner.params(state), env, jax.random.fold_in(evaluating, block))))
        timing["eval_seconds"] = time.perf_counter() - begin
        _require_finite({"eval_return_sum": tested["return_sum_per_seed"]}, block, folder)
        new = _rows(block, block * steps_per_block, metrics, tested)
        if folder:
            folder.record(new, timing)
            folder.save(block, state, keep=plan.keep)
        rows, timings = rows + new, [*timings, timing]
        speed = steps_per_block * plan.seeds / timing["train_seconds"]
        audience.tell(Progress(block, cut.blocks, block * steps_per_block, new, speed))

    tested = summarise(jax.device_get(test(learner.params(state), env, jax.random.fold_in(evaluating, cut.blocks))))
    seconds = math.fsum(row["train_seconds"] for row in timings)
    origin = registry.origin(env)
    summary = {
        "algo": learner.name,
        "env": origin[0] if origin else type(env).__name__,
        "seeds": plan.seeds,
        "env_steps": cut.blocks * steps_per_block,
        "trace_seconds": watch.trace_seconds,
        "compile_seconds": watch.compile_seconds,
        "programs": watch.programs,
        "train_seconds": seconds,
        "eval_seconds": math.fsum(row.get("eval_seconds", 0.0) for row in timings),
        "env_steps_per_second": len(timings) * steps_per_block * plan.seeds / seconds,
        **machine(),
        "eval": tested,
        **_mean_policy(rows, plan.seeds),
    }
    if folder:
        folder.write_summary(summary)
    return Result(state, rows, summary)


def fitted(learner: Learner, env: Env, plan: Plan) -> Plan:
    """Return the plan of a run with the devices that it will take; nothing is compiled.

    Raises SettingError if the learner cannot learn there, or the run not be shared so, or not fit the memory.
    """
    learner.check(env.spec)
    plan = replace(plan, devices=choose_devices(learner, plan.eval_episodes, plan.devices))
    _require_room(learner, env, plan)
    return plan


def _require_room(learner: Learner, env: Env, plan: Plan) -> None:
    """Raise SettingError, with what to change, if the run cannot fit the devices' memory."""
    available = available_memory()
    if not is_surely_small(learner, env, plan.seeds, available):
        sizes = {"seeds": plan.seeds, "eval_episodes": plan.eval_episodes, "devices": plan.devices or 1}
        size = partial(memory_plan, env=env, **sizes)
        require_memory(size(learner), available, learner, size)


def _begin(many: Learner, env: Env, key: Key, folder: RunFolder | None, watch: Stopwatch) -> tuple[int, Tree]:
    """Return the blocks done and the state after them: the last checkpoint's, or a new one."""
    saved = folder.load(jax.eval_shape(many.init, key, env), key) if folder else None
    if folder:
        folder.rewind(saved[0] if saved else 0)
    return saved or (0, watch.compiled(many.init, key, env, once=True)(key, env))


def run_updates(learner: Learner, updates: int, shard: Shard, state: Tree, env: Env, done, total):
    """Run a block of updates of all seeds on the device; returns (state, metrics averaged over the updates)."""

    def of_one(state):
        def update(state, index):
            return learner.step(state, env, (done + index) / total, shard)

        state, metrics = jax.lax.scan(update, state, jnp.arange(updates))
        return state, jax.tree.map(lambda x: jnp.mean(x, axis=0), metrics)

    # Seeds outermost: one after another, they would each copy their whole state, with a replay, at every update.
    return on_states(of_one)(state)


def _test(learner: Learner, plan: Plan, shard: Shard, params: Tree, env: Env, key: Key):
    policy = learner.policy(env.spec)
    play = partial(evaluate, policy, episodes=plan.eval_episodes, greedy=not plan.sample_eval, shard=shard)
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, jnp.arange(plan.seeds))
    return over_seeds(lambda seed: play(seed[0], env, seed[1]))((params, keys))


def _require_finite(metrics: Mapping[str, Any], block: int, folder: RunFolder | None) -> None:
    for name, values in metrics.items():
        for seed, value in enumerate(np.asarray(values)):
            if not np.isfinite(value).all():
                kept = f" What was saved up to block {block - 1} is kept in {folder.path}." if folder else ""
                raise RunError(
                    f"{name} of seed {seed} is no longer finite in block {block}: learning diverged. "
                    f"Lower the learning rate or max_grad_norm, or look for extreme rewards.{kept}"
                )


def _rows(block: int, env_steps: int, metrics: dict[str, np.ndarray], tested: Row) -> list[Row]:
    rows = []
    for seed, eval_return in enumerate(tested["return_sum_per_seed"]):
        mine = {name: np.asarray(values)[seed].tolist() for name, values in metrics.items()}
        episodes = mine.pop("episodes")
        returns, length = mine.pop("episode_return"), mine.pop("episode_length")
        per_agent = [value / episodes for value in returns] if episodes else None
        rows.append(
            {
                "block": block,
                "seed": seed,
                "env_steps": env_steps,
                "return_sum": math.fsum(per_agent) if per_agent else None,
                "return_per_agent": per_agent,
                "length": length / episodes if episodes else None,
                "eval_return_sum": eval_return,
                **mine,
            }
        )
    return rows


def _mean_policy(rows: list[Row], seeds: int) -> Row:
    """Return how often each agent chose each action over all of training, for each seed [K, A, N], if told."""
    if not rows or "action_frequency" not in rows[0]:
        return {}
    chosen = [[row["action_frequency"] for row in rows if row["seed"] == seed] for seed in range(seeds)]
    return {"policy_time_average": np.mean(chosen, axis=1).tolist()}


def typed(key: Key) -> Key:
    """Return a random key as JAX has them now, also from the two numbers of an old one."""
    is_typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    return key if is_typed else jax.random.wrap_key_data(key)
