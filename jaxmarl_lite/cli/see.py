"""Commands that show: `render` what a team does, and `plot` what was learnt."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxmarl_lite.cli import console
from jaxmarl_lite.cli.options import Folder, parse
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_int, require_number


@dataclass(frozen=True)
class Render:
    """Show episodes of a trained team: a moving picture (.gif), a row of pictures of each episode (.png), or a page
    (.html) that replays them in any browser, with what each agent sees, does and gets.

    The page is one file and needs no network. Example: jaxmarl-lite render runs/x --out x.html
    """

    run: Folder
    """folder of the run"""
    out: Path = Path("episodes.gif")
    """file to write; it ends in .gif, .png or .html"""
    episodes: int = 3
    """episodes, one after another"""
    seed: int = 0
    """number of the trained seed that plays"""
    key: int = 0
    """of the random key that the episodes begin from"""
    sample: bool = False
    """draw actions, instead of taking the likeliest"""
    columns: int = 8
    """pictures of each episode in a .png, evenly chosen"""


def render(args: list[str]) -> None:
    """Render RUN."""
    given = parse(Render, args, "jaxmarl-lite render")
    require_int("episodes", given.episodes)
    require_int("columns", given.columns, low=2)
    require_int("key", given.key, low=0, high=2**32 - 1)

    from jaxmarl_lite.training.load import load
    from jaxmarl_lite.view.episode import about_run, play_episodes
    from jaxmarl_lite.view.render import check_drawable, write_episodes

    policy = load(given.run, seed=given.seed, greedy=not given.sample)
    check_drawable(policy.env, given.out)
    episodes = play_episodes(policy, given.key, given.episodes)
    about = about_run(given.run, seed=given.seed, key=given.key, is_drawn=given.sample)
    with console.working(f"drawing {given.out}"):
        write_episodes(policy.env, episodes, given.out, about=about, columns=given.columns)
    console.say(f"wrote {given.out}")


@dataclass(frozen=True)
class Plot:
    """Draw runs beside one another, and write the numbers that are drawn as a .csv beside the picture.

    Runs of one algorithm with the same settings count as one, with the seeds of all; the seed is the unit of every
    interval (Agarwal et al. 2021).

    Example: jaxmarl-lite plot runs/ippo-* runs/qmix-* --what scores --bounds mpe/simple_spread=-80:-20 --out x.png
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN ...")]
    """folders of runs"""
    out: Path = Path("figure.png")
    """picture to write; it ends in .png, .svg or .pdf"""
    what: Literal["curves", "scores", "games"] = "curves"
    """curves: the interquartile mean over seeds, in a panel for each environment; scores: two algorithms or more over
    all environments that they share, by aggregates, performance profiles, and how likely one is better than another;
    games: payoffs of matrix games, and how the players' choices moved"""
    metric: str = "eval_return_sum"
    """number of metrics.jsonl that curves and scores are of"""
    bounds: Annotated[tuple[str, ...], tyro.conf.arg(metavar="ENV=LOW:HIGH")] = ()
    """of scores: returns that score 0 and 1; left out: the worst and the best evaluation among the runs in that
    environment"""


def plot(args: list[str]) -> None:
    """Plot RUN..."""
    given = parse(Plot, args, "jaxmarl-lite plot")
    bounds = dict(map(_bounds, given.bounds))
    if bounds and given.what != "scores":
        raise SettingError(
            f"bounds={given.bounds[0]!r} is not allowed with --what {given.what}: only scores have bounds."
        )

    from jaxmarl_lite.view.canvas import check_picture
    from jaxmarl_lite.view.games import draw_games
    from jaxmarl_lite.view.learning import draw_curves
    from jaxmarl_lite.view.runs import curves_of, read_runs
    from jaxmarl_lite.view.scores import draw_scores
    from jaxmarl_lite.view.table import table_path

    check_picture(given.out)
    curves = curves_of(read_runs(given.runs), given.metric)
    if given.what == "curves":
        draw_curves(curves, given.out, metric=given.metric)
    elif given.what == "games":
        draw_games(curves, given.out)
    elif left_out := draw_scores(curves, given.out, bounds=bounds, metric=given.metric).left_out:
        console.say(f"left out {', '.join(left_out)}: not every algorithm was trained there")
    console.say(f"wrote {given.out} and {table_path(given.out)}")


def _bounds(text: str) -> tuple[str, tuple[float, float]]:
    try:
        env, _, ends = text.rpartition("=")
        low, high = map(float, ends.split(":"))
    except ValueError:
        raise SettingError(f"bounds={text!r} is not allowed: it must be ENV=LOW:HIGH, two numbers.") from None
    for end in (low, high):
        require_number("bounds", end)
    return env, (low, high)
