"""Reproduce the comparison of Papoudakis et al. 2021 (arXiv:2006.07869) and set it beside their tables 3 and 7.

python scripts/reproduce_epymarl.py --out runs/epymarl                         # everything: some 40 core-hours
python scripts/reproduce_epymarl.py --out runs/epymarl --tasks climbing tag    # some rows
python scripts/reproduce_epymarl.py --out runs/quick --quick                   # ten minutes: fewer tasks, small budgets
python scripts/reproduce_epymarl.py --out runs/epymarl --results benchmarks/results/epymarl.json \
    --table benchmarks/epymarl.md                                              # what that file lacks

The suite is the one that ships as `epymarl` (jaxmarl_lite/configs/epymarl.toml). Started again it goes on where it
stopped, and started twice with one --out two processes share the work. What is done is kept in --results too, so that
the folder of runs need not be.
"""

import argparse
import csv
import hashlib
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxmarl_lite.cli import console
from jaxmarl_lite.comparing.compare import compare
from jaxmarl_lite.comparing.suite import Cell, Suite, read_suite
from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.ops.reliability import mean_interval
from jaxmarl_lite.training.checkpoint import write_text
from jaxmarl_lite.training.machine import machine
from jaxmarl_lite.training.placement import offer_cores
from jaxmarl_lite.training.plan import schedule, to_config
from jaxmarl_lite.view.runs import RETURN, read_runs, series

PUBLISHED = Path(__file__).parents[1] / "benchmarks" / "published" / "papoudakis2021.csv"
INDEPENDENT = " independent"  # how the suite calls the algorithms without shared parameters

# From the undiscounted return summed over agents to the unit of the tables. Of matrix games, adversary and tag they
# have the return of one agent; of spread, the sum over agents of a reward twice ours. Foraging and speaker-listener
# are sums over agents.
UNITS = {"climbing": 1 / 2, "penalty": 1 / 2, "spread": 2.0, "adversary": 1 / 2, "tag": 1 / 3}

# What --quick keeps: a task of every kind, each with a share of its budget that fits.
QUICK_ALGOS = ("iql", "ia2c", "ippo", "maddpg", "mappo", "qmix")
QUICK_SHARES = {"climbing": 0.1, "penalty-0": 0.1, "speaker_listener": 0.05, "lbf-8x8-2p-2f-coop": 0.03}


class Reached(NamedTuple):
    """A maximum over evaluations of the mean over seeds, in the unit of the tables."""

    value: float
    half_width: float
    """of its 95 % interval"""


class Entry(NamedTuple):
    """A cell of the table: what we reached, and how."""

    task: str
    algo: str
    sharing: str
    reached: Reached
    best_at: int
    """environment steps after which it was reached"""
    env_steps: int
    """environment steps of each seed in all"""
    seeds: int
    seconds: float
    """training and evaluating all seeds"""
    digest: str
    """of all that the run followed from, but for its length"""

    @property
    def names(self) -> tuple[str, str, str]:
        """Task, algorithm and sharing."""
        return self.task, self.algo, self.sharing


def read_published(path: Path = PUBLISHED) -> dict[tuple[str, str, str], Reached]:
    """Return the published figures by task, algorithm and sharing."""
    with open(path, newline="") as file:
        return {
            (row["task"], row["algo"], row["sharing"]): Reached(float(row["max_return"]), float(row["half_width"]))
            for row in csv.DictReader(file)
        }


def unit_of(task: str) -> float:
    """Return what a return summed over agents is multiplied by to be on the scale of the tables."""
    return UNITS.get(task.split("-")[0], 1.0)


def best_of(values: np.ndarray) -> tuple[int, Reached]:
    """Return the evaluation whose mean over seeds is the greatest, of values [T, K], and that mean.

    The interval is Student's t over seeds at that evaluation, as in the paper; choosing the best of many evaluations
    makes the mean a little too high, there and here alike.
    """
    at = int(values.mean(1).argmax())
    mean, between = float(values[at].mean()), mean_interval(values[at])
    return at, Reached(mean, between[1] - mean if between else 0.0)


def verdict(ours: Reached, theirs: Reached) -> str:
    """Return whether ours is higher, equal or lower: equal if they differ by less than both intervals together.

    The half width of the difference of two independent means is the root of the sum of squares; of a published figure
    without an interval it is taken as 0, and half a unit of its last printed digit is allowed.
    """
    margin = math.hypot(ours.half_width, theirs.half_width) + 0.005
    if abs(ours.value - theirs.value) <= margin:
        return "equal"
    return "higher" if ours.value > theirs.value else "lower"


def names_of(cell: Cell) -> tuple[str, str, str]:
    """Return task, algorithm and sharing of a cell, as the published table has them."""
    sharing = "independent" if cell.algo_name.endswith(INDEPENDENT) else "shared"
    return cell.task_name, cell.algo_name.removesuffix(INDEPENDENT), sharing


def digest_of(cell: Cell) -> str:
    """Return a digest of all that a cell's run follows from, but for its length and the devices that it takes."""
    plan = replace(cell.plan, steps=1.0, devices=None)
    cut = schedule(plan, cell.learner.settings.steps_per_update)
    config = to_config(cell.learner, cell.env, cell.key, plan, cut)
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


