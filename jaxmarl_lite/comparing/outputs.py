"""What a suite leaves beside its runs: numbers for other tools, tables, pictures, and the report."""

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxmarl_lite.comparing.commands import train_command
from jaxmarl_lite.comparing.suite import Cell, Suite
from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.training.folder import Row
from jaxmarl_lite.training.load import load
from jaxmarl_lite.view.canvas import write_bytes
from jaxmarl_lite.view.episode import about_run, play_episodes
from jaxmarl_lite.view.learning import draw_curves
from jaxmarl_lite.view.marl_eval import to_marl_eval
from jaxmarl_lite.view.page import episodes_page
from jaxmarl_lite.view.report import Replay, Report, report_page
from jaxmarl_lite.view.runs import RETURN, Curve, named_curve, read_runs
from jaxmarl_lite.view.scores import Compared, compare, draw_scores
from jaxmarl_lite.view.standings import COLUMNS, markdown, per_seed
from jaxmarl_lite.view.table import write_table

MARL_EVAL, RESULTS, TABLE, REPORT = "marl_eval.json", "results.csv", "table.md", "report.html"
CURVES, SCORES = "curves.png", "scores.png"
_DPI = 90  # of the pictures in a report, which holds an episode of every task


class Finished(NamedTuple):
    """A cell that has come to its end."""

    cell: Cell
    path: Path
    """the folder of its run"""
    summary: Row
    """as in its summary.json"""


def write_outputs(suite: Suite, out: Path, finished: Sequence[Finished], missing: Mapping[str, str]) -> Path | str:
    """Write all that follows from the finished cells of a suite into `out`; `missing` says why others are not there.

    Returns the report's page, or why it was not written. Without matplotlib there are no pictures and no report, and a
    warning says so. Raises RunError if a file cannot be written.
    """
    curves = [named_curve(one.cell.algo_name, one.cell.task_name, read_runs([one.path])) for one in finished]
    bounds = {task: ends for task, ends in suite.bounds.items() if any(curve.task == task for curve in curves)}
    compared = _compared(curves, bounds)
    scores = compared if isinstance(compared, Compared) else None
    _write(out / MARL_EVAL, json.dumps(to_marl_eval(curves), indent=1))
    _write(out / TABLE, markdown(suite.title, curves, scores))
    write_table(out / RESULTS, COLUMNS, per_seed(curves))
    try:
        draw_curves(curves, out / CURVES, metric=RETURN)
        if scores:
            draw_scores(curves, out / SCORES, bounds=bounds, is_planned=True)
        report = Report(
            suite.title,
            _facts(suite, finished),
            curves,
            compared,
            missing,
            _replays(finished, curves),
            {
                one.cell.name: train_command(one.cell, curve.runs[0].config["plan"]["devices"])
                for one, curve in zip(finished, curves, strict=True)
            },
            _costs(finished),
            _versions(finished),
        )
        _write(out / REPORT, report_page(report))
        return out / REPORT
    except RunError as error:
        warnings.warn(f"the report is not complete: {error}", stacklevel=2)
        return str(error)


def _compared(curves: Sequence[Curve], bounds: Mapping[str, tuple[float, float]]) -> Compared | str:
    try:
        return compare(curves, bounds, is_planned=True)
    except SettingError as error:
        return str(error)


def _facts(suite: Suite, finished: Sequence[Finished]) -> dict[str, str]:
    cells = [one.summary for one in finished]
    programs = {program for summary in cells for program in summary.get("programs", ())}
    steps = sum(summary["env_steps"] * summary["seeds"] for summary in cells)
    return {
        "runs": f"{len(finished)} of {len(suite.cells)}",
        "environment steps": f"{steps:,}",
        "time of all runs": _duration(math.fsum(map(_seconds, cells))),
        "compiled programs": f"{len(programs)}",
        "device": ", ".join(dict.fromkeys(summary["device"] for summary in cells)),
    }


def _replays(finished: Sequence[Finished], curves: Sequence[Curve]) -> list[Replay]:
    """Return an episode of the best seed of the best algorithm of each task, if its checkpoint is there."""
    best: dict[str, tuple[float, Finished, int]] = {}
    for one, curve in zip(finished, curves, strict=True):
        last = curve.values[-1]
        here = (float(last.mean()), one, int(last.argmax()))
        best[curve.task] = max(best.get(curve.task, here), here, key=lambda entry: entry[0])
    replays = []
    for _, one, seed in best.values():
        try:
            replays.append(_replay(one, seed))
        except RunError as error:
            warnings.warn(f"the report has no replay of {one.cell.name}: {error}", stacklevel=2)
    return replays


def _replay(one: Finished, seed: int) -> Replay:
    is_drawn = one.cell.plan.sample_eval
    policy = load(one.path, seed=seed, greedy=not is_drawn)
    about = about_run(one.path, seed=seed, key=0, is_drawn=is_drawn)
    title = f"{one.cell.task_name}: {one.cell.algo_name}, seed {seed}"
    page = episodes_page(
        policy.env, play_episodes(policy, 0, 1), about={**about, "title": title, "run": one.cell.folder}, dpi=_DPI
    )
    return Replay(title, page)


def _versions(finished: Sequence[Finished]) -> dict[str, str]:
    """Return the versions that the runs were made with; several, where runs are of several days."""
    told = [one.summary["versions"] for one in finished]
    return {name: ", ".join(dict.fromkeys(versions[name] for versions in told)) for name in told[0]}


def _costs(finished: Sequence[Finished]) -> list[list[str]]:
    head = ["run", "seeds", "steps of each", "steps/s", "training", "evaluation", "tracing", "compiling"]
    parts = ("train_seconds", "eval_seconds", "trace_seconds", "compile_seconds")
    rows = [
        [
            one.cell.name,
            f"{one.summary['seeds']}",
            f"{one.summary['env_steps']:,}",
            f"{one.summary['env_steps_per_second']:,.0f}",
            *(_duration(one.summary[name]) for name in parts),
        ]
        for one in finished
    ]
    return [head, *rows]


def _seconds(summary: Row) -> float:
    parts = ("train_seconds", "eval_seconds", "trace_seconds", "compile_seconds")
    return math.fsum(summary[name] for name in parts)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours = seconds / 60 % 60, int(seconds // 3600)
    return f"{hours} h {minutes:.0f} min" if hours else f"{minutes:.1f} min"


def _write(path: Path, text: str) -> None:
    write_bytes(path, text.encode())
