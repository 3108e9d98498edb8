import math

import jax
import jax.numpy as jnp
import pytest

from jaxmarl_lite.core import settings
from jaxmarl_lite.core.errors import SettingError


def refusal(check, *args, **kwargs):
    with pytest.raises(SettingError) as caught:
        check(*args, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "limits", "allowed"),
    [
        (0, {}, "an integer of at least 1"),
        (-3, {"low": 0}, "an integer of at least 0"),
        (2.0, {}, "an integer of at least 1"),
        (True, {}, "an integer of at least 1"),
        ("3", {}, "an integer of at least 1"),
        (None, {}, "an integer of at least 1"),
        (9, {"low": 2, "high": 8}, "an integer from 2 to 8"),
    ],
)
def test_require_int_names_the_value_and_what_is_allowed(value, limits, allowed):
    sentence = refusal(settings.require_int, "size", value, **limits)
    assert sentence == f"size={value!r} is not allowed: it must be {allowed}."


@pytest.mark.parametrize(("value", "limits"), [(1, {}), (0, {"low": 0}), (8, {"low": 2, "high": 8})])
def test_require_int_takes_its_bounds(value, limits):
    settings.require_int("size", value, **limits)


@pytest.mark.parametrize(
    ("value", "limits", "allowed"),
    [
        (1.5, {"low": 0.0, "high": 1.0}, "a number from 0 to 1"),
        (-0.1, {"low": 0.0}, "a finite number of at least 0"),
        (0.0, {"above": 0.0}, "a finite number above 0"),
        (2, {"above": 0.0, "high": 1.0}, "a finite number above 0 and at most 1"),
        (math.nan, {}, "a finite number"),
        (math.inf, {}, "a finite number"),
        ("1", {}, "a finite number"),
        (None, {}, "a finite number"),
        (True, {"low": 0.0, "high": 1.0}, "a number from 0 to 1"),
    ],
)
def test_require_number_names_the_value_and_what_is_allowed(value, limits, allowed):
    sentence = refusal(settings.require_number, "rate", value, **limits)
    assert sentence == f"rate={value!r} is not allowed: it must be {allowed}."


@pytest.mark.parametrize(("value", "limits"), [(0, {"low": 0.0, "high": 1.0}), (1.0, {"high": 1.0, "above": 0.0})])
def test_require_number_takes_its_bounds(value, limits):
    settings.require_number("rate", value, **limits)


def test_require_number_lets_tracers_pass():
    def f(x):
        settings.require_number("rate", x, low=5.0)
        return 2 * x

    assert jax.jit(f)(jnp.ones(())) == 2.0


@pytest.mark.parametrize("value", [0, 1, None, "True"])
def test_require_bool_takes_nothing_but_true_and_false(value):
    settings.require_bool("stay", True)
    settings.require_bool("stay", False)
    sentence = refusal(settings.require_bool, "stay", value)
    assert sentence == f"stay={value!r} is not allowed: it must be True or False."


def test_require_choice_lists_the_choices():
    settings.require_choice("view", "own", ("own", "joint"))
    sentence = refusal(settings.require_choice, "view", "all", ("own", "joint"))
    assert sentence == "view='all' is not allowed: it must be one of own, joint."


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("particles/spred", "did you mean particles/spread?"),
        ("spread", "did you mean particles/spread?"),
        ("tga", "did you mean grid/tag?"),
        ("zzzzzz", "known are grid/tag, particles/spread."),
    ],
)
def test_require_known_offers_near_matches_or_everything(name, hint):
    sentence = refusal(settings.require_known, "world", name, ("particles/spread", "grid/tag"))
    assert sentence == f"unknown world {name!r}; {hint}"


def test_require_known_takes_what_is_known():
    settings.require_known("world", "a", iter(["b", "a"]))
