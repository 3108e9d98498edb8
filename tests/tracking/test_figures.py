"""What trackers are told of rows."""

import pytest

from jaxmarl_lite.tracking.figures import figures_of, summary_of

ROW = {
    "block": 2,
    "seed": 0,
    "env_steps": 80,
    "return_sum": 3.0,
    "return_per_agent": [1.0, 2.0],
    "eval_return_sum": 5.0,
    "loss": 0.5,
    "action_frequency": [[0.5, 0.5], [1.0, 0.0]],
}
NOTHING_ENDED = {**ROW, "seed": 1, "return_sum": None, "return_per_agent": None, "eval_return_sum": 9.0, "loss": 1.5}


def test_of_one_seed_there_are_its_own_figures():
    assert figures_of([ROW]) == {
        "eval/return_sum": 5.0,
        "train/return_sum": 3.0,
        "train/return_per_agent/0": 1.0,
        "train/return_per_agent/1": 2.0,
        "train/loss": 0.5,
    }


def test_of_several_seeds_there_are_means_of_what_is_known_and_each_seed_apart():
    figures = figures_of([ROW, NOTHING_ENDED])
    assert (figures["eval/return_sum"], figures["train/loss"], figures["train/return_sum"]) == (7.0, 1.0, 3.0)
    assert (figures["seed_0/eval/return_sum"], figures["seed_1/eval/return_sum"]) == (5.0, 9.0)
    assert "seed_0/train/return_sum" in figures
    assert "seed_1/train/return_sum" not in figures


def test_of_a_summary_there_are_its_numbers():
    summary = {"algo": "ippo", "env_steps": 160, "eval": {"return_sum": 7.0, "return_sum_ci95": None}}
    assert summary_of(summary) == pytest.approx({"summary/env_steps": 160, "summary/return_sum": 7.0})
