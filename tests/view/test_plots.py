"""Runs drawn beside one another: what is compared with what, the numbers that are drawn, and what is refused."""

import csv
import json
from functools import partial

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.ops import reliability
from jaxmarl_lite.training.callbacks import Beginning, Result
from jaxmarl_lite.view.curve import Curve
from jaxmarl_lite.view.games import draw_games
from jaxmarl_lite.view.learning import draw_band, draw_curves
from jaxmarl_lite.view.runs import RETURN, curves_of, named_curve, read_runs
from jaxmarl_lite.view.scores import compare, draw_scores, scores_note

BLOCKS, STEPS = 4, 100


@pytest.fixture
def run(tmp_path):
    """Return a function that leaves the folder of a run as training would, with returns [T, K] that are given."""

    def leave(name, returns=(), *, algo="ippo", env="grid/navigation", key=0, learner=None, env_settings=None, **rows):
        folder = tmp_path / name
        folder.mkdir()
        parts = {"algo": algo, "learner": learner or {"lr": 0.001}, "env": env, "env_settings": env_settings or {}}
        config = {"format": 1, **parts, "key": {"impl": "threefry2x32", "data": [0, key]}, "plan": {"steps": 1e3}}
        (folder / "config.json").write_text(json.dumps(config))
        lines = []
        for block, values in enumerate(returns, start=1):
            for seed, value in enumerate(values):
                more = {metric: told[block - 1][seed] for metric, told in rows.items()}
                lines.append({"block": block, "seed": seed, "env_steps": block * STEPS, RETURN: value, **more})
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return folder

    return leave


def some_returns(number, seeds=3, blocks=BLOCKS):
    return np.random.default_rng(number).normal(number, 1.0, (blocks, seeds)).tolist()


