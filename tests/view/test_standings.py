"""Who is best in a task, and what marl-eval is told, for runs of unlike lengths."""

import numpy as np
import pytest

from jaxmarl_lite.view.marl_eval import to_marl_eval
from jaxmarl_lite.view.runs import Curve, Run
from jaxmarl_lite.view.scores import compare
from jaxmarl_lite.view.standings import aggregates_of, markdown, per_seed, standings_of


@pytest.fixture
def curve(tmp_path):
    """Return a maker of curves that end in some returns, one for each seed."""

    def make(algo, task, last, *, env="mpe/simple", blocks=2):
        steps = 100 * np.arange(1, blocks + 1)
        values = np.linspace(0.0, last, blocks + 1)[1:]
        folder = tmp_path / f"{algo}-{task}"
        folder.mkdir()
        lines = [f'{{"block": {block}, "train_seconds": 2.0, "eval_seconds": 0.5}}\n' for block in range(blocks)]
        (folder / "timing.jsonl").write_text("".join(lines))
        return Curve(algo, task, steps, values, (Run(folder, {"env": env}, []),))

    return make


def test_the_best_and_those_not_significantly_worse_are_marked(curve):
    curves = [
        curve("best", "x", [9.0, 10.0, 11.0]),
        curve("near", "x", [8.0, 9.9, 10.5]),
        curve("far", "x", [1.0, 2.0, 3.0]),
        curve("one", "y", [4.0]),
        curve("other", "y", [3.0]),
    ]
    of = standings_of(curves)
    assert {algo for (algo, _), standing in of.items() if standing.is_best} == {"best", "near", "one"}
    low, high = of["best", "x"].interval
    assert (of["best", "x"].mean, of["one", "y"].interval) == (10.0, None)
    assert high - 10.0 == pytest.approx(10.0 - low) == pytest.approx(4.302653 / 3**0.5)  # Student's t, 2 degrees
    text = markdown("T", curves, None)
    assert "| x | **10.00** [7.52, 12.48] | **9.47**" in text
    assert "| y |  |  |  | **4.00** | 3.00 |" in text
    assert per_seed(curves)[0] == ("x", "best", 0, 200, 9.0, 9.0)


def test_a_plan_may_have_unlike_lengths_and_tasks_without_a_scale(curve):
    curves = [
        *(curve("a", "x", [0.0, 4.0], blocks=4), curve("b", "x", [2.0, 2.0])),
        *(curve("a", "flat", [0.0, 0.0]), curve("b", "flat", [0.0, 0.0])),
    ]
    compared = compare(curves, {"x": (0.0, 8.0)}, is_planned=True)
    assert (list(compared.bounds), compared.left_out, compared.given) == (["x"], ["flat"], {"x"})
    assert aggregates_of(compared)["mean"]["a"].value == 0.25


def test_marl_eval_is_told_as_much_of_all(curve):
    curves = [
        curve("a, b", "X", [1.0, 2.0, 3.0], blocks=5),
        curve("a, b", "y", [1.0, 2.0, 3.0], blocks=5),
        curve("c", "X", [1.0, 2.0], blocks=2),
        curve("c", "y", [1.0, 2.0, 3.0], blocks=4),
        curve("only here", "X", [1.0, 2.0]),
        curve("c", "z", [5.0], env="grid/navigation"),
    ]
    told = to_marl_eval(curves)
    assert {env: list(tasks) for env, tasks in told.items()} == {"mpe": ["x", "y"], "grid": ["z"]}
    for task in ("x", "y"):
        assert list(told["mpe"][task]) == ["a; b", "c"]
        for runs in told["mpe"][task].values():
            assert list(runs) == ["run_1", "run_2"]
            assert {tuple(run) for run in runs.values()} == {("step_1", "step_2", "absolute_metrics")}
    run = told["mpe"]["x"]["a; b"]["run_2"]
    assert [run[step]["step_count"] for step in ("step_1", "step_2")] == [200, 500]
    assert run["step_2"] == {"step_count": 500, "elapsed_time": 12.5, "return": [2.0]}
    assert run["absolute_metrics"] == {"elapsed_time": 12.5, "return": [2.0]}