def is_done(cell: Cell, entries: Sequence[Entry]) -> bool:
    """Return whether a cell was trained with its settings and at least as long."""
    digest = digest_of(cell)
    return any(entry.digest == digest and entry.env_steps >= cell.plan.steps for entry in entries)


def read_results(path: Path) -> list[Entry]:
    """Return what a file of results holds; raises RunError if it is not one."""
    if not path.exists():
        return []
    try:
        return [Entry(**{**row, "reached": Reached(*row["reached"])}) for row in json.loads(path.read_text())["cells"]]
    except (ValueError, KeyError, TypeError):
        raise RunError(f"{path} is damaged, or not a file of these results.") from None


def joined(known: Sequence[Entry], new: Sequence[Entry], suite: Suite) -> list[Entry]:
    """Return one entry for each cell of the suite that has any.

    Those with the settings of the suite stand before others, then the longer run before the shorter, then the new one.
    """
    digests = {names_of(cell): digest_of(cell) for cell in suite.cells}

    def rank(entry: Entry) -> tuple[bool, int]:
        return entry.digest == digests[entry.names], entry.env_steps

    best: dict[tuple[str, str, str], Entry] = {}
    for entry in (*known, *new):
        if entry.names not in best or rank(entry) >= rank(best[entry.names]):
            best[entry.names] = entry
    return [best[names] for names in digests if names in best]


def entries_of(suite: Suite, out: Path) -> list[Entry]:
    """Return what has been trained to its end."""
    entries = []
    for cell in suite.cells:
        path = out / cell.folder
        if not (path / "summary.json").is_file():
            continue
        (run,) = read_runs([path])
        summary = json.loads((path / "summary.json").read_text())
        names = names_of(cell)
        steps, values = series(run, RETURN)
        at, reached = best_of(values * unit_of(cell.task_name))
        seconds = summary["train_seconds"] + summary["eval_seconds"]
        entry = Entry(
            *names, reached, int(steps[at]), int(steps[-1]), values.shape[1], round(seconds, 1), digest_of(cell)
        )
        entries.append(entry)
    return entries


PAPER = read_published()
OPPONENTS = ("adversary", "tag")  # tasks whose opponents follow a rule of ours
MARKS = {"higher": "▲", "equal": "=", "lower": "▼"}

HEADER = """\
# The comparison of Papoudakis et al. 2021

Made by `python scripts/reproduce_epymarl.py` on {device}, {cores} cores, jax {jax}: {done} of {cells} cells,
{hours:.1f} hours of training and evaluating, all seeds of a cell as one program, in part beside other work. A cell has
our maximum over as many as {blocks} evaluations of 100 episodes of the mean over {seeds} seeds with its 95 % interval,
below it what the paper has (arXiv:2006.07869, tables 3 and 7), all on the paper's scale. **▲** ours is higher, **=**
the two differ by less than the root of the sum of the squares of both intervals, **▼** ours is lower.
Where a number of steps stands below, the cell was trained so many for each seed instead of the paper's budget (20M
steps for IA2C, IPPO, COMA, MAA2C and MAPPO, 2M for the others; of matrix games 2.5M and 250k). Where "before" does,
it is of settings that have changed since. Several versions of the library trained these cells.

Opponents in adversary and tag follow a rule of ours, because the paper's trained ones are not to be had: these rows
are comparable in kind only. Settings are those that ship, but for what jaxmarl_lite/configs/epymarl.toml says.

{counts}
"""


