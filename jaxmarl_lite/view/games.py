"""Matrix games: what they pay, and how the players' choices moved."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments import registry
from jaxmarl_lite.environments.matrix.game import MatrixGame, MatrixState
from jaxmarl_lite.view.canvas import count_steps, new_figure, save_figure, verbatim
from jaxmarl_lite.view.runs import Curve, series
from jaxmarl_lite.view.table import write_table

FREQUENCY = "action_frequency"


class Played(NamedTuple):
    """How a game was played over training, by all seeds of an algorithm."""

    title: str
    game: MatrixGame
    steps: np.ndarray
    """int [T]"""
    share: np.ndarray
    """float [T, K, A, N], how often each action was chosen in the block that ends there"""


def played(curve: Curve) -> Played:
    """Return how the game of a curve was played; raises SettingError if it is none, or its choices were not told."""
    config = curve.runs[0].config
    game = registry.make(config["env"], **config["env_settings"])
    if not isinstance(game, MatrixGame):
        raise SettingError(f"{str(curve.runs[0].path)!r} is a run in {config['env']}, which is not a matrix game.")
    share = np.concatenate([series(run, FREQUENCY)[1] for run in curve.runs], axis=1)
    return Played(f"{curve.algo} in {curve.task}", game, curve.steps, share)


def draw_games(curves: Sequence[Curve], path: Path) -> None:
    """Draw a row for each algorithm and game: payoffs, each player's choices over training, and paths of 2 x 2 games.

    Raises SettingError as `played` does, RunError if a file cannot be written or matplotlib is not installed.
    """
    games = [played(curve) for curve in curves]
    most = max(one.share.shape[2] for one in games)
    has_path = any(_is_two_by_two(one) for one in games)
    columns = 1 + most + has_path
    figure, grid = new_figure(3.4 * columns, 0.4 + 3.0 * len(games), len(games), columns)
    for panels, one in zip(np.atleast_2d(grid), games, strict=True):
        _payoffs(panels[0], one)
        for player in range(most):
            _choices(panels[1 + player], one, player)
        if has_path:
            _path(panels[-1], one)
    figure.supxlabel(
        "thick: mean over seeds, thin: each seed; the boxed cell is what is chosen most at the end", fontsize=9
    )
    save_figure(figure, path)
    columns = ["quantity", "game", "env_steps", "seed", "player", "action", "value"]
    write_table(path, columns, [row for one in games for row in _rows(one)])


def _is_two_by_two(one: Played) -> bool:
    return one.share.shape[2:] == (2, 2)


def _payoffs(axes: Any, one: Played) -> None:
    liked = one.share[-1].mean(0).argmax(-1)
    one.game.draw(axes, MatrixState(liked, one.steps[-1]), None)  # type: ignore[arg-type]
    axes.set_title(verbatim(textwrap.fill(one.title, 40)), fontsize=10)


def _choices(axes: Any, one: Played, player: int) -> None:
    sizes = one.game.spec.action_sizes
    if player >= len(sizes):
        axes.set_axis_off()
        return
    for action in range(sizes[player]):
        share = one.share[:, :, player, action]
        axes.plot(one.steps, share, color=f"C{action % 10}", lw=0.6, alpha=0.4)
        axes.plot(one.steps, share.mean(1), color=f"C{action % 10}", lw=2.2, label=f"action {action}")
    axes.set(ylim=(-0.03, 1.03), title=f"how often player {player} chose", xlabel="environment steps")
    axes.title.set_fontsize(10)
    count_steps(axes)
    axes.grid(color="0.9")
    axes.legend(fontsize=8)


def _path(axes: Any, one: Played) -> None:
    """Draw the way of both players' shares of action 0, from the ring to the disc."""
    if not _is_two_by_two(one):
        axes.set_axis_off()
        return
    for seed, way in enumerate(np.moveaxis(one.share[..., 0], 0, 1)):
        look = {"color": f"C{seed % 10}", "clip_on": False}
        axes.plot(way[:, 0], way[:, 1], lw=1.2, **look)
        axes.plot(*way[0], marker="o", mfc="white", **look)
        axes.plot(*way[-1], marker="o", **look)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    axes.set(xlabel="share of action 0, player 0", ylabel="share of action 0, player 1")
    axes.set_title("each seed, from ring to disc", fontsize=10)
    axes.grid(color="0.9")


def _rows(one: Played) -> list[tuple[Any, ...]]:
    payoff = np.asarray(one.game.payoff)
    paid = [
        ("payoff", one.title, "", "", player, " ".join(map(str, joint)), payoff[(player, *joint)])
        for player, *joint in np.ndindex(*payoff.shape)
    ]
    sizes = one.game.spec.action_sizes
    chosen = [
        ("share", one.title, one.steps[time], seed, player, action, one.share[time, seed, player, action])
        for time, seed, player, action in np.ndindex(*one.share.shape)
        if action < sizes[player]
    ]
    return paid + chosen
