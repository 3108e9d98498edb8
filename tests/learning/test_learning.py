"""IPPO as it is shipped, only with fewer environments, solves games whose solution is known."""

import jax
import numpy as np
import pytest

from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.training.compilation import Stopwatch
from jaxmarl_lite.training.evaluate import evaluate
from jaxmarl_lite.training.load import load_run
from jaxmarl_lite.training.loop import train


def summary_of(name, share_rewards=False, **settings):
    learner = make_learner("ippo", num_envs=32, share_rewards=share_rewards)
    env = make(name, **settings)
    return train(learner, env, jax.random.key(1), steps=6e4, seeds=2, blocks=2, eval_episodes=16).summary


@pytest.mark.parametrize(
    ("name", "settings", "best"),
    [
        ("matrix/prisoners_dilemma", {}, 25.0),  # both defect, the only equilibrium: 1 in each of 25 rounds
        ("matrix/prisoners_dilemma", {"share_rewards": True}, 75.0),  # both cooperate: 3 in each
        ("matrix/penalty", {"k": 0.0}, 250.0),  # both find one of the two best cells: 10 in each of 25 rounds
    ],
)
def test_a_game_with_a_known_solution_is_solved(name, settings, best):
    figures = summary_of(name, **settings)["eval"]
    np.testing.assert_allclose(figures["return_per_agent"], best)
    assert figures["return_sum_min"] == figures["return_sum_max"] == pytest.approx(2 * best)


def test_a_team_walks_the_shortest_way_in_every_episode_of_every_seed(solved_run):
    run = load_run(solved_run)
    play = jax.vmap(lambda params, key: evaluate(run.policy, params, run.env, key, episodes=16))
    arguments = run.params, jax.random.split(jax.random.key(0), run.seeds)
    played = Stopwatch().compiled(play, *arguments)(*arguments)
    np.testing.assert_allclose(played.episode_return, 8.65, rtol=1e-5)
    np.testing.assert_array_equal(played.length, 4)


@pytest.mark.usefixtures("fast_programs")
def test_in_a_zero_sum_game_the_average_over_time_is_near_the_equilibrium():
    # At a constant learning rate play goes on turning round the equilibrium; a falling one leaves it where it stands.
    # Where a single seed is on its way round follows from the rounding of the machine, so the mean over many is held.
    learner = make_learner("ippo", num_envs=32, hidden=(16,), anneal_lr=False)
    env = make("matrix/matching_pennies")
    summary = train(learner, env, jax.random.key(1), steps=2e5, seeds=8, blocks=10, eval_episodes=16).summary
    average = np.asarray(summary["policy_time_average"])
    assert average.shape == (8, 2, 2)
    np.testing.assert_allclose(average.sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(average.mean(0), 0.5, atol=0.15)
    assert average.std(0).max() > 0.05  # they do go round
    assert summary["eval"]["return_sum"] == 0
