"""What the commands leave and print when all goes well."""

import dataclasses
import inspect
import json
import re
from typing import get_args

import jax
import pytest
from PIL import Image

from jaxmarl_lite.cli.options import (
    bench_train_command,
    chosen_settings,
    env_command,
    parse,
    profile_command,
    train_command,
)
from jaxmarl_lite.cli.sweep import sweep_command
from jaxmarl_lite.environments import registry
from jaxmarl_lite.learners.presets import PRESETS, algos, make_learner
from jaxmarl_lite.learners.replicate import replicate
from jaxmarl_lite.training.folder import RunFolder
from jaxmarl_lite.training.plan import Plan, schedule, to_config

SHIPPED = registry.envs()


def figures_are_whole(figures, seeds, episodes):
    assert figures["episodes"] == seeds * episodes
    assert len(figures["return_sum_per_seed"]) == seeds
    assert figures["return_sum"] == pytest.approx(sum(figures["return_per_agent"]))
    assert figures["return_sum"] == pytest.approx(sum(figures["return_sum_per_seed"]) / seeds)
    assert 0 < figures["length"] <= 20


def test_train_leaves_everything(finished_run):
    names = {path.name for path in finished_run.iterdir()}
    assert names == {"config.json", "metrics.jsonl", "timing.jsonl", "checkpoints", "curve.png", "summary.json"}
    assert len((finished_run / "metrics.jsonl").read_text().splitlines()) == 4 * 2  # blocks x seeds
    assert sorted(path.name for path in (finished_run / "checkpoints").iterdir()) == ["000002", "000003", "000004"]
    with Image.open(finished_run / "curve.png") as picture:
        assert picture.format == "PNG"
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 10  # more than an empty page


def test_a_summary_holds_the_result_and_what_it_was_measured_on(finished_run):
    summary = json.loads((finished_run / "summary.json").read_text())
    assert (summary["algo"], summary["env"], summary["seeds"]) == ("ippo", "grid/navigation", 2)
    assert summary["env_steps"] == 160
    for name in ("compile_seconds", "train_seconds", "eval_seconds", "env_steps_per_second"):
        assert summary[name] > 0
    assert summary["device"].startswith(jax.devices()[0].platform)
    assert summary["versions"]["jax"] == jax.__version__
    figures_are_whole(summary["eval"], seeds=2, episodes=8)


def test_eval_prints_json_that_agrees_with_itself(cli, finished_run):
    answer = cli("eval", finished_run, "--episodes", "3", "--json")
    assert answer.status == 0
    figures_are_whole(json.loads(answer.out), seeds=2, episodes=3)
    assert cli("eval", finished_run, "--episodes", "3", "--json").out == answer.out


def test_eval_prints_a_table(cli, finished_run):
    answer = cli("eval", finished_run, "--episodes", "3", "--sample")
    assert answer.status == 0
    for word in ("return_sum", "return_per_agent", "length", "2 seed(s) at block 4"):
        assert word in answer.out


def test_a_value_based_run_is_trained_and_evaluated(cli, tmp_path):
    sizes = "--num-envs 8 --rollout-length 5 --capacity 20 --batch 8 --warmup 5 --gradient-steps 1 --hidden 8"
    plan = "--priority 0.6 --steps 80 --blocks 2 --eval-episodes 4 --devices 1"
    answer = cli("train", "qmix", "grid/navigation", *sizes.split(), *plan.split(), "--out", tmp_path / "run", "--json")
    assert answer.status == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert json.loads(answer.out) == {**summary, "written_to": str(tmp_path / "run")}
    assert (summary["algo"], summary["env_steps"]) == ("qmix", 80)
    played = cli("eval", tmp_path / "run", "--episodes", 4, "--json")
    assert json.loads(played.out)["episodes"] == 4


def test_resume_of_a_finished_run_prints_its_result(cli, run_copy):
    metrics = (run_copy / "metrics.jsonl").read_bytes()
    answer = cli("resume", run_copy)
    assert answer.status == 0
    assert "ippo in grid/navigation, 2 seed(s)" in answer.out
    assert (run_copy / "metrics.jsonl").read_bytes() == metrics


