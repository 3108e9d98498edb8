"""Episodes as a moving picture, a strip of pictures, or a page that replays them."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxmarl_lite.core.env import Env
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.view.canvas import check_out, new_figure, save_figure, write_bytes
from jaxmarl_lite.view.episode import Frame
from jaxmarl_lite.view.page import About, write_page
from jaxmarl_lite.view.pictures import draw_frames

FORMATS = (".gif", ".png", ".html")


def check_drawable(env: Env, path: Path) -> None:
    """Raise SettingError if `path` is of no known format, or `env` has no `draw` and the format needs one.

    A page needs none: it then shows the numbers only. Raises RunError if matplotlib is needed and not installed.
    """
    check_out(path, FORMATS)
    can_draw = hasattr(env, "draw")
    if not can_draw and path.suffix.lower() != ".html":
        raise SettingError(
            f"{type(env).__name__} has no method draw(axes, state, step), so there is no picture of it: "
            f"only a page of its numbers can be written, to a file that ends in .html."
        )
    if can_draw:
        new_figure(1.0, 1.0)


def write_episodes(
    env: Env, episodes: Sequence[Sequence[Frame]], path: Path, *, about: About, columns: int = 8
) -> None:
    """Write episodes in the format of the path's suffix; see `check_drawable`.

    `about` is told on a page, `columns` is the number of pictures of each episode in a strip.

    Raises SettingError as `check_drawable` does, RunError if the file cannot be written.
    """
    check_drawable(env, path)
    match path.suffix.lower():
        case ".gif":
            write_gif(env, episodes, path)
        case ".png":
            write_strip(env, episodes, path, columns=columns)
        case _:
            write_page(env, episodes, path, about=about)


def write_gif(env: Env, episodes: Sequence[Sequence[Frame]], path: Path, *, frames_per_second: float = 8.0) -> None:
    """Draw episodes, one after another, into a GIF that repeats; the last frame of each stays four times as long."""
    pictures, durations = [], []
    for episode in episodes:
        pictures += [picture.image for picture in draw_frames(env, episode)]
        durations += [1000.0 / frames_per_second] * (len(episode) - 1) + [4000.0 / frames_per_second]
    file = io.BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0)
    write_bytes(path, file.getvalue())


def write_strip(env: Env, episodes: Sequence[Sequence[Frame]], path: Path, *, columns: int) -> None:
    """Draw a row of frames for each episode: the first, the last, and others evenly between, with their steps."""
    chosen = [np.unique(np.linspace(0, len(episode) - 1, columns).round().astype(int)) for episode in episodes]
    width = max(map(len, chosen))
    figure, grid = new_figure(2.0 * width, 2.2 * len(episodes), len(episodes), width)
    for row, (episode, numbers) in enumerate(zip(episodes, chosen, strict=True)):
        for axes, number in zip(np.atleast_2d(grid)[row], numbers, strict=False):
            frame = episode[number]
            env.draw(axes, frame.state, frame.step)  # type: ignore[attr-defined]
            axes.set_title(f"step {number}", fontsize=10)
            axes.tick_params(labelsize=7)
        for axes in np.atleast_2d(grid)[row][len(numbers) :]:
            axes.set_axis_off()
    save_figure(figure, path)
