"""Games with a name: constructors of `MatrixGame` with their payoffs.

Payoffs are given as the row player's table and the column player's; where one is left out, it is the other's
transpose (a symmetric game), its copy (a common interest) or its negative (zero-sum), as the text says.
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np

from jaxmarl_lite.core.settings import require_number
from jaxmarl_lite.environments.matrix.game import MatrixGame, Observation

Table = list[list[float]]


def _symmetric(row: Table) -> np.ndarray:
    table = np.asarray(row, np.float32)
    return np.stack([table, table.T])


def _common(row: Table) -> np.ndarray:
    table = np.asarray(row, np.float32)
    return np.stack([table, table])


def _zero_sum(row: Table) -> np.ndarray:
    table = np.asarray(row, np.float32)
    return np.stack([table, -table])


# Sources: the 2x2 games are the textbook ones (Rapoport and Guyer 1966); climbing is Claus and Boutilier 1998, in the
# order of rows of Papoudakis et al. 2021 (arXiv:2006.07869); Shapley's is Shapley 1964, "Some topics in two-person
# games"; stag hunt, chicken and Shapley's have the numbers of OpenSpiel (Lanctot et al. 2019, arXiv:1908.09453); the
# game that is not monotonic is that of Son et al. 2019 (arXiv:1905.05408, table 1).
_PAYOFFS: dict[str, tuple[np.ndarray, str]] = {
    "prisoners_dilemma": (
        _symmetric([[3, 0], [5, 1]]),
        "Prisoner's dilemma (cooperate, defect): reward 3, sucker 0, temptation 5, punishment 1.",
    ),
    "prisoners_dilemma_years": (
        _symmetric([[-1, -3], [0, -2]]),
        "Prisoner's dilemma in years of prison (silent, confess): -1, -3, 0, -2.",
    ),
    "coordination": (_common([[2, 0], [0, 1]]), "Both gain by the same choice: 2 for the first, 1 for the second."),
    "battle_of_sexes": (
        np.asarray([[[2, 0], [0, 1]], [[1, 0], [0, 2]]], np.float32),
        "Both prefer to be together, the row player at the first, the column player at the second: (2,1), (1,2).",
    ),
    "stag_hunt": (_symmetric([[2, 0], [1, 1]]), "Stag hunt (stag, hare): (2,2) if both hunt the stag, 1 for a hare."),
    "chicken": (_symmetric([[0, 4], [1, 3]]), "Chicken (dare, chicken): two pure equilibria and a mixed one."),
    "matching_pennies": (_zero_sum([[1, -1], [-1, 1]]), "Zero-sum: the row player gains by a match."),
    "rock_paper_scissors": (
        _zero_sum([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]),
        "Zero-sum (rock, paper, scissors): each beats the one before it.",
    ),
    "climbing": (
        _common([[11, -30, 0], [-30, 7, 0], [0, 6, 5]]),
        "Common interest with the best joint action, 11, beside the worst.",
    ),
    "non_monotonic": (
        _common([[8, -12, -12], [-12, 0, 0], [-12, 0, 0]]),
        "Common interest: 8 if both take the first action, -12 if one does; no monotonic mixture of values tells it.",
    ),
    "shapley": (
        np.asarray([[[0, 0, 1], [1, 0, 0], [0, 1, 0]], [[0, 1, 0], [0, 0, 1], [1, 0, 0]]], np.float32),
        "Shapley's game: fictitious play cycles; the only equilibrium is uniform.",
    ),
}


def _constructor(name: str, payoff: np.ndarray, text: str) -> Callable[..., MatrixGame]:
    def construct(horizon: int = 25, observation: Observation = "constant") -> MatrixGame:
        return MatrixGame(payoff, horizon=horizon, observation=observation)

    construct.__name__ = construct.__qualname__ = name
    construct.__doc__ = text
    return construct


def penalty(
    k: Annotated[float, "payoff of missing one another, at most 0"] = -100.0,
    horizon: int = 25,
    observation: Observation = "constant",
) -> MatrixGame:
    """Penalty game of Claus and Boutilier 1998: two best joint actions, 10, which miss one another at a cost of k.

    Common interest [[k, 0, 10], [0, 2, 0], [10, 0, k]]; k is at most 0.
    """
    require_number("k", k, high=0.0)
    return MatrixGame(_common([[k, 0, 10], [0, 2, 0], [10, 0, k]]), horizon=horizon, observation=observation)


NAMED_GAMES: dict[str, Callable[..., MatrixGame]] = {
    **{name: _constructor(name, payoff, text) for name, (payoff, text) in _PAYOFFS.items()},
    "penalty": penalty,
}
