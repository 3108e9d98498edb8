"""Sweeps: what is tried, what each trial learns, who goes on, and what is left after a stop."""

import importlib.util
import json
import shutil
from collections import Counter

import jax
import numpy as np
import pytest

from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.training.loop import train
from jaxmarl_lite.tuning.halving import ladder, ranked, survivors
from jaxmarl_lite.tuning.space import Range, sample, space_of
from jaxmarl_lite.tuning.sweep import resume_sweep, sweep

pytestmark = pytest.mark.usefixtures("quick_compilation")
KEY, SPACE = jax.random.key(3), {"lr": "log:1e-4:1e-2", "env.k": "-90:0"}
PLAN = {"steps": 320, "trials": 6, "seeds": 2, "halving": 2, "rungs": 2, "eval_episodes": 4, "devices": 1}


@pytest.fixture(scope="module")
def learner():
    return make_learner("ippo", num_envs=8, rollout_length=5, minibatches=2, hidden=(8,))


@pytest.fixture(scope="module")
def swept(learner, tmp_path_factory):
    """A small sweep and its folder; not to be changed."""
    out = tmp_path_factory.mktemp("swept") / "sweep"
    return out, sweep(learner, make("matrix/penalty", horizon=5), KEY, space=SPACE, out=out, **PLAN)


@pytest.fixture
def swept_copy(swept, tmp_path):
    """A copy of the small sweep's folder, to be spoilt."""
    return shutil.copytree(swept[0], tmp_path / "copy")


