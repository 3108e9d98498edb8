"""The command that trains a cell by itself."""

import inspect
import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from jaxmarl_lite.comparing.suite import Cell
from jaxmarl_lite.environments import registry
from jaxmarl_lite.learners.presets import preset
from jaxmarl_lite.training.plan import Plan, plain


def train_command(cell: Cell, devices: int | None) -> str:
    """Return the `jaxmarl-lite train` that learns what the cell does, with the settings that are not the defaults.

    `devices` are those that the cell was trained on.
    """
    env, env_settings = registry.origin(cell.env) or ("", {})
    parameters = inspect.signature(registry.constructor_of(env)).parameters
    as_json = {name for name, one in parameters.items() if one.annotation in (Any, inspect.Parameter.empty)}
    told = {name: json.dumps(plain(value)) if name in as_json else value for name, value in env_settings.items()}
    words = [
        *("jaxmarl-lite", "train", cell.learner.name, env),
        *_options(told, {name: one.default for name, one in parameters.items()}, "env."),
        *_options(vars(cell.learner.settings), vars(preset(cell.learner.name))),
        *_options({**vars(cell.plan), "devices": devices}, {**vars(Plan(steps=1)), "steps": None}),
        *_options({"seed": cell.seed}, {"seed": 0}),
    ]
    return shlex.join(words)


def _options(settings: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in settings.items():
        if value != defaults.get(name):
            yield f"--{prefix}{'no-' if value is False else ''}{name.replace('_', '-')}"
            yield from () if isinstance(value, bool) else _words(value)


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _words(item)
    else:
        is_short = isinstance(value, float) and float(f"{value:g}") == value
        yield f"{value:g}" if is_short else str(value)
