"""What `bench` and `profile` print and leave; never how fast."""

import dataclasses
import gzip
import json
import math

import jax
import pytest
from PIL import Image

from jaxmarl_lite.cli import options
from jaxmarl_lite.view import canvas

WORDS = ["ippo", "grid/navigation", "--num-envs", "8", "--rollout-length", "5", "--minibatches", "2", "--hidden", "16"]
PARTS = ("_min", "", "_max")


def assert_refused(answer, *parts, status=2):
    assert answer.status == status
    assert "Traceback" not in answer.err + answer.out
    for part in parts:
        assert part in answer.sentence
    assert answer.out == ""


def assert_positive(figures, *names):
    for name in names:
        assert math.isfinite(figures[name]), name
        assert figures[name] > 0, name


def assert_drawn(path):
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 10  # more than an empty page


def test_bench_env_sweeps_and_draws(cli, tmp_path):
    words = ["matrix/chicken", "--sweep", "16", "1", "--steps", "5", "--repeats", "2"]
    answer = cli("bench", "env", *words, "--json", "--out", tmp_path / "new" / "speed.png")
    assert answer.status == 0
    figures = json.loads(answer.out)
    assert [(point["num_envs"], point["steps"]) for point in figures["points"]] == [(1, 5), (16, 5)]
    for point in figures["points"]:
        assert_positive(point, "trace_seconds", "compile_seconds", *(f"env_steps_per_second{part}" for part in PARTS))
    assert figures["device"].startswith(jax.devices()[0].platform)
    assert_drawn(tmp_path / "new" / "speed.png")


def test_bench_env_prints_a_row_for_each_size(cli):
    answer = cli("bench", "env", "matrix/chicken", "--sweep", "4", "1", "--steps", "5", "--repeats", "2")
    assert answer.status == 0
    rows = [line.split()[0] for line in answer.out.splitlines() if line.split()[:1] in (["1"], ["4"])]
    assert rows == ["1", "4"]
    assert "steps/s" in answer.out


def test_bench_train_measures_speed_and_shares(cli, tmp_path):
    words = [*WORDS, "--sweep", "1", "8", "--updates", "2", "--repeats", "2"]
    answer = cli("bench", "train", *words, "--json", "--out", tmp_path / "speed.png")
    assert answer.status == 0
    figures = json.loads(answer.out)
    assert (figures["algo"], figures["env"]) == ("ippo", "grid/navigation")
    assert list(figures["refused"]) == ["1"]
    assert "left out num_envs=1: minibatches=2 does not divide num_envs=1" in answer.sentence
    (point,) = figures["points"]
    assert (point["num_envs"], point["updates"], point["env_steps_per_update"]) == (8, 2, 40)
    assert_positive(point, "trace_seconds", "compile_seconds", *(f"env_steps_per_second{part}" for part in PARTS))
    assert list(point["phases"]) == ["env", "policy", "returns", "update"]
    assert sum(part["share"] for part in point["phases"].values()) == pytest.approx(1.0)
    assert all(part["seconds"] >= 0 for part in point["phases"].values())
    assert point["is_finite"] is True
    assert figures["versions"]["jax"] == jax.__version__
    assert_drawn(tmp_path / "speed.png")


def test_bench_train_prints_a_table(cli):
    answer = cli("bench", "train", *WORDS, "--updates", "2", "--repeats", "1")
    assert answer.status == 0
    for word in ("env_steps_per_second", "compile_seconds", "share of env", "share of returns", "device"):
        assert word in answer.out


def test_profile_prints_figures_of_each_phase_and_leaves_a_trace(cli, tmp_path):
    answer = cli("profile", *WORDS, "--repeats", "2", "--json", "--trace", tmp_path / "traces")
    assert answer.status == 0
    figures = json.loads(answer.out)
    assert list(figures["phases"]) == ["collect", "estimate", "update"]
    for phase in figures["phases"].values():
        assert_positive(
            phase, "seconds", "flops", "product_flops", "bytes", "peak_memory_bytes", "kernels_run", "of_product_peak"
        )
        assert phase["loops_of_unknown_length"] == 0
        assert phase["slowest_kernels"]
    assert sum(phase["share"] for phase in figures["phases"].values()) == pytest.approx(1.0)
    collect, update = figures["phases"]["collect"], figures["phases"]["update"]
    assert collect["main_loop"]["turns"] == 5  # the rollout's length
    assert update["main_loop"]["turns"] == 4 * 2  # epochs x minibatches
    assert figures["kernels_per_env_step"] == collect["main_loop"]["kernels_per_turn"] > 0
    # Every epoch goes forward and back through networks from 6 + 2 numbers to 16 to 4 actions or 1 value.
    forward = 2 * (5 * 8 * 2) * ((8 * 16 + 16 * 4) + (8 * 16 + 16 * 1))
    assert 4 * 2 * forward < update["product_flops"] < 4 * 4 * forward
    with gzip.open(figures["trace"], "rt") as text:
        assert json.load(text)["traceEvents"]
    assert figures["trace"] in answer.err


