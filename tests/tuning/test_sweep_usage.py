"""What the command `sweep` says to wrong words: a sentence and a status, before anything is compiled or written."""

import sys

import pytest

GAME = ["ippo", "matrix/penalty", "--steps", "320", "--num-envs", "8", "--rollout-length", "5", "--minibatches", "2"]
SEARCHED = ["--lr", "log:1e-4:1e-2"]
NO_RANGE = "is no range: write low:high, log:low:high with low above 0, or different numbers such as 1,2,5."

NOT_SEARCHED = [
    *((["--lr", text], f"lr={text!r} {NO_RANGE}") for text in ("log:0:1", "5:1", "a:b", "", "1e-3,", "1:2:3", "inf:1")),
    (["--env.k", "1:"], f"k='1:' {NO_RANGE}"),
    ([], "nothing is searched: give at least one setting a range"),
    (["--lr", "1e-3"], "nothing is searched"),
    (["--lr", "0:1"], "lr=0.0 is not allowed: it must be a finite number above 0."),
    (["--gamma", "0.5:1.5"], "gamma=1.5 is not allowed: it must be a number from 0 to 1."),
    (["--env.k", "-9:2"], "k=2.0 is not allowed: it must be a finite number of at most 0."),
    (["--lrr", "1e-4:1e-2"], "--lrr"),
    (["--env.kk", "0:1"], "--env.kk"),
    (["--num-envs", "8:16"], "'8:16'"),
    (["--epochs", "1,2"], "'1,2'"),
    (["--env.horizon", "5:10"], "'5:10'"),
    (["--critic", "local,joint"], "'local,joint'"),
]
NOT_PLANNED = [
    (["--trials", "0"], "trials=0 is not allowed: it must be an integer of at least 1."),
    (["--trials", "many"], "'many'"),
    (["--seeds", "0"], "seeds=0 is not allowed"),
    (["--optuna-batch", "0"], "optuna_batch=0 is not allowed"),
    (["--together", "0"], "together=0 is not allowed"),
    (["--devices", "99"], "devices=99 is not allowed"),
    (["--eval-episodes", "0"], "eval_episodes=0 is not allowed"),
    (["--steps", "0"], "steps=0.0 is not allowed"),
    (["--seed", "-1"], "seed=-1 is not allowed"),
    (["--halving", "1"], "halving=1 is not allowed: it must be an integer of at least 2."),
    (["--halving", "3"], "8 updates are too few for 4 rungs; set fewer rungs, or more steps."),
    (["--halving", "2", "--rungs", "9"], "rungs=9 is not allowed: it must be an integer from 1 to 6."),
    (["--rungs", "2"], "rungs=2 is not allowed without halving."),
    (["--sampler", "best"], "'sobol', 'random', 'grid', 'optuna'"),
    (["--sampler", "optuna", "--halving", "2"], "halving is not allowed with sampler='optuna'"),
    (
        ["--sampler", "grid", "--trials", "5", "--lr", "1e-3,1e-2", "--gamma", "0.9,0.95,0.99", "--lam", "0.5:0.9"],
        "trials=5 is not allowed with sampler='grid': the choices have 6 combinations.",
    ),
]
WRONG = [*NOT_SEARCHED, *(([*SEARCHED, *words], part) for words, part in NOT_PLANNED)]


@pytest.mark.parametrize(("words", "part"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_sweep_refuses_and_writes_nothing(cli, tmp_path, words, part):
    answer = cli("sweep", *GAME, *words, "--out", tmp_path / "sweep")
    assert answer.status == 2
    assert part in answer.sentence
    assert "Traceback" not in answer.err
    assert answer.out == ""
    assert not list(tmp_path.iterdir())


def test_without_optuna_one_sentence_says_how_to_get_it(cli, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)  # as if it were not installed
    answer = cli("sweep", *GAME, *SEARCHED, "--sampler", "optuna", "--out", tmp_path / "sweep")
    assert answer.status == 1
    assert answer.sentence == "error: sampler='optuna' needs Optuna: pip install 'jaxmarl-lite[optuna]'."
    assert not list(tmp_path.iterdir())
