"""What measuring returns: structure and values, never times."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from jaxmarl_lite.bench.learning import measure_training
from jaxmarl_lite.bench.peak import copy_bandwidth, product_peak
from jaxmarl_lite.bench.phases import shares
from jaxmarl_lite.bench.profile import SLOWEST, profile
from jaxmarl_lite.bench.stepping import ENV_STEPS, FEWEST_STEPS, measure_stepping, steps_for
from jaxmarl_lite.bench.sweep import SIZES, sizes_of
from jaxmarl_lite.bench.timing import spread
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.learners.learner import Learner

TURNS, SIZE = 6, 16


@dataclasses.dataclass(frozen=True)
class ToySettings:
    num_envs: int = 4
    equal_parts: int = 1
    idle_updates: int = 0

    @property
    def steps_per_update(self):
        return TURNS * self.num_envs


def multiplied(state):
    return jax.lax.scan(lambda x, _: (jnp.tanh(x @ x), None), state["x"], None, length=TURNS)[0]


@pytest.fixture
def toy():
    """A learner of two phases, the first of which does a matrix product in each step and reports nothing finite."""
    return Learner(
        name="toy",
        settings=ToySettings(),
        check=lambda spec: None,
        init=lambda key, env: {"x": jax.random.normal(key, (SIZE, SIZE)), "n": jnp.zeros(())},
        phases={
            "gather": lambda state, env, progress, shard: {**state, "x": multiplied(state)},
            "learn": lambda state, env, progress, shard: ({**state, "n": state["n"] + 1}, {"loss": progress / 0}),
        },
        policy=lambda spec: None,
        params=lambda state: state["x"],
        env_axes=lambda state: jax.tree.map(lambda x: -1, state),
    )


def test_training_is_measured_whatever_the_phases_are_called(toy, probe):
    figures = measure_training(toy, probe(), jax.random.key(0), updates=3, repeats=2, seeds=2)
    assert (figures["num_envs"], figures["seeds"], figures["updates"]) == (4, 2, 3)
    assert figures["env_steps_per_update"] == 2 * 4 * TURNS
    low, middle, high = (figures[f"env_steps_per_second{part}"] for part in ("_min", "", "_max"))
    assert 0 < low <= middle <= high
    assert list(figures["phases"]) == ["gather", "learn"]
    assert sum(part["share"] for part in figures["phases"].values()) == pytest.approx(1.0)
    assert figures["is_finite"] is False


def test_what_is_timed_comes_after_the_updates_that_learn_nothing(toy, probe):
    idle = 7

    def learn(state, *_):
        return {**state, "n": state["n"] + 1}, {"loss": jnp.where(state["n"] < idle, jnp.nan, 1.0)}

    late = toy._replace(settings=ToySettings(idle_updates=idle), phases={**toy.phases, "learn": learn})
    assert measure_training(late, probe(), jax.random.key(0), updates=3, repeats=1)["is_finite"] is True


def test_updates_left_out_make_enough_steps(toy, probe):
    figures = measure_training(toy, probe(), jax.random.key(0), repeats=1)
    assert figures["updates"] == 100_000 // (4 * TURNS)


@pytest.mark.parametrize("name", ["updates", "repeats", "seeds"])
def test_counts_must_be_positive(toy, probe, name):
    with pytest.raises(SettingError, match=f"{name}=0 is not allowed"):
        measure_training(toy, probe(), jax.random.key(0), **{name: 0})


def test_a_profile_counts_what_each_phase_does(toy, probe):
    figures = profile(toy, probe(), jax.random.key(0), seeds=2, repeats=2)
    gather, learn = figures["phases"]["gather"], figures["phases"]["learn"]
    assert gather["product_flops"] == 2 * TURNS * 2 * SIZE**3  # seeds, turns, product
    assert learn["product_flops"] == 0
    assert gather["xla_flops"] < gather["flops"]  # XLA counts one turn
    assert gather["main_loop"]["turns"] == TURNS
    assert figures["kernels_per_env_step"] == gather["main_loop"]["kernels_per_turn"] >= 2
    assert gather["kernels_run"] >= TURNS * figures["kernels_per_env_step"]
    assert learn["main_loop"] is None
    assert 2 * SIZE * SIZE * 4 < gather["peak_memory_bytes"] < 20 * SIZE * SIZE * 4
    assert 0 < len(gather["slowest_kernels"]) <= SLOWEST
    times = [kernel["seconds"] for kernel in gather["slowest_kernels"]]
    assert times == sorted(times, reverse=True)
    assert figures["trace"] is None


def test_collecting_is_environment_and_policy():
    seconds = {"collect": [3.0, 1.0, 2.0], "estimate": [1.0] * 3, "update": [5.0] * 3}
    parts = shares(seconds, env_seconds=0.5)
    assert {name: part["seconds"] for name, part in parts.items()} == {
        "env": 0.5,
        "policy": 1.5,
        "returns": 1.0,
        "update": 5.0,
    }
    assert parts["update"]["share"] == 5.0 / 8.0
    assert shares(seconds, env_seconds=9.0)["policy"]["seconds"] == 0.0
    assert list(shares({"act": [1.0], "learn": [3.0]}, 9.0)) == ["act", "learn"]


def test_steps_shrink_with_the_number_of_environments():
    steps = [steps_for(size) for size in SIZES]
    assert steps == sorted(steps, reverse=True)
    assert steps[-1] == FEWEST_STEPS
    assert all(size * count <= ENV_STEPS for size, count in zip(SIZES[:-1], steps, strict=False))


def test_sizes_of_a_sweep():
    assert sizes_of(None, 7) == [7]
    assert sizes_of((64, 1, 64), 7) == [1, 64]
    assert sizes_of((), 7) == [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536]
    with pytest.raises(SettingError, match="num_envs=0 is not allowed"):
        sizes_of((1, 0), 7)


def test_stepping_left_to_itself_takes_enough_steps(probe):
    figures = measure_stepping(probe(), num_envs=16384, repeats=1)
    assert figures["steps"] == steps_for(16384)
    assert figures["is_finite"] is True
    assert measure_stepping(probe(reward=(jnp.inf,)), num_envs=2, steps=3, repeats=1)["is_finite"] is False


def test_spread_is_median_and_range():
    assert spread("x", [3.0, 1.0, 2.0]) == {"x": 2.0, "x_min": 1.0, "x_max": 3.0}


def test_peaks_are_positive():
    assert product_peak(32) > 0
    assert copy_bandwidth(1024) > 0
