"""Moving pictures of episodes."""

import io
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxmarl_lite.core.env import Env, Key, TimeStep, Tree
from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.view.canvas import new_figure

Frame = tuple[Tree, TimeStep]


def play_episode(env: Env, policy: Any, key: Key) -> list[Frame]:
    """Return the states and steps of one episode, from reset to its end."""
    step = jax.jit(env.step)
    state, ts = env.reset(key)
    frames, carry = [(state, ts)], None
    for step_key in jax.random.split(key, env.spec.horizon):
        acting, moving = jax.random.split(step_key)
        action, carry = policy(acting, ts, carry)
        state, ts = step(moving, state, action)
        frames.append((state, ts))
        if bool(ts.done):
            break
    return frames


def check_drawable(env: Env, path: Path) -> None:
    """Raise SettingError if `env` has no `draw` or `path` cannot be that of a GIF."""
    if not hasattr(env, "draw"):
        raise SettingError(f"{type(env).__name__} cannot be rendered: it has no method draw(axes, state, step).")
    if path.suffix.lower() != ".gif":
        raise SettingError(f"out={str(path)!r} is not allowed: it must end in .gif.")
    if path.parent.exists() and not path.parent.is_dir():
        raise SettingError(f"out={str(path)!r} is not allowed: {path.parent} is a file.")


def write_gif(env: Env, episodes: list[list[Frame]], path: Path, *, frames_per_second: float = 8.0) -> None:
    """Draw episodes, one after another, with the environment's own `draw` into a GIF.

    Raises SettingError if `path` does not end in .gif or the environment cannot be drawn, RunError if matplotlib is
    not installed.
    """
    check_drawable(env, path)
    draw = env.draw  # type: ignore[attr-defined]
    figure, axes = new_figure(4.0, 4.0)
    from PIL import Image  # as much part of the extra as matplotlib, which has just been found

    pictures, durations = [], []
    for episode in episodes:
        for number, (state, ts) in enumerate(episode):
            axes.clear()
            draw(axes, *jax.device_get((state, ts)))
            pictures.append(_picture(figure, Image))
            is_last = number == len(episode) - 1
            durations.append((4.0 if is_last else 1.0) * 1000.0 / frames_per_second)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}.") from None


def _picture(figure: Any, image: Any) -> Any:
    file = io.BytesIO()
    figure.savefig(file, dpi=100)
    return image.fromarray(np.asarray(image.open(file).convert("RGB")))
