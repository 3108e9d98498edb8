import math
from dataclasses import replace

import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.learners.presets import IQL, PRESETS, QMIX, VDN
from jaxmarl_lite.learners.value_settings import ValueSettings

COUNTS = ["num_envs", "rollout_length", "capacity", "gradient_steps", "batch", "sequence", "stride", "target_period"]
SHARES = ["gamma", "lam", "epsilon_end", "priority", "priority_weights"]
BAD = [
    *((name, value, "an integer of at least 1") for name in COUNTS for value in (0, 2.0, True, None)),
    *((name, value, "an integer of at least 0") for name in ("memory", "burn_in", "bins") for value in (-1, 1.5)),
    *((name, value, "a finite number above 0") for name in ("lr", "max_grad_norm") for value in (0, math.nan, "x")),
    *((name, value, "a number from 0 to 1") for name in SHARES for value in (-0.1, 1.1)),
    ("mixer", "product", "one of none, sum, monotonic, duplex, transform, alternatives"),
    ("storage", "float64", "one of float32, bfloat16, float16, uint8"),
    ("experience", "none", "one of replay, fresh"),
    ("double", 1, "True or False"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), BAD)
def test_a_value_that_is_not_allowed_is_named_with_what_is(name, value, allowed):
    with pytest.raises(SettingError) as caught:
        ValueSettings(**{name: value})
    assert str(caught.value) == f"{name}={value!r} is not allowed: it must be {allowed}."


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"capacity": 501}, "rollout_length=5 is not allowed: it must divide capacity=501"),
        ({"stride": 2}, "stride=2 is not allowed: it must divide rollout_length=5"),
        ({"batch": 100}, "batch=100 is neither a multiple of num_envs=128 nor a divisor of it"),
        ({"warmup": 505}, "warmup=505 is not allowed: the replay holds capacity=500 steps"),
        ({"sequence": 20, "burn_in": 10}, "warmup=25 is not allowed: a sequence is burn_in .* = 30 steps long"),
        ({"estimator": "n_step", "n_step": 3}, "n_step=3 is not allowed: a sequence has sequence=1 steps"),
        ({"experience": "fresh", "minibatches": 7}, "minibatches=7 is not allowed: it must divide num_envs=128"),
        ({"storage_range": (1.0, 0.0)}, "storage_range=.* the first must be less than the second"),
        ({"central": True, "mixer": "sum"}, "mixer='sum' is not allowed with central=True"),
        ({"bins": 5, "mixer": "sum"}, "bins=5 is not allowed with memory or a mixer"),
        ({"experience": "fresh", "priority": 0.6}, "priority=0.6 is not allowed with experience='fresh'"),
        ({"bins": 1}, "bins=1 is not allowed"),
    ],
)
def test_settings_that_do_not_go_together_are_named(settings, sentence):
    with pytest.raises(SettingError, match=sentence):
        ValueSettings(**settings)


def test_iql_vdn_and_qmix_differ_in_the_mixer_alone():
    assert replace(IQL, mixer="sum") == VDN
    assert replace(IQL, mixer="monotonic") == QMIX
    value_based = {name for name, settings in PRESETS.items() if isinstance(settings, ValueSettings)}
    deep = {"iql", "vdn", "vdn_dueling", "qmix", "qtran_base", "qtran_alt", "qplex", "central_q", "pqn"}
    assert value_based == deep | {"iql_tabular"}


@pytest.mark.parametrize(("num_envs", "batch", "parts"), [(8, 32, 8), (128, 32, 32), (16, 16, 16)])
def test_devices_share_environments_and_batches_alike(num_envs, batch, parts):
    assert ValueSettings(num_envs=num_envs, batch=batch, minibatches=1).equal_parts == parts


@pytest.mark.parametrize(("warmup", "rollout_length", "idle"), [(25, 5, 4), (26, 5, 5), (1, 5, 0)])
def test_a_replay_is_filled_before_anything_is_learnt(warmup, rollout_length, idle):
    settings = ValueSettings(warmup=warmup, rollout_length=rollout_length)
    assert settings.idle_updates == idle
    assert replace(settings, experience="fresh").idle_updates == 0
