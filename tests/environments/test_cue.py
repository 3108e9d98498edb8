import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.registry import make

KEY = jax.random.key(0)


def play(env, answer, key=KEY):
    """Return (observations [T + 1, A, O], rewards [T, A], last step) of an episode of these answers."""
    state, ts = env.reset(key)
    seen, rewards = [ts.obs], []
    for _ in range(env.spec.horizon):
        state, ts = env.step(KEY, state, answer(state))
        seen.append(ts.obs)
        rewards.append(ts.reward)
    return np.stack(seen), np.stack(rewards), ts


def test_the_cue_is_seen_once_and_asked_for_at_the_end():
    env = make("memory/cue", num_agents=3, num_cues=5, delay=4)
    state, _ = env.reset(KEY)
    seen, _, last = play(env, lambda state: jnp.zeros(3, int))
    np.testing.assert_array_equal(seen[0, :, :5], np.eye(5)[np.asarray(state.cue)])
    np.testing.assert_array_equal(seen[1:, :, :5], 0.0)
    np.testing.assert_array_equal(seen[:, :, 5].T, [[0, 0, 0, 0, 1, 0]] * 3)
    assert np.asarray(last.terminated).all()
    assert not bool(last.truncated)


@pytest.mark.parametrize("shift", [0, 1])
def test_only_the_right_answer_at_the_end_is_paid(shift):
    env = make("memory/cue")
    _, rewards, _ = play(env, lambda state: (state.cue + shift) % 4)
    np.testing.assert_array_equal(rewards[:-1], 0.0)
    np.testing.assert_array_equal(rewards[-1], 1.0 - shift)


def test_every_cue_is_as_likely():
    env = make("memory/cue", num_cues=3)
    cues = jax.vmap(lambda key: env.reset(key)[0].cue)(jax.random.split(KEY, 3000))
    assert np.abs(np.bincount(np.asarray(cues).ravel(), minlength=3) / 6000 - 1 / 3).max() < 0.03


@pytest.mark.parametrize("settings", [{"num_agents": 0}, {"num_cues": 1}, {"delay": 0}, {"delay": 1.5}])
def test_bad_settings_are_named(settings):
    with pytest.raises(SettingError, match=f"{next(iter(settings))}="):
        make("memory/cue", **settings)