def test_profile_prints_a_table(cli):
    answer = cli("profile", *WORDS, "--repeats", "1")
    assert answer.status == 0
    for word in ("collect", "estimate", "update", "MFLOP", "peak", "copy", "loop", "kernels"):
        assert word in answer.out


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["bench", "trian"], ["unknown benchmark 'trian'", "did you mean train?"]),
        (["bench", "train", "ipo", "grid/navigation"], ["unknown algorithm 'ipo'"]),
        (["bench", "train", "ippo", "navigation"], ["unknown environment 'navigation'"]),
        (["bench", "train", "ippo"], ["ENV"]),
        (["bench", "train"], ["ALGO"]),
        (["bench", "train", *WORDS, "--updates", "0"], ["updates=0 is not allowed"]),
        (["bench", "train", *WORDS, "--repeats", "0"], ["repeats=0 is not allowed"]),
        (["bench", "train", *WORDS, "--seeds", "0"], ["seeds=0 is not allowed"]),
        (["bench", "train", *WORDS, "--lr", "0"], ["lr=0.0 is not allowed"]),
        (["bench", "train", *WORDS, "--sweep", "8", "0"], ["num_envs=0 is not allowed"]),
        (["bench", "train", *WORDS, "--sweep", "1", "3"], ["minibatches=2 does not divide num_envs=1"]),
        (["bench", "train", *WORDS, "--out", "speed.txt"], ["out='speed.txt' is not allowed", ".png"]),
        (["bench", "env", "matrix/chicken", "--sweep", "-1"], ["num_envs=-1 is not allowed"]),
        (["bench", "env", "matrix/chicken", "--sweep", "few"], ["'few'"]),
        (["bench", "env", "matrix/chicken", "--out", "speed"], ["out='speed' is not allowed"]),
        (["profile", "ippo", "grid/navigatoin"], ["did you mean grid/navigation"]),
        (["profile", *WORDS, "--repeats", "0"], ["repeats=0 is not allowed"]),
        (["profile", *WORDS, "--seeds", "0"], ["seeds=0 is not allowed"]),
        (["profile", *WORDS, "--minibatches", "3"], ["minibatches=3 does not divide num_envs=8"]),
    ],
    ids=lambda value: " ".join(word for word in value if word not in WORDS),
)
def test_wrong_usage_is_answered_with_a_sentence(cli, tmp_path, monkeypatch, words, parts):
    monkeypatch.chdir(tmp_path)
    assert_refused(cli(*words), *parts)
    assert list(tmp_path.iterdir()) == []


def test_a_trace_that_cannot_be_written_is_refused_before_anything_is_measured(cli, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert_refused(cli("profile", *WORDS, "--trace", tmp_path / "file"), "file", status=1)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_picture_without_matplotlib_is_refused_before_anything_is_measured(cli, tmp_path, monkeypatch):
    def missing(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    real = canvas.__builtins__["__import__"]
    monkeypatch.setitem(canvas.__builtins__, "__import__", missing)
    words = ["matrix/chicken", "--sweep", "1", "--out", tmp_path / "x.png"]
    assert_refused(cli("bench", "env", *words), "jaxmarl-lite[plots]", status=1)


@pytest.mark.parametrize("words", [["bench", "train"], ["profile"]], ids=" ".join)
def test_every_setting_is_an_option_of_measuring(cli, words):
    answer = cli(*words, "mappo", "grid/navigation", "--help")
    for option in ("--num-envs", "--rollout-length", "--critic", "--env.horizon", "--seeds", "--repeats", "--json"):
        assert option in answer.out


@pytest.mark.parametrize("algo", ["ippo", "qmix"])
@pytest.mark.parametrize("make_command", [options.train_command, options.bench_train_command, options.profile_command])
def test_no_setting_is_hidden_by_an_option_of_its_command(make_command, algo):
    parts = [part.default for part in dataclasses.fields(make_command(algo, "matrix/chicken"))]
    flat = [field.name for part in parts if dataclasses.is_dataclass(part) for field in dataclasses.fields(part)]
    assert len(flat) == len(set(flat))


def test_bench_help_names_both(cli):
    answer = cli("bench", "--help")
    assert "bench env ENV" in answer.out
    assert "bench train ALGO ENV" in answer.out
