"""The sweep: trials on disk as soon as they are done, the best of them as a config, and going on after a stop."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxmarl_lite.core.env import Env, Key
from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.core.settings import require_int
from jaxmarl_lite.environments import registry
from jaxmarl_lite.learners.learner import Learner
from jaxmarl_lite.training.claims import hold
from jaxmarl_lite.training.compilation import Stopwatch, enable_cache
from jaxmarl_lite.training.folder import BEST, CONFIG, SWEEP, TIMING, TRIALS, Row, RunFolder
from jaxmarl_lite.training.loop import typed
from jaxmarl_lite.training.machine import machine, versions
from jaxmarl_lite.training.placement import Placement
from jaxmarl_lite.training.plan import Plan, from_config, plain, schedule, to_config
from jaxmarl_lite.tuning.climb import COLUMNS, Climb, Sizes, SweepProgress
from jaxmarl_lite.tuning.copies import Copies, copies_together
from jaxmarl_lite.tuning.family import Family, family_of
from jaxmarl_lite.tuning.halving import ladder, ranked
from jaxmarl_lite.tuning.samplers import Proposer, proposer_of
from jaxmarl_lite.tuning.settings import SweepPlan
from jaxmarl_lite.tuning.space import Space, Values, space_of

Callback = Callable[[SweepProgress], None]


class SweepResult(NamedTuple):
    """What a sweep leaves."""

    trials: list[Row]
    """the last row of each trial, the best first"""
    best: Row
    """the best settings as a config, as in best.json"""
    summary: Row
    """the sweep in figures, as in summary.json"""


@dataclass(frozen=True)
class _Job:
    """All that a sweep follows from."""

    family: Family
    space: Space
    plan: SweepPlan
    key: Key
    proposer: Proposer
    sizes: Sizes
    place: Placement
    together: int


def sweep(
    learner: Learner,
    env: Env,
    key: Key,
    *,
    space: Mapping[str, str],
    steps: float,
    out: str | Path | None = None,
    overwrite: bool = False,
    callbacks: Sequence[Callback] = (),
    **plan: Any,
) -> SweepResult:
    """Train `learner` in `env` with many settings from `space`, each in the same seeds, as one program.

    `space` names float settings of the learner, and as `env.name` of the environment, with their ranges: `"low:high"`,
    `"log:low:high"` or `"1,2,5"`. Each trial learns what `train` with its settings and this key does. `plan` takes the
    other fields of `SweepPlan`: trials, seeds, sampler, halving and so on. With `out`, a folder is left with every
    trial and the best one; where it holds this very sweep, only what is missing is done.

    Raises SettingError on a value that is not allowed, before anything is compiled or written, and RunError if
    another process works on `out` or every trial diverges.
    """
    job = _job(learner, env, typed(key), space_of(space), SweepPlan(steps=steps, **plan))
    config = {} if out is None else _config(learner, env, job)
    with hold(out):
        return _run(job, None if out is None else _folder(out, config, overwrite), callbacks)


def resume_sweep(out: str | Path, *, callbacks: Sequence[Callback] = ()) -> SweepResult:
    """Go on with the sweep in `out` where it was stopped: all its rows will be those of a sweep never stopped.

    Raises SettingError if there is none, RunError if another process works on it, its config is damaged or every trial
    diverged.
    """
    folder = RunFolder.open(out)
    with hold(out):
        return _run(_job_of(folder.config()), folder, callbacks)


def _job_of(config: Row) -> _Job:
    """Return the sweep of a config; raises RunError if it is damaged."""
    learner, env, key, _, _ = from_config(config)
    try:
        about = dict(config[SWEEP])
        space, plan = space_of(about.pop("space")), SweepPlan(**about)
    except SettingError:
        raise
    except Exception as error:  # whatever a spoilt file makes of it
        raise RunError(f"{CONFIG} is not that of a sweep ({type(error).__name__}: {error}).") from None
    return _job(learner, env, key, space, plan)


def _job(learner: Learner, env: Env, key: Key, space: Space, plan: SweepPlan) -> _Job:
    require_int("devices", plan.devices or 1, high=jax.device_count())
    family = family_of(learner, env, space)
    proposer = proposer_of(space, plan, jax.random.key_data(key).tolist())
    cut = schedule(Plan(plan.steps), learner.settings.steps_per_update)
    rungs = ladder(proposer.trials, cut.updates, plan.halving, plan.rungs)
    sizes = Sizes(rungs, plan.seeds, learner.settings.steps_per_update, cut.updates, cut.blocks)
    copies = proposer.trials * plan.seeds
    place = Placement.over(min(plan.devices or jax.device_count(), copies))
    wanted = plan.together or math.ceil(copies / place.mesh.size)
    fitting = copies_together(family.learner, family.env, plan.eval_episodes, wanted)
    return _Job(family, space, plan, key, proposer, sizes, place, plan.together or fitting)


def _config(learner: Learner, env: Env, job: _Job) -> Row:
    """Return everything that a sweep follows from, as JSON values."""
    plan = Plan(job.plan.steps, job.plan.seeds, eval_episodes=job.plan.eval_episodes)
    config = to_config(learner, env, job.key, plan, schedule(plan, learner.settings.steps_per_update))
    return {**config, SWEEP: {"space": {name: one.text for name, one in job.space.items()}, **asdict(job.plan)}}


def _folder(out: str | Path, config: Row, overwrite: bool) -> RunFolder:
    """Return the folder of a sweep: the one that is there, if it is this sweep's, or a new one."""
    if not overwrite and (Path(out) / CONFIG).is_file():
        folder = RunFolder.open(out)
        saved, wanted = folder.config(), json.loads(json.dumps(config))
        if all(saved.get(name) == value for name, value in wanted.items()):
            return folder
    return RunFolder.create(out, {**config, "versions": versions()}, overwrite=overwrite)


