"""What stands beside the published table is on its scale, and is called higher, equal or lower as it should be."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import reproduce_epymarl
from reproduce_epymarl import (
    QUICK_SHARES,
    Entry,
    Reached,
    best_of,
    digest_of,
    document,
    entries_of,
    is_done,
    joined,
    names_of,
    quick,
    read_published,
    read_results,
    unit_of,
    verdict,
)

from jaxmarl_lite.comparing.compare import CellResult, Comparison
from jaxmarl_lite.comparing.suite import read_suite
from jaxmarl_lite.core.errors import RunError

SUITE = read_suite("epymarl")


def test_every_cell_has_its_published_figure_and_budget():
    published = read_published()
    assert {names_of(cell) for cell in SUITE.cells} == set(published)
    assert len(SUITE.cells) == 9 * 2 * 17
    on_policy = ("ia2c", "ippo", "coma", "maa2c", "mappo")
    for cell in SUITE.cells:
        task, algo, sharing = names_of(cell)
        is_matrix = task.startswith(("climbing", "penalty"))
        budget = (2.5e6 if is_matrix else 2e7) if algo in on_policy else (2.5e5 if is_matrix else 2e6)
        assert (cell.plan.steps, cell.plan.blocks, cell.plan.eval_episodes, cell.plan.seeds) == (budget, 41, 100, 5)
        assert cell.plan.sample_eval == (algo in on_policy or task.startswith("lbf"))
        assert cell.learner.settings.sharing == sharing
        assert cell.learner.settings.share_rewards or cell.learner.settings.is_joint


def test_returns_are_brought_to_the_scale_of_the_tables():
    # 25 rounds of 7 for each of two; five apart, in the units of section 0 of their appendix: -(3 D + C + 75).
    assert unit_of("climbing") * 350.0 == 175.0
    assert unit_of("penalty-25") * 100.0 == 50.0
    distance, collisions = 10.0, 4.0
    ours = -(1.5 * distance + 0.5 * collisions) - 37.5
    assert unit_of("spread") * ours == pytest.approx(-(3 * distance + collisions + 75))
    assert unit_of("tag") * 30.0 == pytest.approx(10.0)
    assert unit_of("lbf-8x8-2p-2f-coop") == unit_of("speaker_listener") == 1.0


def test_the_best_evaluation_is_that_of_the_greatest_mean_over_seeds():
    values = np.array([[0.0, 9.0, 0.0], [4.0, 5.0, 6.0], [4.0, 4.0, 4.0]])
    at, reached = best_of(values)
    assert (at, reached.value) == (1, 5.0)
    assert reached.half_width == pytest.approx(4.302653 / 3**0.5, rel=1e-6)  # t of 2 degrees of freedom, deviation 1


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        ((5.0, 0.0), (5.0, 0.0), "equal"),
        ((5.0, 3.0), (10.0, 4.0), "equal"),  # the root of 3^2 + 4^2 is 5
        ((4.9, 3.0), (10.0, 4.0), "lower"),
        ((10.0, 0.5), (9.0, 0.5), "higher"),
    ],
)
def test_two_figures_are_equal_within_both_intervals(ours, theirs, told):
    assert verdict(Reached(*ours), Reached(*theirs)) == told


def test_the_table_says_what_was_trained_for_less_than_the_budget_or_by_other_settings():
    (cell,) = SUITE.only(["ippo"], ["tag"]).cells
    entries = [
        Entry("tag", "ippo", "shared", Reached(30.0, 1.0), 8_000_000, 20_000_000, 5, 10.0, digest_of(cell)),
        Entry("tag", "iql", "shared", Reached(3.0, 1.0), 200_000, 200_000, 5, 10.0, "b"),
    ]
    text = document(entries, SUITE, {"device": "cpu", "cores": 2, "jax": "1"})
    (line,) = (line for line in text.splitlines() if line.startswith("| tag"))
    assert "**▲** 30.00 ± 1.00<br>19.44 ± 2.94 |" in line
    assert "**▼** 3.00 ± 1.00<br>22.18 ± 2.83<br>0.2M<br>before |" in line
    assert "0 higher, 0 equal, 0 lower. Against opponents of ours: 1 higher, 0 equal, 1 lower." in text
    assert "- tag: iql (shared), 3.00 ± 1.00 against 22.18 ± 2.83, after 10% of the steps\n" in text
    assert "## Without" not in text


def test_runs_are_read_from_where_the_comparison_leaves_them(tmp_path):
    (cell,) = SUITE.only(["ippo"], ["climbing"]).cells
    folder = tmp_path / cell.folder
    folder.mkdir(parents=True)
    config = {"format": 1, "algo": "ippo", "learner": {}, "env": "e", "env_settings": {}, "key": {}, "plan": {}}
    (folder / "config.json").write_text(json.dumps(config))
    rows = [
        {"block": block, "seed": seed, "env_steps": 100 * block, "eval_return_sum": value}
        for block, values in ((1, (350.0, 350.0)), (2, (250.0, 150.0)))
        for seed, value in enumerate(values)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert entries_of(SUITE, tmp_path) == []  # not done
    (folder / "summary.json").write_text(json.dumps({"train_seconds": 2.0, "eval_seconds": 1.0}))
    (entry,) = entries_of(SUITE, tmp_path)
    assert entry[:3] == ("climbing", "ippo", "shared")
    assert entry.reached == Reached(175.0, 0.0)
    assert (entry.best_at, entry.env_steps, entry.seeds, entry.seconds) == (100, 200, 2, 3.0)


def test_results_are_kept_and_the_longer_run_of_a_cell_stands(tmp_path):
    short, long = (Entry("tag", "iql", "shared", Reached(3.0, 1.0), 1, steps, 5, 1.0, "old") for steps in (10, 20))
    other = Entry("climbing", "iql", "shared", Reached(3.0, 1.0), 1, 10, 5, 1.0, "c")
    assert joined([long], [short, other], SUITE) == [other, long]
    path = tmp_path / "results.json"
    assert read_results(path) == []
    path.write_text(json.dumps({"cells": [long._asdict()]}))
    assert read_results(path) == [long]
    path.write_text("{}")
    with pytest.raises(RunError, match=r"results.json is damaged"):
        read_results(path)


def test_settings_of_the_suite_stand_before_longer_runs_of_others():
    (cell,) = SUITE.only(["ippo"], ["climbing"]).cells
    old = Entry("climbing", "ippo", "shared", Reached(3.0, 1.0), 1, 20, 5, 1.0, "old")
    ours = old._replace(env_steps=10, digest=digest_of(cell))
    for known, new in (([old], [ours]), ([ours], [old])):
        assert joined(known, new, SUITE) == [ours]
    assert joined([ours], [ours._replace(env_steps=15), old], SUITE) == [ours._replace(env_steps=15)]


def test_a_cell_is_done_if_it_was_trained_with_its_settings_and_as_long():
    (cell,) = SUITE.only(["ippo"], ["climbing"]).cells
    entry = Entry("climbing", "ippo", "shared", Reached(3.0, 1.0), 1, 2_500_000, 5, 1.0, digest_of(cell))
    assert is_done(cell, [entry])
    assert not is_done(cell, [entry._replace(env_steps=2_400_000)])
    assert not is_done(cell, [entry._replace(digest="old")])
    part = dataclasses.replace(cell, plan=dataclasses.replace(cell.plan, steps=1e6, devices=1))
    assert is_done(part, [entry]), "neither the length nor the devices make it another run"
    other = dataclasses.replace(cell, plan=dataclasses.replace(cell.plan, seeds=2))
    assert not is_done(other, [entry])


def test_folders_are_made_before_anything_is_trained(tmp_path, monkeypatch):
    path = tmp_path / "new" / "results.json"
    (cell,) = SUITE.only(["iql"], ["climbing"]).cells
    words = ["--tasks", "climbing", "--algos", "iql", "--out", str(tmp_path / "out"), "--results", str(path)]
    monkeypatch.setattr(sys, "argv", ["reproduce_epymarl.py", *words, "--table", str(tmp_path / "pages" / "table.md")])

    def trained(suite, out, overwrite, callbacks):
        entry = Entry("climbing", "iql", "shared", Reached(175.0, 0.0), 1, 250_000, 5, 1.0, digest_of(cell))
        path.write_text(json.dumps({"cells": [entry._asdict()]}))
        return Comparison([CellResult(cell, out, None, "it diverged")], "nothing is finished")

    monkeypatch.setattr(reproduce_epymarl, "compare", trained)
    assert reproduce_epymarl.main() == 1, "what failed must be seen"
    assert "175.00" in (tmp_path / "pages" / "table.md").read_text()


def test_the_quick_part_has_every_kind_of_task():
    small = quick(SUITE)
    assert set(small.tasks) == set(QUICK_SHARES)
    assert all(cell.plan.steps <= 1e6 for cell in small.cells)
