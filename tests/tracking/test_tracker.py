"""Each tracker is told of every block once, whatever happens to the run; what happens to a tracker is one warning."""

import json
import shutil
import struct
import sys
import threading

import jax
import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event, SessionLog

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.tracking.bookmark import remembered
from jaxmarl_lite.tracking.names import LIBRARIES
from jaxmarl_lite.tracking.tracker import track
from jaxmarl_lite.training.callbacks import Beginning, Progress, Result
from jaxmarl_lite.training.folder import CHECKPOINTS, CURVE, TRACKERS
from jaxmarl_lite.training.plan import Plan

SUMMARY = {"algo": "ippo", "env": "matrix/chicken", "env_steps": 160, "eval": {"return_sum": 7.5}}
NAMES = ["tensorboard", "wandb", "mlflow"]


def rows_of(block):
    return [
        {"block": block, "seed": seed, "env_steps": 40 * block, "eval_return_sum": block + seed, "loss": 0.5}
        for seed in (0, 1)
    ]


def beginning(folder, done=0):
    rows = [row for block in range(1, done + 1) for row in rows_of(block)]
    learner, env = make_learner("ippo", lr=0.125), make("matrix/chicken", horizon=3)
    return Beginning(learner, env, jax.random.key(7), Plan(steps=160, seeds=2), folder, rows)


def play(name, folder, blocks, *, done=0, result=True, **options):
    """Train from block `done` on, as far as a tracker can see: through `blocks`, with a result or stopped."""
    tracker = track(name, **options)
    tracker.begin(beginning(folder, done))
    for block in blocks:
        tracker(Progress(block, 4, 40 * block, rows_of(block), 1000.0))
    tracker.end(Result(None, [], SUMMARY) if result else None)


def events(folder):
    """What TensorBoard shows: (name, step, value) of scalars and pictures, without those that were taken back."""
    shown = []
    for path in sorted((folder / TRACKERS / "tensorboard").iterdir(), key=lambda path: path.stat().st_mtime_ns):
        data = path.read_bytes()
        while data:
            size = struct.unpack("<Q", data[:8])[0]
            event, data = Event.FromString(data[12 : 12 + size]), data[16 + size :]
            if event.session_log.status == SessionLog.START:
                shown = [one for one in shown if one[1] < event.step]
            shown += [(one.tag, event.step, one.simple_value) for one in event.summary.value]
    return shown


@pytest.fixture
def seen(tmp_path, request):
    """Return a function that returns (steps and means of the evaluations, summary, settings) of a tracker."""

    def tensorboard():
        told = events(tmp_path)
        scores = [(step, value) for name, step, value in told if name == "eval/return_sum"]
        settings = {name for name, *_ in told if name.startswith("_hparams_")}
        return scores, {name: value for name, _, value in told if name.startswith("summary/")}, len(settings) > 1

    def wandb():
        (run,) = request.getfixturevalue("wandb").runs.values()
        scores = [(step, figures["eval/return_sum"]) for step, figures in run["history"] if "curve" not in figures]
        return scores, run["summary"], run["opened"][0]["config"]["learner.lr"] == 0.125

    def mlflow():
        (run,) = request.getfixturevalue("mlflow").runs.values()
        scores = [(point.step, point.value) for point in run["metrics"] if point.name == "eval/return_sum"]
        summary = {point.name: point.value for point in run["metrics"] if point.name.startswith("summary/")}
        return scores, summary, ("learner.lr", "0.125") in run["params"]

    request.getfixturevalue("wandb"), request.getfixturevalue("mlflow")
    return {"tensorboard": tensorboard, "wandb": wandb, "mlflow": mlflow}


def scores_until(block):
    return [(40 * number, number + 0.5) for number in range(1, block + 1)]


@pytest.mark.parametrize("name", NAMES)
def test_a_tracker_is_told_of_settings_blocks_and_result(name, seen, tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / CURVE)
    play(name, tmp_path, (1, 2, 3, 4))
    scores, summary, has_settings = seen[name]()
    assert scores == scores_until(4)
    assert summary == {"summary/env_steps": 160, "summary/return_sum": 7.5}
    assert has_settings
    assert remembered(tmp_path) == [name]


