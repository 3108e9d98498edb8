"""Pictures of moments, drawn by the environment itself."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxmarl_lite.core.env import Env
from jaxmarl_lite.view.canvas import new_figure
from jaxmarl_lite.view.episode import Frame

SIDE = 4.0  # inches of a picture

Place = tuple[int, int, int, int]


class Picture(NamedTuple):
    """A moment as pixels, and where the agents are in it."""

    image: Any
    """RGB image of Pillow"""
    places: list[Place | None]
    """(left, top, width, height) of each agent in pixels; None where the drawing does not tell"""
    colours: list[str | None]
    """of each agent, as #rrggbb; None likewise"""


def draw_frames(env: Env, frames: Sequence[Frame], *, dpi: int = 100) -> Iterator[Picture]:
    """Draw each frame with the environment's own `draw`; raises RunError if matplotlib is not installed."""
    figure, axes = new_figure(SIDE, SIDE)
    from PIL import Image  # as much part of the extra as matplotlib, which has just been found

    figure.set_dpi(dpi)
    for frame in frames:
        axes.clear()
        env.draw(axes, frame.state, frame.step)  # type: ignore[attr-defined]
        figure.canvas.draw()
        image = Image.fromarray(np.array(figure.canvas.buffer_rgba())[..., :3])
        yield Picture(image, *_agents(axes, env.spec.num_agents, image.height))


def _agents(axes: Any, num_agents: int, height: int) -> tuple[list[Place | None], list[str | None]]:
    """Return the places and colours of the artists that say which agent they are."""
    from matplotlib.colors import to_hex

    artists = {artist.get_gid(): artist for artist in axes.patches if artist.get_gid()}
    agents = [artists.get(f"agent {number}") for number in range(num_agents)]
    places = [None if artist is None else _place(artist.get_window_extent(), height) for artist in agents]
    return places, [None if artist is None else to_hex(artist.get_facecolor()) for artist in agents]


def _place(box: Any, height: int) -> Place:
    left, top, width, tall = (round(float(x)) for x in (box.x0, height - box.y1, box.width, box.height))
    return left, top, width, tall
