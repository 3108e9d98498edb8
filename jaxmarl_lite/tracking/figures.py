"""What a tracker is told of a run: named figures, and settings as flat plain values."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from jaxmarl_lite.environments import registry
from jaxmarl_lite.training.callbacks import Beginning
from jaxmarl_lite.training.folder import Row
from jaxmarl_lite.training.machine import versions

SCORE = "eval/return_sum"
_WHERE = ("block", "seed", "env_steps")  # which row it is, and no figure
_EVAL = "eval_"

Plain = bool | int | float | str


def figures_of(rows: Sequence[Row]) -> dict[str, float]:
    """Return a block's figures from its rows, one for each seed.

    `eval/...` and `train/...` are means over seeds; of several, `seed_0/eval/...` are those of each. Lists, such as
    the return of each agent, are numbered; what is not known, and tables, are left out.
    """
    of_seeds = [_named(row) for row in rows]
    names = dict.fromkeys(name for figures in of_seeds for name in figures)
    known = {name: [figures[name] for figures in of_seeds if name in figures] for name in names}
    means = {name: math.fsum(values) / len(values) for name, values in known.items()}
    if len(rows) == 1:
        return means
    alone = (
        {f"seed_{row['seed']}/{name}": value for name, value in figures.items()}
        for row, figures in zip(rows, of_seeds, strict=True)
    )
    return {name: value for figures in (means, *alone) for name, value in figures.items()}


def summary_of(summary: Row) -> dict[str, float]:
    """Return the figures of a run's summary, as `summary/...`."""
    return _numbers("summary", {**summary, **summary["eval"]})


def settings_of(run: Beginning) -> dict[str, Plain]:
    """Return all that a run follows from, flat: `learner.lr`, `env.size`, `plan.seeds` and so on."""
    name, of_env = registry.origin(run.env) or (type(run.env).__name__, {})
    nested = {
        "learner": dataclasses.asdict(run.learner.settings),
        "env": of_env,
        "plan": dataclasses.asdict(run.plan),
        "versions": versions(),
    }
    flat = {f"{part}.{field}": _plain(value) for part, fields in nested.items() for field, value in fields.items()}
    return {"algo": run.learner.name, "env": name, "key": _plain(jax.random.key_data(run.key).tolist()), **flat}


def _named(row: Row) -> dict[str, float]:
    figures = {name: value for name, value in row.items() if name not in _WHERE}
    tested = {name.removeprefix(_EVAL): value for name, value in figures.items() if name.startswith(_EVAL)}
    learning = {name: value for name, value in figures.items() if not name.startswith(_EVAL)}
    return {**_numbers("eval", tested), **_numbers("train", learning)}


def _numbers(group: str, values: Mapping[str, Any]) -> dict[str, float]:
    flat = {}
    for name, value in values.items():
        several = {f"{name}/{number}": item for number, item in enumerate(value)} if isinstance(value, list) else {}
        flat |= several or {name: value}
    return {f"{group}/{name}": float(value) for name, value in flat.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: Any) -> Plain:
    return value if isinstance(value, Plain) else json.dumps(value, default=str)
