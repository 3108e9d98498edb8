"""Curves as the JSON that marl-eval reads (Gorsane et al. 2022, arXiv:2209.10485; PyPI id-marl-eval)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxmarl_lite.training.folder import TIMING, RunFolder
from jaxmarl_lite.view.runs import Curve, Run

METRIC = "return"


def to_marl_eval(curves: Sequence[Curve]) -> dict[str, Any]:
    """Return environment -> task -> algorithm -> run_i -> step_j, with `step_count`, `elapsed_time` and `return`.

    An environment is what stands before the slash in its name, a run is a seed. The lists hold one number, the mean
    over an evaluation's episodes of the return summed over agents. `absolute_metrics` are the last evaluation: that of
    the paper, the best policy played again for ten times as many episodes, asks for policies that no run keeps.

    marl-eval wants every algorithm in every task of an environment, with as many runs and steps: others are left out,
    and of more seeds or evaluations than the fewest, the first seeds and evenly spaced evaluations are kept. It looks
    environments and tasks up in lower case, and allows no comma in an algorithm's name.
    """
    families: dict[str, list[Curve]] = {}
    for curve in curves:
        families.setdefault(curve.runs[0].config["env"].split("/")[0].lower(), []).append(curve)
    return {name: _tasks(members) for name, members in families.items()}


def _tasks(curves: Sequence[Curve]) -> dict[str, Any]:
    tasks = dict.fromkeys(curve.task for curve in curves)
    of = {(curve.algo, curve.task): curve for curve in curves}
    whole = [
        algo for algo in dict.fromkeys(curve.algo for curve in curves) if all((algo, task) in of for task in tasks)
    ]
    told = [of[algo, task] for algo in whole for task in tasks]
    if not told:
        return {}
    steps, seeds = (min(curve.values.shape[axis] for curve in told) for axis in (0, 1))
    return {
        task.lower(): {algo.replace(",", ";"): _runs(of[algo, task], steps, seeds) for algo in whole} for task in tasks
    }


def _runs(curve: Curve, steps: int, seeds: int) -> dict[str, Any]:
    chosen = np.linspace(0, len(curve.steps), steps + 1).round().astype(int)[1:] - 1
    elapsed = _elapsed(curve.runs[0], len(curve.steps))
    return {
        f"run_{seed + 1}": {
            **{
                f"step_{number}": {
                    "step_count": int(curve.steps[at]),
                    "elapsed_time": elapsed[at],
                    METRIC: [float(curve.values[at, seed])],
                }
                for number, at in enumerate(chosen, start=1)
            },
            "absolute_metrics": {"elapsed_time": elapsed[-1], METRIC: [float(curve.values[-1, seed])]},
        }
        for seed in range(seeds)
    }


def _elapsed(run: Run, blocks: int) -> list[float]:
    """Return the seconds of training and evaluating up to each block, of all seeds together."""
    timings = RunFolder(run.path).rows(TIMING, numbers=("train_seconds",))
    seconds = [row["train_seconds"] + row.get("eval_seconds", 0.0) for row in timings]
    return np.cumsum(seconds)[:blocks].tolist()
