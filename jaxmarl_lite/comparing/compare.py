"""All cells of a suite, one after another, by as many processes as care to share them."""

import json
import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jaxmarl_lite.comparing.outputs import REPORT, Finished, write_outputs
from jaxmarl_lite.comparing.pace import Pace
from jaxmarl_lite.comparing.suite import Cell, Suite
from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.environments.contract import check_shapes
from jaxmarl_lite.training import loop
from jaxmarl_lite.training.claims import FOREVER, claim, is_claimed
from jaxmarl_lite.training.folder import CONFIG, Row, RunFolder
from jaxmarl_lite.training.plan import schedule, to_config

# In these a run may differ and still learn the same, but for the rounding of sums.
_NO_MATTER = ("devices", "keep")


class CellResult(NamedTuple):
    """What became of a cell; neither summary nor failure if another process still trains it."""

    cell: Cell
    path: Path
    """the folder of its run"""
    summary: Row | None
    """as in its summary.json"""
    failure: str | None
    """why it stopped"""


class Comparison(NamedTuple):
    """What a comparison leaves."""

    results: list[CellResult]
    """what became of each cell"""
    report: Path | str
    """the page, or why it was not written"""


class SuiteProgress(NamedTuple):
    """What a callback learns as a suite goes on: when a cell begins, after each of its blocks, and when it ends."""

    cell: Cell
    block: loop.Progress | None
    """of the cell, if it is after one"""
    result: CellResult | None
    """of the cell, if it has ended"""
    cells_done: int
    cells_in_all: int
    env_steps: int
    """of all cells and seeds together"""
    env_steps_in_all: int
    seconds_left: float | None
    """None: nothing is known yet"""


Callback = Callable[[SuiteProgress], None]


@dataclass(frozen=True)
class _Job:
    """A cell and where its run is."""

    cell: Cell
    path: Path
    config: Row
    """all that the run follows from"""

    @property
    def env_steps(self) -> int:
        """Environment steps of each seed."""
        cut = self.config["schedule"]
        return cut["updates_per_block"] * cut["blocks"] * self.cell.learner.settings.steps_per_update

    @property
    def is_begun(self) -> bool:
        """Whether the folder holds a run."""
        return (self.path / CONFIG).is_file()

    def is_same(self) -> bool:
        """Whether the run in the folder is that of the cell."""
        try:
            saved = RunFolder.open(self.path).config()
            wanted = {**self.config, "plan": {**self.config["plan"], **{k: saved["plan"][k] for k in _NO_MATTER}}}
        except (RunError, KeyError, TypeError):
            return False
        return all(saved.get(name) == value for name, value in wanted.items())

    def summary(self) -> Row | None:
        """Return the run's figures, or None if it has not come to its end."""
        return RunFolder(self.path).summary(self.env_steps) if self.is_begun and self.is_same() else None


