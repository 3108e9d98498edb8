"""Which sequences of a ring are drawn, and how often."""

import functools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.shard import WHOLE, Shard
from jaxmarl_lite.data.places import Drawing, Places, Ratings, draw
from jaxmarl_lite.data.replay import add, empty, read, slots

KEY = jax.random.key(0)
LENGTH, CAPACITY = 4, 12
kinds = pytest.mark.parametrize("rated", [False, True], ids=["uniform", "rated"])


def rollout(number, num_envs):
    """Steps [T, E] that say their time."""
    return jnp.tile((jnp.arange(LENGTH) + number * LENGTH)[:, None], num_envs)


@functools.cache
def history(drawing, rated=True, rollouts=8):
    """The ring, and the ratings of its sequences, after each of some rollouts; leaves [rollouts, ...]."""

    def go_on(carry, number):
        replay, ratings = carry
        replay = add(replay, rollout(number, drawing.num_envs))
        ratings = ratings.welcome(drawing, replay, LENGTH) if rated else None
        return (replay, ratings), (replay, ratings)

    def run():
        first = empty(rollout(0, drawing.num_envs), drawing.capacity), Ratings.start(drawing) if rated else None
        return jax.lax.scan(go_on, first, jnp.arange(rollouts))[1]

    return jax.jit(run)()


def filled(rollouts, drawing, rated=True):
    return jax.tree.map(lambda x: x[rollouts - 1], history(drawing, rated))


@partial(jax.jit, static_argnums=(0, 3))
def drawn(drawing, replay, ratings, number, beta=1.0):
    """Many batches."""
    return jax.vmap(lambda key: draw(drawing, replay, ratings, key, beta, WHOLE))(jax.random.split(KEY, number))


def share(x, bins):
    return np.bincount(np.ravel(x), minlength=bins) / np.size(x)


