"""The check of returns against the stored table: how often it is wrong, what it sees, and what it says."""

import json
import sys

import check_learning
import learning_table
import numpy as np
import pytest
import scipy.stats
from check_learning import allowed, judge, main

ROW = "prisoners_dilemma-facmac"


@pytest.fixture
def check(monkeypatch, tmp_path, capsys):
    """Return a function that checks a row whose new seeds have these returns: (status, what was printed)."""
    stored = tmp_path / "learning.json"
    stored.write_text(json.dumps({ROW: {"arguments": "the words", "return_sum_per_seed": [4.0, 5.0, 6.0]}}))

    def run(returns, *words):
        monkeypatch.setattr(check_learning, "train", lambda arguments, seed, out: returns)
        monkeypatch.setattr(sys, "argv", ["check_learning.py", "--stored", str(stored), *words])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, capsys.readouterr()

    return run


@pytest.mark.parametrize("count", [1, 4])
def test_if_nothing_has_changed_the_mean_is_outside_as_often_as_the_level_says(count):
    draw, outside, trials = np.random.default_rng(0), 0, 1000
    for _ in range(trials):
        low, high = allowed(draw.normal(-27.0, 2.0, 4), count, level=0.1, tolerance=0.0)
        outside += not low <= draw.normal(-27.0, 2.0, count).mean() <= high
    assert scipy.stats.binomtest(outside, trials, 0.1).pvalue > 1e-4


def test_the_interval_is_that_of_student():
    low, high = allowed([1.0, 2.0, 3.0], 3, level=0.05, tolerance=0.0)
    assert (low + high) / 2 == pytest.approx(2.0)
    assert high - 2.0 == pytest.approx(4.302653 * (2 / 3) ** 0.5, rel=1e-5)  # t(2) at 0.975, from tables


@pytest.mark.parametrize(
    ("returns", "said"),
    [([150.0] * 4, "within"), ([150.0, 149.0], "within"), ([150.0, 100.0], "down"), ([152.0], "up"), ([], "failed")],
)
def test_where_all_seeds_reached_the_same_a_hundredth_may_be_lacking(returns, said):
    assert judge("row", [150.0] * 4, returns, level=0.01, tolerance=0.01).said == said


def test_a_seed_that_fails_does_not_hide_itself_in_its_own_spread():
    stored, returns = [-27.0, -26.5, -27.5, -27.2], [-27.0, -26.8, -27.3, -60.0]
    assert scipy.stats.ttest_ind(stored, returns, equal_var=False).pvalue > 0.05
    assert judge("row", stored, returns, level=0.01, tolerance=0.01).said == "down"


@pytest.mark.parametrize(
    ("returns", "said", "status"), [([5.0], "within", 0), ([-9.0], "down", 1), ([99.0], "up", 0), ([], "failed", 1)]
)
def test_the_status_says_whether_anything_fell(check, returns, said, status):
    told, printed = check(returns)
    assert told == status
    assert printed.out.split("\n")[1].split()[-1] == said
    assert "at most 5.0%" in printed.out
    told, printed = check(returns, "--json")
    assert told == status
    verdict = json.loads(printed.out)
    assert (verdict["row"], verdict["said"], verdict["returns"]) == (ROW, said, returns)


@pytest.mark.parametrize("stop", [SystemExit(2), RuntimeError("broken")])
def test_a_row_whose_command_does_not_run_has_failed(monkeypatch, tmp_path, capsys, stop):
    def broken(words):
        raise stop

    monkeypatch.setattr(check_learning, "jaxmarl_lite", broken)
    assert check_learning.train("ippo matrix/climbing --no-such-option 1", 1, tmp_path) == []
    assert "--no-such-option" in capsys.readouterr().err


def test_a_row_that_is_not_stored_is_refused(check):
    told, printed = check([5.0], "--only", "nothing")
    assert told == 2
    assert "error: nothing is not stored" in printed.err
    assert ROW in printed.err


