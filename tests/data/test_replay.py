import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.data.replay import Storage, add, cuts, empty, read, slots

ENVS, LENGTH, CAPACITY = 3, 4, 12


def rollout(number):
    """Steps [T, E] that say their time and environment."""
    time = jnp.arange(LENGTH) + number * LENGTH
    return {"time": jnp.broadcast_to(time[:, None], (LENGTH, ENVS)), "env": jnp.tile(jnp.arange(ENVS), (LENGTH, 1))}


def filled(rollouts):
    replay = empty(rollout(0), CAPACITY)
    for number in range(rollouts):
        replay = add(replay, rollout(number))
    return replay


@pytest.mark.parametrize("rollouts", [1, 2, 3, 4, 5, 9])
def test_the_last_steps_are_there_in_the_order_of_time_and_of_their_environment(rollouts):
    replay = filled(rollouts)
    known = min(CAPACITY, rollouts * LENGTH)
    assert int(replay.filled) == known
    env = jnp.array([2, 0])
    got = read(replay.steps, slots(replay, jnp.zeros(2, jnp.int32), known), env)
    last = rollouts * LENGTH
    np.testing.assert_array_equal(got["time"], [np.arange(last - known, last)] * 2)
    np.testing.assert_array_equal(got["env"], np.repeat(env[:, None], known, 1))


def test_a_sequence_goes_on_over_the_end_of_the_ring():
    replay = filled(4)
    slot = slots(replay, jnp.array([5]), 5)
    np.testing.assert_array_equal(slot, [[9, 10, 11, 0, 1]])
    np.testing.assert_array_equal(read(replay.steps, slot, jnp.array([1]))["time"], [[9, 10, 11, 12, 13]])


def test_rollouts_that_do_not_fill_the_ring_are_refused():
    with pytest.raises(AssertionError, match="rollouts of 4 steps do not fill a ring of 10"):
        add(empty(rollout(0), 10), rollout(0))


@pytest.mark.parametrize(("dtype", "error"), [("float32", 0.0), ("float16", 1e-3), ("bfloat16", 1e-2)])
def test_floats_are_kept_in_as_many_bits_as_asked(dtype, error):
    x = jnp.linspace(-2.0, 2.0, 101)
    kept = Storage(dtype).narrow(x)
    assert kept.dtype == dtype
    np.testing.assert_allclose(Storage(dtype).widen(kept), x, atol=error)


def test_bytes_tell_apart_256_values_of_a_range():
    storage = Storage("uint8", -1.0, 3.0)
    x = jnp.linspace(-1.0, 3.0, 1001)
    kept = storage.narrow(x)
    assert kept.dtype == jnp.uint8
    np.testing.assert_allclose(storage.widen(kept), x, atol=0.5 * 4.0 / 255 + 1e-6)
    np.testing.assert_array_equal(storage.widen(storage.narrow(jnp.array([-9.0, 9.0]))), [-1.0, 3.0])


@pytest.mark.parametrize("most", [0, 1, 2])
def test_successors_are_the_next_steps_but_behind_cuts_and_the_last_step(most):
    rng = np.random.default_rng(0)
    is_cut = rng.random((50, 6)) < 0.2
    follows, place, is_known = (np.asarray(x) for x in cuts(jnp.asarray(is_cut), most))
    for row in range(50):
        successors = [("step", t) for t in range(1, 6)] + [("ahead of", t) for t in follows[row]]
        seen = 0
        for t in range(6):
            is_ahead = t == 5 or is_cut[row, t]
            seen += is_cut[row, t] and t < 5
            assert is_known[row, t] == (t == 5 or not is_cut[row, t] or seen <= most)
            if is_known[row, t]:
                assert successors[place[row, t]] == (("ahead of", t) if is_ahead else ("step", t + 1))
