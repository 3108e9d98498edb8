"""What the command line says to wrong usage: a sentence and a status, never a traceback, and nothing is touched."""

import errno
import json
import subprocess
from functools import partial
from pathlib import Path

import pytest

from jaxmarl_lite.cli import main
from jaxmarl_lite.cli.main import COMMANDS

WORDS = ["--steps", "160", "--num-envs", "8", "--rollout-length", "5", "--minibatches", "2", "--hidden", "8"]


@pytest.fixture(autouse=True)
def _work_in_an_empty_folder(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def assert_refused(answer, *parts, status=2):
    assert answer.status == status
    assert "Traceback" not in answer.err + answer.out
    for part in parts:
        assert part in answer.sentence
    assert answer.out == ""


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_help(cli, command, flag):
    answer = cli(command, flag)
    assert answer.status == 0
    assert f"usage: jaxmarl-lite {command}" in answer.out


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_the_overview_names_every_command(cli, words):
    answer = cli(*words)
    assert answer.status == 0
    for command in COMMANDS:
        assert f"jaxmarl-lite {command}" in answer.out


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["trian", "ippo", "grid/navigation"], ["unknown command 'trian'", "did you mean train?"]),
        (["--seed", "3"], ["unknown command '--seed'"]),
        (["train", "ipo", "grid/navigation"], ["unknown algorithm 'ipo'", "did you mean ippo or trpo or mappo?"]),
        (
            ["train", "zzz", "grid/navigation"],
            [
                "unknown algorithm 'zzz'",
                "known are central_q, coma, facmac, happo, hatrpo, ia2c, iddpg, impala, ippo, iql, iql_tabular, isac",
            ],
        ),
        (["train", "--seeds", "2", "ipo", "grid/navigation"], ["unknown algorithm 'ipo'"]),
        (["train", "--seeds=2", "--steps=160", "qmx", "lbf/foraging"], ["unknown algorithm 'qmx'"]),
        (["profile", "--seeds=2", "ippo", "grid/navigatoin"], ["unknown environment 'grid/navigatoin'"]),
        (["sweep", "--trials=2", "qmx", "mpe/spread"], ["unknown algorithm 'qmx'"]),
        (["train", "--out", "ippo", "qmx", "mpe/simple_spread"], ["unknown algorithm 'qmx'"]),
        (["train", "ippo", "grid/navigatoin"], ["'grid/navigatoin'", "did you mean grid/navigation"]),
        (["train", "ippo", "spread"], ["unknown environment 'spread'", "did you mean", "mpe/simple_spread"]),
        (["train", "ippo"], ["ENV"]),
        (["train"], ["ALGO"]),
        (["bench", "envs"], ["unknown benchmark 'envs'", "did you mean env?"]),
        (["bench", "env", "chiken"], ["unknown environment 'chiken'", "did you mean matrix/chicken"]),
        (["bench", "env"], ["ENV"]),
        (["list", "nothing"], ["'nothing'", "'all', 'envs', 'algos'"]),
        (["resume"], ["folder of the run"]),
        (["eval"], ["folder of the run"]),
        (["render"], ["folder of the run"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_wrong_name_is_answered_with_the_near_ones(cli, words, parts):
    assert_refused(cli(*words), *parts)


TRAIN = [
    (["--steps", "0"], "steps=0.0 is not allowed: it must be a finite number of at least 1."),
    (["--steps", "-3"], "steps=-3.0 is not allowed"),
    (["--steps", "many"], "'many'"),
    (["--steps", "nan"], "steps=nan is not allowed"),
    (["--steps", "inf"], "steps=inf is not allowed"),
    (["--steps"], "--steps"),
    (["--seeds", "0"], "seeds=0 is not allowed: it must be an integer of at least 1."),
    (["--seeds", "-1"], "seeds=-1 is not allowed"),
    (["--seeds", "1.5"], "'1.5'"),
    (["--blocks", "0"], "blocks=0 is not allowed"),
    (["--eval-episodes", "0"], "eval_episodes=0 is not allowed"),
    (["--keep", "0"], "keep=0 is not allowed"),
    (["--num-envs", "0"], "num_envs=0 is not allowed"),
    (["--rollout-length", "-5"], "rollout_length=-5 is not allowed"),
    (["--epochs", "0"], "epochs=0 is not allowed"),
    (["--minibatches", "3"], "minibatches=3 does not divide num_envs=8"),
    (["--lr", "nan"], "lr=nan is not allowed: it must be a finite number above 0."),
    (["--lr", "0"], "lr=0.0 is not allowed"),
    (["--lr", "fast"], "'fast'"),
    (["--gamma", "1.01"], "gamma=1.01 is not allowed: it must be a number from 0 to 1."),
    (["--hidden", "0"], "hidden=0 is not allowed"),
    (["--critic", "all"], "'local', 'joint'"),
    (["--learning-rate", "1"], "--learning-rate"),
    (["--env.colour", "1"], "--env.colour"),
    (["--env.size", "1"], "size=1 is not allowed: it must be an integer of at least 2."),
    (["--env.size", "big"], "'big'"),
    (["--env.horizon", "0"], "horizon=0 is not allowed"),
    (["--env.num-agents", "17"], "num_agents=17 is not allowed"),
    (["--env.walls", "##"], "walls=('##',) is not allowed"),
    (["--env.starts", "9", "9", "0", "0"], "starts=((9, 9), (0, 0)) is not allowed"),
    (["--seed", "-1"], "seed=-1 is not allowed: it must be an integer from 0 to 4294967295."),
    (["--seed", "4294967296"], "seed=4294967296 is not allowed"),
    (["--seed", "x"], "'x'"),
    (["stray"], "stray"),
]


@pytest.mark.parametrize(("words", "part"), TRAIN, ids=[" ".join(words) for words, _ in TRAIN])
def test_train_refuses_and_writes_nothing(cli, tmp_path, words, part):
    assert_refused(cli("train", "ippo", "grid/navigation", *WORDS, "--out", tmp_path / "run", *words), part)
    assert [path.name for path in tmp_path.rglob("*")] == ["work"]


OTHER_ENVS = [
    ("mpe/simple_spread", ["--env.local-ratio", "2"], "local_ratio=2.0 is not allowed"),
    ("matrix/game", [], "--env.payoff"),
    ("matrix/game", ["--env.payoff", "[[1,"], "--env.payoff"),
    ("matrix/game", ["--env.payoff", "[1]"], "payoff of shape [1] is not allowed"),
    ("matrix/penalty", ["--env.k", "3"], "k=3.0 is not allowed"),
    ("matrix/chicken", ["--env.observation", "all"], "'all'"),
]


@pytest.mark.parametrize(("env", "words", "part"), OTHER_ENVS, ids=[f"{e} {' '.join(w)}" for e, w, _ in OTHER_ENVS])
def test_train_refuses_bad_settings_of_every_family(cli, tmp_path, env, words, part):
    words = [word for word in words if word != "True"]
    assert_refused(cli("train", "ippo", env, *WORDS, "--out", tmp_path / "run", *words), part)
    assert [path.name for path in tmp_path.rglob("*")] == ["work"]


def test_learners_of_values_refuse_continuous_actions(cli, tmp_path):
    words = ["--steps", "160", "--env.continuous", "--out", tmp_path / "run"]
    sentence = "iql gives a value to each discrete action, and this environment's are continuous."
    assert_refused(cli("train", "iql", "mpe/simple_spread", *words), sentence)
    assert [path.name for path in tmp_path.rglob("*")] == ["work"]


def test_options_before_the_names_are_understood_or_explained(cli):
    answer = cli("train", "--steps", "0", "ippo", "grid/navigation")
    assert_refused(answer)
    assert "steps=0" in answer.sentence or "ALGO ENV" in answer.sentence


def test_a_run_is_not_overwritten_unasked(cli, run_copy, snapshot):
    before = snapshot(run_copy)
    assert_refused(cli("train", "ippo", "grid/navigation", *WORDS, "--out", run_copy), "already holds a run", "resume")
    assert snapshot(run_copy) == before


def test_a_refused_setting_loses_no_run_that_was_to_be_overwritten(cli, run_copy, snapshot):
    before = snapshot(run_copy)
    words = [*WORDS, "--out", run_copy, "--overwrite"]
    assert_refused(cli("train", "ippo", "grid/navigation", *words, "--seed", "-1"), "seed=-1")
    assert snapshot(run_copy) == before


@pytest.mark.parametrize("inside", ["", "run"])
def test_a_file_in_the_way_of_out_is_kept(cli, tmp_path, inside):
    file = tmp_path / "file"
    file.write_text("mine")
    assert_refused(cli("train", "ippo", "grid/navigation", *WORDS, "--out", file / inside), str(file))
    assert file.read_text() == "mine"


def test_trainings_begun_at_once_get_folders_of_their_own_and_leave_none_that_are_empty():
    new = partial(main._folder, None, "ippo", "grid/navigation")
    with new() as first, new() as second:
        assert {first, second} == {Path("runs/ippo-grid-navigation-1"), Path("runs/ippo-grid-navigation-2")}
        (first / "config.json").touch()
    assert first.is_dir()
    assert not second.exists()


@pytest.mark.parametrize("command", ["resume", "eval", "render"])
def test_a_folder_without_a_run_is_named(cli, tmp_path, command):
    for folder in ("nowhere", tmp_path):
        assert_refused(cli(command, folder), f"'{folder}' holds no run")
    assert [path.name for path in tmp_path.rglob("*")] == ["work"]


@pytest.mark.parametrize("command", ["resume", "eval", "render"])
@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 7}'])
def test_a_damaged_config_is_a_failure_that_names_it(cli, run_copy, snapshot, command, text):
    (run_copy / "config.json").write_text(text)
    before = snapshot(run_copy)
    assert_refused(cli(command, run_copy), "config.json", status=1)
    assert snapshot(run_copy) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"learner": {"hidden": None}},
        {"learner": 3},
        {"env_settings": []},
        {"key": {"impl": "nope", "data": [0, 0]}},
        {"key": {"impl": "threefry2x32", "data": [-1, 0]}},
        {"schedule": {"updates_per_block": 0, "blocks": 4}},
    ],
    ids=str,
)
def test_a_config_with_a_value_of_the_wrong_kind_is_no_traceback(cli, run_copy, snapshot, changes):
    config = json.loads((run_copy / "config.json").read_text())
    (run_copy / "config.json").write_text(json.dumps({**config, **changes}))
    before = snapshot(run_copy)
    answer = cli("resume", run_copy)
    assert answer.status in (1, 2)
    assert answer.err.startswith("error: ")
    assert snapshot(run_copy) == before


