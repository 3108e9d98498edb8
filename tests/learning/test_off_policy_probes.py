"""Off-policy actor-critic presets in worlds whose values and best actions are known: what fails says what is wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.learners.off_policy_nets import actor_networks
from jaxmarl_lite.learners.off_policy_settings import OffPolicySettings
from jaxmarl_lite.learners.presets import PRESETS, make_learner
from jaxmarl_lite.learners.sight import see_step
from jaxmarl_lite.learners.units import units_of

KEY, GAMMA = jax.random.key(0), 0.9
ENDLESS = 1.0 / (1.0 - GAMMA)
TINY = {
    "num_envs": 32,
    "rollout_length": 8,
    "capacity": 64,
    "batch": 32,
    "warmup": 8,
    "gradient_steps": 4,
    "hidden": (16,),
    "gamma": GAMMA,
    "lr": 1e-2,
    "actor_lr": 1e-2,
    "target_rate": 0.05,
    "epsilon_end": 0.1,
}
UPDATES = 300
OFF_POLICY = sorted(name for name, settings in PRESETS.items() if isinstance(settings, OffPolicySettings))


def tiny(name, **settings):
    return make_learner(name, **{**TINY, **settings})


def first_values(learner, env, state):
    """Return what first actions are worth, [32, A], in units of reward."""
    nets = actor_networks(learner.settings, env.spec)
    _, ts = jax.vmap(env.reset)(jax.random.split(KEY, 32))
    # All do what they see, and one that waits the only thing that it may do.
    told = nets.responder.told(jnp.where(ts.active, ts.obs[..., 1].astype(jnp.int32), 0)[:, None])
    values = nets.judge(state.params.critic, see_step(learner.settings, None, ts, jnp.ones(32, bool)), told)[0][:, 0]
    return units_of(learner.settings, state.told, jnp.asarray(GAMMA)).restore(values)


@pytest.mark.parametrize(("limited", "value"), [(True, ENDLESS), (False, (1.0 - GAMMA**4) * ENDLESS)])
def test_a_time_limit_is_looked_through_and_an_end_is_not(learn, limited, value):
    env = make("probe/time_limit", limited=limited)
    np.testing.assert_allclose(learn(tiny("maddpg"), env, UPDATES, first_values), value, rtol=0.05)


@pytest.mark.parametrize("name", OFF_POLICY)
def test_agents_learn_what_to_do_and_dead_ones_do_not_matter(learn, name):
    np.testing.assert_allclose(learn(tiny(name), make("probe/dying_agent"), UPDATES), [2.0, 1.0], atol=0.02)


@pytest.mark.parametrize(
    ("name", "discrete"), [("maddpg", "score"), ("facmac", "score"), ("masac", "straight_through")]
)
def test_values_go_on_while_an_agent_waits_for_its_turn(learn, name, discrete):
    learner = tiny(name, discrete=discrete, epsilon_end=0.0)
    returned, values = learn(learner, make("probe/turns"), UPDATES, also=first_values)
    np.testing.assert_allclose(returned, [3.0, 3.0], atol=0.02)
    np.testing.assert_allclose(values, 1.0 + GAMMA + GAMMA**2, rtol=0.05)


def test_a_speaker_learns_from_what_is_paid_while_it_waits(learn):
    returned = learn(tiny("maddpg"), make("comm/signalling"), UPDATES)
    assert returned.min() > 0.7  # chance is 1/4; some starts settle where two meanings share a word, at 3/4


@pytest.mark.parametrize("discrete", ["gumbel", "score"])
def test_each_way_of_gradients_through_discrete_actions_learns(learn, discrete):
    returned = learn(tiny("maddpg", discrete=discrete), make("probe/dying_agent"), UPDATES)
    np.testing.assert_allclose(returned, [2.0, 1.0], atol=0.02)


@pytest.mark.parametrize(("name", "sharing"), [("maddpg", "group"), ("facmac", "independent"), ("maac", "independent")])
def test_unlike_agents_learn_with_parameters_of_their_own(learn, name, sharing):
    returned = learn(tiny(name, sharing=sharing), make("probe/unlike_agents"), UPDATES)
    np.testing.assert_allclose(returned, 1.0, atol=0.02)


@pytest.mark.parametrize("name", ["facmac", "isac", "maac", "masac"])
def test_continuous_actions_are_learnt(learn, name):
    returned = learn(tiny(name, hidden=(32, 32)), make("probe/chosen_reward", continuous=True), UPDATES)
    assert returned > 0.95  # a random action gets 0.375


KIT = {
    "wandering noise, others as they would act now": {"noise": "ornstein_uhlenbeck", "others": "policy"},
    "two of everything": {"critics": 2, "actor_period": 2, "target_noise": 0.2},
    "sequences, n steps, rated": {"sequence": 4, "estimator": "n_step", "priority": 0.6},
}


@pytest.mark.parametrize("settings", KIT.values(), ids=KIT)
def test_every_option_learns(learn, settings):
    assert learn(tiny("maddpg", **settings), make("probe/chosen_reward", continuous=True), UPDATES) > 0.9


def test_a_cue_is_remembered_by_recurrent_actors_alone(learn):
    env = make("memory/cue", num_cues=2, delay=2)
    settings = {"rollout_length": 6, "capacity": 48, "sequence": 6, "stride": 3, "warmup": 6}
    assert learn(tiny("maddpg", memory=16, **settings), env, 200).min() > 0.95
    assert learn(tiny("maddpg", **settings), env, 200).max() < 0.7  # chance is 1/2


@pytest.mark.parametrize("name", ["iddpg", "maddpg", "maac", "facmac"])
def test_each_learns_by_its_own_reward_and_a_mixed_team_by_the_teams(learn, name):
    returned = learn(tiny(name), make("matrix/prisoners_dilemma", horizon=5), 150)
    # Both defect, whatever that costs the other; for the team's mean they cooperate.
    np.testing.assert_allclose(returned, 15.0 if name == "facmac" else 5.0)
