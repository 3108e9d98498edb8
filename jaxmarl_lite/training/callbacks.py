"""What a run tells those who look on: how it begins, each block, and how it ends."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from jaxmarl_lite.core.env import Env, Key, Tree
from jaxmarl_lite.learners.learner import Learner
from jaxmarl_lite.training.folder import Row
from jaxmarl_lite.training.plan import Plan


class Progress(NamedTuple):
    """What a callback learns after each block."""

    block: int
    """blocks done"""
    blocks: int
    """blocks of the whole run"""
    env_steps: int
    """environment steps done, for each seed"""
    rows: list[Row]
    """metrics of the block, one row for each seed"""
    env_steps_per_second: float
    """of all seeds together, in this block"""


class Result(NamedTuple):
    """What a run leaves."""

    state: Tree
    """the learner's whole state; leaves have a leading axis K of seeds"""
    rows: list[Row]
    """metrics, one row for each block and seed"""
    summary: Row
    """the run in figures, as in summary.json"""


class Beginning(NamedTuple):
    """What a watcher learns before the first block."""

    learner: Learner
    env: Env
    key: Key
    """from which all randomness of the run follows"""
    plan: Plan
    folder: Path | None
    """the run's, if it is written to disk"""
    rows: list[Row]
    """metrics of the blocks that are done: those before the checkpoint from which the run goes on"""


Callback = Callable[[Progress], None]


class Watcher:
    """A callback that also hears how a run begins and how it ends; says nothing to any of it."""

    def begin(self, run: Beginning) -> None:
        """Hear of a run before its first block, or that of one that is done and has no more."""

    def __call__(self, at: Progress) -> None:
        """Hear of a block."""

    def end(self, result: Result | None) -> None:
        """Hear what the run left; None if it was stopped or failed."""


class Audience:
    """All that look on at a run; as a context, the watchers among them hear of the end whatever it is."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._callbacks = callbacks
        self._begun: list[Watcher] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._dismiss(None)

    def begin(self, run: Beginning) -> None:
        """Tell the watchers that a run begins."""
        for callback in self._callbacks:
            if isinstance(callback, Watcher):
                self._begun.append(callback)
                callback.begin(run)

    def tell(self, at: Progress) -> None:
        """Tell everybody of a block."""
        for callback in self._callbacks:
            callback(at)

    def end(self, result: Result) -> Result:
        """Tell the watchers what the run left; returns it."""
        self._dismiss(result)
        return result

    def _dismiss(self, result: Result | None) -> None:
        while self._begun:
            self._begun.pop(0).end(result)