@pytest.mark.parametrize("name", NAMES)
def test_what_was_told_after_the_checkpoint_is_not_doubled(name, seen, tmp_path):
    play(name, tmp_path, (1, 2, 3), result=False)
    play(name, tmp_path, (3, 4), done=2)
    assert seen[name]()[0] == scores_until(4)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_missed_is_told(name, seen, tmp_path):
    play(name, tmp_path, (1,), result=False)
    play(name, tmp_path, (4,), done=3)
    assert seen[name]()[0] == scores_until(4)


def test_weights_and_biases_go_on_from_what_the_server_got(wandb, seen, tmp_path):
    wandb.is_online = True
    play("wandb", tmp_path, (1, 2, 3), result=False)
    (run,) = wandb.runs.values()
    lost = run["history"].pop()
    play("wandb", tmp_path, (4,), done=3)
    assert seen["wandb"]()[0] == scores_until(4)
    assert run["history"][2][0] == lost[0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["{", "[]", '{"env_steps": "many"}', '{"id": 3}', '{"more": 1}'])
def test_a_damaged_bookmark_of_a_tracker_loses_no_block(name, text, seen, tmp_path):
    (tmp_path / TRACKERS).mkdir()
    (tmp_path / TRACKERS / f"{name}.json").write_text(text)
    play(name, tmp_path, (3, 4), done=2)
    assert seen[name]()[0] == scores_until(4)


@pytest.mark.parametrize("name", NAMES)
def test_of_a_run_that_has_ended_nothing_is_told_until_it_is_lengthened(name, seen, tmp_path):
    play(name, tmp_path, (1, 2))
    told = seen[name]()
    play(name, tmp_path, (), done=2)
    assert seen[name]() == told
    play(name, tmp_path, (3,), done=2)
    assert seen[name]()[0] == scores_until(3)


def test_pictures_are_shown(wandb, mlflow, tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / CURVE)
    for name in NAMES:
        play(name, tmp_path, (1,))
    assert ("curve", 40, 0.0) in events(tmp_path)
    (run,) = wandb.runs.values()
    assert run["history"][-1] == (None, {"curve": ("image", str(tmp_path / CURVE))})
    assert mlflow.runs["run0"]["artifacts"] == [str(tmp_path / CURVE)]


def test_how_a_run_ended_is_told(wandb, mlflow, tmp_path):
    ends = []
    for result in (False, True):
        for name in ("wandb", "mlflow"):
            play(name, tmp_path, (1,), result=result)
        ends.append((*(run["status"] for run in wandb.runs.values()), mlflow.runs["run0"]["status"]))
    assert ends == [(1, "KILLED"), (0, "FINISHED")]


