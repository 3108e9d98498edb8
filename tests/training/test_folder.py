import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.training.folder import CONFIG, METRICS, SUMMARY, TIMING, TRACKERS, RunFolder


def rows(block, seeds=2):
    return [{"block": block, "seed": seed, "return_sum": block + seed / 3} for seed in range(seeds)]


@pytest.fixture
def run(tmp_path):
    folder = RunFolder.create(tmp_path / "run", {"algo": "ippo", "plan": {"steps": 5.0}})
    for block in (1, 2, 3):
        folder.record(rows(block), {"block": block, "train_seconds": 0.5})
    return folder


def test_a_config_comes_back(run):
    assert RunFolder.open(run.path).config() == {"format": 1, "algo": "ippo", "plan": {"steps": 5.0}}


def test_a_config_can_be_changed_in_part(run):
    run.update_config(plan={"steps": 9.0})
    assert run.config() == {"format": 1, "algo": "ippo", "plan": {"steps": 9.0}}


def test_parents_are_made(tmp_path):
    RunFolder.create(tmp_path / "a" / "b" / "c", {})
    assert (tmp_path / "a" / "b" / "c" / CONFIG).is_file()


def test_overwriting_forgets_what_trackers_were_told(run):
    (run.path / TRACKERS).mkdir()
    (run.path / TRACKERS / "wandb.json").write_text("{}")
    RunFolder.create(run.path, {"algo": "mappo"}, overwrite=True)
    assert not (run.path / TRACKERS).exists()


def test_a_run_is_not_overwritten_unasked(run, snapshot):
    before = snapshot(run.path)
    with pytest.raises(SettingError, match="already holds a run"):
        RunFolder.create(run.path, {"algo": "mappo"})
    assert snapshot(run.path) == before


def test_overwriting_clears_the_run_and_nothing_else(run):
    run.save(3, {"x": jnp.zeros(1)}, keep=1)
    (run.path / "notes.txt").write_text("mine")
    RunFolder.create(run.path, {"algo": "mappo"}, overwrite=True)
    assert sorted(path.name for path in run.path.iterdir()) == [CONFIG, "notes.txt"]
    assert run.config()["algo"] == "mappo"


def test_overwriting_that_is_interrupted_leaves_a_run_that_is_not_finished(run, monkeypatch):
    run.write_summary({"env_steps": 5})
    gone = []

    def note(path, **_):
        gone.append(path.name)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", note)
        patch.setattr(shutil, "rmtree", note)
        RunFolder.create(run.path, {"algo": "mappo"}, overwrite=True)
    *_, last, stray = gone
    assert (gone[0], last, stray) == (SUMMARY, CONFIG, SUMMARY)


def test_a_stray_summary_is_not_that_of_a_new_run(tmp_path):
    (tmp_path / SUMMARY).write_text('{"env_steps": 5}')
    assert RunFolder.create(tmp_path, {}).summary(5) is None


def test_a_folder_without_a_run_may_be_used(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    RunFolder.create(tmp_path, {})
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("inside", ["", "run"])
def test_a_file_in_the_way_is_named_and_kept(tmp_path, inside):
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(SettingError, match="file"):
        RunFolder.create(file / inside, {})
    assert file.read_text() == "mine"


def test_a_folder_that_holds_no_run_cannot_be_opened(tmp_path):
    with pytest.raises(SettingError, match=r"holds no run: there is no config\.json"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe\x00", b'{"format": 2}', b"null"])
def test_a_damaged_config_is_named(run, damage):
    (run.path / CONFIG).write_bytes(damage)
    with pytest.raises(RunError, match=r"config\.json is damaged"):
        run.config()


def test_rows_come_back_as_they_were(run):
    assert run.rows() == rows(1) + rows(2) + rows(3)
    assert [row["block"] for row in run.rows(TIMING)] == [1, 2, 3]


def test_metrics_are_one_json_object_a_line(run):
    lines = (run.path / METRICS).read_text().splitlines()
    assert [json.loads(line) for line in lines] == run.rows()


def test_a_last_line_cut_short_is_left_out(run):
    whole = (run.path / METRICS).read_text()
    (run.path / METRICS).write_text(whole[:-4])
    assert run.rows() == (rows(1) + rows(2) + rows(3))[:-1]


@pytest.mark.parametrize("line", [b'{"block": 2, "se', b"[1]", b"\xff", b"", b'{"block": "two"}', b"{}"])
def test_a_damaged_line_is_named(run, line, snapshot):
    first, *rest = (run.path / METRICS).read_bytes().splitlines(keepends=True)
    (run.path / METRICS).write_bytes(first + line + b"\n" + b"".join(rest))
    before = snapshot(run.path)
    with pytest.raises(RunError, match=r"metrics\.jsonl is damaged: (line 2|each of its lines) must"):
        run.rewind(3)
    assert snapshot(run.path) == before


def test_a_timing_line_without_seconds_is_named(run, snapshot):
    (run.path / TIMING).write_text('{"block": 1, "train_seconds": 0.5}\n{"block": 2}\n')
    before = snapshot(run.path)
    with pytest.raises(RunError, match=r"timing\.jsonl is damaged: each .* a number block and a number train_seconds"):
        run.rewind(3)
    assert snapshot(run.path) == before


@pytest.mark.parametrize("block", [0, 1, 3])
def test_rewinding_forgets_what_came_later(run, block):
    run.rewind(block)
    assert {row["block"] for row in run.rows()} == set(range(1, block + 1))
    assert {row["block"] for row in run.rows(TIMING)} == set(range(1, block + 1))


def test_rewinding_and_recording_again_gives_the_same_bytes(run, snapshot):
    before = snapshot(run.path)
    with open(run.path / METRICS, "a") as file:
        file.write('{"block": 4, "se')
    run.rewind(2)
    run.record(rows(3), {"block": 3, "train_seconds": 0.5})
    assert snapshot(run.path) == before


def test_a_run_without_checkpoints_loads_none(run):
    assert run.load({"x": jnp.zeros(1)}, jax.random.key(0)) is None
