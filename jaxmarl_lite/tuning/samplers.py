"""Who names the trials: all at once, or some after hearing of those before."""

import importlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from jaxmarl_lite.core.errors import RunError
from jaxmarl_lite.tuning.settings import SweepPlan
from jaxmarl_lite.tuning.space import Range, Space, Values, rounded, sample

Scores = Sequence[float | None]


class Proposer(Protocol):
    """Names trials in batches; the same ones, if it hears the same of them."""

    @property
    def trials(self) -> int:
        """How many trials there will be."""
        ...

    def batches(self) -> Iterator[list[Values]]:
        """Yield batches of trials; each has to be told of before the next is asked for."""
        ...

    def tell(self, scores: Scores) -> None:
        """Hear how good the trials of the last batch were; None: it diverged."""
        ...


class Listed:
    """Names all trials at once."""

    def __init__(self, trials: list[Values]) -> None:
        self._trials = trials

    @property
    def trials(self) -> int:
        """How many trials there are."""
        return len(self._trials)

    def batches(self) -> Iterator[list[Values]]:
        """Yield all trials."""
        yield self._trials

    def tell(self, scores: Scores) -> None:
        """Hear how good they were, which changes nothing."""


class Study:
    """Names trials by Optuna's tree-structured Parzen estimator (Bergstra et al. 2011).

    While a batch is named, those of it that were named before are taken to be bad, so that they differ.
    """

    def __init__(self, space: Space, plan: SweepPlan, seed: Sequence[int]) -> None:
        self._optuna = _optuna()
        number = int(np.random.SeedSequence(seed).generate_state(1)[0])
        sampler = self._optuna.samplers.TPESampler(seed=number, constant_liar=True)
        self._study = self._optuna.create_study(direction="maximize", sampler=sampler)
        self._kinds = {name: self._kind(one) for name, one in space.items()}
        self._asked: list[Any] = []
        self._batch, self.trials = plan.optuna_batch, plan.trials

    def batches(self) -> Iterator[list[Values]]:
        """Yield batches of trials."""
        for first in range(0, self.trials, self._batch):
            count = min(self._batch, self.trials - first)
            self._asked = [self._study.ask(self._kinds) for _ in range(count)]
            yield [{name: rounded(value) for name, value in trial.params.items()} for trial in self._asked]

    def tell(self, scores: Scores) -> None:
        """Hear how good the trials of the last batch were."""
        pruned = self._optuna.trial.TrialState.PRUNED  # what the estimator counts as worse than any return
        for trial, score in zip(self._asked, scores, strict=True):
            self._study.tell(trial, score, state=pruned if score is None else None)

    def _kind(self, one: Range) -> Any:
        if one.is_choice:
            return self._optuna.distributions.CategoricalDistribution(one.values)
        return self._optuna.distributions.FloatDistribution(*one.values, log=one.kind == "log")


def proposer_of(space: Space, plan: SweepPlan, seed: Sequence[int]) -> Proposer:
    """Return who names the trials of a sweep.

    Raises SettingError if a grid does not fit, RunError if Optuna is asked for and not installed.
    """
    if plan.sampler == "optuna":
        return Study(space, plan, seed)
    return Listed(sample(space, plan.sampler, plan.trials, seed))


def _optuna() -> Any:
    try:
        optuna: Any = importlib.import_module("optuna")
    except ImportError:
        raise RunError("sampler='optuna' needs Optuna: pip install 'jaxmarl-lite[optuna]'.") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
