"""The sum tree beside a naive cumulative sum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.data.priority import Priorities

KEY = jax.random.key(0)
update, find = jax.jit(Priorities.update), jax.jit(Priorities.find)
sample = jax.jit(lambda priorities, key, num: priorities.sample(key, num)[0], static_argnums=2)
any_size = pytest.mark.parametrize("num_slots", [1, 5, 100])


def filled(priority):
    """The tree of these priorities, written in three parts that overlap."""
    num_slots = len(priority)
    priorities = Priorities.start(num_slots)
    for part in (range(num_slots), range(num_slots // 2), range(num_slots // 3, num_slots)):
        wrong = update(priorities, jnp.array(part, jnp.int32), jnp.full(len(part), 3.0))
        priorities = update(wrong, jnp.array(part, jnp.int32), jnp.asarray(priority[list(part)]))
    return priorities


def integers(num_slots, seed=0):
    """Priorities that sums keep exactly, some of them 0."""
    rng = np.random.default_rng(seed)
    priority = rng.integers(0, 5, num_slots).astype(np.float32)
    priority[rng.integers(num_slots)] = 2.0
    return priority


@any_size
def test_every_share_of_the_total_is_in_the_slot_of_the_cumulative_sum(num_slots):
    priority = integers(num_slots)
    total = int(priority.sum())
    middles = np.arange(total) + 0.5
    got, chance = find(filled(priority), jnp.asarray(middles / total, jnp.float32))
    want = np.searchsorted(np.cumsum(priority), middles, side="right")
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.bincount(got, minlength=num_slots), priority)
    np.testing.assert_allclose(chance, priority[want] / total, rtol=1e-5)


@any_size
def test_sums_are_those_of_what_was_written_last(num_slots):
    priority = integers(num_slots, seed=1)
    priorities = filled(priority)
    np.testing.assert_array_equal(priorities.of(jnp.arange(num_slots)), priority)
    assert float(priorities.total) == priority.sum()


def test_of_a_slot_named_twice_the_larger_priority_counts():
    priorities = filled(integers(6))
    for index, priority in (([3, 1, 3], [2.0, 1.0, 5.0]), ([3, 3, 1], [5.0, 2.0, 1.0]), ([1, 3, 3], [1.0, 2.0, 5.0])):
        changed = update(priorities, jnp.array(index), jnp.array(priority))
        np.testing.assert_array_equal(changed.of(jnp.array([1, 3])), [1.0, 5.0])
        untouched = np.array([0, 2, 4, 5])
        np.testing.assert_array_equal(changed.of(untouched), priorities.of(untouched))
        assert float(changed.total) == float(priorities.of(untouched).sum() + 6.0)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e9])
def test_a_slot_without_priority_is_never_drawn_whatever_is_rounded(scale):
    rng = np.random.default_rng(0)
    priority = (scale * rng.random(777) * (rng.random(777) < 0.3)).astype(np.float32)
    shares = jnp.concatenate([jnp.linspace(0.0, 1.0, 4001), jnp.array([1.0 - 2.0**-24])])
    drawn, chance = find(filled(priority), shares)
    assert (priority[np.asarray(drawn)] > 0.0).all()
    assert (np.diff(np.asarray(drawn)[:-1]) >= 0).all()
    np.testing.assert_allclose(chance, priority[drawn] / priority.sum(dtype=np.float64), rtol=1e-4)


def test_a_sample_has_one_slot_of_every_equal_part_and_follows_from_its_key():
    priorities = filled(np.full(32, 7.0, np.float32))
    np.testing.assert_array_equal(sample(priorities, KEY, 32), np.arange(32))
    halves = np.asarray(sample(priorities, KEY, 64)) // 16
    np.testing.assert_array_equal(np.bincount(halves), [32, 32])
    few, other = (sample(priorities, jax.random.key(seed), 4) for seed in (0, 1))
    np.testing.assert_array_equal(few, sample(priorities, KEY, 4))
    assert few.tolist() != other.tolist()


def test_slots_are_drawn_in_proportion_to_their_priorities():
    priority = integers(10)
    priorities = filled(priority)
    keys = jax.random.split(KEY, 2000)
    drawn = jax.jit(jax.vmap(lambda key: priorities.sample(key, 3)[0]))(keys)
    share = np.bincount(np.ravel(drawn), minlength=10) / drawn.size
    np.testing.assert_allclose(share, priority / priority.sum(), atol=0.02)


def test_a_sampling_loop_copies_no_tree(full_compilation):
    """Copies of the whole tree would take a hundred times as long as all the rest at a million slots."""
    size = len(Priorities.start(5000).tree)

    def step(tree, inputs):
        key, error = inputs
        priorities = Priorities(tree)
        index, chance = priorities.sample(key, 8)
        return priorities.update(index, error).tree, (index, chance**-0.4)

    def loop(tree, key, error):
        return jax.lax.scan(step, tree, (jax.random.split(key, 4), error))

    shapes = jax.ShapeDtypeStruct((size,), jnp.float32), jax.eval_shape(lambda: KEY), jnp.ones((4, 8))
    text = jax.jit(loop, donate_argnums=0).lower(*shapes).compile(full_compilation).as_text()
    made = [line for line in text.splitlines() if f"= f32[{size}]" in line]
    assert any("scatter" in line for line in made)
    assert not [line for line in made if " copy(" in line]