RUN = [
    ("eval", ["--episodes", "0"], "episodes=0 is not allowed: it must be an integer of at least 1."),
    ("eval", ["--episodes", "x"], "'x'"),
    ("eval", ["--seed", "-1"], "seed=-1 is not allowed"),
    ("eval", ["--greedy"], "--greedy"),
    ("render", ["--out", "team.txt"], "out='team.txt' is not allowed: it must end in .gif, .png, .html."),
    ("render", ["--out", "team"], "it must end in .gif, .png, .html."),
    ("render", ["--columns", "1"], "columns=1 is not allowed: it must be an integer of at least 2."),
    ("render", ["--episodes", "-2"], "episodes=-2 is not allowed"),
    ("render", ["--seed", "2"], "seed=2 is not allowed: it must be an integer from 0 to 1."),
    ("render", ["--key", "-1"], "key=-1 is not allowed"),
    ("resume", ["--steps", "80"], "steps=80 is not allowed: the run has 160 steps, and can only be lengthened."),
    ("resume", ["--steps", "nan"], "steps=nan is not allowed"),
    ("resume", ["--steps", "0"], "steps=0.0 is not allowed"),
    ("resume", ["--steps", "more"], "'more'"),
    ("resume", ["--lr", "1"], "--lr"),
]


@pytest.mark.parametrize(("command", "words", "part"), RUN, ids=[f"{c} {' '.join(w)}" for c, w, _ in RUN])
def test_commands_on_a_run_refuse_and_change_nothing(cli, finished_run, tmp_path, snapshot, command, words, part):
    before = snapshot(finished_run)
    assert_refused(cli(command, finished_run, *words), part)
    assert snapshot(finished_run) == before
    assert [path.name for path in tmp_path.rglob("*")] == ["work"]


