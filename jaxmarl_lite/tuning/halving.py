"""Successive halving: many trials for a short time, the best of them for longer.

Jamieson and Talwalkar 2016, arXiv:1502.07943, algorithm 1, with the lengths of Li et al. 2018, arXiv:1810.05934,
algorithm 1: of eta times as many trials, each is given 1/eta of the steps, so every rung costs about the same. All
trials of a rung are compared once all have ended, as they run side by side in one program.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_int


class Rung(NamedTuple):
    """A part of a sweep at whose end the best trials go on."""

    trials: int
    updates: int
    """of each trial when it ends, all rungs before counted"""


def ladder(trials: int, updates: int, eta: int | None, rungs: int | None = None) -> list[Rung]:
    """Return the rungs of a sweep whose best trials learn for `updates`; one alone if `eta` is None.

    Of each rung's trials one in `eta` goes on, and learns `eta` times as long. Rungs left out: as many as there are
    trials for.

    Raises SettingError if there are not enough trials or updates for the rungs.
    """
    if eta is None:
        return [Rung(trials, updates)]
    require_int("halving", eta, low=2)
    most = 1
    while trials // eta**most:
        most += 1
    if rungs is not None:
        require_int("rungs", rungs, high=most)
    count = rungs or most
    lengths = [math.ceil(updates / eta ** (count - 1 - number)) for number in range(count)]
    if len(set(lengths)) < count:
        raise SettingError(
            f"halving={eta} is not allowed here: {updates} updates are too few for {count} rungs; set fewer rungs, or "
            "more steps."
        )
    return [Rung(trials // eta**number, length) for number, length in enumerate(lengths)]


def ranked(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the last row of each trial, the best first.

    Who learnt longer stands before who was dropped; then the greater return counts, the mean over seeds, and of equal
    ones the earlier trial. Trials that diverged have none and stand last.
    """
    last = {row["trial"]: row for row in sorted(rows, key=lambda row: row["rung"])}
    return sorted(last.values(), key=_order)


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    score = row["return_sum"]
    return score is None, -row["rung"], 0.0 if score is None else -score, row["trial"]


def survivors(rows: Sequence[dict[str, Any]], number: int) -> list[int]:
    """Return which trials of a rung's rows go on, at most `number`, in order; none that diverged."""
    best = [row["trial"] for row in ranked(rows) if row["return_sum"] is not None]
    return sorted(best[:number])
