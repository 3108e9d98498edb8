"""One self-contained HTML file that replays episodes in a browser, without a server or a network."""

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmarl_lite.core.env import Env
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.view.canvas import write_bytes
from jaxmarl_lite.view.episode import Frame
from jaxmarl_lite.view.pictures import Picture, draw_frames
from jaxmarl_lite.view.template import framed, part

DPI = 120
PALETTE = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#ff9da6", "#9d755d", "#eeca3b", "#79706e")

About = Mapping[str, Any]
"""what is to be told of the episodes, by name; "title" is the heading"""


def write_page(env: Env, episodes: Sequence[Sequence[Frame]], path: Path, *, about: About) -> None:
    """Write a page that replays episodes; raises RunError if the file cannot be written."""
    write_bytes(path, episodes_page(env, episodes, about=about).encode())


def episodes_page(env: Env, episodes: Sequence[Sequence[Frame]], *, about: About, dpi: int = DPI) -> str:
    """Return a page that replays episodes.

    Pictures are drawn by the environment's own `draw`; without one the page shows the numbers only.
    """
    drawn = [list(draw_frames(env, episode, dpi=dpi)) for episode in episodes] if hasattr(env, "draw") else None
    return page(replay_data(env.spec, episodes, drawn, about=about))


def page(data: Mapping[str, Any]) -> str:
    """Return the page that replays `data`, what `replay_data` returns."""
    parts = {
        "data": _script_safe(json.dumps(data, separators=(",", ":"))),
        "script": part("replay", "numbers.js") + part("replay", "replay.js"),
    }
    return framed(data["title"], "replay", parts)


def replay_data(
    spec: Spec,
    episodes: Sequence[Sequence[Frame]],
    drawn: Sequence[Sequence[Picture]] | None = None,
    *,
    about: About,
) -> dict[str, Any]:
    """Return what a page shows as JSON values, each episode's by step and agent, T + 1 steps with the first.

    Rewards of a step are those for coming to it, actions those chosen there. Equal pictures are held once. Numbers
    have five significant digits, and what is not finite is null.
    """
    images: dict[str, int] = {}
    shown = [_shown(pictures, images) for pictures in drawn] if drawn else [{}] * len(episodes)
    first = drawn[0][0] if drawn else None
    colours = first.colours if first else [None] * spec.num_agents
    told = {name: str(value) for name, value in about.items()}
    return {
        "title": told.pop("title", "episodes"),
        "about": told,
        "agents": [
            {"name": name, "colour": colour or PALETTE[place % len(PALETTE)]}
            for place, (name, colour) in enumerate(zip(spec.agents, colours, strict=True))
        ],
        "size": first.image.size if first else None,
        "images": list(images),
        "episodes": [
            {**_numbers(spec, episode), **pictures} for episode, pictures in zip(episodes, shown, strict=True)
        ],
    }


def _numbers(spec: Spec, episode: Sequence[Frame]) -> dict[str, Any]:
    steps = [frame.step for frame in episode]
    return {
        "obs": [[_plain(row[:size]) for row, size in zip(ts.obs, spec.obs_sizes, strict=True)] for ts in steps],
        "reward": [_plain(ts.reward) for ts in steps],
        "active": [_plain(ts.active.astype(int)) for ts in steps],
        "action": [_actions(spec, frame.action) for frame in episode[:-1]],
        "end": "truncated" if steps[-1].truncated else "terminated",
    }


def _actions(spec: Spec, action: Any) -> list[Any]:
    if spec.is_discrete:
        return _plain(action)
    return [_plain(row[:size]) for row, size in zip(action, spec.action_sizes, strict=True)]


def _shown(pictures: Sequence[Picture], images: dict[str, int]) -> dict[str, Any]:
    """Return the numbers of an episode's pictures among all `images`, to which new ones are added, and the places."""
    texts = [_encoded(picture.image) for picture in pictures]
    return {
        "image": [images.setdefault(text, len(images)) for text in texts],
        "place": [picture.places for picture in pictures],
    }


def _encoded(image: Any) -> str:
    file = io.BytesIO()
    image.quantize(64).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _plain(values: Any) -> list[Any]:
    return [_rounded(value) for value in np.asarray(values).ravel().tolist()]


def _rounded(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    rounded = float(f"{value:.5g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def _script_safe(text: str) -> str:
    """Return JSON in which nothing can end the script element that it stands in."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
