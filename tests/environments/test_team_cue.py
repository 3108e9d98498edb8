import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.registry import make

KEY = jax.random.key(0)


def play(env, cue, policy):
    """Return the steps [T + 1] of an episode with these cues; policy(memory, obs, time) -> (memory, action [A])."""
    state = env.reset(KEY)[0]._replace(cue=cue)
    begun = env.observe(state)

    def step(world, _):
        state, obs, memory = world
        memory, action = policy(memory, obs, state.time)
        state, ts = env.step(KEY, state, action)
        return (state, ts.obs, memory), ts

    memory = jnp.zeros((env.num_agents, env.num_agents), int)  # of each agent: the cue of the one q further on
    steps = jax.lax.scan(step, (state, begun.obs, memory), length=env.spec.horizon)[1]
    return jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), begun, steps)


def mean_return(env, policy):
    """The exact mean over all cues."""
    cues = jnp.array(list(itertools.product(range(env.num_cues), repeat=env.num_agents)))
    return float(jax.jit(jax.vmap(lambda cue: play(env, cue, policy).reward.sum(0)))(cues).mean())


def remembering(env, speaks):
    """Answer what was seen and heard; without speaking, everybody says 0."""
    num, cues = env.num_agents, env.num_cues

    def policy(memory, obs, time):
        shown = obs[:, : num * cues].reshape(num, num, cues)
        memory = jnp.where(shown.any(-1), shown.argmax(-1), memory)
        word = memory[:, 0] if speaks else jnp.zeros(num, int)
        question = jnp.maximum(time - env.delay - 1, 0)
        return memory, jnp.where(time == env.delay, word, memory[:, question])

    return policy


SIZES = [{}, {"num_agents": 3, "num_cues": 2, "delay": 1}]


@pytest.mark.parametrize("sizes", SIZES)
def test_who_remembers_and_speaks_is_always_right(sizes):
    env = make("memory/team_cue", **sizes)
    assert mean_return(env, remembering(env, speaks=True)) == pytest.approx(1.0)


@pytest.mark.parametrize("sizes", SIZES)
def test_who_remembers_and_does_not_speak_knows_its_own_cue(sizes):
    env = make("memory/team_cue", **sizes)
    share = 1 / env.num_agents
    best = share + (1 - share) / env.num_cues
    assert mean_return(env, remembering(env, speaks=False)) == pytest.approx(best)
    assert sizes or best == 0.625


def test_no_team_without_memory_beats_chance():
    env = make("memory/team_cue", num_cues=2, delay=1)

    # What an agent sees when it counts: nothing but that it is to speak, a word with the first question, or the second.
    tables = jnp.array(list(itertools.product(range(2), repeat=4)))
    pairs = jnp.array(list(itertools.product(range(16), repeat=2)))

    def best(pair):
        said, after_0, after_1, last = tables[pair].T

        def policy(memory, obs, time):
            heard = jnp.where(obs[:, 3] > 0, after_1, after_0)  # numbers 2 and 3 are the other's word
            return memory, jnp.stack([said, said, heard, last])[time]

        cues = jnp.array(list(itertools.product(range(2), repeat=2)))
        return jax.vmap(lambda cue: play(env, cue, policy).reward.sum(0)[0])(cues).mean()

    np.testing.assert_allclose(jax.jit(jax.vmap(best))(pairs).max(), 0.5)


def test_cues_words_and_questions_are_shown_when_the_table_says():
    env = make("memory/team_cue", num_agents=3, num_cues=2, delay=2)
    cue = jnp.array([1, 0, 0])
    ts = play(env, cue, lambda memory, obs, time: (memory, jnp.array([0, 1, 1])))
    obs, eye = np.asarray(ts.obs), np.eye(2)
    assert obs.shape == (7, 3, 3 * 2 + 1 + 3)
    np.testing.assert_array_equal(obs[0, :, :2], eye[[1, 0, 0]])
    np.testing.assert_array_equal(obs[1:, :, :2], 0.0)
    words = [[*eye[1], *eye[1]], [*eye[1], *eye[0]], [*eye[0], *eye[1]]]  # of the next agent, and of the one after it
    np.testing.assert_array_equal(obs[3, :, 2:6], words)
    np.testing.assert_array_equal(np.delete(obs, 3, axis=0)[:, :, 2:6], 0.0)
    signs = [[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    np.testing.assert_array_equal(obs[:, :, 6:], np.repeat(np.array(signs)[:, None], 3, axis=1))
    spoken = np.ravel([eye[0], eye[1], eye[1]])
    np.testing.assert_allclose(ts.state[2], [0, 1, 1, 0, 1, 0, *np.zeros(6), 2 / 6])
    np.testing.assert_allclose(ts.state[4], [0, 1, 1, 0, 1, 0, *spoken, 4 / 6], rtol=1e-6)
    # Answers 0, 1, 1 to the cues 1, 0, 0; then to 0, 0, 1; then to 0, 1, 0: right are none, two, and two.
    np.testing.assert_allclose(ts.reward, np.outer([0, 0, 0, 0, 0, 2 / 9, 2 / 9], np.ones(3)), rtol=1e-6)
    np.testing.assert_array_equal(ts.terminated.all(-1), [0, 0, 0, 0, 0, 0, 1])
    assert not np.asarray(ts.truncated).any()


@pytest.mark.parametrize("settings", [{"num_agents": 1}, {"num_cues": 1}, {"delay": 0}])
def test_bad_settings_are_named(settings):
    with pytest.raises(SettingError, match=f"{next(iter(settings))}="):
        make("memory/team_cue", **settings)
