"""Runs on disk as curves that can be compared."""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.training.folder import METRICS, Row, RunFolder

RETURN = "eval_return_sum"
_ALIKE = 0.05  # runs are as long as one another up to this share: a run is rounded up to whole blocks


class Run(NamedTuple):
    """A run as its folder tells."""

    path: Path
    config: dict[str, Any]
    rows: list[Row]


class Curve(NamedTuple):
    """A number over training, of all seeds of an algorithm in an environment."""

    algo: str
    """name of the algorithm, with the settings in which it differs from others of that name in that environment"""
    task: str
    """name of the environment, with the settings in which it differs from others of that name"""
    steps: np.ndarray
    """int [T], environment steps of each seed"""
    values: np.ndarray
    """float [T, N] of N seeds, of all runs together"""
    runs: tuple[Run, ...]


def read_runs(paths: Iterable[Path]) -> list[Run]:
    """Return the runs in some folders.

    Raises SettingError if there is none, one is a sweep or given twice, RunError if a file of one is damaged.
    """
    runs = [_read(path) for path in paths]
    if not runs:
        raise SettingError("no run is given: name the folder of one at least.")
    seen: dict[str, Path] = {}
    for run in runs:
        parts = ("algo", "learner", "env", "env_settings", "key")
        identity = repr([run.config[part] for part in parts])
        if identity in seen:
            raise SettingError(
                f"{str(run.path)!r} has the settings and the key of {str(seen[identity])!r}: its seeds are the same, "
                "and would be counted twice. Leave one out."
            )
        seen[identity] = run.path
    return runs


def curves_of(runs: Sequence[Run], metric: str = RETURN) -> list[Curve]:
    """Return the curves of a metric, one for each algorithm and environment, in the order of the runs.

    Raises SettingError if a run has no such number, or runs of one curve were not evaluated at the same steps.
    """
    tasks = [_label(run, runs, "env", "env_settings") for run in runs]
    rivals = [[other for other, at in zip(runs, tasks, strict=True) if at == task] for task in tasks]
    algos = [_label(run, others, "algo", "learner") for run, others in zip(runs, rivals, strict=True)]
    groups: dict[tuple[str, str], list[Run]] = {}
    for algo, task, run in zip(algos, tasks, runs, strict=True):
        groups.setdefault((algo, task), []).append(run)
    return [named_curve(algo, task, members, metric) for (algo, task), members in groups.items()]


def named_curve(algo: str, task: str, runs: Sequence[Run], metric: str = RETURN) -> Curve:
    """Return the curve of the seeds of all `runs` together, called as is said; raises SettingError as `curves_of`."""
    parts = [series(run, metric) for run in runs]
    steps = parts[0][0]
    for run, (other, values) in zip(runs, parts, strict=True):
        if values.ndim != 2:
            raise SettingError(f"metric={metric!r} is not allowed: it is not one number for each seed.")
        if not np.array_equal(other, steps):
            raise SettingError(
                f"{str(run.path)!r} has {len(other)} evaluations up to {other[-1]:,} steps and {str(runs[0].path)!r} "
                f"{len(steps)} up to {steps[-1]:,}: runs of {algo} in {task} must be evaluated at the same steps."
            )
    return Curve(algo, task, steps, np.concatenate([values for _, values in parts], axis=1), tuple(runs))


def series(run: Run, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps [T] and the values [T, K, ...] of a metric.

    Raises SettingError if the run has none of it, RunError if its rows are not one for each seed of each block.
    """
    rows = run.rows
    if not rows:
        raise SettingError(f"{str(run.path)!r} has no evaluations yet: go on with `jaxmarl-lite resume {run.path}`.")
    seeds = _seeds_of(run)
    try:
        steps = np.array([row["env_steps"] for row in rows[::seeds]], int)
        told = [row[metric] for row in rows]
        values = np.array([np.nan if value is None else value for value in told], float)
        values = values.reshape(len(steps), seeds, *values.shape[1:])
    except (KeyError, TypeError, ValueError):
        known = ", ".join(name for name, value in rows[0].items() if isinstance(value, float))
        raise SettingError(
            f"metric={metric!r} is not allowed: {str(run.path)!r} has no such number in every row; it has {known}."
        ) from None
    if np.isnan(values).any():
        raise SettingError(f"metric={metric!r} is not allowed: {str(run.path)!r} could not tell it in every block.")
    return steps, values


def _seeds_of(run: Run) -> int:
    """Return the number of seeds; raises RunError if the rows are not one for each seed of each block, in order."""
    told = [(row["block"], row["seed"]) for row in run.rows]
    seeds = sum(block == told[0][0] for block, _ in told)
    if told != list(itertools.product(range(1, len(told) // seeds + 1), range(seeds))):
        raise RunError(f"{run.path / METRICS} is damaged: it must have one row for each seed of each block.")
    return seeds


def require_one_length(curves: Sequence[Curve]) -> None:
    """Raise SettingError if curves of one environment are not equally long, but for rounding to whole blocks."""
    short, long = (choose(curves, key=lambda curve: curve.steps[-1]) for choose in (min, max))
    if short.steps[-1] < (1.0 - _ALIKE) * long.steps[-1]:
        raise SettingError(
            f"{str(short.runs[0].path)!r} has {short.steps[-1]:,} steps and {str(long.runs[0].path)!r} "
            f"{long.steps[-1]:,}: runs in {short.task} are compared at one length; go on with the shorter by "
            f"`jaxmarl-lite resume {short.runs[0].path} --steps {long.steps[-1]}`, or leave one out."
        )


def _read(path: Path) -> Run:
    folder = RunFolder.open(path)
    config = folder.config_of_run()
    kinds = {"algo": str, "learner": dict, "env": str, "env_settings": dict, "key": dict, "plan": dict}
    if not all(isinstance(config.get(name), kind) for name, kind in kinds.items()):
        raise RunError(f"{path / 'config.json'} is not that of a run.")
    try:
        rows = folder.rows()
        rows.sort(key=lambda row: (row["block"], row["seed"]))
    except (KeyError, TypeError):
        raise RunError(f"{path / METRICS} is damaged: each of its lines must name its block and seed.") from None
    return Run(path, config, rows)


def _label(run: Run, others: Sequence[Run], name: str, settings: str) -> str:
    """Return a name of the config, and behind it the settings in which others of that name differ from this run's."""
    alike = [other.config[settings] for other in others if other.config[name] == run.config[name]]
    mine = run.config[settings]
    told = [f"{key}={value}" for key, value in mine.items() if any(one.get(key) != value for one in alike)]
    return " ".join([run.config[name], ", ".join(told)]).strip()