def read(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def assert_drawn(path):
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 10  # more than an empty page


def test_runs_of_the_same_settings_are_one_curve_with_the_seeds_of_all(run):
    first, second = some_returns(1, 3), some_returns(2, 2)
    (curve,) = curves_of(read_runs([run("a", first), run("b", second, key=1)]))
    assert (curve.algo, curve.task) == ("ippo", "grid/navigation")
    np.testing.assert_array_equal(curve.steps, STEPS * np.arange(1, BLOCKS + 1))
    np.testing.assert_array_equal(curve.values, np.concatenate([first, second], axis=1))


def test_runs_are_named_by_what_they_differ_in_within_an_environment(run):
    runs = [
        run("a", some_returns(1)),
        run("b", some_returns(2), learner={"lr": 0.1}),
        run("c", some_returns(3), env="mpe/simple_spread", learner={"lr": 0.3}),
        run("d", some_returns(3), env="mpe/simple_spread", env_settings={"num_agents": 5}),
    ]
    names = [(curve.algo, curve.task) for curve in curves_of(read_runs(runs))]
    assert names == [
        ("ippo lr=0.001", "grid/navigation"),
        ("ippo lr=0.1", "grid/navigation"),
        ("ippo", "mpe/simple_spread"),
        ("ippo", "mpe/simple_spread num_agents=5"),
    ]


def test_a_picture_of_curves_and_its_numbers(cli, run, tmp_path):
    returns = {("ippo", "grid/navigation"): some_returns(1, 5), ("qmix", "mpe/simple_spread"): some_returns(2, 1)}
    folders = [run(algo, values, algo=algo, env=env) for (algo, env), values in returns.items()]
    answer = cli("plot", *folders, "--out", tmp_path / "new" / "x.png")
    assert (answer.status, answer.out) == (0, "")
    assert str(tmp_path / "new" / "x.csv") in answer.err
    assert_drawn(tmp_path / "new" / "x.png")
    rows = read(tmp_path / "new" / "x.csv")
    assert len(rows) == 2 * BLOCKS
    for row in rows:
        values = np.array(returns[row["algorithm"], row["environment"]])[int(row["env_steps"]) // STEPS - 1]
        assert float(row["iqm"]) == pytest.approx(reliability.interquartile_mean([values]))
        assert int(row["seeds"]) == len(values)
        if len(values) == 1:
            assert (row["low"], row["high"]) == ("nan", "nan")
        else:
            assert values.min() <= float(row["low"]) < float(row["iqm"]) < float(row["high"]) <= values.max()


@pytest.mark.parametrize(("blocks", "mark"), [(1, "o"), (2, "None")])
def test_a_single_evaluation_is_a_dot_because_a_line_of_one_point_is_not_seen(run, blocks, mark):
    (curve,) = curves_of(read_runs([run("a", some_returns(1, blocks=blocks))]))
    axes = Figure().subplots()
    draw_band(axes, curve, {"color": "C0"})
    assert axes.lines[0].get_marker() == mark


def test_another_number_may_be_drawn(run, tmp_path):
    entropy = np.random.default_rng(0).random((BLOCKS, 3))
    curves = curves_of(read_runs([run("a", some_returns(1), entropy=entropy.tolist())]), "entropy")
    draw_curves(curves, tmp_path / "x.svg", metric="entropy")
    assert "<svg" in (tmp_path / "x.svg").read_text()
    np.testing.assert_array_equal(curves[0].values, entropy)


def test_a_curve_that_cannot_be_written_is_a_warning(tmp_path):
    (tmp_path / "curve.png").mkdir()
    curve, rows = Curve(), [{"seed": 0, "env_steps": 5, "return_sum": 1.0, RETURN: 2.0}]
    curve.begin(Beginning(None, None, None, None, tmp_path, []))
    with pytest.warns(UserWarning, match=r"no curve was drawn: .*curve\.png cannot be written: Is a directory"):
        curve.end(Result(None, rows, {"algo": "ippo", "env": "grid/navigation"}))


@pytest.fixture
def rivals(run):
    """Two algorithms in two environments, and one more environment that only one of them knows."""
    better, worse, other = some_returns(5), some_returns(1), some_returns(9)
    cells = [("ippo", "grid/navigation", better), ("qmix", "grid/navigation", worse)]
    cells += [
        ("ippo", "mpe/simple_spread", worse),
        ("qmix", "mpe/simple_spread", better),
        ("ippo", "mpe/simple", other),
    ]
    return [run(f"{i}", values, algo=algo, env=env) for i, (algo, env, values) in enumerate(cells)]


def test_scores_are_between_the_worst_and_the_best_evaluation_or_given_bounds(rivals):
    curves = curves_of(read_runs(rivals))
    compared = compare(curves, {"mpe/simple_spread": (0.0, 10.0)})
    every = np.concatenate([some_returns(5), some_returns(1)], axis=1)
    assert compared.bounds == {"grid/navigation": (every.min(), every.max()), "mpe/simple_spread": (0.0, 10.0)}
    assert compared.left_out == ["mpe/simple"]
    low, high = every.min(), every.max()
    np.testing.assert_allclose(compared.scores["ippo"][0], (np.array(some_returns(5)[-1]) - low) / (high - low))
    np.testing.assert_allclose(compared.scores["ippo"][1], np.array(some_returns(1)[-1]) / 10.0)


def test_a_note_says_what_scores_are_of(rivals):
    compared = compare(curves_of(read_runs(rivals)))
    assert scores_note(compared).startswith("Scores are (return - low) / (high - low) of each seed's last evaluation;")
    assert scores_note(compared, "entropy").startswith("Scores are (entropy - low)")


def test_a_picture_of_scores_and_its_numbers(cli, rivals, tmp_path):
    words = ["--what", "scores", "--bounds", "mpe/simple_spread=0:10", "--out", tmp_path / "x.png"]
    answer = cli("plot", *rivals, *words)
    assert answer.status == 0
    assert "left out mpe/simple: not every algorithm was trained there" in answer.sentence
    assert_drawn(tmp_path / "x.png")
    scores = compare(curves_of(read_runs(rivals)), {"mpe/simple_spread": (0.0, 10.0)}).scores
    rows = read(tmp_path / "x.csv")
    told = {(row["quantity"], row["algorithm"], row["against"]): float(row["value"]) for row in rows}
    for algo in ("ippo", "qmix"):
        assert told["interquartile mean", algo, ""] == pytest.approx(reliability.interquartile_mean(scores[algo]))
        assert told["optimality gap", algo, ""] == pytest.approx(reliability.optimality_gap(scores[algo]))
    improvement = reliability.probability_of_improvement(scores["ippo"], scores["qmix"])
    assert told["probability of improvement", "ippo", "qmix"] == pytest.approx(improvement)
    assert told["performance profile", "ippo", "1"] <= told["performance profile", "ippo", "0"] <= 1.0
    bounds = next(row for row in rows if (row["quantity"], row["against"]) == ("bounds", "mpe/simple_spread"))
    assert (float(bounds["low"]), float(bounds["high"])) == (0.0, 10.0)


def test_a_picture_of_games_and_its_numbers(cli, run, tmp_path):
    share = np.random.default_rng(0).dirichlet([1.0, 1.0], (BLOCKS, 3, 2))
    dilemma = run("a", some_returns(1), env="matrix/prisoners_dilemma", action_frequency=share.tolist())
    share = np.random.default_rng(1).dirichlet([1.0, 1.0, 1.0], (BLOCKS, 3, 2))
    climbing = run("b", some_returns(2), env="matrix/climbing", action_frequency=share.tolist())
    assert cli("plot", dilemma, climbing, "--what", "games", "--out", tmp_path / "x.png").status == 0
    assert_drawn(tmp_path / "x.png")
    rows = [row for row in read(tmp_path / "x.csv") if row["game"] == "ippo in matrix/climbing"]
    paid = {(row["player"], row["action"]): float(row["value"]) for row in rows if row["quantity"] == "payoff"}
    assert (paid["0", "0 0"], paid["1", "0 1"], len(paid)) == (11.0, -30.0, 18)
    shown = [row for row in rows if row["quantity"] == "share"]
    assert len(shown) == share.size
    for row in shown:
        place = [int(row[name]) for name in ("env_steps", "seed", "player", "action")]
        assert float(row["value"]) == share[place[0] // STEPS - 1, *place[1:]]


@pytest.mark.parametrize(
    "draw", [partial(draw_curves, metric=RETURN), draw_scores, draw_games], ids=["curves", "scores", "games"]
)
def test_names_that_mean_something_to_matplotlib_are_names(run, tmp_path, draw):
    share = np.random.default_rng(0).dirichlet([1.0, 1.0], (2, 2, 2)).tolist()
    curves = [
        named_curve(name, r"costs $\worse{ or $6", read_runs([leave]))
        for number, name in enumerate(["_hidden", r"pays $\bad{ and $5"])
        for leave in [run(f"{number}", some_returns(number, 2, 2), env="matrix/chicken", action_frequency=share)]
    ]
    draw(curves, tmp_path / "x.png")
    assert_drawn(tmp_path / "x.png")


def test_what_cannot_be_plotted_is_refused_with_a_sentence(cli, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    short, other = some_returns(1, blocks=2), {"algo": "qmix"}
    run("a", some_returns(1))
    run("same", some_returns(1))
    run("empty", key=2)
    run("short", short, key=1)
    run("brief", short, **other)
    run("far", some_returns(1), env="mpe/simple_spread", **other)
    run("flat", np.ones((BLOCKS, 2)).tolist(), algo="vdn", env="mpe/simple")
    run("even", np.ones((BLOCKS, 2)).tolist(), algo="iql", env="mpe/simple")
    run("null", some_returns(1), key=4, length=[[None] * 3] * BLOCKS)
    before = sorted(tmp_path.rglob("*"))
    cases = [
        ([], "no run is given"),
        (["nowhere"], "'nowhere' holds no run"),
        (["a", "a"], "its seeds are the same"),
        (["a", "same"], "'same' has the settings and the key of 'a'"),
        (["empty"], "'empty' has no evaluations yet: go on with `jaxmarl-lite resume empty`."),
        (["a", "short"], "'short' has 2 evaluations up to 200 steps and 'a' 4 up to 400"),
        (["a", "brief", "--what", "scores"], "'brief' has 200 steps and 'a' 400: runs in grid/navigation are compared"),
        (["a", "--what", "scores"], "scores need two algorithms to compare, and these runs are all of ippo."),
        (["a", "far", "--what", "scores"], "there is none"),
        (["flat", "even", "--what", "scores"], "cannot be brought to one scale from 1 to 1"),
        (
            ["flat", "even", "--what", "scores", "--bounds", "mpe/simple=3:2"],
            "from 3 to 2: give its bounds, lower first.",
        ),
        (["flat", "even", "--what", "scores", "--bounds", "mpe/simpel=0:2"], "did you mean mpe/simple?"),
        (["a", "--bounds", "3:2:1"], "bounds='3:2:1' is not allowed: it must be ENV=LOW:HIGH, two numbers."),
        (["a", "--bounds", "x=0:1"], "bounds='x=0:1' is not allowed with --what curves: only scores have bounds."),
        (
            ["flat", "--what", "scores", "--bounds", "x=-inf:5"],
            "bounds=-inf is not allowed: it must be a finite number",
        ),
        (["a", "--what", "games"], "'a' is a run in grid/navigation, which is not a matrix game."),
        (["a", "--what", "pies"], "'pies'"),
        (["a", "--metric", "entropi"], "metric='entropi' is not allowed: 'a' has no such number in every row"),
        (["null", "--metric", "length"], "metric='length' is not allowed: 'null' could not tell it in every block."),
        (["a", "--out", "x.gif"], "out='x.gif' is not allowed: it must end in .png, .svg, .pdf."),
        (["a", "--out", "a/config.json/x.png"], "is a file"),
    ]
    for words, part in cases:
        answer = cli("plot", *words)
        assert (answer.status, answer.out) == (2, ""), words
        assert part in answer.sentence, (words, answer.sentence)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "text", ["{\n", "[]\n", '{"block": 1}\n', '{"block": 1, "seed": "x"}\n{"block": 1, "seed": 0}\n']
)
def test_damaged_metrics_are_a_failure_that_names_them(run, text):
    folder = run("a")
    (folder / "metrics.jsonl").write_text(text)
    with pytest.raises(RunError, match=r"metrics\.jsonl is damaged"):
        read_runs([folder])


@pytest.mark.parametrize("more", [{"block": 2, "seed": 0}, {"block": 2, "seed": 3}, {"block": 9, "seed": 0}], ids=str)
def test_rows_that_are_not_one_for_each_seed_of_each_block_are_refused(run, more):
    folder = run("a", some_returns(1))
    with open(folder / "metrics.jsonl", "a") as file:
        file.write(json.dumps({**more, "env_steps": 5, RETURN: 1.0}) + "\n")
    with pytest.raises(RunError, match=r"metrics\.jsonl is damaged: it must have one row for each seed of each block"):
        curves_of(read_runs([folder]))


def test_damaged_numbers_are_refused(run):
    folder = run("a", some_returns(1))
    (folder / "metrics.jsonl").write_text('{"block": 1, "seed": 0, "env_steps": 5, "eval_return_sum": "<b>"}\n')
    with pytest.raises(SettingError, match="no such number"):
        curves_of(read_runs([folder]))
