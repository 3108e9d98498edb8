"""A whole comparison: what is trained, what is kept, what is left."""

import csv
import json
import re
import shutil
from contextlib import ExitStack
from html.parser import HTMLParser
from threading import Timer

import pytest

from jaxmarl_lite.comparing import compare as comparing
from jaxmarl_lite.comparing import outputs
from jaxmarl_lite.comparing.pace import Pace
from jaxmarl_lite.comparing.suite import read_suite
from jaxmarl_lite.core.errors import RunError, SettingError

ODD = "fast <b>&|"  # a name that would spoil a page and a table
SUITE = f"""
title = "Two & two"
[plan]
steps = 160
seeds = 2
blocks = 2
eval_episodes = 4
devices = 1
[algos.ippo]
settings = {{ num_envs = 8, rollout_length = 5, minibatches = 2, hidden = [8] }}
[algos."{ODD}"]
algo = "ippo"
settings = {{ num_envs = 8, rollout_length = 5, minibatches = 2, hidden = [8], lr = 1e-2 }}
[tasks.easy]
env = "matrix/penalty"
settings = {{ k = 0.0, horizon = 5 }}
[tasks.hard]
env = "matrix/penalty"
settings = {{ k = -100.0, horizon = 5 }}
bounds = [-1000.0, 100.0]
"""


def read(tmp_path, text=SUITE):
    (tmp_path / "suite.toml").write_text(text)
    return read_suite(tmp_path / "suite.toml")


