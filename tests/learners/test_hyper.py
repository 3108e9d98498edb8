"""Float settings are numbers that a program reads in its state: what is compiled for one is right for all."""

import copy
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest
from jax.interpreters.partial_eval import dce_jaxpr

from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.learners.hyper import hyper_leaves, leaf_names, with_hyper
from jaxmarl_lite.learners.presets import PRESETS, make_learner

DISCRETE, CONTINUOUS = ("matrix/penalty", {"horizon": 5}), ("probe/chosen_reward", {"continuous": True})
SMALL = {"num_envs": 4, "rollout_length": 5, "minibatches": 2, "hidden": (8,)}
SMALL_REPLAY = {"capacity": 20, "warmup": 5, "batch": 4, "gradient_steps": 2}

# Between them every line of a family that reads a float setting; each setting is read by one at least.
CASES = {
    "on-policy": [
        ("ippo", {"max_kl": 0.1}, DISCRETE),
        ("coma", {}, DISCRETE),
        ("hatrpo", {"estimator": "vtrace", "normalise_values": "popart"}, DISCRETE),
    ],
    "value": [
        ("qtran_base", {"priority": 0.6}, DISCRETE),
        ("iql_tabular", {}, DISCRETE),
    ],
    "off-policy": [
        ("isac", {"priority": 0.6}, DISCRETE),
        ("isac", {}, CONTINUOUS),
        ("matd3", {"noise": "ornstein_uhlenbeck"}, CONTINUOUS),
    ],
}


class Number:
    """A setting that is an input of the program, of which Python may know whether it is there, and nothing else."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __bool__(self) -> bool:
        return True

    def __jax_array__(self):
        return self._value


class Read(NamedTuple):
    """The float settings that a learner's program depends on, by the way on which they came in."""

    baked: set[str]
    """from the settings, so that every value needs a program of its own"""
    leaves: set[str]
    """from the state"""


def read(settings, env, build):
    """Return what of a learner depends on which of its float settings: its beginning, a step and how it acts."""

    def learn(numbers, hyper, key, env, progress):
        given = copy.copy(settings)
        for name, value in numbers.items():
            object.__setattr__(given, name, Number(value))
        learner = build(given)
        policy = learner.policy(env.spec)
        state, metrics = learner.step(with_hyper(learner.init(key, env), hyper), env, progress)
        keys, restart = jax.random.split(key, settings.num_envs), jnp.zeros(settings.num_envs, bool)
        memory = policy.carry(settings.num_envs)
        action = policy.act(learner.params(state), memory, state.actors.ts, restart, keys, greedy=False)
        return state._replace(hyper=None), metrics, action

    hyper = hyper_leaves(settings)
    numbers = {name: value for name, value in hyper.items() if getattr(settings, name) is not None}
    jaxpr = jax.make_jaxpr(learn)(numbers, hyper, jax.random.key(0), env, jnp.asarray(0.5)).jaxpr
    is_read = iter(dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))[1])
    return Read(*({name for name in sorted(names) if next(is_read)} for names in (numbers, hyper)))


@pytest.fixture(scope="module", params=CASES)
def family(request):
    """The names of a family's float settings, and what each of its cases reads."""
    reads, names = [], set()
    for name, changes, (env, env_settings) in CASES[request.param]:
        fields = {field.name for field in dataclasses.fields(PRESETS[name])}
        small = {setting: value for setting, value in (SMALL | SMALL_REPLAY).items() if setting in fields}
        settings = make_learner(name, **{**small, **changes}).settings
        reads.append(read(settings, make(env, **env_settings), lambda given: given.build("learner")))
        names |= set(leaf_names(settings))
    return names, reads


def test_no_program_depends_on_a_float_but_by_the_state(family):
    assert [one.baked for one in family[1]] == [set() for _ in family[1]]


def test_every_float_setting_is_read_where_it_matters(family):
    names, reads = family
    assert set.union(*(one.leaves for one in reads)) == names


def test_a_number_that_is_baked_in_would_be_seen():
    settings = make_learner("ia2c", **SMALL).settings

    def build(given):
        learner = given.build("learner")

        def update(*args):
            state, metrics = learner.phases["update"](*args)
            return state, {**metrics, "loss": metrics["loss"] * given.clip + state.hyper["max_kl"]}

        return learner._replace(phases={**learner.phases, "update": update})

    seen = read(settings, make("matrix/penalty"), build)
    assert seen.baked == {"clip"}
    assert "max_kl" in seen.leaves
    assert "lam" not in seen.leaves