def table(entries: Sequence[Entry], suite: Suite, sharing: str) -> str:
    """Return the Markdown table of one way to share."""
    by_name = {(entry.task, entry.algo): entry for entry in entries if entry.sharing == sharing}
    cell_of = by_names(suite)
    algos = list(dict.fromkeys(algo for _, algo, _ in cell_of))
    tasks = [task for task in suite.tasks if any((task, algo) in by_name for algo in algos)]
    lines = ["| task | " + " | ".join(algos) + " |", "| --- |" + " --- |" * len(algos)]
    for task in tasks:
        cells = [_cell(by_name.get((task, algo)), cell_of[task, algo, sharing]) for algo in algos]
        lines.append(f"| {task} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def by_names(suite: Suite) -> dict[tuple[str, str, str], Cell]:
    """Return the cells by task, algorithm and sharing."""
    return {names_of(cell): cell for cell in suite.cells}


def _cell(entry: Entry | None, cell: Cell) -> str:
    if entry is None:
        return ""
    published = PAPER[entry.names]
    lines = [f"**{MARKS[verdict(entry.reached, published)]}** {_figure(entry.reached)}", _figure(published)]
    if entry.env_steps < cell.plan.steps:
        lines.append(f"{entry.env_steps / 1e6:.2g}M")
    if entry.digest != digest_of(cell):
        lines.append("before")
    return "<br>".join(lines)


def _figure(reached: Reached) -> str:
    return f"{reached.value:.2f} ± {reached.half_width:.2f}"


def counts(entries: Sequence[Entry], suite: Suite) -> str:
    """Return how many cells are higher, equal and lower, and which are lower after which share of the budget.

    Those against opponents that are not the paper's are counted apart.
    """
    apart = [entry for entry in entries if entry.task in OPPONENTS]
    text = f"{_counted([entry for entry in entries if entry not in apart])}."
    if apart:
        text += f" Against opponents of ours: {_counted(apart)}."
    cell_of = by_names(suite)
    lower = [
        f"- {e.task}: {e.algo} ({e.sharing}), {_figure(e.reached)} against {_figure(PAPER[e.names])}, after "
        f"{min(1.0, e.env_steps / cell_of[e.names].plan.steps):.0%} of the steps"
        for e in entries
        if verdict(e.reached, PAPER[e.names]) == "lower"
    ]
    return text + ("\n\nLower:\n\n" + "\n".join(lower) if lower else "")


def _counted(entries: Sequence[Entry]) -> str:
    told = [verdict(entry.reached, PAPER[entry.names]) for entry in entries]
    return ", ".join(f"{told.count(kind)} {kind}" for kind in MARKS)


def document(entries: Sequence[Entry], suite: Suite, about: dict[str, Any]) -> str:
    """Return the whole page; `suite` is the published one, with its whole budgets."""
    text = HEADER.format(
        **about,
        done=len(entries),
        cells=len(suite.cells),
        hours=sum(entry.seconds for entry in entries) / 3600,
        blocks=suite.cells[0].plan.blocks,
        seeds=suite.cells[0].plan.seeds,
        counts=counts(entries, suite),
    )
    for sharing, title in (("shared", "With shared parameters"), ("independent", "Without")):
        if any(entry.sharing == sharing for entry in entries):
            text += f"\n## {title}\n\n{table(entries, suite, sharing)}\n"
    return text


def shortened(suite: Suite, share_of: Callable[[str], float]) -> Suite:
    """Return the suite with a share of every budget, which follows from the task."""
    cells = (
        replace(cell, plan=replace(cell.plan, steps=cell.plan.steps * share_of(cell.task_name))) for cell in suite.cells
    )
    return replace(suite, cells=tuple(cells))


def quick(suite: Suite) -> Suite:
    """Return the part that takes ten minutes."""
    return shortened(suite.only(QUICK_ALGOS, tuple(QUICK_SHARES)), QUICK_SHARES.__getitem__)


def main() -> int:
    """Train what is missing and write the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/epymarl"), help="folder of the runs and the table")
    parser.add_argument("--quick", action="store_true", help="a small part with small budgets, in ten minutes")
    parser.add_argument("--tasks", nargs="+", help="some tasks only")
    parser.add_argument("--algos", nargs="+", help="some algorithms only, such as ippo 'ippo independent'")
    parser.add_argument("--share", type=float, default=1.0, help="share of the published budgets, 1 for all")
    parser.add_argument("--devices", type=int, help="devices, 1 where several processes share the work")
    parser.add_argument("--overwrite", action="store_true", help="replace runs in --out of other settings or budgets")
    parser.add_argument("--results", type=Path, help="JSON file of cells that are done; default OUT/epymarl.json")
    parser.add_argument("--table", type=Path, help="Markdown file to write; default OUT/epymarl.md")
    given = parser.parse_args()
    try:
        return run(given)
    except (SettingError, RunError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingError) else 1


def run(given: argparse.Namespace) -> int:
    """Do what the command line says."""
    if not 0.0 < given.share <= 1.0:
        raise SettingError(f"share={given.share} is not allowed: it must be above 0 and at most 1.")
    whole = read_suite("epymarl")
    part = shortened(quick(whole) if given.quick else whole, lambda task: given.share).only(given.algos, given.tasks)
    path, page = given.results or given.out / "epymarl.json", given.table or given.out / "epymarl.md"
    for file in (path, page):  # now, not after the training
        file.parent.mkdir(parents=True, exist_ok=True)
    known = read_results(path)
    missing = replace(part, cells=tuple(cell for cell in part.cells if not is_done(cell, known)))
    if given.devices:
        missing = missing.with_plan(devices=given.devices)
    failed = []
    if missing.cells:
        offer_cores(given.devices)
        with console.SuiteLine() as line:
            done = compare(missing, out=given.out, overwrite=given.overwrite, callbacks=(line,))
        failed = [result.cell.name for result in done.results if result.failure]
    entries = joined(read_results(path), entries_of(missing, given.out), whole)
    if not entries:
        raise RunError(f"no cell is done in {str(given.out)!r}.")
    rows = [entry._asdict() for entry in entries]
    told = machine()
    about = {"device": told["device"], "cores": os.cpu_count(), "jax": told["versions"]["jax"]}
    write_text(path, json.dumps({**about, "cells": rows}, indent=1) + "\n")
    write_text(page, document(entries, whole, about))
    print(f"{counts(entries, whole)}\nwritten to {page} and {path}")
    if failed:
        raise RunError(f"{len(failed)} of {len(missing.cells)} runs failed: {', '.join(failed)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