@pytest.fixture
def untrained_run(tmp_path, learner_settings):
    """Return a function that leaves a run of an environment as it was before any learning."""

    def leave(name, **settings):
        learner, env, plan = make_learner("ippo", **learner_settings), registry.make(name, **settings), Plan(steps=40)
        key = jax.random.key(0)
        cut = schedule(plan, learner.settings.steps_per_update)
        folder = RunFolder.create(tmp_path / "untrained", to_config(learner, env, key, plan, cut))
        folder.save(1, jax.jit(replicate(learner, 1).init)(key, env), keep=1)
        return folder.path

    return leave


@pytest.mark.parametrize(
    ("name", "settings", "steps"),
    [
        ("matrix/chicken", {"horizon": 3}, 3),
        ("grid/navigation", {"horizon": 3, "walls": (".....", ".#.#.", ".....", ".....", ".....")}, 3),
        ("mpe/simple_spread", {}, 25),
    ],
)
def test_render_writes_a_moving_picture(cli, untrained_run, tmp_path, name, settings, steps):
    out = tmp_path / "new" / "team.gif"
    assert cli("render", untrained_run(name, **settings), "--episodes", "1", "--out", out).status == 0
    with Image.open(out) as picture:
        assert picture.format == "GIF"
        assert picture.n_frames > 1
        assert picture.n_frames <= 1 + steps
        first = picture.convert("RGB").tobytes()
        picture.seek(picture.n_frames - 1)
        assert picture.convert("RGB").tobytes() != first


def test_more_episodes_make_a_longer_picture(cli, finished_run, tmp_path):
    frames = []
    for episodes in (1, 2):
        out = tmp_path / f"{episodes}.gif"
        assert cli("render", finished_run, "--episodes", episodes, "--seed", "1", "--out", out).status == 0
        with Image.open(out) as picture:
            frames.append(picture.n_frames)
    assert frames[1] > frames[0] > 1


def test_render_writes_a_page_that_tells_of_the_run(cli, finished_run, tmp_path):
    answer = cli("render", finished_run, "--episodes", "1", "--sample", "--out", tmp_path / "new" / "x.html")
    assert (answer.status, answer.out) == (0, "")
    text = (tmp_path / "new" / "x.html").read_text()
    told = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert told["title"] == "ippo in grid/navigation"
    assert told["about"]["run"] == str(finished_run)
    assert (told["about"]["actions"], told["about"]["horizon"]) == ("drawn", "20")
    (episode,) = told["episodes"]
    assert len(episode["obs"]) == len(episode["action"]) + 1 > 1


def test_bench_prints_json(cli):
    words = ["--num-envs", "16", "--steps", "5", "--repeats", "3", "--json", "--env.horizon", "4"]
    answer = cli("bench", "env", "matrix/chicken", *words)
    assert answer.status == 0
    figures = json.loads(answer.out)
    assert (figures["env"], figures["num_envs"], figures["steps"], figures["repeats"]) == ("matrix/chicken", 16, 5, 3)
    low, middle, high = (figures[f"env_steps_per_second{part}"] for part in ("_min", "", "_max"))
    assert 0 < low <= middle <= high
    assert figures["is_finite"] is True
    assert figures["versions"]["jax"] == jax.__version__


def test_list_names_everything_with_a_sentence(cli):
    lines = cli("list").out.splitlines()
    for name in (*SHIPPED, *algos()):
        assert any(line.split()[:1] == [name] and len(line.split()) > 3 for line in lines), name


@pytest.mark.parametrize(("what", "there", "absent"), [("envs", SHIPPED, algos()), ("algos", algos(), SHIPPED)])
def test_list_lists_what_was_asked_for(cli, what, there, absent):
    words = cli("list", what).out.split()
    assert set(there) <= set(words)
    assert not set(absent) & set(words)