def test_a_project_is_that_of_the_user_then_of_the_run_then_of_the_environment(wandb, mlflow, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    for folder, options in (("a", {"project": "mine"}), ("a", {}), ("b", {})):
        (tmp_path / folder).mkdir(exist_ok=True)
        play("wandb", tmp_path / folder, (1,), result=False, **options)
    opened = [one["project"] for run in wandb.runs.values() for one in run["opened"]]
    assert opened == ["mine", "mine", "theirs"]
    play("mlflow", tmp_path, (1,), project="mine")
    assert list(mlflow.experiments) == ["mine"]


def test_an_experiment_that_another_run_makes_meanwhile_is_used(mlflow, tmp_path):
    play("mlflow", tmp_path, (1,), project="made meanwhile by another run")
    assert mlflow.runs["run0"]["in"] == mlflow.experiments["made meanwhile by another run"]


def test_a_run_that_is_not_written_can_be_tracked(wandb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    play("wandb", None, (1, 2))
    (run,) = wandb.runs.values()
    assert [step for step, _ in run["history"]] == [40, 80]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "library"), [("tensorboard", "tensorboardX"), ("wandb", "wandb"), ("mlflow", "mlflow")]
)
def test_a_missing_library_is_one_warning_that_says_what_to_install(name, library, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.warns(UserWarning, match="without") as warned:
        play(name, tmp_path, (1, 2))
    sentence = f"training goes on without {name}: pip install 'jaxmarl-lite[{name}]'."
    assert [str(one.message) for one in warned] == [sentence]
    assert remembered(tmp_path) == []


def test_a_folder_with_the_name_of_a_library_is_none(tmp_path, monkeypatch):
    (tmp_path / "left_by_a_library").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(LIBRARIES, "wandb", "left_by_a_library")
    with pytest.warns(UserWarning, match=r"pip install 'jaxmarl-lite\[wandb\]'"):
        play("wandb", tmp_path, (1,))


def broken(*args, **kwargs):
    raise OSError("no\nnetwork")


@pytest.mark.parametrize("stage", ["init", "log", "finish"])
def test_a_tracker_that_fails_is_one_warning_and_is_told_the_rest_next_time(stage, wandb, seen, tmp_path, monkeypatch):
    init = wandb.init
    with monkeypatch.context() as failing:
        if stage == "init":
            failing.setattr(wandb, "init", broken)
        else:
            failing.setattr(wandb, "init", lambda **given: spoilt(init(**given), stage))
        with pytest.warns(UserWarning, match="without") as warned:
            play("wandb", tmp_path, (1, 2, 3))
    sentence = "training goes on without wandb, which failed (OSError: no network)."
    assert [str(one.message) for one in warned] == [sentence]
    play("wandb", tmp_path, (4,), done=3)
    assert seen["wandb"]()[0] == scores_until(4)


def spoilt(run, stage):
    setattr(run, stage, broken)
    return run


def test_a_tracker_that_hangs_is_left_behind_with_one_warning(wandb, tmp_path, monkeypatch):
    going_on = threading.Event()
    monkeypatch.setattr(wandb, "init", lambda **given: going_on.wait())
    with pytest.warns(UserWarning, match="after") as warned:
        play("wandb", tmp_path, (1, 2), patience=0.01)
    going_on.set()
    (sentence,) = [str(one.message) for one in warned]
    assert sentence == "wandb had not taken everything after 0.01 s: a resume tells it what it missed."


def test_unknown_names_are_answered_with_the_near_ones():
    with pytest.raises(SettingError, match=r"unknown tracker 'tensorbord'; did you mean tensorboard\?"):
        track("tensorbord")
    with pytest.raises(SettingError, match="patience=-1 is not allowed"):
        track("wandb", patience=-1)


def test_a_resumed_run_is_the_same_with_trackers_and_they_are_told_all_of_it(
    cli, finished_run, run_copy, snapshot, monkeypatch
):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    shutil.rmtree(run_copy / CHECKPOINTS / "000004")
    (run_copy / CURVE).unlink()
    answer = cli("resume", run_copy, "--track", "tensorboard", "mlflow")
    assert answer.status == 0
    assert answer.err == "warning: training goes on without mlflow: pip install 'jaxmarl-lite[mlflow]'.\n"
    for file in ("config.json", "metrics.jsonl"):
        assert (run_copy / file).read_bytes() == (finished_run / file).read_bytes()
    rows = [json.loads(line) for line in (run_copy / "metrics.jsonl").read_text().splitlines()]
    told = {(name, step): value for name, step, value in events(run_copy)}
    for row in rows:
        assert told[f"seed_{row['seed']}/eval/return_sum", row["env_steps"]] == pytest.approx(row["eval_return_sum"])
    assert {("curve", 160), ("summary/return_sum", 160)} <= told.keys()
    before = snapshot(run_copy / TRACKERS)
    assert cli("resume", run_copy).status == 0  # tells those that were told before, who have everything
    assert snapshot(run_copy / TRACKERS) == before


def test_train_tells_the_trackers_that_it_is_given(cli, monkeypatch, tmp_path):
    given = []

    def train(*args, callbacks, **kwargs):
        given.extend(type(callback).__name__ for callback in callbacks)
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxmarl_lite.training.loop.train", train)
    cli("train", "ippo", "matrix/chicken", "--track", "tensorboard", "wandb", "--out", tmp_path / "run")
    assert given == ["LiveLine", "Curve", "Tracker", "Tracker"]


def test_a_tracker_that_is_none_is_refused(cli, finished_run):
    answer = cli("resume", finished_run, "--track", "paper")
    assert answer.status == 2
    assert "'paper'" in answer.sentence