BENCH = [
    (["--num-envs", "0"], "num_envs=0 is not allowed"),
    (["--steps", "-1"], "steps=-1 is not allowed"),
    (["--repeats", "0"], "repeats=0 is not allowed"),
    (["--repeats", "x"], "'x'"),
    (["--env.size", "0"], "size=0 is not allowed"),
    (["--env.nope", "0"], "--env.nope"),
]


@pytest.mark.parametrize(("words", "part"), BENCH, ids=[" ".join(words) for words, _ in BENCH])
def test_bench_refuses(cli, words, part):
    assert_refused(cli("bench", "env", "grid/navigation", *words), part)


def test_a_gif_below_a_file_is_refused(cli, finished_run, tmp_path):
    (tmp_path / "file").write_text("mine")
    answer = cli("render", finished_run, "--episodes", "1", "--out", tmp_path / "file" / "x.gif")
    assert_refused(answer, "is a file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_disk_that_refuses_is_one_sentence(cli, finished_run, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device", "runs/x/metrics.jsonl")

    monkeypatch.setattr("jaxmarl_lite.training.loop.resume", refuse)
    answer = cli("resume", finished_run)
    assert_refused(answer, "error: runs/x/metrics.jsonl: No space left on device.", status=1)


def test_an_interruption_says_how_to_go_on(cli, monkeypatch, tmp_path):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxmarl_lite.training.loop.train", interrupted)
    assert_refused(cli("train", "ippo", "grid/navigation", "--out", tmp_path / "run"), "resume", status=130)


def test_a_process_ends_with_the_status(python, tmp_path):
    def status(*words):
        return subprocess.run([*python, *words], cwd=tmp_path, capture_output=True, text=True, check=False).returncode

    assert status("list", "algos") == 0
    assert status("train", "nope", "grid/navigation") == 2
