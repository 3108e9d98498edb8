import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.registry import make

KEY = jax.random.key(0)


def play(env, said, answered, key=KEY):
    """Return the states [T + 1] and steps [T + 1] of an episode of a speaker's and a listener's tables."""
    said, answered = jnp.asarray(said), jnp.asarray(answered)
    begun = env.reset(key)

    def step(state, key):
        action = jnp.stack([said[state.meaning], answered[state.word]])
        state, ts = env.step(key, state, action)
        return state, (state, ts)

    later = jax.lax.scan(step, begun[0], jax.random.split(key, env.spec.horizon))[1]
    return jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), begun, later)


def returns_of(env, said, answered, episodes):
    keys = jax.random.split(KEY, episodes)
    return np.asarray(jax.jit(jax.vmap(lambda key: play(env, said, answered, key)[1].reward.sum(0)))(keys))


def test_speaker_and_listener_take_turns_and_see_only_their_own():
    env = make("comm/signalling", num_meanings=5, num_words=3, rounds=2)
    state, ts = play(env, [0, 1, 2, 0, 1], [0, 1, 2])
    np.testing.assert_array_equal(ts.active, [[1, 0], [0, 1], [1, 0], [0, 1], [0, 1]])
    meaning, word = np.asarray(state.meaning), np.asarray(state.word)
    for now, (spoken, heard) in enumerate(zip(meaning, word, strict=True)):
        speaks = now in (0, 2)
        np.testing.assert_array_equal(ts.obs[now, 0], np.eye(5)[spoken] * speaks)
        np.testing.assert_array_equal(ts.obs[now, 1], np.zeros(5) if speaks else np.eye(5)[heard])
        np.testing.assert_array_equal(
            ts.state[now], [*np.eye(5)[spoken], *(np.eye(3)[heard] if heard >= 0 else [0] * 3)]
        )
    np.testing.assert_array_equal(ts.terminated.all(-1), [0, 0, 0, 0, 1])
    assert not np.asarray(ts.truncated).any()


def test_sizes_and_roles_are_those_of_the_text():
    spec = make("comm/signalling", num_meanings=5, num_words=3).spec
    assert (spec.obs_sizes, spec.action_sizes, spec.state_size) == ((5, 3), (3, 5), 8)
    assert spec.groups == ((0,), (1,))
    np.testing.assert_array_equal(
        make("comm/signalling", num_words=2).reset(KEY)[1].legal, [[1, 1, 0, 0], [1, 0, 0, 0]]
    )


@pytest.mark.parametrize("shift", [0, 1])
def test_both_are_paid_for_the_right_meaning_when_it_is_answered(shift):
    env = make("comm/signalling", rounds=3)
    _, ts = play(env, np.arange(4), (np.arange(4) + shift) % 4)
    right = 0.0 if shift else 1.0
    np.testing.assert_array_equal(ts.reward, np.outer([0, 0, right, 0, right, 0, right], [1, 1]))


def test_no_tables_beat_the_best_return_and_some_reach_it():
    env = make("comm/signalling", num_meanings=3, num_words=2)

    @jax.jit
    @jax.vmap
    def mean(said, answered):
        def paid(meaning):
            state = env.reset(KEY)[0]._replace(meaning=meaning)
            state, _ = env.step(KEY, state, jnp.stack([said[meaning], 0]))
            return env.step(KEY, state, jnp.stack([0, answered[state.word]]))[1].reward[0]

        return jax.vmap(paid)(jnp.arange(3)).mean()

    tables = list(itertools.product(itertools.product(range(2), repeat=3), itertools.product(range(3), repeat=2)))
    said, answered = (jnp.array(table) for table in zip(*tables, strict=True))
    assert float(mean(said, answered).max()) == pytest.approx(2 / 3)


@pytest.mark.parametrize(("meanings", "words", "noise"), [(4, 4, 0.5), (5, 3, 0.2), (2, 6, 1.0)])
def test_noise_leaves_the_best_return_of_the_text(meanings, words, noise):
    env = make("comm/signalling", num_meanings=meanings, num_words=words, noise=noise, rounds=4)
    known = min(meanings, words)
    said, answered = np.minimum(np.arange(meanings), words - 1), np.minimum(np.arange(words), meanings - 1)
    returns = returns_of(env, said, answered, 4000)
    best = 4 * ((1 - noise) * known / meanings + noise / meanings)
    assert returns.mean() == pytest.approx(best, abs=float(4 * returns.std() / 4000**0.5))


def test_who_always_says_the_same_is_understood_by_chance():
    returns = returns_of(make("comm/signalling"), [0, 0, 0, 0], [2, 1, 0, 3], 4000)
    assert returns.mean() == pytest.approx(0.25, abs=0.03)


def test_noise_is_a_leaf_and_garbled_words_are_uniform():
    traces = []

    @jax.jit
    def heard(env):
        traces.append(env)
        state, _ = env.reset(KEY)
        step = jax.vmap(lambda key: env.step(key, state, jnp.array([1, 0]))[0].word)
        return step(jax.random.split(KEY, 6000))

    shares = [np.bincount(np.asarray(heard(make("comm/signalling", noise=x))), minlength=4) / 6000 for x in (0.0, 0.5)]
    np.testing.assert_array_equal(shares[0], [0, 1, 0, 0])
    np.testing.assert_allclose(shares[1], [0.125, 0.625, 0.125, 0.125], atol=0.03)
    assert len(traces) == 1


@pytest.mark.parametrize("settings", [{"num_meanings": 1}, {"num_words": 0}, {"rounds": 0}, {"noise": 1.5}])
def test_bad_settings_are_named(settings):
    with pytest.raises(SettingError, match=f"{next(iter(settings))}="):
        make("comm/signalling", **settings)
