"""Optuna's sampler: what it names, and that it listens."""

import numpy as np
import pytest

from jaxmarl_lite.tuning.samplers import proposer_of
from jaxmarl_lite.tuning.settings import SweepPlan
from jaxmarl_lite.tuning.space import space_of

pytest.importorskip("optuna", reason="Optuna is not installed: pip install 'jaxmarl-lite[optuna]'")

SPACE = space_of({"lr": "log:1e-4:1e-2", "env.k": "-90:0", "clip": "0.1,0.2,0.4"})
PLAN = SweepPlan(steps=40, sampler="optuna", trials=28, optuna_batch=8)


def named(score, seed=(0, 3)):
    """The batches that Optuna names if trials are as good as `score` says of their settings."""
    proposer, batches = proposer_of(SPACE, PLAN, seed), []
    for batch in proposer.batches():
        batches.append(batch)
        proposer.tell([score(values) for values in batch])
    return batches


def mean_k(batches):
    """Of the trials that were named after Optuna had heard of as many as it wants before it chooses."""
    return np.mean([values["env.k"] for batch in batches[2:] for values in batch])


def test_optuna_names_trials_in_the_ranges_and_in_batches():
    batches = named(lambda values: values["env.k"])
    assert [len(batch) for batch in batches] == [8, 8, 8, 4]
    trials = [values for batch in batches for values in batch]
    assert all(
        1e-4 <= one["lr"] <= 1e-2 and -90 <= one["env.k"] <= 0 and one["clip"] in (0.1, 0.2, 0.4) for one in trials
    )
    assert len({tuple(one.values()) for one in trials}) == 28


def test_optuna_names_the_same_trials_if_it_hears_the_same():
    first = named(lambda values: values["env.k"])
    assert first == named(lambda values: values["env.k"])
    assert first != named(lambda values: values["env.k"], seed=(0, 4))


def test_optuna_goes_where_returns_are_high_and_away_from_where_trials_diverge():
    up, down = named(lambda values: values["env.k"]), named(lambda values: -values["env.k"])
    assert up[:1] == down[:1]  # before it has heard of any
    assert mean_k(up) > -30
    assert mean_k(down) < -60
    high = named(lambda values: None if values["env.k"] < -45 else 1.0)
    low = named(lambda values: None if values["env.k"] > -45 else 1.0)
    assert mean_k(high) - mean_k(low) > 20
