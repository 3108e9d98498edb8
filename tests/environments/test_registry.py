from dataclasses import field
from typing import Any

import numpy as np
import pytest
from flax import struct

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments import registry
from jaxmarl_lite.environments.grid.navigation import Navigation
from jaxmarl_lite.environments.matrix.game import MatrixGame
from jaxmarl_lite.environments.matrix.named import NAMED_GAMES
from jaxmarl_lite.environments.mpe.simple_spread import SimpleSpread
from jaxmarl_lite.environments.registry import envs, make, origin, register


@pytest.fixture
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_constructors", dict(registry._constructors))


def refusal(function, *args, **kwargs):
    with pytest.raises(SettingError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


def test_names_are_sorted_and_hold_every_family():
    names = envs()
    assert list(names) == sorted(names)
    assert {"grid/navigation", "mpe/simple_spread", "matrix/game"} <= set(names)
    assert {f"matrix/{name}" for name in NAMED_GAMES} <= set(names)


@pytest.mark.parametrize(
    ("name", "settings", "kind"),
    [
        ("grid/navigation", {"num_agents": 3, "size": 6}, Navigation),
        ("mpe/simple_spread", {"num_agents": 4, "local_ratio": 0.25}, SimpleSpread),
        ("matrix/penalty", {"k": -5.0, "horizon": 3}, MatrixGame),
        ("matrix/game", {"payoff": [[[1, 2]], [[3, 4]]]}, MatrixGame),
    ],
)
def test_make_builds_what_was_asked_for_and_remembers_it(name, settings, kind):
    env = make(name, **settings)
    assert isinstance(env, kind)
    assert registry.origin(env) == (name, settings)
    assert all(getattr(env, key) == value for key, value in settings.items() if key not in ("payoff", "k"))


def test_environments_built_by_hand_have_no_origin():
    assert registry.origin(SimpleSpread()) is None


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("mpe/simple_sprad", {}, "unknown environment 'mpe/simple_sprad'; did you mean mpe/simple_spread?"),
        (
            "navigation",
            {},
            "unknown environment 'navigation'; did you mean grid/navigation or grid/team_navigation?",
        ),
        (
            "grid/navigation",
            {"sise": 4},
            "unknown setting of grid/navigation 'sise'; did you mean size?",
        ),
        (
            "matrix/penalty",
            {"num_agents": 4},
            "unknown setting of matrix/penalty 'num_agents'; known are horizon, k, observation.",
        ),
        ("matrix/game", {}, "matrix/game needs the setting 'payoff'."),
        ("matrix/penalty", {"k": 1.0}, "k=1.0 is not allowed: it must be a finite number of at most 0."),
        ("matrix/chicken", {"horizon": 0}, "horizon=0 is not allowed: it must be an integer of at least 1."),
        (
            "matrix/chicken",
            {"observation": "all"},
            "observation='all' is not allowed: it must be one of constant, last_action.",
        ),
        ("mpe/simple_spread", {"num_agents": 0}, "num_agents=0 is not allowed: it must be an integer of at least 1."),
        ("mpe/simple_spread", {"local_ratio": 2}, "local_ratio=2 is not allowed: it must be a number from 0 to 1."),
        ("mpe/simple_spread", {"continuous": 1}, "continuous=1 is not allowed: it must be True or False."),
        ("grid/navigation", {"size": 1}, "size=1 is not allowed: it must be an integer of at least 2."),
        ("grid/navigation", {"horizon": 2.5}, "horizon=2.5 is not allowed: it must be an integer of at least 1."),
        ("grid/navigation", {"stay": "yes"}, "stay='yes' is not allowed: it must be True or False."),
    ],
)
def test_make_answers_with_one_sentence(name, settings, sentence):
    assert refusal(make, name, **settings) == sentence


def test_make_lists_everything_if_nothing_is_near():
    assert refusal(make, "qqq") == f"unknown environment 'qqq'; known are {', '.join(envs())}."


@pytest.mark.usefixtures("own_registry")
def test_registered_environments_can_be_made_with_their_settings():
    def big_spread(*, scale: int = 2):
        return SimpleSpread(num_agents=scale)

    register("mine/big_spread", big_spread)
    register("mine/big_spread", big_spread)  # again, the same: allowed
    assert "mine/big_spread" in envs()
    env = make("mine/big_spread", scale=4)
    assert env.spec.num_agents == 4
    assert registry.origin(env) == ("mine/big_spread", {"scale": 4})
    assert refusal(make, "mine/big_spread", skale=4).endswith("did you mean scale?")


@pytest.mark.usefixtures("own_registry")
def test_constructors_that_take_anything_are_given_anything():
    register("mine/any", lambda *args, **settings: SimpleSpread(**settings))
    assert make("mine/any", num_agents=2).spec.num_agents == 2


@pytest.mark.usefixtures("own_registry")
def test_a_name_is_registered_once():
    sentence = refusal(register, "grid/navigation", SimpleSpread)
    assert sentence == "environment 'grid/navigation' is already registered; choose another name."
    assert isinstance(make("grid/navigation"), Navigation)


def test_an_environment_that_cannot_be_hashed_is_made_and_its_origin_kept(own_registry):
    @struct.dataclass
    class Heavy:
        weights: Any = field(default_factory=lambda: np.ones(3))

    register("test/heavy", Heavy)
    env = make("test/heavy")
    assert origin(env) == ("test/heavy", {})
    assert origin(Heavy()) is None
