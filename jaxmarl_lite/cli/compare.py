"""The word of the command that compares algorithms over tasks."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from jaxmarl_lite.cli import console, options
from jaxmarl_lite.core.errors import RunError
from jaxmarl_lite.core.settings import require_int

if TYPE_CHECKING:
    from jaxmarl_lite.comparing.compare import CellResult, Comparison

_NAMES = tyro.conf.arg(metavar="NAME ...")


@dataclass(frozen=True)
class Compare:
    """Train algorithms x tasks x seeds as a TOML file says, and report how they compare.

    A suite names algorithms and tasks, and says in which settings they differ from what is shipped:

      title = "Spread and climbing"
      [plan]  # as the options of train: seeds, blocks, eval_episodes, ...
      steps = 1e6
      seeds = 5
      [algos.ippo]
      [algos."mappo with memory"]
      algo = "mappo"
      settings = { memory = 32 }
      [tasks.spread]
      env = "mpe/simple_spread"
      settings = { num_agents = 5 }
      bounds = [-80.0, -20.0]  # returns that score 0 and 1
      [tasks.climbing]
      env = "matrix/climbing"
      plan = { steps = 1e5 }
      [[tuned]]  # own settings of some of them; the last word
      algos = ["ippo"]
      tasks = ["spread"]
      settings = { lr = 1e-3 }

    The folder gets a run for each algorithm and task, which plot, render and eval take; report.html, table.md,
    results.csv, curves.png and scores.png; and marl_eval.json, which marl-eval reads.

    The same command goes on where it was stopped, and keeps what is finished. Started again while it runs, in another
    terminal or on another machine with the same disk, it shares the work.

    Example: jaxmarl-lite compare first --out runs/first
    """

    suite: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SUITE")]
    """TOML file, or the name of a suite that comes with this package, such as first"""
    out: Path | None = None
    """folder to write; left out: runs/compare-NAME"""
    only_algos: Annotated[tuple[str, ...], _NAMES] = ()
    """train these algorithms only, by their names in the suite"""
    only_tasks: Annotated[tuple[str, ...], _NAMES] = ()
    """train these tasks only, by their names in the suite"""
    steps: float | None = None
    """environment steps of each seed in every run, whatever the suite says"""
    devices: int | None = None
    """devices that share the environments of a run, whatever the suite says"""
    overwrite: bool = False
    """replace runs whose settings the suite has changed since"""
    json: bool = False
    """print the results as JSON instead of a table"""


def compare(args: list[str]) -> None:
    """Compare SUITE."""
    given = options.parse(Compare, args, "jaxmarl-lite compare")

    from jaxmarl_lite.comparing import compare as comparing
    from jaxmarl_lite.comparing.suite import read_suite
    from jaxmarl_lite.training.placement import offer_cores

    if given.devices is not None:
        require_int("devices", given.devices)
    changes = {name: getattr(given, name) for name in ("steps", "devices") if getattr(given, name) is not None}
    suite = read_suite(given.suite).with_plan(**changes)
    wanted = {cell.plan.devices for cell in suite.cells}
    offer_cores(None if None in wanted else max(filter(None, wanted)))
    out = given.out or Path("runs") / f"compare-{re.sub(r'[^A-Za-z0-9_]+', '-', Path(given.suite).stem)}"
    with console.SuiteLine() as line:
        compared = comparing.compare(
            suite, out=out, only_algos=given.only_algos or None, only_tasks=given.only_tasks or None,
            overwrite=given.overwrite, callbacks=(line,),
        )  # fmt: skip
    _report(suite.title, compared, out, as_json=given.json)
    failed = [result.cell.name for result in compared.results if result.failure]
    if failed:
        raise RunError(f"{len(failed)} of {len(compared.results)} runs failed: {', '.join(failed)}.")


def _report(title: str, compared: "Comparison", out: Path, *, as_json: bool) -> None:
    results, report = compared
    summaries = [result.summary for result in results if result.summary]
    programs = len({program for summary in summaries for program in summary.get("programs", ())})
    if as_json:
        runs = [
            {"algorithm": one.cell.algo_name, "task": one.cell.task_name, "run": str(one.path), "failure": one.failure}
            | {"summary": one.summary}
            for one in results
        ]
        page = str(report) if isinstance(report, Path) else None
        console.show_json({"written_to": str(out), "report": page, "programs": programs, "runs": runs})
        return
    rows = [_row(one) for one in results]
    written = f"the report is {report}" if isinstance(report, Path) else f"no report was written: {report}"
    note = f"{programs} programs were compiled or fetched for {len(summaries)} runs; {written.removesuffix('.')}."
    console.show_grid(title, ["run", "return", "95 %", "env steps", "seconds"], rows, note)


def _row(one: "CellResult") -> list[str]:
    if one.summary is None:
        return [one.cell.name, "failed" if one.failure else "elsewhere", "", "", ""]
    figures, interval = one.summary["eval"], one.summary["eval"]["return_sum_ci95"]
    between = "" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}"
    seconds = one.summary["train_seconds"] + one.summary["eval_seconds"]
    return [one.cell.name, f"{figures['return_sum']:.2f}", between, f"{one.summary['env_steps']:,}", f"{seconds:.1f}"]
