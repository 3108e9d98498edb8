"""What is searched: a range for each setting, and points in the box that they span."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

import numpy as np

from jaxmarl_lite.core.errors import SettingError

Values = dict[str, float]
"""A value for each setting that is searched."""
Space = dict[str, "Range"]
"""A range for each setting that is searched; one of the environment is called `env.name`."""

Sampler = Literal["sobol", "random", "grid", "optuna"]
SAMPLERS = get_args(Sampler)

_DIGITS = 6  # of a value: as many as a person would type, and a float32 holds


@dataclass(frozen=True)
class Range:
    """The values that a setting may take: between two ends, evenly or evenly in the logarithm, or one of several."""

    kind: Literal["even", "log", "choice"]
    values: tuple[float, ...]
    """both ends, or the choices"""
    text: str
    """how it was written"""

    @staticmethod
    def parse(name: str, text: str) -> "Range":
        """Return the range written as `low:high`, `log:low:high` or `a,b,c`.

        Raises SettingError, naming the setting, if it is none.
        """
        is_log = text.startswith("log:")
        body, kind = text.removeprefix("log:"), "log" if is_log else "even" if ":" in text else "choice"
        try:
            values = tuple(float(word) for word in body.split("," if kind == "choice" else ":"))
        except ValueError:
            values = ()
        is_sound = bool(values) and all(map(math.isfinite, values))
        if kind == "choice":
            is_sound = is_sound and len(set(values)) == len(values)
        else:
            is_sound = is_sound and len(values) == 2 and values[0] < values[1] and (values[0] > 0 or not is_log)
        if not is_sound:
            raise SettingError(
                f"{name}={text!r} is no range: write low:high, log:low:high with low above 0, or different numbers "
                "such as 1,2,5."
            )
        return Range(kind, values, text)

    def at(self, share: float) -> float:
        """Return the value at a `share` in [0, 1] of the way through the range."""
        if self.kind == "choice":
            return self.values[min(int(share * len(self.values)), len(self.values) - 1)]
        low, high = self.values
        if self.kind == "log":
            value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            value = low + share * (high - low)
        return min(max(rounded(value), low), high)

    def spread(self, number: int) -> list[float]:
        """Return so many values evenly from end to end; all of them, if it is a choice."""
        if self.kind == "choice":
            return list(self.values)
        return [self.at(share) for share in (np.linspace(0.0, 1.0, number).tolist() if number > 1 else [0.5])]

    @property
    def is_choice(self) -> bool:
        """Whether there is nothing between the values."""
        return self.kind == "choice"


def rounded(value: float) -> float:
    """Return a number with no more digits than matter."""
    return float(f"{value:.{_DIGITS}g}")


def space_of(ranges: Mapping[str, str]) -> Space:
    """Return the space that ranges span, written as `Range.parse` has them.

    Raises SettingError if there is none or one is no range.
    """
    if not ranges:
        raise SettingError("nothing is searched: give at least one setting a range, such as lr=log:1e-4:1e-2.")
    return {name: Range.parse(name, text) for name, text in ranges.items()}


def sample(space: Space, sampler: Sampler, trials: int, seed: Sequence[int]) -> list[Values]:
    """Return the trials to make: the same for the same `seed`.

    "sobol" spreads any number of them evenly (Sobol' 1967, doi:10.1016/0041-5553(67)90144-9, scrambled), "random" draws
    each on its own, and "grid" has all combinations of as many values of each range as `trials` allow.

    Raises SettingError if the choices alone are more than a grid of so many trials holds.
    """
    if sampler == "grid":
        return _grid(space, trials)
    generator = np.random.default_rng(seed)
    if sampler == "random":
        shares = generator.random((trials, len(space)))
    else:
        from scipy.stats import qmc

        # Of a power of two, which the sequence is balanced for, the first ones.
        points = qmc.Sobol(len(space), rng=generator).random_base2(math.ceil(math.log2(trials)))
        shares = points[:trials]
    return [{name: space[name].at(share) for name, share in zip(space, row, strict=True)} for row in shares.tolist()]


def _grid(space: Space, trials: int) -> list[Values]:
    def sizes(number: int) -> list[int]:
        return [len(one.values) if one.is_choice else number for one in space.values()]

    if math.prod(sizes(1)) > trials:
        raise SettingError(
            f"trials={trials} is not allowed with sampler='grid': the choices have {math.prod(sizes(1))} combinations."
        )
    number = 1
    while not all(one.is_choice for one in space.values()) and math.prod(sizes(number + 1)) <= trials:
        number += 1
    axes = [one.spread(number) for one in space.values()]
    return [dict(zip(space, values, strict=True)) for values in product(*axes)]
