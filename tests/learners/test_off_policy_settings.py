import math
from dataclasses import replace

import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.learners.off_policy_settings import OffPolicySettings
from jaxmarl_lite.learners.presets import FACMAC, IDDPG, ISAC, MAAC, MADDPG, MASAC, MATD3, PRESETS

BAD = [
    *((name, value, "a finite number above 0") for name in ("actor_lr", "softness") for value in (0, math.nan, "x")),
    *((name, -0.1, "a finite number of at least 0") for name in ("noise_start", "target_noise", "temperature")),
    ("entropy_discrete", 1.5, "a number from 0 to 1"),
    ("actor_period", 0, "an integer of at least 1"),
    ("critics", 3, "an integer from 1 to 2"),
    ("critic", "global", "one of local, joint, both, attention"),
    ("discrete", "relaxed", "one of straight_through, gumbel, score"),
    ("noise", "pink", "one of gaussian, ornstein_uhlenbeck"),
    ("mixer", "duplex", "one of none, sum, monotonic"),
    ("stochastic", 1, "True or False"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), BAD)
def test_a_value_that_is_not_allowed_is_named_with_what_is(name, value, allowed):
    with pytest.raises(SettingError) as caught:
        OffPolicySettings(**{name: value})
    assert str(caught.value) == f"{name}={value!r} is not allowed: it must be {allowed}."


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"batch": 1024, "capacity": 5, "warmup": 5}, "batch=1024 is not allowed: the replay holds .* = 640 steps"),
        ({"actor_period": 3}, "actor_period=3 is not allowed: it must divide gradient_steps=16"),
        ({"mixer": "monotonic", "critic": "joint"}, "mixer='monotonic' is not allowed with critic='joint'"),
        ({"critic": "attention", "attention_heads": 3}, "attention_heads=3 is not allowed: .* the last of hidden=128"),
        ({"critic": "attention", "hidden": ()}, r"hidden=\(\) is not allowed: it must be a list of sizes, 1 at least"),
        ({"stochastic": True, "temperature": 0.0}, "temperature=0 is not allowed with tune_temperature=True"),
    ],
)
def test_settings_that_contradict_one_another_are_named(settings, sentence):
    with pytest.raises(SettingError, match=sentence):
        OffPolicySettings(**settings)


CONTINUOUS = Spec(("a", "b"), (2, 2), (3, 3), 4, 5, "continuous")


@pytest.mark.parametrize(
    ("settings", "spec", "sentence"),
    [
        ({"noise": "ornstein_uhlenbeck"}, Spec(("a",), (2,), (3,), 4, 5), "it is for continuous actions"),
        ({}, replace(CONTINUOUS, action_range=(0.0, math.inf)), r"action_range=\(0.0, inf\) is not allowed"),
        ({"critic": "joint"}, replace(CONTINUOUS, state_size=0), "no global state to judge by"),
        ({"mixer": "monotonic"}, replace(CONTINUOUS, state_size=0), "no global state to mix by"),
    ],
)
def test_an_environment_that_does_not_fit_is_refused_before_anything_is_compiled(settings, spec, sentence):
    with pytest.raises(SettingError, match=sentence):
        OffPolicySettings(**settings).build("x").check(spec)


def test_presets_are_values_of_one_family():
    names = ("iddpg", "maddpg", "matd3", "isac", "masac", "facmac", "maac")
    assert [PRESETS[name] for name in names] == [IDDPG, MADDPG, MATD3, ISAC, MASAC, FACMAC, MAAC]
    assert (MADDPG.critic, MASAC.critic, MAAC.critic, FACMAC.mixer) == ("joint", "joint", "attention", "monotonic")
    assert (MATD3.critics, MATD3.actor_period, MASAC.critics) == (2, 2, 2)
    assert ISAC.stochastic
    assert MAAC.discrete == "score"