def compare(
    suite: Suite,
    *,
    out: str | Path,
    only_algos: Collection[str] | None = None,
    only_tasks: Collection[str] | None = None,
    overwrite: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Comparison:
    """Train every cell of a suite, each in a folder of its own under `out`, and write the comparison of them all.

    What is finished in `out` is kept, and what was interrupted goes on from its last checkpoint. Other processes may
    work on the same folder at the same time: each takes cells that no other has. Runs of cells that the suite has
    changed are replaced with `overwrite`. A cell that diverges has a `failure`, and the others go on.

    Raises SettingError on a value that is not allowed, before anything is compiled or written.
    """
    jobs = [_job(cell, Path(out)) for cell in suite.only(only_algos, only_tasks).cells]
    changed = [job for job in jobs if job.is_begun and not job.is_same()]
    if changed and not overwrite:
        raise SettingError(
            f"out={str(out)!r} has {len(changed)} run(s) with other settings than the suite says, the first of them "
            f"{changed[0].cell.name}: choose another folder, or replace them with overwrite."
        )
    _require_possible([job for job in jobs if job.summary() is None])
    results = _Work(jobs, callbacks).results()
    failures = {result.cell.name: result.failure for result in results if result.failure}
    return Comparison(results, _report(suite, Path(out), failures))


def _report(suite: Suite, out: Path, failures: dict[str, str]) -> Path | str:
    """Write what follows from all that is finished, if no other process will do so after this one.

    Returns the page, or why it was not written.
    """
    jobs = [_job(cell, out) for cell in suite.cells]
    with claim(out / REPORT, FOREVER):  # two that ask at once would each take the other's question for work
        if any(is_claimed(job.path) for job in jobs):
            return "another process is still at work"
        return _write(suite, out, jobs, failures)


def _write(suite: Suite, out: Path, jobs: Sequence[_Job], failures: dict[str, str]) -> Path | str:
    found = [(job, job.summary()) for job in jobs]
    finished = [Finished(job.cell, job.path, summary) for job, summary in found if summary is not None]
    missing = {job.cell.name: failures.get(job.cell.name, "not finished") for job, summary in found if summary is None}
    return write_outputs(suite, out, finished, missing) if finished else "no run is finished"


def _job(cell: Cell, out: Path) -> _Job:
    cut = schedule(cell.plan, cell.learner.settings.steps_per_update)
    config = to_config(cell.learner, cell.env, cell.key, cell.plan, cut)
    return _Job(cell, out / cell.folder, json.loads(json.dumps(config)))


def _require_possible(jobs: Sequence[_Job]) -> None:
    for env in {id(job.cell.env): job.cell.env for job in jobs}.values():
        check_shapes(env)
    for job in jobs:
        try:
            loop.fitted(job.cell.learner, job.cell.env, job.cell.plan)
        except SettingError as error:
            raise SettingError(f"{job.cell.name}: {error}") from None


class _Work:
    """Goes through jobs until each is finished, has failed, or is another process's."""

    def __init__(self, jobs: Sequence[_Job], callbacks: Sequence[Callback]) -> None:
        self._jobs, self._callbacks, self._pace = jobs, callbacks, Pace()
        self._results: dict[Path, CellResult] = {}
        self._done: dict[Path, int] = {}  # environment steps of each seed, of cells that this process has in hand

    def results(self) -> list[CellResult]:
        """Return what became of each job, in order."""
        is_moving = True
        while is_moving:
            missing = [job for job in self._jobs if job.path not in self._results]
            is_moving = sum(map(self._take, missing)) > 0
        others = {job.path: CellResult(job.cell, job.path, None, None) for job in self._jobs}
        return list({**others, **self._results}.values())

    def _take(self, job: _Job) -> bool:
        """Finish a job, unless another process has it; returns whether it is finished."""
        summary = job.summary()
        if summary is None:
            with claim(job.path) as is_mine:
                if not is_mine:
                    return False
                self._end(job, *self._train(job))
                return True
        seconds = math.fsum(summary.get(name) or 0.0 for name in ("train_seconds", "eval_seconds"))
        self._pace.saw(job.cell.algo_name, job.env_steps * job.cell.plan.seeds, seconds)
        self._end(job, summary, None)
        return True

    def _train(self, job: _Job) -> tuple[Row | None, str | None]:
        """Return the summary of a job, or why it failed."""
        cell = job.cell
        self._tell(job, None, None)
        told = self._timed(job)
        try:
            if job.is_begun and job.is_same():
                return loop.resume(job.path, devices=cell.plan.devices, callbacks=(told,)).summary, None
            plan = vars(cell.plan)
            result = loop.train(
                cell.learner, cell.env, cell.key, out=job.path, overwrite=True, callbacks=(told,), **plan
            )
            return result.summary, None
        except RunError as error:
            return None, str(error)

    def _timed(self, job: _Job) -> loop.Callback:
        """Return a callback of training that takes the time of every block and tells of it."""
        last, is_first = time.perf_counter(), True

        def told(block: loop.Progress) -> None:
            nonlocal last, is_first
            now, size = time.perf_counter(), block.env_steps // block.block * job.cell.plan.seeds
            seconds = now - last
            if is_first:
                training = min(size / block.env_steps_per_second, seconds)
                self._pace.saw_start(seconds - training)
                seconds = training
            self._pace.saw(job.cell.algo_name, size, seconds)
            last, is_first = now, False
            self._done[job.path] = block.env_steps
            self._tell(job, block, None)

        return told

    def _end(self, job: _Job, summary: Row | None, failure: str | None) -> None:
        result = self._results[job.path] = CellResult(job.cell, job.path, summary, failure)
        self._done[job.path] = job.env_steps
        self._tell(job, None, result)

    def _tell(self, job: _Job, block: loop.Progress | None, result: CellResult | None) -> None:
        whole = {job.path: job.env_steps * job.cell.plan.seeds for job in self._jobs}
        done = {job.path: self._done.get(job.path, 0) * job.cell.plan.seeds for job in self._jobs}
        work = [
            (job.cell.algo_name, whole[job.path] - done[job.path], job.path not in self._done)
            for job in self._jobs
            if job.path not in self._results
        ]
        at = SuiteProgress(
            job.cell, block, result, len(self._results), len(self._jobs), sum(done.values()), sum(whole.values()),
            self._pace.seconds_for(work),
        )  # fmt: skip
        for callback in self._callbacks:
            callback(at)
