import itertools
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.shard import WHOLE, Shard
from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.learners import minibatches
from jaxmarl_lite.learners.minibatches import map_parts, shuffled, sum_over_parts
from jaxmarl_lite.learners.presets import make_learner

KEY = jax.random.key(0)
SIZES = [(8, 2), (8, 8), (12, 3), (12, 1), (1, 1), (128, 8)]
any_size = pytest.mark.parametrize(("num_envs", "num"), SIZES)


class Device(NamedTuple):
    """A Shard as device `number` knows it."""

    number: int

    def first(self, num_local):
        return self.number * num_local


@any_size
@pytest.mark.parametrize("seed", [0, 1])
def test_every_environment_is_in_exactly_one_minibatch(num_envs, num, seed):
    order = np.asarray(shuffled(jax.random.key(seed), num_envs, num, WHOLE))
    assert order.dtype == np.int32
    assert order.shape == (num, num_envs // num)
    assert sorted(order.ravel()) == list(range(num_envs))


@any_size
def test_each_minibatch_has_one_of_every_block_of_consecutive_environments(num_envs, num):
    order = np.asarray(shuffled(KEY, num_envs, num, WHOLE))
    np.testing.assert_array_equal(np.sort(order // num, axis=1), np.tile(np.arange(num_envs // num), (num, 1)))


def test_the_order_follows_from_the_key():
    first, again, other = (np.asarray(shuffled(jax.random.key(k), 64, 4, WHOLE)) for k in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


def test_every_order_of_a_block_is_as_likely_whatever_that_of_another():
    draws, num = 7200, 3
    keys = jax.random.split(KEY, draws)
    orders = np.asarray(jax.jit(jax.vmap(lambda key: shuffled(key, 2 * num, num, WHOLE)))(keys))
    permutations = list(itertools.permutations(range(num)))
    counts = dict.fromkeys(itertools.product(permutations, permutations), 0)
    for order in orders:
        counts[tuple(order[:, 0]), tuple(order[:, 1] - num)] += 1
    expected = draws / len(counts)
    assert len(counts) == 36
    assert np.abs(np.array(list(counts.values())) - expected).max() < 4.5 * expected**0.5


def test_ties_among_the_random_numbers_do_no_harm(monkeypatch):
    monkeypatch.setattr(jax.random, "bits", lambda key, shape: jnp.zeros(shape, jnp.uint32))
    order = np.asarray(shuffled(KEY, 12, 4, WHOLE))
    assert sorted(order.ravel()) == list(range(12))


@pytest.mark.parametrize(("num_envs", "num", "devices"), [(16, 4, 2), (16, 4, 4), (24, 2, 3), (8, 8, 1)])
def test_the_parts_of_devices_are_together_the_whole(num_envs, num, devices):
    local, whole = num_envs // devices, np.asarray(shuffled(KEY, num_envs, num, WHOLE))
    parts = [np.asarray(shuffled(KEY, local, num, Device(d))) for d in range(devices)]
    together = np.concatenate([part + d * local for d, part in enumerate(parts)], axis=1)
    np.testing.assert_array_equal(together, whole)
    axis = Shard("devices")  # a mapped axis stands for a mesh
    mapped = jax.vmap(lambda _: shuffled(KEY, local, num, axis), axis_name=axis.axis)(jnp.arange(devices))
    np.testing.assert_array_equal(mapped, parts)


@pytest.mark.parametrize(
    ("cached", "size"),
    [(10**6, 12), (120, 12), (119, 6), (60, 6), (59, 4), (40, 4), (39, 3), (20, 2), (19, 1), (10, 1), (1, 1)],
)
def test_the_sum_over_parts_is_that_of_the_whole(monkeypatch, cached, size):
    """Twelve environments of ten rows: a part is the largest that divides them and fits."""
    monkeypatch.setattr(minibatches, "_CACHED_ROWS", cached)
    data = jax.random.normal(KEY, (20, 5))
    chosen = jax.random.permutation(jax.random.key(1), 20)[:12].astype(jnp.int32)
    sizes = set()

    def compute(part):
        sizes.add(part.shape)
        return {"sum": data[part].sum(0), "nested": (jnp.square(data[part]).sum(), part.sum())}

    got, want = jax.jit(lambda chosen: sum_over_parts(compute, chosen, 10))(chosen), compute(chosen)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), got, want)
    assert got["nested"][1].dtype == want["nested"][1].dtype
    assert sizes == {(size,), (12,)}  # (12,) is our own call


@pytest.mark.parametrize(("cached", "size"), [(10**6, 12), (119, 6), (39, 3), (1, 1)])
def test_what_is_worked_out_in_parts_is_in_the_order_of_the_whole(monkeypatch, cached, size):
    monkeypatch.setattr(minibatches, "_CACHED_ROWS", cached)
    tree = {"x": jax.random.normal(KEY, (12, 5)), "n": jnp.arange(12), "none": None}
    sizes = set()

    def compute(part):
        sizes.add(len(part["n"]))
        return part["x"] * part["n"][:, None]

    got = jax.jit(lambda tree: map_parts(compute, tree, 10))(tree)
    np.testing.assert_allclose(got, tree["x"] * tree["n"][:, None], rtol=1e-6)
    assert sizes == {size}


@pytest.mark.parametrize("num_envs", [1, 2, 7, 12, 64, 360])
@pytest.mark.parametrize("rows", [1, 10, 75, 3000])
def test_the_number_of_parts_is_the_least_that_divides_and_fits(num_envs, rows):
    fitting = [n for n in range(1, num_envs + 1) if num_envs % n == 0 and num_envs // n * rows <= 2048]
    assert minibatches._parts(num_envs, rows) == min(fitting, default=num_envs)


def test_accelerators_get_the_whole(monkeypatch):
    monkeypatch.setattr(minibatches, "_CACHED_ROWS", 1)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    seen = []
    sum_over_parts(seen.append, jnp.arange(12), 10)
    assert [part.shape for part in seen] == [(12,)]


@pytest.mark.parametrize("sharing", ["shared", "independent"])
def test_an_update_in_parts_is_that_of_the_whole(monkeypatch, learner_settings, sharing):
    learner, env = make_learner("mappo", **learner_settings, sharing=sharing), make("matrix/chicken", horizon=4)
    collect, estimate, learn = (partial(phase, shard=WHOLE) for phase in learner.phases.values())
    progress = jnp.zeros(())
    before = jax.jit(lambda: estimate(collect(learner.init(KEY, env), env, progress), env, progress))()

    def update(cached):
        monkeypatch.setattr(minibatches, "_CACHED_ROWS", cached)
        traced = jax.jit(lambda before: learn(before, env, progress)).trace(before)
        (after, metrics), loops = traced.lower().compile()(before), str(traced.jaxpr).count("scan[")
        return (after.params, metrics), loops

    # A minibatch is of 4 environments, each with the 5 steps of 2 agents.
    (whole, loops), (halves, more), (quarters, also_more) = map(update, (40, 20, 10))
    assert more == also_more == loops + 1
    for parts in (halves, quarters):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-5), parts[0], whole[0])
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), parts[1], whole[1])
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), whole[0], before.state.params)
    assert min(jax.tree.leaves(moved)) > 1e-3