@pytest.mark.parametrize("env", SHIPPED)
@pytest.mark.parametrize("command", ["train", "bench"])
def test_every_setting_of_an_environment_is_an_option(cli, command, env):
    answer = cli("train", "ippo", env, "--help") if command == "train" else cli("bench", "env", env, "--help")
    for name in inspect.signature(registry.constructor_of(env)).parameters:
        assert f"--env.{name.replace('_', '-')}" in answer.out


@pytest.mark.parametrize("algo", algos())
def test_every_setting_of_learner_and_plan_is_an_option_with_its_default(cli, algo):
    text = " ".join(cli("train", algo, "matrix/chicken", "--help").out.split())
    for field in (*dataclasses.fields(PRESETS[algo]), *dataclasses.fields(Plan)):
        assert f"--{field.name.replace('_', '-')}" in text


@pytest.mark.parametrize(
    ("env", "words", "settings"),
    [
        ("grid/navigation", [], {}),
        ("grid/navigation", ["--env.size", "5"], {}),
        ("grid/navigation", ["--env.size", "7", "--env.stay"], {"size": 7, "stay": True}),
        ("grid/navigation", ["--env.goals", "0", "1", "2", "3"], {"goals": ((0, 1), (2, 3))}),
        ("matrix/game", ["--env.payoff", "[[1, 2.5]]"], {"payoff": [[1, 2.5]]}),
        ("matrix/penalty", ["--env.k", "-3"], {"k": -3.0}),
        ("mpe/simple_spread", ["--env.num-landmarks", "2"], {"num_landmarks": 2}),
    ],
)
def test_options_arrive_as_typed_settings(env, words, settings):
    given = parse(train_command("mappo", env), ["mappo", env, *words, "--lr", "1e-3", "--hidden", "3", "4"], "test")
    assert chosen_settings(given.env) == settings
    assert (given.learner.lr, given.learner.hidden, given.learner.critic) == (1e-3, (3, 4), "joint")


@pytest.mark.parametrize(
    ("env", "known", "words", "chosen"),
    [
        ("matrix/game", {"payoff": [[1, 2.5]]}, [], {}),
        ("matrix/game", {"payoff": [[1, 2.5]]}, ["--env.payoff", "[[3]]"], {"payoff": [[3]]}),
        ("grid/navigation", {"goals": [[0, 1], [2, 3]], "walls": None}, [], {}),
        (
            "grid/navigation",
            {"goals": [[0, 1], [2, 3]]},
            ["--env.goals", "1", "1", "2", "2"],
            {"goals": ((1, 1), (2, 2))},
        ),
    ],
)
def test_settings_of_a_file_may_be_lists(env, known, words, chosen):
    given = parse(train_command("ippo", env, env_settings=known), ["ippo", env, *words], "test")
    assert chosen_settings(given.env) == chosen
    assert registry.make(env, **{**known, **chosen})


def test_an_environments_settings_are_described(cli):
    fields = dataclasses.fields(env_command("grid/navigation"))
    text = " ".join(cli("train", "ippo", "grid/navigation", "--help").out.replace("│", " ").split())
    assert len(fields) == 13
    assert "cells along each side" in text
    assert "steps after which an episode is truncated" in text


def test_every_setting_of_every_environment_is_described():
    settings = {(name, field.name): field.type for name in SHIPPED for field in dataclasses.fields(env_command(name))}
    described = {at for at, kind in settings.items() if any(getattr(note, "help", "") for note in get_args(kind))}
    assert set(settings) - described == set()


def test_every_number_of_an_environment_may_be_a_range():
    class Ranged:
        pass

    for name in SHIPPED:
        fields = dataclasses.fields(env_command(name, lambda setting: Ranged))
        ranged = {field.name for field in fields if get_args(field.type)[0] is Ranged}
        assert ranged == {field.name for field in fields if isinstance(field.default, float)}, name


@pytest.mark.parametrize("command", [train_command, bench_train_command, profile_command, sweep_command])
@pytest.mark.parametrize("algo", ["mappo", "qmix", "maddpg"])
def test_no_two_options_of_a_command_have_one_name(command, algo):
    given = parse(command(algo, "matrix/penalty"), [algo, "matrix/penalty", "--num-envs", "64"], "test")
    assert given.learner.num_envs == 64