@kinds
@pytest.mark.parametrize(("batch", "num_envs"), [(4, 16), (16, 16), (32, 8), (1, 8)])
def test_every_environment_or_block_of_them_gives_as_many_sequences(batch, num_envs, rated):
    drawing = Drawing(batch, num_envs, 3, 1, CAPACITY)
    places = drawn(drawing, *filled(2, drawing, rated), 2000)
    for env in np.asarray(places.env[:5]):
        counts = np.bincount(env, minlength=num_envs).reshape(min(batch, num_envs), -1).sum(1)
        np.testing.assert_array_equal(counts, batch // min(batch, num_envs))
    np.testing.assert_allclose(share(places.env, num_envs) * num_envs, 1.0, atol=0.2)
    # 8 steps are there, so 3 can begin at 0 to 5.
    np.testing.assert_allclose(share(places.start, 6), np.full(6, 1 / 6), atol=0.03)
    if rated:
        np.testing.assert_allclose(places.weight, 1.0, rtol=1e-5)  # as all are alike


@kinds
@pytest.mark.parametrize(("length", "stride", "capacity"), [(3, 1, 12), (4, 4, 12), (5, 2, 12), (6, 2, 8), (4, 1, 4)])
def test_no_sequence_goes_on_from_the_newest_step_to_the_oldest(length, stride, capacity, rated):
    """And each one that is there is drawn: at multiples of the stride, to the last one that ends with the last step."""
    drawing = Drawing(2, 4, length, stride, capacity)

    @jax.jit
    @jax.vmap
    def look(replay, ratings):
        places = drawn(drawing, replay, ratings, 200)
        slot = slots(replay, places.start.ravel(), length)
        return places.start, read(replay.steps, slot, places.env.ravel())

    starts, seen = map(np.asarray, look(*history(drawing, rated)))
    for rollouts in range(1, 9):
        known = min(rollouts * LENGTH, capacity)
        if known >= length:
            assert set(starts[rollouts - 1].ravel()) == set(range(0, known - length + 1, stride))
            np.testing.assert_array_equal(np.diff(seen[rollouts - 1], axis=1), 1)
            assert seen[rollouts - 1].max() < rollouts * LENGTH


def test_a_sequence_is_drawn_in_proportion_to_its_priority_and_weighs_the_less():
    drawing = Drawing(2, 4, 3, 1, CAPACITY)
    replay, ratings = filled(3, drawing)
    env, start = (x.ravel().astype(np.int32) for x in np.meshgrid(np.arange(4), np.arange(10), indexing="ij"))
    error = np.random.default_rng(0).random(40).astype(np.float32) * np.where(env < 2, 1.0, 5.0)
    rate = jax.jit(Ratings.rated, static_argnums=1)
    ratings = rate(ratings, drawing, replay, Places(env, start), error, 0.5)
    priority = np.sqrt(error + 1e-6).reshape(2, 20)
    np.testing.assert_allclose(ratings.greatest, np.maximum(priority.max(1), 1.0), rtol=1e-5)
    chance = 0.5 * priority / priority.sum(1, keepdims=True)  # each block of two environments is half of a batch
    for beta in (0.4, 1.0):
        places = drawn(drawing, replay, ratings, 20_000, beta)
        which = 10 * np.asarray(places.env) + np.asarray(places.start)
        np.testing.assert_allclose(share(which, 40), chance.ravel(), atol=0.005)
        weight = (40 * chance.ravel()[which]) ** -beta
        np.testing.assert_allclose(places.weight, weight / weight.max(1, keepdims=True), rtol=1e-3)


def test_new_sequences_have_the_greatest_priority_so_far_and_those_overwritten_none():
    drawing = Drawing(1, 1, 2, 1, CAPACITY)
    replay, ratings = filled(2, drawing)
    place = Places(jnp.array([0]), jnp.array([3]))
    ratings = jax.jit(Ratings.rated, static_argnums=1)(ratings, drawing, replay, place, jnp.array([9.0]), 1.0)
    of_slots = lambda: np.asarray(ratings.priorities.tree)[0, 16 : 16 + CAPACITY]  # noqa: E731
    np.testing.assert_allclose(of_slots(), [1, 1, 1, 9, 1, 1, 1, 0, 0, 0, 0, 0], rtol=1e-5)
    for number, want in ((2, [1, 1, 1, 9, 1, 1, 1, 9, 9, 9, 9, 0]), (3, [9, 9, 9, 0, 1, 1, 1, 9, 9, 9, 9, 9])):
        replay = add(replay, rollout(number, 1))
        ratings = jax.jit(Ratings.welcome, static_argnums=(1, 3))(ratings, drawing, replay, LENGTH)
        np.testing.assert_allclose(of_slots(), want, rtol=1e-5)


@kinds
@pytest.mark.parametrize("batch", [4, 16])
def test_devices_draw_what_one_would_each_its_part(batch, rated):
    drawing = Drawing(batch, 8, 3, 1, CAPACITY)
    replay, ratings = filled(3, drawing, rated)
    places = Places(jnp.arange(batch) * 8 // batch, jnp.arange(batch) % 3)
    ratings = ratings.rated(drawing, replay, places, jnp.linspace(0.1, 2.0, batch), 0.6) if rated else None
    halves = jax.tree.map(lambda x: x.reshape(2, -1, *x.shape[1:]), ratings)
    draw_part = partial(draw, drawing, replay, key=KEY, beta=0.4, shard=Shard("devices"))
    parts = jax.jit(jax.vmap(lambda ratings: draw_part(ratings), axis_name="devices", axis_size=2))(halves)
    whole = jax.jit(lambda: draw(drawing, replay, ratings, KEY, 0.4, WHOLE))()
    np.testing.assert_array_equal(jnp.concatenate([parts.env[0], parts.env[1] + 4]), whole.env)
    np.testing.assert_array_equal(parts.start.ravel(), whole.start)
    if rated:
        np.testing.assert_allclose(parts.weight.ravel(), whole.weight, rtol=1e-6)
        assert float(whole.weight.min()) < float(whole.weight.max()) == 1.0
