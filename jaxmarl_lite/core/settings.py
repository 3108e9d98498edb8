"""Checks of what a caller gave, each answering with one sentence that names the value and what is allowed."""

import difflib
import math
from collections.abc import Collection, Iterable
from typing import Any, Literal, get_args, get_origin

from jaxmarl_lite.core.errors import SettingError


def require_int(name: str, value: Any, *, low: int = 1, high: int | None = None) -> None:
    """Raise SettingError unless `value` is an integer in [low, high]."""
    allowed = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
    is_int = isinstance(value, int) and not isinstance(value, bool)
    if not is_int or value < low or (high is not None and value > high):
        raise SettingError(f"{name}={value!r} is not allowed: it must be {allowed}.")


def require_sizes(name: str, value: Any, *, at_least: int = 0) -> None:
    """Raise SettingError unless `value` is a tuple or list of positive integers, `at_least` so many."""
    if not isinstance(value, tuple | list) or len(value) < at_least:
        allowed = "a list of sizes" if not at_least else f"a list of sizes, {at_least} at least"
        raise SettingError(f"{name}={value!r} is not allowed: it must be {allowed}.")
    for size in value:
        require_int(name, size)


def require_number(
    name: str, value: Any, *, low: float = -math.inf, high: float = math.inf, above: float = -math.inf
) -> None:
    """Raise SettingError unless `value` is a finite number in [low, high] and greater than `above`.

    An array or a tracer passes: the float fields of an environment are pytree leaves, rebuilt under `jit` and
    `vmap` from values that cannot be looked at.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        is_allowed = math.isfinite(value) and low <= value <= high and value > above
    else:
        is_allowed = not isinstance(value, bool | str | list | tuple | dict | None)
    if not is_allowed:
        raise SettingError(f"{name}={value!r} is not allowed: it must be {_range(low, high, above)}.")


def require_bool(name: str, value: Any) -> None:
    """Raise SettingError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise SettingError(f"{name}={value!r} is not allowed: it must be True or False.")


def require_choice(name: str, value: Any, choices: Collection[str]) -> None:
    """Raise SettingError unless `value` is one of `choices`."""
    if value not in choices:
        raise SettingError(f"{name}={value!r} is not allowed: it must be one of {', '.join(choices)}.")


def require_kind(name: str, kind: Any, value: Any, *, low: int = 1) -> None:
    """Raise SettingError unless `value` is one of a Literal's choices, a bool or an integer of at least `low`.

    `kind` is the type of a dataclass's field; values of other types are not looked at.
    """
    if get_origin(kind) is Literal:
        require_choice(name, value, get_args(kind))
    elif kind is bool:
        require_bool(name, value)
    elif kind is int:
        require_int(name, value, low=low)


def require_known(kind: str, name: str, known: Iterable[str]) -> None:
    """Raise SettingError, with the nearest matches, unless `name` is one of `known`."""
    known = sorted(known)
    if name in known:
        return
    # A name that is all but right is meant; otherwise all that have a similar word, the most similar first.
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.9) or _similar(str(name), known)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}."
    raise SettingError(f"unknown {kind} {name!r}; {hint}")


def _similar(name: str, known: list[str]) -> list[str]:
    def closeness(k: str) -> float:
        asked, tail = name.rsplit("/", 1)[-1], k.rsplit("/", 1)[-1]
        return max(difflib.SequenceMatcher(None, asked, word).ratio() for word in (tail, *tail.split("_")))

    near = sorted((k for k in known if closeness(k) >= 0.6), key=closeness, reverse=True)
    alike = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return near + [k for k in alike if closeness(k) >= 0.5 and k not in near]


def _range(low: float, high: float, above: float) -> str:
    if math.isfinite(above):
        bound = f"a finite number above {above:g}"
        return f"{bound} and at most {high:g}" if math.isfinite(high) else bound
    if math.isfinite(low) and math.isfinite(high):
        return f"a number from {low:g} to {high:g}"
    if math.isfinite(high):
        return f"a finite number of at most {high:g}"
    return f"a finite number of at least {low:g}" if math.isfinite(low) else "a finite number"