@pytest.mark.parametrize("text", ["", "x", "1:", "2:1", "log:0:1", "log:1", "1:2:3", "1,1", "nan:1", "log:1,2"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(SettingError, match="is no range"):
        Range.parse("lr", text)


def test_samples_lie_in_their_ranges_and_follow_from_the_seed():
    space = space_of({"a": "log:1e-4:1e-2", "b": "-1:3", "c": "1,2,5"})
    for sampler in ("sobol", "random"):
        trials = sample(space, sampler, 48, [0, 7])
        assert trials == sample(space, sampler, 48, [0, 7]) != sample(space, sampler, 48, [0, 8])
        assert all(1e-4 <= one["a"] <= 1e-2 and -1 <= one["b"] <= 3 and one["c"] in (1, 2, 5) for one in trials)
    a = [one["a"] for one in sample(space, "sobol", 64, [0, 7])]
    assert sum(x < 1e-3 for x in a) == 32  # even in the logarithm


def test_a_grid_has_all_combinations():
    grid = sample(space_of({"a": "log:1e-4:1e-2", "c": "1,2"}), "grid", 7, [0])
    assert [(one["a"], one["c"]) for one in grid] == [(a, c) for a in (1e-4, 1e-3, 1e-2) for c in (1, 2)]
    with pytest.raises(SettingError, match="the choices have 3 combinations"):
        sample(space_of({"c": "1,2,3"}), "grid", 2, [0])


def test_rungs_are_fewer_trials_for_longer():
    assert ladder(64, 270, 3) == [(64, 10), (21, 30), (7, 90), (2, 270)]
    assert ladder(5, 7, None) == [(5, 7)]
    with pytest.raises(SettingError, match="too few"):
        ladder(64, 3, 3)


def test_the_best_go_on_and_who_diverged_is_last():
    rows = [{"trial": n, "rung": 0, "return_sum": x} for n, x in enumerate([1.0, None, 3.0, 3.0, -2.0])]
    assert [row["trial"] for row in ranked(rows)] == [2, 3, 0, 4, 1]
    assert survivors(rows, 3) == [0, 2, 3]
    assert survivors(rows, 9) == [0, 2, 3, 4]


def test_each_trial_learns_what_train_does(swept, learner):
    _, result = swept
    for row in result.trials[:2]:
        settings = row["settings"]
        mine = make_learner("ippo", **{**vars(learner.settings), "lr": settings["lr"]})
        env = make("matrix/penalty", horizon=5, k=settings["env.k"])
        alone = train(mine, env, KEY, steps=320, seeds=2, eval_episodes=4, devices=1)
        np.testing.assert_allclose(row["return_sum_per_seed"], alone.summary["eval"]["return_sum_per_seed"], rtol=1e-5)


def test_halving_keeps_the_best_half(swept):
    out, result = swept
    rows = [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines()]
    assert Counter(row["rung"] for row in rows) == {0: 6, 1: 3}
    first = [row for row in rows if row["rung"] == 0]
    assert {row["trial"] for row in rows if row["rung"] == 1} == set(survivors(first, 3))
    assert [row["env_steps"] for row in rows] == [160] * 6 + [320] * 3
    assert result.best["trial"] == result.trials[0] == json.loads((out / "best.json").read_text())["trial"]


def timings(out):
    return [json.loads(line) for line in (out / "timing.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("kept", [2, 7])
def test_a_killed_sweep_goes_on_to_the_same_trials(swept, tmp_path, kept):
    whole = (swept[0] / "trials.jsonl").read_text()
    (tmp_path / "config.json").write_bytes((swept[0] / "config.json").read_bytes())
    (tmp_path / "trials.jsonl").write_text("".join(whole.splitlines(keepends=True)[:kept]) + '{"trial": 5, "ru')
    before = [{**row, "train_seconds": 1e6} for row in timings(swept[0])]
    (tmp_path / "timing.jsonl").write_text("".join(json.dumps(row) + "\n" for row in before[: kept + 1]))
    result = resume_sweep(tmp_path)
    assert (tmp_path / "trials.jsonl").read_text() == whole
    after = timings(tmp_path)
    assert after[:kept] == before[:kept]
    assert [(row["trial"], row["rung"]) for row in after] == [(row["trial"], row["rung"]) for row in before]
    assert result.summary["train_seconds"] == pytest.approx(sum(row["train_seconds"] for row in after))
    assert result.summary["train_seconds"] // 1e6 == kept


@pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="Optuna is not installed")
def test_a_killed_sweep_of_optuna_hears_of_the_same_returns_again(learner, tmp_path):
    plan = {"steps": 40, "trials": 16, "optuna_batch": 6, "sampler": "optuna", "eval_episodes": 4, "devices": 1}
    sweep(learner, make("matrix/penalty", horizon=5), KEY, space=SPACE, out=tmp_path, **plan)
    whole = (tmp_path / "trials.jsonl").read_text()
    assert whole.count("\n") == 16
    (tmp_path / "trials.jsonl").write_text("".join(whole.splitlines(keepends=True)[:13]))
    resume_sweep(tmp_path)
    assert (tmp_path / "trials.jsonl").read_text() == whole


def spoilt(row, **changes):
    return json.dumps({**row, **changes}) + "\n"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: "{\n",
        lambda row: "[1]\n",
        lambda row: json.dumps({"trial": 0, "rung": 0, "return_sum": 1.0}) + "\n",
        lambda row: spoilt(row, trial=6),
        lambda row: spoilt(row, rung=2),
        lambda row: spoilt(row, rung=None),
        lambda row: spoilt(row, return_sum=float("nan")),
        lambda row: spoilt(row, settings={"lr": 1e-3}),
        lambda row: spoilt(row, settings={"lr": 1e-3, "env.k": -1.0}),
    ],
)
def test_trials_that_are_not_of_this_sweep_are_named_and_kept(swept_copy, cli, snapshot, spoil):
    lines = (swept_copy / "trials.jsonl").read_text().splitlines(keepends=True)
    (swept_copy / "trials.jsonl").write_text(spoil(json.loads(lines[0])) + "".join(lines[1:]))
    before = snapshot(swept_copy)
    answer = cli("resume", swept_copy)
    assert answer.status == 1
    assert "trials.jsonl" in answer.sentence
    assert "and its trials are made again." in answer.sentence
    assert snapshot(swept_copy) == before


def test_a_sweep_goes_on_with_as_many_devices_as_it_was_begun_with(swept_copy, cli, monkeypatch):
    config = json.loads((swept_copy / "config.json").read_text())
    config["sweep"]["devices"] = 64
    (swept_copy / "config.json").write_text(json.dumps(config))
    offered = []
    monkeypatch.setattr("jaxmarl_lite.training.placement.offer_cores", offered.append)
    assert "devices=64 is not allowed" in cli("resume", swept_copy).sentence  # JAX has started, with fewer
    assert offered == [64]


@pytest.mark.parametrize("changes", [None, {"sweep": 3}, {"sweep": {}}, {"learner": 3}], ids=str)
def test_a_damaged_config_of_a_sweep_is_named(swept_copy, cli, snapshot, changes):
    config = json.loads((swept_copy / "config.json").read_text())
    (swept_copy / "config.json").write_text("[]" if changes is None else json.dumps({**config, **changes}))
    before = snapshot(swept_copy)
    answer = cli("resume", swept_copy)
    assert answer.status == 1
    assert "config.json is" in answer.sentence
    assert snapshot(swept_copy) == before


def test_a_sweep_that_another_process_works_on_is_left_to_it(swept_copy, learner, snapshot, claimed_elsewhere):
    before, env = snapshot(swept_copy), make("matrix/penalty", horizon=5)
    with claimed_elsewhere(swept_copy):
        with pytest.raises(RunError, match="another process works on"):
            resume_sweep(swept_copy)
        with pytest.raises(RunError, match="another process works on"):
            sweep(learner, env, KEY, space=SPACE, out=swept_copy, **PLAN)
    assert snapshot(swept_copy) == before


def test_the_folder_of_another_sweep_is_kept(swept, learner, snapshot):
    out, before = swept[0], snapshot(swept[0])
    env = make("matrix/penalty", horizon=5)
    for key, space, changes in (
        (jax.random.key(4), SPACE, {}),
        (KEY, {"lr": "log:1e-4:1e-2"}, {}),
        (KEY, SPACE, {"trials": 7}),
    ):
        with pytest.raises(SettingError, match="already holds a run"):
            sweep(learner, env, key, space=space, out=out, **{**PLAN, **changes})
    assert snapshot(out) == before


@pytest.mark.parametrize(
    ("command", "words", "sentence"),
    [
        ("eval", [], "holds a sweep and no run: train its best by `jaxmarl-lite train --config"),
        ("render", [], "holds a sweep and no run"),
        ("plot", [], "holds a sweep and no run"),
        ("resume", ["--steps", "640"], "a sweep goes on as it was begun: leave out --steps, --devices and --track."),
    ],
)
def test_what_is_asked_of_runs_is_refused_of_a_sweep(swept, cli, snapshot, command, words, sentence):
    before = snapshot(swept[0])
    answer = cli(command, swept[0], *words)
    assert answer.status == 2
    assert sentence in answer.sentence
    assert snapshot(swept[0]) == before


def test_one_trial_that_diverges_does_not_stop_the_others(learner, probe):
    env = probe()
    plan = {"steps": 40, "trials": 2, "eval_episodes": 2, "sampler": "grid", "devices": 1}
    result = sweep(learner, env, KEY, space={"env.infinite_from": "2,100"}, **plan)
    assert [row["settings"]["env.infinite_from"] for row in result.trials] == [100.0, 2.0]
    assert result.trials[1]["return_sum"] is None
    assert result.summary["diverged"] == 1
    with pytest.raises(RunError, match="all 1 trials diverged"):
        sweep(learner, env, KEY, space={"env.infinite_from": "2"}, **plan)


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ({}, "nothing is searched"),
        ({"lrr": "0:1"}, "unknown setting of ippo 'lrr'"),
        ({"lr": "0:1"}, "lr=0.0 is not allowed"),
        ({"num_envs": "8,16"}, "num_envs cannot be searched"),
        ({"env.k": "-9:2"}, "k=2.0 is not allowed"),
    ],
)
def test_what_cannot_be_searched_is_refused(learner, space, sentence):
    with pytest.raises(SettingError, match=sentence):
        sweep(learner, make("matrix/penalty", horizon=5), KEY, space=space, steps=40)


def test_the_best_is_a_config_that_train_takes(swept, cli, tmp_path):
    words = ["--config", swept[0] / "best.json", "--env.k", "-25", "--steps", "40", "--eval-episodes", "2"]
    assert cli("train", *words, "--devices", "1", "--out", tmp_path / "run").status == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    best = json.loads((swept[0] / "best.json").read_text())
    assert config["learner"] == best["learner"]
    assert config["env_settings"] == {**best["env_settings"], "k": -25.0}
    answer = cli("train", "mappo", "matrix/penalty", *words)
    assert answer.status == 2
    assert "is of ippo in matrix/penalty" in answer.sentence