def metrics(out):
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("metrics.jsonl"))}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The folder of a whole comparison, its results, and what its callbacks were told; not to be changed."""
    out, told = tmp_path_factory.mktemp("compared"), []
    compared = comparing.compare(read(out), out=out, callbacks=(told.append,))
    assert compared.report == out / "report.html"
    return out, compared.results, told


@pytest.fixture
def no_report(monkeypatch):
    """Let comparisons write no report; returns what each would have been of."""
    reports = []
    monkeypatch.setattr(comparing, "write_outputs", lambda *given: reports.append(given) or "not wanted")
    return reports


def test_runs_that_differ_in_numbers_share_their_programs(compared):
    _, results, _ = compared
    assert [result.failure for result in results] == [None] * 4
    first, block, test = results[0].summary["programs"]
    assert results[1].summary["programs"] == [first, block, test]
    assert [result.summary["programs"][1:] for result in results[2:]] == [[block, test]] * 2


def test_callbacks_hear_of_every_block_and_of_the_end_of_every_run(compared):
    _, _, told = compared
    assert [at.block.block for at in told if at.block] == [1, 2] * 4
    assert [at.cells_done for at in told if at.result] == [1, 2, 3, 4]
    steps = [at.env_steps for at in told]
    assert steps == sorted(steps)
    assert (told[0].seconds_left, steps[-1], told[-1].seconds_left) == (None, told[-1].env_steps_in_all, 0)


def test_what_is_left_for_marl_eval(compared):
    told = json.loads((compared[0] / "marl_eval.json").read_text())
    assert list(told) == ["matrix"]
    assert list(told["matrix"]) == ["easy", "hard"]
    assert list(told["matrix"]["hard"]) == ["ippo", ODD]
    rows = [json.loads(line) for line in (compared[0] / "runs/hard/ippo/metrics.jsonl").read_text().splitlines()]
    for seed in (0, 1):
        run = told["matrix"]["hard"]["ippo"][f"run_{seed + 1}"]
        mine = [row for row in rows if row["seed"] == seed]
        assert list(run) == [*(f"step_{number}" for number in range(1, 3)), "absolute_metrics"]
        for number, row in enumerate(mine, start=1):
            step = run[f"step_{number}"]
            assert (step["step_count"], step["return"]) == (row["env_steps"], [row["eval_return_sum"]])
        assert run["absolute_metrics"]["return"] == run["step_2"]["return"]
        assert 0 < run["step_1"]["elapsed_time"] < run["step_2"]["elapsed_time"]


def test_what_is_left_for_people(compared):
    out, results, _ = compared
    with open(out / "results.csv") as file:
        rows = list(csv.DictReader(file))
    for result in results:
        mine = [
            float(row["return"])
            for row in rows
            if (row["algorithm"], row["task"]) == (result.cell.algo_name, result.cell.task_name)
        ]
        assert mine == result.summary["eval"]["return_sum_per_seed"]
    table = (out / "table.md").read_text()
    assert f"{results[0].summary['eval']['return_sum']:.2f}" in table
    assert "interquartile mean" in table
    head, dashes, *body = [line for line in table.splitlines() if line.startswith("|")]
    assert len(re.split(r"(?<!\\)\|", head)) == len(dashes.split("|")) == len(re.split(r"(?<!\\)\|", body[0])) == 5


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.replays, self.text = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        self.replays += [value for name, value in attrs if name == "srcdoc"]

    def handle_data(self, data):
        self.text.append(data)


def test_the_report_is_one_file_in_which_names_are_only_names(compared):
    out, _, _ = compared
    page = Page((out / "report.html").read_text())
    text = " ".join(page.text)
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert page.tags.count("img") == 3  # the performance profile, and curves of both tasks
    assert not {"script", "link"} & set(page.tags)
    assert text.count(f"{ODD} in hard") == 2  # its command and its cost
    assert "jaxmarl-lite train ippo matrix/penalty --env.k 0 --env.horizon 5" in text
    assert len(page.replays) == 2
    for replay in page.replays:
        assert "script" in Page(replay).tags
    for name in ("curves.png", "scores.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")


def test_without_pictures_there_are_still_tables(compared, tmp_path, monkeypatch):
    out = shutil.copytree(compared[0], tmp_path / "out")
    for name in ("table.md", "results.csv", "marl_eval.json", "report.html"):
        (out / name).unlink()

    def refuse(*_, **__):
        raise RunError("pictures need matplotlib")

    monkeypatch.setattr(outputs, "draw_curves", refuse)
    with pytest.warns(UserWarning, match="the report is not complete: pictures need matplotlib"):
        compared_again = comparing.compare(read(tmp_path), out=out)
    assert compared_again.report == "pictures need matplotlib"
    for name in ("table.md", "results.csv", "marl_eval.json"):
        assert (out / name).read_bytes() == (compared[0] / name).read_bytes()
    assert not (out / "report.html").exists()


def test_what_was_stopped_goes_on_to_the_same_numbers(compared, tmp_path, no_report):
    class StopError(Exception):
        pass

    def stop(at):
        if at.cells_done == 1 and at.block:
            raise StopError

    suite, told = read(tmp_path).only(["ippo"]), []
    with pytest.raises(StopError):
        comparing.compare(suite, out=tmp_path, callbacks=(stop,))
    assert not no_report
    results = comparing.compare(suite, out=tmp_path, callbacks=(told.append,)).results
    assert [(at.cell.name, at.block.block) for at in told if at.block] == [("ippo in hard", 2)]
    assert all(result.summary for result in results)
    assert metrics(tmp_path).items() < metrics(compared[0]).items()
    assert len(no_report) == 1


def test_a_suite_that_has_changed_replaces_only_what_has_changed(compared, tmp_path, no_report):
    out, told = shutil.copytree(compared[0], tmp_path / "out"), []
    before = metrics(out)
    changed = read(tmp_path, SUITE.replace("k = -100.0", "k = -50.0"))
    with pytest.raises(SettingError, match=r"has 2 run\(s\) with other settings .* ippo in hard: choose another"):
        comparing.compare(changed, out=out)
    assert metrics(out) == before
    comparing.compare(changed, out=out, only_algos=["ippo"], overwrite=True, callbacks=(told.append,))
    assert {at.cell.name for at in told if at.block} == {"ippo in hard"}
    after = metrics(out)
    assert [name for name in before if before[name] != after[name]] == ["runs/hard/ippo/metrics.jsonl"]


def test_what_another_process_has_is_left_to_it_and_so_is_the_report(compared, tmp_path, no_report, claimed_elsewhere):
    suite, whole = read(tmp_path), compared[0]
    easy, hard = suite.only(["ippo"]).cells
    out = shutil.copytree(whole, tmp_path / "out")
    shutil.rmtree(out / easy.folder)
    with claimed_elsewhere(out / easy.folder):
        results, report = comparing.compare(suite, out=out, only_algos=["ippo"])
    assert report == "another process is still at work"
    assert [(one.cell.name, one.summary is None, one.failure) for one in results] == [
        *((easy.name, True, None), (hard.name, False, None))
    ]
    assert not no_report
    assert not (out / easy.folder).exists()
    shutil.copytree(whole / easy.folder, out / easy.folder)
    shutil.rmtree(out / "runs" / "hard")
    comparing.compare(suite, out=out, only_tasks=["easy"])
    ((_, _, finished, missing),) = no_report
    assert [one.cell.name for one in finished] == [easy.name, f"{ODD} in easy"]
    assert missing == {hard.name: "not finished", f"{ODD} in hard": "not finished"}


def test_two_that_end_at_once_ask_one_after_the_other(compared, tmp_path, no_report, claimed_elsewhere):
    out = shutil.copytree(compared[0], tmp_path / "out")
    with ExitStack() as other:
        other.enter_context(claimed_elsewhere(out / outputs.REPORT))
        other.callback(no_report.append, "the other's")
        Timer(1.0, other.close).start()
        comparing.compare(read(tmp_path), out=out)
    assert [given == "the other's" for given in no_report] == [True, False]


def test_a_run_that_diverges_does_not_stop_the_others(cli, tmp_path, probe, no_report):
    probe()
    text = SUITE.replace("matrix/penalty", "test/probe").replace("k = 0.0, horizon = 5", "infinite_from = 3.0")
    text = text.replace("k = -100.0, horizon = 5", "").replace("bounds", "# bounds")
    (tmp_path / "suite.toml").write_text(text)
    answer = cli("compare", tmp_path / "suite.toml", "--out", tmp_path / "out", "--only-algos", "ippo", "--json")
    assert answer.status == 1
    assert "1 of 2 runs failed: ippo in easy" in answer.sentence
    told = json.loads(answer.out)
    assert told["report"] is None
    easy, hard = told["runs"]
    assert "learning diverged" in easy["failure"]
    assert (easy["summary"], hard["failure"]) == (None, None)
    assert hard["summary"]["env_steps"] == 160
    assert "learning diverged" in no_report[0][3]["ippo in easy"]


def test_what_is_said_of_the_report_is_what_is_known(compared, cli, tmp_path, claimed_elsewhere):
    (tmp_path / "suite.toml").write_text(SUITE)
    out = shutil.copytree(compared[0], tmp_path / "out")
    words = ("compare", tmp_path / "suite.toml", "--out", out, "--only-tasks", "easy")
    with claimed_elsewhere(out / "runs/hard/ippo"):
        answer = cli(*words)
    assert answer.status == 0
    assert "no report was written: another process is still at work." in " ".join(answer.out.split())


def test_wrong_words_leave_nothing(cli, tmp_path):
    (tmp_path / "suite.toml").write_text(SUITE)
    words = ("compare", tmp_path / "suite.toml", "--out", tmp_path / "out")
    for more, sentence in [
        (("--only-tasks", "eas"), "unknown task of this suite 'eas'; did you mean easy?"),
        (("--steps", "0"), "steps=0.0 is not allowed"),
        (("--devices", "0"), "devices=0 is not allowed"),
        (("--devices", "3"), "devices=3 is not allowed"),
    ]:
        answer = cli(*words, *more)
        assert (answer.status, sentence in answer.sentence) == (2, True), answer.sentence
    assert not (tmp_path / "out").exists()


def test_time_left_goes_by_algorithm_where_it_is_known():
    pace = Pace()
    assert pace.seconds_for([("a", 10, True)]) is None
    pace.saw_start(3.0)
    pace.saw("a", 100, 10.0)
    pace.saw("b", 100, 30.0)
    assert pace.seconds_for([("a", 10, False), ("b", 10, True), ("c", 10, False)]) == pytest.approx(1 + 3 + 3 + 2)
