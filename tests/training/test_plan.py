import json
import math

import jax
import numpy as np
import pytest

from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.environments import registry
from jaxmarl_lite.environments.matrix.game import MatrixGame
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.training.plan import Plan, Schedule, from_config, lengthened, schedule, to_config

KEY = jax.random.key(17)


def through_json(learner, env, key=KEY, plan=None):
    plan = plan or Plan(steps=1000)
    config = to_config(learner, env, key, plan, schedule(plan, learner.settings.steps_per_update))
    return from_config(json.loads(json.dumps(config)))


@pytest.mark.parametrize(
    ("steps", "blocks", "steps_per_update", "expected"),
    [
        (160, 4, 40, Schedule(1, 4)),
        (161, 4, 40, Schedule(2, 3)),
        (1, 20, 40, Schedule(1, 1)),
        (1e6, 20, 3200, Schedule(16, 20)),
        (100, 1, 7, Schedule(15, 1)),
        (39.5, 3, 13, Schedule(2, 2)),
    ],
)
def test_a_plan_is_cut_into_equal_blocks(steps, blocks, steps_per_update, expected):
    assert schedule(Plan(steps=steps, blocks=blocks), steps_per_update) == expected


@pytest.mark.parametrize("steps", [1, 79, 1000, 12345])
@pytest.mark.parametrize("blocks", [1, 3, 20])
def test_blocks_are_the_fewest_that_reach_the_steps(steps, blocks):
    steps_per_update = 40
    cut = schedule(Plan(steps=steps, blocks=blocks), steps_per_update)
    assert cut.blocks <= blocks
    assert cut.updates * steps_per_update >= steps
    assert (cut.blocks - 1) * cut.updates_per_block * steps_per_update < steps


def test_lengthening_keeps_the_size_of_blocks():
    assert lengthened(Schedule(3, 4), 1000, 10) == Schedule(3, 34)
    assert lengthened(Schedule(3, 4), 120, 10) == Schedule(3, 4)


@pytest.mark.parametrize("steps", [0, -5, math.nan, math.inf])
def test_a_length_that_is_no_number_of_steps_is_named(steps):
    with pytest.raises(SettingError, match=f"steps={steps!r} is not allowed"):
        lengthened(Schedule(3, 4), steps, 10)


def test_a_run_cannot_be_shortened():
    with pytest.raises(SettingError, match="the run has 120 steps, and can only be lengthened"):
        lengthened(Schedule(3, 4), 80, 10)


@pytest.mark.parametrize("name", ["seeds", "blocks", "eval_episodes", "keep"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True, "3"])
def test_counts_are_positive_integers(name, value):
    with pytest.raises(SettingError, match=f"{name}={value!r} is not allowed: it must be an integer of at least 1"):
        Plan(**{"steps": 100, name: value})


@pytest.mark.parametrize("steps", [0, -1, math.nan, math.inf, "many", None])
def test_steps_are_a_finite_number(steps):
    with pytest.raises(SettingError, match="steps="):
        Plan(steps=steps)


def test_a_config_makes_an_equal_learner_plan_and_key():
    learner = make_learner("mappo", hidden=(7, 9, 11), lr=1 / 3, value_clip=None, sharing="independent", num_envs=8)
    plan = Plan(steps=777, seeds=3, blocks=5, eval_episodes=9, sample_eval=True, keep=2)
    again, env, key, plan_again, cut = through_json(learner, registry.make("matrix/chicken", horizon=3), plan=plan)
    assert (again.name, again.settings) == (learner.name, learner.settings)
    assert again.settings.hidden == (7, 9, 11)
    assert (plan_again, cut) == (plan, schedule(plan, learner.settings.steps_per_update))
    assert key == KEY
    assert env.spec == registry.make("matrix/chicken", horizon=3).spec


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_a_config_keeps_the_kind_of_key(impl):
    key = jax.random.key(3, impl=impl)
    again = through_json(make_learner("ippo"), registry.make("matrix/chicken"), key)[2]
    assert (again.dtype, jax.random.key_data(again).tolist()) == (key.dtype, jax.random.key_data(key).tolist())


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("grid/navigation", {"starts": ((0, 1), (2, 2)), "goals": ((3, 3), (4, 0)), "stay": True}),
        ("grid/navigation", {"size": 3, "walls": ("...", ".#.", "...")}),
        ("mpe/simple_spread", {"num_agents": 2, "num_landmarks": 4, "local_ratio": 0.25}),
    ],
)
def test_a_config_makes_an_equal_environment(name, settings):
    made = registry.make(name, **settings)
    env = through_json(make_learner("ippo"), made)[1]
    assert jax.tree.structure(env) == jax.tree.structure(made)  # the static fields, tuples among them
    assert jax.tree.leaves(env) == jax.tree.leaves(made)
    assert {field: getattr(env, field) for field in settings} == settings


def test_an_array_among_the_settings_comes_back():
    payoff = np.arange(8.0).reshape(2, 2, 2) / 3
    env = through_json(make_learner("ippo"), registry.make("matrix/game", payoff=payoff))[1]
    np.testing.assert_array_equal(env.payoff, payoff.astype(np.float32))


def test_an_environment_that_was_not_made_by_name_cannot_be_saved():
    with pytest.raises(SettingError, match=r"must come from jml\.make: register its constructor with jml\.register"):
        through_json(make_learner("ippo"), MatrixGame([[1.0]]))


def test_a_setting_that_is_no_plain_value_is_named():
    registry.register("test/anything", lambda thing: registry.make("matrix/chicken"))
    with pytest.raises(SettingError, match="must be plain values, and <object"):
        through_json(make_learner("ippo"), registry.make("test/anything", thing=object()))


def spoilt(**changes):
    plan = Plan(steps=100)
    learner, env = make_learner("ippo"), registry.make("matrix/chicken")
    config = to_config(learner, env, KEY, plan, schedule(plan, learner.settings.steps_per_update))
    for path, value in changes.items():
        part, _, name = path.partition("__")
        config[part] = {**config[part], name: value} if name else value
    return config


@pytest.mark.parametrize(
    "changes",
    [
        {"learner": [1]},
        {"learner": None},
        {"learner__hidden": None},
        {"env_settings": [1]},
        {"key": None},
        {"key__impl": "nope"},
        {"key__data": [-1, 2]},
        {"key__data": [1, 2, 3]},
        {"plan": 3},
        {"plan__nope": 1},
        {"schedule__nope": 1},
        {"schedule__blocks": "x"},
        {"schedule__updates_per_block": 0},
        {"learner__lr": "x"},
        {"plan__steps": "x"},
        {"algo": "nope"},
        {"env": "nope/nope"},
        {"env_settings__nope": 1},
    ],
    ids=str,
)
def test_a_config_that_is_spoilt_is_refused_with_a_sentence(changes):
    with pytest.raises((RunError, SettingError), match=r"\.$"):
        from_config(spoilt(**changes))


@pytest.mark.parametrize("part", ["algo", "learner", "env", "env_settings", "key", "plan", "schedule"])
def test_a_config_that_lacks_a_part_is_refused(part):
    config = spoilt()
    del config[part]
    with pytest.raises(RunError, match=f"not that of a run.*{part}"):
        from_config(config)
