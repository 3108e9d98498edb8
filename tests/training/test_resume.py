"""A run that was stopped, wherever it was stopped, ends bit for bit like one that never was."""

import random
import shutil
import signal
import subprocess
import time
from functools import partial

import jax
import numpy as np
import pytest

from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.training import checkpoint
from jaxmarl_lite.training.folder import CHECKPOINTS, CONFIG, METRICS, TIMING, RunFolder
from jaxmarl_lite.training.load import load
from jaxmarl_lite.training.loop import resume, train

BLOCKS = 12
LONG = ["--steps", str(40 * BLOCKS), "--blocks", str(BLOCKS)]


class KilledError(BaseException):
    """Stands for the end of the process: nothing below catches it."""


def arrays(run, block):
    """Return every array of a checkpoint as (dtype, shape, bytes)."""
    read = checkpoint._read(run / CHECKPOINTS / f"{block:06d}")
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in read.items()}


def assert_same_run(run, reference, last=BLOCKS):
    assert (run / METRICS).read_bytes() == (reference / METRICS).read_bytes()
    kept = checkpoint.blocks(reference / CHECKPOINTS)
    assert kept[-1] == last
    assert checkpoint.blocks(run / CHECKPOINTS)[-len(kept) :] == kept
    mine, other = arrays(run, last), arrays(reference, last)
    assert mine.keys() == other.keys()
    assert [name for name in other if mine[name] != other[name]] == []
    assert [row["block"] for row in RunFolder(run).rows(TIMING)] == list(range(1, last + 1))
    assert not list(run.rglob(".unfinished-*"))


@pytest.fixture(scope="module")
def words(train_words, python):
    """The command of a run of 12 blocks, without --out."""
    return [*python, "train", *train_words, *LONG]


@pytest.fixture(scope="module")
def reference(words, tmp_path_factory):
    """The folder of the run, never stopped."""
    out = tmp_path_factory.mktemp("reference") / "run"
    subprocess.run([*words, "--out", out], check=True, capture_output=True)
    return out


