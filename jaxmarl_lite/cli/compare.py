"""The word of the command that compares algorithms over tasks."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from jaxmarl_lite.cli import console, options
from jaxmarl_lite.core.errors import RunError
from jaxmarl_lite.core.settings import require_int

_TUPLE = tyro.conf.arg(metavar="NAME ...")


@dataclass(frozen=True)
class Compare:
    """Train algorithms x tasks x seeds as a TOML file says, and write a report that compares them.

    The same command again goes on where it was stopped: what is finished is kept.
    """

    suite: Annotated[str, tyro.conf.Positional]
    """file of the suite, or the name of one that comes with this package: first"""
    out: Path | None = None
    """folder to write; left out: runs/compare-NAME"""
    only_algos: Annotated[tuple[str, ...], _TUPLE] = ()
    """train these algorithms only, by their names in the suite"""
    only_tasks: Annotated[tuple[str, ...], _TUPLE] = ()
    """train these tasks only, by their names in the suite"""
    steps: float | None = None
    """environment steps of each seed in every cell, whatever the suite says"""
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
        results = comparing.compare(
            suite, out=out, only_algos=given.only_algos or None, only_tasks=given.only_tasks or None,
            overwrite=given.overwrite, callbacks=(line,),
        )  # fmt: skip
    failed = [result for result in results if result.failure]
    if failed:
        raise RunError(f"{len(failed)} of {len(results)} runs failed, the first of them {failed[0].cell.name}.")