def leave_run(out, mean, **more):
    """Write what the table reads of a run of two blocks and two seeds."""
    returns = {"return_sum": mean, "return_sum_ci95": [mean - 2, mean + 2], "return_sum_per_seed": [mean - 1, mean + 1]}
    tested = {**returns, "return_sum_min": 0.0, "return_sum_max": 9.0, "return_per_agent": [mean]}
    summary = {"eval": tested, "env_steps": 7, "env_steps_per_second": 1.0, "train_seconds": 7.0, "device": "cpu"}
    out.mkdir(parents=True)
    (out / "summary.json").write_text(json.dumps({**summary, "versions": {"jax": "1.0"}, **more}))
    rows = [{"block": block, "eval_return_sum": value} for block in (1, 2) for value in (mean * block, mean * block)]
    (out / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in rows))


@pytest.fixture
def table(monkeypatch, tmp_path):
    """Return a function that makes the table of some rows from a folder of runs: (the page, what is stored)."""

    def run(*rows, runs):
        out = tmp_path / "learning.md"
        words = ["learning_table.py", "--only", *rows, "--runs", str(tmp_path / runs), "--out", str(out)]
        monkeypatch.setattr(sys, "argv", words)
        learning_table.main()
        return out.read_text(), json.loads((tmp_path / "results" / "learning.json").read_text())

    return run


def test_the_table_leaves_what_is_checked_beside_it(table, tmp_path):
    row, (arguments, _) = next(iter(learning_table.ROWS.items()))
    leave_run(learning_table.folder(row, tmp_path / "runs"), 5.0)
    page, stored = table(row, runs="runs")
    assert "| **5.00** | [3.00, 7.00] | 10.00 | 4.0, 6.0 | [0.00, 9.00] |" in page
    assert list(stored) == [row]
    assert stored[row]["arguments"] == arguments
    assert stored[row]["return_sum_per_seed"] == [4.0, 6.0]
    assert stored[row]["return_sum_best"] == 10.0


def test_rows_that_are_not_trained_now_stay_unless_their_command_has_changed(table, tmp_path, monkeypatch):
    first, second, third = list(learning_table.ROWS)[:3]
    for row, mean in ((first, 5.0), (second, 6.0)):
        leave_run(learning_table.folder(row, tmp_path / "old"), mean)
    table(first, second, runs="old")
    monkeypatch.setitem(learning_table.ROWS, second, ("other words", ""))
    leave_run(learning_table.folder(third, tmp_path / "new"), 7.0)
    page, stored = table(third, runs="new")
    assert list(stored) == [first, third]
    assert "**5.00**" in page
    assert "**7.00**" in page
    assert "**6.00**" not in page
    assert f"do not stand here: {second}" in page


def test_a_run_of_another_command_is_not_taken_for_the_row(tmp_path, monkeypatch):
    row = next(iter(learning_table.ROWS))
    leave_run(learning_table.folder(row, tmp_path), 5.0)
    words = []
    monkeypatch.setattr(learning_table, "jaxmarl_lite", lambda given: words.extend(given) or 1)
    monkeypatch.setitem(learning_table.ROWS, row, ("ippo matrix/climbing --steps 7", ""))
    with pytest.raises(SystemExit):
        learning_table.trained(row, tmp_path)
    assert words[:7] == ["train", "ippo", "matrix/climbing", "--steps", "7", "--devices", "1"]


def test_policies_of_games_are_averaged_over_seeds(table, tmp_path):
    out = learning_table.folder("matching_pennies", tmp_path / "runs")
    leave_run(out, 0.0, policy_time_average=[[[1.0, 0.0]] * 2, [[0.0, 1.0]] * 2])
    page, _ = table("matching_pennies", runs="runs")
    assert "- `matching_pennies`: player 0: 0.50, 0.50; player 1: 0.50, 0.50\n" in page


def test_the_committed_table_is_made_of_the_stored_figures():
    page = check_learning.STORED.parents[1] / "learning.md"
    assert page.read_text() == learning_table.document(learning_table.stored(check_learning.STORED))