def kill_when(command, moment):
    """Start a process and kill it as soon as `moment()` holds; returns whether it was still running."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None and not moment():
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    error = process.communicate()[1].decode()
    assert process.returncode in (0, -signal.SIGKILL), error
    return process.returncode == -signal.SIGKILL


def last_block(run):
    return max(checkpoint.blocks(run / CHECKPOINTS), default=-1)


def test_killed_before_the_first_checkpoint(words, reference, tmp_path):
    out = tmp_path / "run"
    assert kill_when([*words, "--out", out], (out / CONFIG).exists)
    assert last_block(out) == -1
    resume(out)
    assert_same_run(out, reference)


def test_killed_on_two_devices_goes_on_with_two(words, python, tmp_path):
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    on_two = [word if word != "1" or words[at - 1] != "--devices" else "2" for at, word in enumerate(words)]
    subprocess.run([*on_two, "--out", whole], check=True, capture_output=True)
    assert kill_when([*on_two, "--out", stopped], lambda: last_block(stopped) >= 3)
    assert RunFolder(stopped).config()["plan"]["devices"] == 2
    subprocess.run([*python, "resume", stopped, "--devices", "2"], check=True, capture_output=True)
    assert_same_run(stopped, whole)
    with pytest.warns(UserWarning, match="trained on 2 devices, and there are 1 here"):
        resume(stopped)


def test_killed_again_and_again_at_random_moments(words, python, reference, tmp_path):
    out, chance, kills = tmp_path / "run", random.Random(3), 0
    for target in (2, 6):
        delay, begin = chance.uniform(0.0, 0.15), []

        def moment(target=target, delay=delay, begin=begin):
            if last_block(out) >= target and not begin:
                begin.append(time.monotonic())
            return begin and time.monotonic() - begin[0] >= delay

        kills += kill_when([*python, "resume", out] if kills else [*words, "--out", out], moment)
    assert kills, "every process ended before it could be killed"
    resume(out)
    assert_same_run(out, reference)


def test_killed_while_a_checkpoint_is_being_written(words, reference, tmp_path):
    out = tmp_path / "run"

    def writing():
        return last_block(out) >= 3 and any((out / CHECKPOINTS).glob(".unfinished-*"))

    assert kill_when([*words, "--out", out], writing)
    resume(out)
    assert_same_run(out, reference)


STAGES = {
    "between the record and its checkpoint": "folder.RunFolder.save",
    "between the manifest and the final name": "checkpoint.os.rename",
    "before the old ones are deleted": "checkpoint.shutil.rmtree",
    "before the summary": "folder.RunFolder.write_summary",
}


@pytest.fixture(scope="module")
def run_short(learner_settings, plan):
    """Return a function that makes the run of 4 blocks in this process."""
    learner, env = make_learner("ippo", **learner_settings), make("grid/navigation", horizon=20)
    return lambda out, **more: train(learner, env, jax.random.key(0), seeds=2, out=out, **plan, **more)


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_stopped_inside(run_short, finished_run, tmp_path, monkeypatch, stage):
    out = tmp_path / "run"
    stopped = []

    def begin_to_fail(at):
        if at.block == 2:
            monkeypatch.setattr(f"jaxmarl_lite.training.{stage}", fail)

    def fail(*args, **kwargs):
        stopped.append(stage)
        raise KilledError

    with monkeypatch.context() as monkeypatch, pytest.raises(KilledError):
        run_short(out, callbacks=(begin_to_fail,))
    assert stopped
    resume(out)
    assert_same_run(out, finished_run, last=4)


def test_a_line_cut_short_by_the_end_of_the_process_is_mended(finished_run, run_copy):
    for block in (4, 3):
        shutil.rmtree(run_copy / CHECKPOINTS / f"{block:06d}")
    text = (run_copy / METRICS).read_text()
    (run_copy / METRICS).write_text(text[: int(len(text) * 0.8)])
    resume(run_copy)
    assert (run_copy / METRICS).read_bytes() == (finished_run / METRICS).read_bytes()
    assert arrays(run_copy, 4) == arrays(finished_run, 4)


def test_a_damaged_last_checkpoint_is_made_again(finished_run, run_copy):
    (run_copy / CHECKPOINTS / "000004" / "manifest.json").write_text("{")
    with pytest.warns(UserWarning, match=r"000004 is damaged.*the one before it is used"):
        resume(run_copy)
    assert_same_run(run_copy, finished_run, last=4)


def test_a_run_with_only_damaged_checkpoints_is_left_as_it_is(run_copy, snapshot):
    for path in (run_copy / CHECKPOINTS).iterdir():
        (path / "manifest.json").unlink()
    before = snapshot(run_copy)
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(RunError, match="no checkpoint in"):
        resume(run_copy)
    assert snapshot(run_copy) == before


def test_resuming_a_finished_run_changes_nothing(run_copy, snapshot):
    before, seen = snapshot(run_copy), []
    resume(run_copy, callbacks=(seen.append,))
    after = snapshot(run_copy)
    assert not seen
    assert after.keys() == before.keys()
    assert [path.name for path in before if after[path] != before[path]] == []


def test_a_run_may_be_lengthened(run_copy):
    before = (run_copy / METRICS).read_text()
    result = resume(run_copy, steps=240)
    assert [row["block"] for row in result.rows if row["seed"] == 0] == [1, 2, 3, 4, 5, 6]
    assert (run_copy / METRICS).read_text().startswith(before)
    assert result.summary["env_steps"] == 240
    config = RunFolder.open(run_copy).config()
    assert (config["plan"]["steps"], config["schedule"]["blocks"]) == (240, 6)
    assert load(run_copy).env.spec.horizon == 20
    again = resume(run_copy).rows
    assert again == result.rows


def test_a_run_that_another_process_works_on_is_left_to_it(run_short, run_copy, snapshot, claimed_elsewhere):
    before = snapshot(run_copy)
    with claimed_elsewhere(run_copy):
        for call in (resume, partial(run_short, overwrite=True)):
            with pytest.raises(RunError, match=r"another process works on '.*copy': wait for its end, or choose"):
                call(run_copy)
    assert snapshot(run_copy) == before


@pytest.mark.parametrize("steps", [120, 0, float("nan")])
def test_a_length_that_is_not_allowed_changes_nothing(run_copy, snapshot, steps):
    before = snapshot(run_copy)
    with pytest.raises(SettingError, match="steps="):
        resume(run_copy, steps=steps)
    assert snapshot(run_copy) == before


def test_a_result_after_a_stop_has_the_rows_from_before_it(finished_run, run_copy):
    shutil.rmtree(run_copy / CHECKPOINTS / "000004")
    result = resume(run_copy)
    assert result.rows == RunFolder.open(finished_run).rows()
    whole, mine = (RunFolder.open(path).rows(METRICS) for path in (finished_run, run_copy))
    assert whole == mine
    assert np.shape(result.summary["policy_time_average"]) == (2, 2, 4)
