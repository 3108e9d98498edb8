import dataclasses
import math

import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings
from jaxmarl_lite.learners.presets import IPPO, MAPPO, SUMMARIES, algos, make_learner, preset

COUNTS = ["num_envs", "rollout_length", "passes", "epochs", "minibatches", "n_step"]
ABOVE_ZERO = ["lr", "clip", "max_grad_norm", "value_clip", "max_kl", "huber"]
SHARES = ["gamma", "lam"]
WEIGHTS = ["entropy", "value_weight"]
FLAGS = [
    "anneal_lr",
    "sequential",
    "anneal_entropy",
    "standardise_advantages",
    "normalise_obs",
    "scale_rewards",
    "share_rewards",
    "layer_norm",
]

BAD = [
    *((name, value, "an integer of at least 1") for name in COUNTS for value in (0, -8, 2.0, True, "8", None)),
    *((name, value, "a finite number above 0") for name in ABOVE_ZERO for value in (0, -1.0, math.nan, math.inf, "x")),
    *((name, value, "a number from 0 to 1") for name in SHARES for value in (-0.1, 1.1, math.nan, True, None)),
    *((name, value, "a finite number of at least 0") for name in WEIGHTS for value in (-1e-9, math.nan, math.inf)),
    *((name, value, "True or False") for name in FLAGS for value in (1, 0, None, "yes")),
    ("critic", "global", "one of local, joint, both"),
    ("estimator", "td", "one of gae, n_step, vtrace, critic"),
    ("baseline", "none", "one of value, counterfactual"),
    ("objective", "ppo", "one of clip, gradient, trust_region"),
    ("normalise_values", True, "one of off, running, popart"),
    ("sharing", None, "one of shared, group, independent"),
    ("start", "zeros", "one of orthogonal, normal"),
    ("bounds", "none", "one of cut, tanh"),
    *(("memory", value, "an integer of at least 0") for value in (-1, 2.0, True)),
    ("activation", "gelu", "one of tanh, relu"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), BAD)
def test_a_value_that_is_not_allowed_is_named_with_what_is(name, value, allowed):
    with pytest.raises(SettingError) as caught:
        OnPolicySettings(**{name: value})
    assert str(caught.value) == f"{name}={value!r} is not allowed: it must be {allowed}."


@pytest.mark.parametrize("hidden", [(64, 0), (-1,), (8.0,), ("8",), 64, None, "64"])
def test_hidden_sizes_are_a_list_of_positive_integers(hidden):
    with pytest.raises(SettingError, match=r"hidden=.* is not allowed"):
        OnPolicySettings(hidden=hidden)


def test_a_trust_region_needs_its_size():
    with pytest.raises(SettingError, match="max_kl=None is not allowed: with objective='trust_region'"):
        OnPolicySettings(objective="trust_region")


def test_actions_are_not_compared_one_agent_after_another():
    with pytest.raises(SettingError, match="baseline='counterfactual' is not allowed with sequential=True"):
        OnPolicySettings(baseline="counterfactual", sequential=True)
    with pytest.raises(SettingError, match="estimator='critic' is not allowed with baseline='value'"):
        OnPolicySettings(estimator="critic")


def test_minibatches_divide_the_environments():
    with pytest.raises(SettingError, match="minibatches=3 does not divide num_envs=8"):
        OnPolicySettings(num_envs=8, minibatches=3)


@pytest.mark.parametrize(
    "settings",
    [{"gamma": 0}, {"gamma": 1.0}, {"lam": 0.0}, {"entropy": 0}, {"value_clip": None}, {"hidden": ()}, {"lr": 1}],
)
def test_values_at_the_border_are_allowed(settings):
    made = OnPolicySettings(**settings)
    assert {name: getattr(made, name) for name in settings} == settings


def test_settings_cannot_be_changed_behind_their_validation():
    with pytest.raises(dataclasses.FrozenInstanceError):
        OnPolicySettings().lr = -1.0


def test_an_update_takes_every_environment_through_a_rollout():
    assert OnPolicySettings(num_envs=24, rollout_length=7).steps_per_update == 168


def test_mappo_is_ippo_with_another_critic():
    differing = {name for name, value in dataclasses.asdict(IPPO).items() if value != getattr(MAPPO, name)}
    assert differing == {"critic"}
    assert (IPPO.critic, MAPPO.critic) == ("local", "joint")


def test_presets_are_known_by_name():
    assert {"coma", "happo", "hatrpo", "ia2c", "impala", "ippo", "maa2c", "mappo", "matrpo", "trpo"} <= set(algos())
    assert set(SUMMARIES) == set(algos())
    assert preset("mappo") is MAPPO
    learner = make_learner("mappo", lr=1e-5)
    assert (learner.name, learner.settings) == ("mappo", dataclasses.replace(MAPPO, lr=1e-5))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("ipo", {}, "unknown algorithm 'ipo'; did you mean ippo"),
        ("ippo", {"learning_rate": 1}, "unknown setting of ippo 'learning_rate'"),
        ("ippo", {"entropi": 1}, "'entropi'; did you mean anneal_entropy or entropy?"),
        ("mappo", {"lr": -1}, "lr=-1 is not allowed"),
    ],
)
def test_a_learner_that_is_asked_for_wrongly_is_explained(name, settings, message):
    with pytest.raises(SettingError) as caught:
        make_learner(name, **settings)
    assert message in str(caught.value)
