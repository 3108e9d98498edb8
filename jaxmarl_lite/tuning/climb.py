"""Trials on their way up the rungs: what is missing is trained, and what became of each is a row."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxmarl_lite.core.env import Tree
from jaxmarl_lite.training.evaluate import Episodes, summarise
from jaxmarl_lite.training.folder import Row
from jaxmarl_lite.tuning.copies import Copies, Outcome
from jaxmarl_lite.tuning.family import Family
from jaxmarl_lite.tuning.halving import Rung, ranked, survivors
from jaxmarl_lite.tuning.space import Values

_SHOWN = ("return_sum", "return_sum_ci95", "return_sum_per_seed", "return_per_agent", "length")
COLUMNS = ("trial", "rung", "env_steps", "settings", *_SHOWN)
"""What a row tells of a trial."""


class SweepProgress(NamedTuple):
    """What a callback learns as a sweep goes on."""

    trials_done: int
    """of all rungs together"""
    trials_in_all: int
    env_steps: int
    """environment steps done, of all trials and seeds together"""
    env_steps_in_all: int
    env_steps_per_second: float
    """of what this process has trained"""
    best: Row | None
    """the best trial so far"""


class Sizes(NamedTuple):
    """What the rungs of a sweep are measured by."""

    ladder: list[Rung]
    seeds: int
    steps_per_update: int
    updates: int
    """of a whole run, by which schedules go"""
    blocks: int
    """into which `train` cuts that, which number the evaluations"""

    def span(self, rung: int, is_fresh: bool) -> tuple[int, int, int]:
        """Return the updates done before a rung, those after it, and those of a whole run."""
        done = 0 if is_fresh or not rung else self.ladder[rung - 1].updates
        return done, self.ladder[rung].updates, self.updates

    def block(self, rung: int) -> int:
        """Return the number of the evaluation at the end of a rung."""
        return self.ladder[rung].updates * self.blocks // self.updates

    def env_steps(self, rung: int) -> int:
        """Return the environment steps of all seeds of a trial in a rung."""
        done, until, _ = self.span(rung, is_fresh=False)
        return (until - done) * self.steps_per_update * self.seeds

    @property
    def env_steps_in_all(self) -> int:
        """Environment steps of the whole sweep."""
        return sum(rung.trials * self.env_steps(number) for number, rung in enumerate(self.ladder))

    @property
    def trials_in_all(self) -> int:
        """Trials of all rungs together."""
        return sum(rung.trials for rung in self.ladder)


class Climb:
    """Trains trials rung by rung, and leaves out what `rows` has of them already."""

    def __init__(
        self,
        family: Family,
        sizes: Sizes,
        copies: Copies,
        rows: Sequence[Row],
        record: Callable[[Row, float], None],
        callbacks: Sequence[Callable[[SweepProgress], None]],
    ) -> None:
        """Let `record` hear of each new row, as soon as it is known, and of the seconds since the one before."""
        self.rows, self.trained, self._recorded = list(rows), 0, 0.0
        self._family, self._sizes, self._copies = family, sizes, copies
        self._record, self._callbacks = record, callbacks
        self._known = sum(sizes.env_steps(row["rung"]) for row in rows)
        self._began = time.perf_counter()

    def climb(self, trials: Mapping[int, Values]) -> list[Row]:
        """Train trials, given by their numbers, up to the last rung; returns the last row of each, the best first."""
        going, states = sorted(trials), {}
        for number in range(len(self._sizes.ladder)):
            states = self._rung(number, {trial: trials[trial] for trial in going}, states)
            later = self._sizes.ladder[number + 1 :]
            going = survivors(self._of_rung(number), later[0].trials) if later else []
        return [row for row in ranked(self.rows) if row["trial"] in trials]

    def _rung(self, number: int, trials: dict[int, Values], before: dict[int, list[Tree]]) -> dict[int, list[Tree]]:
        """Train what is missing of a rung; returns the states of those that will go on, as far as they were trained.

        What a rung began from is not on disk: who has no state begins anew, at no more than the cost of a rung.
        """
        known = {row["trial"] for row in self._of_rung(number)}
        missing = [trial for trial in trials if trial not in known]
        is_fresh = not all(trial in before for trial in missing)
        copies = [copy for trial in missing for copy in self._family.copies(trial, trials[trial], self._sizes.seeds)]
        states = None if is_fresh or not number else [state for trial in missing for state in before[trial]]
        later, kept, outcomes = self._sizes.ladder[number + 1 :], {}, []
        span, block = self._sizes.span(number, is_fresh), self._sizes.block(number)
        for outcome in self._copies.train(copies, span, block, states, self._told):
            outcomes.append(outcome)
            if len(outcomes) < self._sizes.seeds:
                continue
            trial = outcome.copy.trial
            self._add(self._row(number, trials[trial], outcomes))
            best = survivors(self._of_rung(number), later[0].trials) if later else []
            kept = {one: state for one, state in kept.items() if one in best}
            if trial in best:
                kept[trial] = [outcome.state() for outcome in outcomes]
            outcomes = []
        return kept

    def _of_rung(self, number: int) -> list[Row]:
        return [row for row in self.rows if row["rung"] == number]

    def _row(self, rung: int, values: Values, outcomes: Sequence[Outcome]) -> Row:
        stacked: Any = [np.stack(leaves) for leaves in zip(*(one.episodes for one in outcomes), strict=True)]
        episodes = Episodes(*stacked)
        sound = [one.is_finite and bool(np.isfinite(one.episodes.episode_return).all()) for one in outcomes]
        figures = {name: value for name, value in summarise(episodes).items() if name in _SHOWN}
        if not all(sound):
            of_seeds = zip(figures["return_sum_per_seed"], sound, strict=True)
            figures = {
                **dict.fromkeys(figures),
                "return_sum_per_seed": [x if is_sound else None for x, is_sound in of_seeds],
            }
        steps = self._sizes.ladder[rung].updates * self._sizes.steps_per_update
        return {"trial": outcomes[0].copy.trial, "rung": rung, "env_steps": steps, "settings": values, **figures}

    def _add(self, row: Row) -> None:
        seconds = self.seconds
        self.rows.append(row)
        self._record(row, seconds - self._recorded)
        self._recorded = seconds
        self._call()

    def _told(self, env_steps: int) -> None:
        self.trained += env_steps
        self._call()

    def _call(self) -> None:
        best = ranked(self.rows)[:1]
        whole = self._sizes.env_steps_in_all
        done = min(self._known + self.trained, whole)
        now = SweepProgress(
            len(self.rows), self._sizes.trials_in_all, done, whole, self.speed, best[0] if best else None
        )
        for callback in self._callbacks:
            callback(now)

    @property
    def seconds(self) -> float:
        """Seconds spent in training and evaluating, without compiling."""
        watch = self._copies.watch
        return time.perf_counter() - self._began - watch.trace_seconds - watch.compile_seconds

    @property
    def speed(self) -> float:
        """Environment steps a second of training and evaluating, those of training alone counted."""
        return self.trained / max(self.seconds, 1e-9)