def _run(job: _Job, folder: RunFolder | None, callbacks: Sequence[Callback]) -> SweepResult:
    enable_cache()
    rows = _known(folder, job) if folder else []
    seconds = _seconds(folder, rows) if folder else []
    play = {"episodes": job.plan.eval_episodes, "greedy": not job.plan.sample_eval}
    copies = Copies(job.family.learner, job.key, play=play, together=job.together, place=job.place)

    def record(row: Row, took: float) -> None:
        seconds.append(took)
        if folder:
            folder.append(TRIALS, [row])
            folder.append(TIMING, [{"trial": row["trial"], "rung": row["rung"], "train_seconds": took}])

    climb = Climb(job.family, job.sizes, copies, rows, record, callbacks)
    named = 0
    for batch in job.proposer.batches():
        trials = dict(enumerate(batch, start=named))
        _require_same(trials, rows)
        last = {row["trial"]: row["return_sum"] for row in climb.climb(trials)}
        job.proposer.tell([last[trial] for trial in trials])
        named += len(batch)
    trials = ranked(climb.rows)
    if trials[0]["return_sum"] is None:
        raise RunError(
            f"all {len(trials)} trials diverged: search lower learning rates or a lower max_grad_norm, or look for "
            "extreme rewards."
        )
    best = _best(job, trials[0])
    summary = (folder and not climb.trained and folder.summary(job.sizes.env_steps_in_all)) or _summary(
        job, math.fsum(seconds), copies.watch, trials
    )
    if folder:
        folder.write(BEST, best)
        folder.write_summary(summary)
    return SweepResult(trials, best, summary)


def _known(folder: RunFolder, job: _Job) -> list[Row]:
    """Return the rows of trials that are done; a last line that was cut short is forgotten, also on disk."""
    try:
        rows = folder.rows(TRIALS)
        is_sound = all(_is_of(job, row) for row in rows)
    except (RunError, TypeError, AttributeError):  # whatever a spoilt file makes of it
        is_sound, rows = False, []
    if not is_sound:
        raise RunError(f"{folder.path / TRIALS} is damaged: delete it, and its trials are made again.")
    folder.rewrite(TRIALS, rows)
    return rows


def _seconds(folder: RunFolder, rows: Sequence[Row]) -> list[float]:
    """Return how long the trials that are done took; what is told of others is forgotten, also on disk."""
    done = {(row["trial"], row["rung"]) for row in rows}
    timings = folder.rows(TIMING, numbers=("train_seconds",))
    timings = [row for row in timings if (row.get("trial"), row.get("rung")) in done]
    folder.rewrite(TIMING, timings)
    return [row["train_seconds"] for row in timings]


def _is_of(job: _Job, row: Row) -> bool:
    """Return whether a row is one that this sweep may have written."""
    return (
        row.keys() == set(COLUMNS)
        and row["trial"] in range(job.proposer.trials)
        and row["rung"] in range(len(job.sizes.ladder))
        and row["settings"].keys() == job.space.keys()
        and (row["return_sum"] is None or math.isfinite(row["return_sum"]))
    )


def _require_same(trials: Mapping[int, Values], rows: Sequence[Row]) -> None:
    """Raise RunError if rows of some trials have other settings than these."""
    for row in rows:
        number = row["trial"]
        if row["settings"] != trials.get(number, row["settings"]):
            raise RunError(
                f"trial {number} in {TRIALS} has other settings than this sweep gives it, as other versions of SciPy, "
                "NumPy or Optuna may: delete the file, and its trials are made again."
            )


def _best(job: _Job, first: Row) -> Row:
    """Return a trial as a config that `train --config` takes; without an environment, if it was not made by name."""
    learner, env = job.family.at(first["settings"])
    origin = registry.origin(env)
    config = {"algo": learner.name, "learner": asdict(learner.settings)}
    if origin is not None:
        config |= {"env": origin[0], "env_settings": plain(origin[1])}
    return {**config, "trial": first}


def _summary(job: _Job, seconds: float, watch: Stopwatch, trials: Sequence[Row]) -> Row:
    """Return the sweep in figures; `seconds` are those of all its trials, whichever process made them."""
    sizes, origin = job.sizes, registry.origin(job.family.env)
    return {
        "algo": job.family.learner.name,
        "env": origin[0] if origin else type(job.family.env).__name__,
        "trials": len(trials),
        "seeds": sizes.seeds,
        "rungs": [{"trials": rung.trials, "env_steps": rung.updates * sizes.steps_per_update} for rung in sizes.ladder],
        "diverged": sum(row["return_sum"] is None for row in trials),
        "env_steps": sizes.env_steps_in_all,
        "trace_seconds": watch.trace_seconds,
        "compile_seconds": watch.compile_seconds,
        "train_seconds": seconds,
        "env_steps_per_second": sizes.env_steps_in_all / max(seconds, 1e-9),
        "devices": job.place.mesh.size,
        **machine(),
        "is_log": {name: one.kind == "log" for name, one in job.space.items()},
        "best": trials[0],
    }
