import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmarl_lite as jml
from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.training.load import load_run

KEY = jax.random.key(0)


def play(policy, key=KEY):
    """Return the rewards of one episode of agent 0."""
    env, carry, rewards = policy.env, None, []
    state, ts = env.reset(key)
    while not ts.done:
        action, carry = policy(key, ts, carry)
        state, ts = env.step(key, state, action)
        rewards.append(float(ts.reward[0]))
    return rewards, ts


@pytest.mark.parametrize("seed", [0, 1])
def test_a_greedy_policy_reaches_the_goals_by_the_shortest_way(solved_run, seed):
    rewards, ts = play(jml.load(solved_run, seed=seed))
    assert len(rewards) == 4
    assert sum(rewards) == pytest.approx(8.65)
    assert bool(ts.terminated.all())


def test_single_and_batched_steps_get_the_same_actions(finished_run):
    policy = jml.load(finished_run)
    _, batch = jml.vectorize(jml.make("grid/navigation", random_starts=True, horizon=20), 16).reset(KEY)
    actions, _ = policy(KEY, batch)
    assert actions.shape == (16, 2)
    for i in range(16):
        action, _ = policy(KEY, jax.tree.map(lambda x, i=i: x[i], batch), None)
        assert action.shape == (2,)
        np.testing.assert_array_equal(action, actions[i])


def test_memory_passes_through(finished_run):
    policy = jml.load(finished_run)
    _, ts = policy.env.reset(KEY)
    first, carry = policy(KEY, ts)
    again, _ = policy(KEY, ts, carry)
    np.testing.assert_array_equal(first, again)


def test_a_greedy_policy_ignores_the_key_and_a_sampling_one_does_not(finished_run):
    keys = jax.random.split(KEY, 32)
    greedy, sampling = jml.load(finished_run), jml.load(finished_run, greedy=False)
    _, ts = greedy.env.reset(KEY)
    assert len({tuple(greedy(key, ts)[0].tolist()) for key in keys}) == 1
    assert len({tuple(sampling(key, ts)[0].tolist()) for key in keys}) > 1


def test_each_seed_has_its_own_policy(finished_run):
    first, second = (jml.load(finished_run, seed=seed) for seed in (0, 1))
    leaves = zip(jax.tree.leaves(first.params), jax.tree.leaves(second.params), strict=True)
    assert any(bool(jnp.any(a != b)) for a, b in leaves)
    assert all(a.shape == b.shape for a, b in zip(*map(jax.tree.leaves, (first.params, second.params)), strict=True))


def test_a_loaded_run_says_what_it_is(finished_run):
    run = load_run(finished_run)
    assert (run.seeds, run.block) == (2, 4)
    assert run.env.spec == jml.make("grid/navigation", horizon=20).spec
    assert {leaf.shape[0] for leaf in jax.tree.leaves(run.params)} == {2}


@pytest.mark.parametrize("seed", [-1, 2, 0.5])
def test_a_seed_that_was_not_trained_is_named(finished_run, seed):
    with pytest.raises(SettingError, match=f"seed={seed} is not allowed: it must be an integer from 0 to 1"):
        jml.load(finished_run, seed=seed)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(SettingError, match="holds no run"):
        jml.load(tmp_path)


def test_a_run_without_checkpoints_says_what_to_do(run_copy):
    for path in (run_copy / "checkpoints").iterdir():
        path.rename(path.with_name(f".unfinished-{path.name}"))
    with pytest.raises(RunError, match="has no checkpoint yet: continue it with resume"):
        jml.load(run_copy)


def test_loading_writes_nothing(finished_run, snapshot):
    before = snapshot(finished_run)
    jml.load(finished_run)
    assert snapshot(finished_run) == before
