"""A suite: algorithms x tasks as a TOML file tells them, all checked before anything is compiled."""

import contextlib
import dataclasses
import functools
import operator
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jax

from jaxmarl_lite.core.env import Env, Key
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_int, require_known, require_number
from jaxmarl_lite.environments import registry
from jaxmarl_lite.learners.learner import Learner
from jaxmarl_lite.training.plan import Plan, learner_of

Table = Mapping[str, Any]

_PLAN = tuple(field.name for field in dataclasses.fields(Plan))
_KEYS = {
    "the suite": ("title", "plan", "algos", "tasks", "tuned"),
    "plan": ("seed", *_PLAN),
    "algos": ("algo", "settings", "plan"),
    "tasks": ("env", "settings", "plan", "bounds"),
    "tuned": ("algos", "tasks", "settings", "plan"),
}
_EXAMPLE = {"algos": "ippo", "tasks": "spread"}


@dataclass(frozen=True)
class Cell:
    """A learner in a task, of all seeds: one run."""

    algo_name: str
    """what the suite calls the learner"""
    task_name: str
    """what the suite calls the environment"""
    learner: Learner
    env: Env
    plan: Plan
    seed: int
    """of the random key that the run follows from"""

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.algo_name} in {self.task_name}"

    @property
    def key(self) -> Key:
        """The random key that the run follows from."""
        return jax.random.key(self.seed)

    @property
    def folder(self) -> Path:
        """Where the run is, in the folder of its suite."""
        return Path("runs") / _file_name(self.task_name) / _file_name(self.algo_name)


@dataclass(frozen=True)
class Suite:
    """Algorithms to be compared in tasks."""

    title: str
    cells: tuple[Cell, ...]
    """algorithm by algorithm, so that those that one program trains follow one another"""
    bounds: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    """the returns that score 0 and 1, by the task's name"""

    @property
    def algos(self) -> tuple[str, ...]:
        """The names of the algorithms, in order."""
        return tuple(dict.fromkeys(cell.algo_name for cell in self.cells))

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks, in order."""
        return tuple(dict.fromkeys(cell.task_name for cell in self.cells))

    def only(self, algos: Collection[str] | None = None, tasks: Collection[str] | None = None) -> "Suite":
        """Return the part with some algorithms and tasks, None for all; raises SettingError on an unknown name."""
        for kind, names, known in (("algorithm", algos, self.algos), ("task", tasks, self.tasks)):
            for name in names or ():
                require_known(f"{kind} of this suite", name, known)
        cells = (
            cell
            for cell in self.cells
            if (algos is None or cell.algo_name in algos) and (tasks is None or cell.task_name in tasks)
        )
        return dataclasses.replace(self, cells=tuple(cells))

    def with_plan(self, **changes: Any) -> "Suite":
        """Return the suite with other fields of every plan; raises SettingError on a value that is not allowed."""
        cells = (dataclasses.replace(cell, plan=dataclasses.replace(cell.plan, **changes)) for cell in self.cells)
        return dataclasses.replace(self, cells=tuple(cells))


def shipped_suites() -> tuple[str, ...]:
    """Return the names of the suites that come with this package."""
    files = (resources.files("jaxmarl_lite") / "configs").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def read_suite(suite: str | Path) -> Suite:
    """Return the suite in a file, or the one that comes with this package by that name.

    Raises SettingError, naming the file, the place and what is allowed, if anything in it cannot be used.
    """
    text = _text(suite)
    with _at(str(suite)):
        told = tomllib.loads(text)
        _require_keys("the suite", told)
        plan = _table("plan", told)
        algos, tasks = (_entries(part, told) for part in ("algos", "tasks"))
        tuned = told.get("tuned", [])
        if not (isinstance(tuned, list) and all(isinstance(one, dict) for one in tuned)):
            raise SettingError("tuned is not allowed like this: write [[tuned]] above each of its parts.")
        tuned = [_tuned(number, one, algos, tasks) for number, one in enumerate(tuned, start=1)]
        envs = {name: _env(name, task) for name, task in tasks.items()}
        cells = tuple(
            _cell((algo, task), envs[task], [plan, algos[algo], tasks[task]], _matching(tuned, algo, task))
            for algo in algos
            for task in tasks
        )
        title = str(told.get("title", Path(suite).stem))
        return Suite(title, cells, {name: _bounds(name, task) for name, task in tasks.items() if "bounds" in task})


def _text(suite: str | Path) -> str:
    path = Path(suite)
    try:
        if path.suffix == ".toml" or path.is_file():
            return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"suite={str(suite)!r} cannot be read: {getattr(error, 'strerror', None) or error}."
        ) from None
    require_known("suite", str(suite), shipped_suites())
    return (resources.files("jaxmarl_lite") / "configs" / f"{suite}.toml").read_text(encoding="utf-8")


def _cell(names: tuple[str, str], env: Env, tables: list[Table], tuned: list[Table]) -> Cell:
    """Return the cell of two names; later tables win."""
    algo, task = names
    with _at(f"{algo} in {task}"):
        plan, of_algo, of_task = tables
        sizes = _merged("plan", [{"plan": plan}, of_algo, of_task, *tuned])
        settings = _merged("settings", [of_algo, *tuned])
        seed = sizes.pop("seed", 0)
        require_int("seed", seed, low=0, high=2**32 - 1)
        if "steps" not in sizes:
            raise SettingError("steps is missing: say in [plan] how many environment steps each seed takes.")
        learner = learner_of({"algo": of_algo.get("algo", algo), "learner": settings})
        learner.check(env.spec)
        return Cell(algo, task, learner, env, Plan(**sizes), seed)


def _entries(part: str, told: Table) -> dict[str, Table]:
    """Return the algorithms or tasks, whose folders have different names."""
    entries = _table(part, told)
    if not entries:
        raise SettingError(
            f"{part} is missing: name one at least, such as [{part}.{'ippo' if part == 'algos' else 'x'}]."
        )
    folders: dict[str, str] = {}
    for name, entry in entries.items():
        with _at(f"[{part}.{name}]"):
            if not isinstance(entry, dict):
                raise SettingError(f"{entry!r} is not allowed: it must be a table.")
            _require_keys(part, entry)
            folder = _file_name(name).lower()
            other = folders.setdefault(folder, name)
            if not folder or other != name:
                unlike = "" if other == name else f", and differ from {other!r} in them"
                raise SettingError(f"the name is not allowed: it must have letters or digits{unlike}.")
    return entries


def _tuned(number: int, one: Table, algos: Table, tasks: Table) -> Table:
    """Return a table of own settings with the names that it is for; without a list it is for all."""
    meant = {}
    with _at(f"[[tuned]] number {number}"):
        _require_keys("tuned", one)
        for part, known in (("algos", algos), ("tasks", tasks)):
            patterns = one.get(part, ["*"])
            if not isinstance(patterns, list):
                raise SettingError(f"{part}={patterns!r} is not allowed: it must be a list of names.")
            meant[part] = {name for pattern in patterns for name in _named(part, pattern, known)}
    return {**one, **meant}


def _named(part: str, pattern: Any, known: Table) -> list[str]:
    """Return the names that a pattern is for, in which a star stands for anything; raises SettingError without any."""
    meant = re.compile(".*".join(map(re.escape, str(pattern).split("*"))))
    names = [name for name in known if meant.fullmatch(name)]
    if not names:
        require_known(f"name in {part}", pattern, known)
    return names


def _matching(tuned: list[Table], algo: str, task: str) -> list[Table]:
    return [one for one in tuned if algo in one["algos"] and task in one["tasks"]]


def _env(name: str, task: Table) -> Env:
    with _at(f"[tasks.{name}]"):
        if "env" not in task:
            raise SettingError("env is missing: name the environment.")
        return registry.make(task["env"], **_table("settings", task))


def _bounds(name: str, task: Table) -> tuple[float, float]:
    with _at(f"[tasks.{name}]"):
        ends = task["bounds"]
        if not (isinstance(ends, list) and len(ends) == 2):
            raise SettingError(f"bounds={ends!r} is not allowed: it must be two numbers, [low, high].")
        for end in ends:
            require_number("bounds", end)
        if not ends[0] < ends[1]:
            raise SettingError(f"bounds={ends!r} is not allowed: the lower one comes first.")
        return float(ends[0]), float(ends[1])


def _merged(name: str, tables: Iterable[Table]) -> dict[str, Any]:
    """Return the tables called `name` in others as one; later ones win."""
    return functools.reduce(operator.or_, (_table(name, one) for one in tables), {})


def _table(name: str, table: Table) -> dict[str, Any]:
    inner = table.get(name, {})
    if not isinstance(inner, dict):
        raise SettingError(f"{name}={inner!r} is not allowed: it must be a table.")
    if name == "plan":
        _require_keys(name, inner)
    return inner


def _require_keys(part: str, table: Table) -> None:
    for key in table:
        require_known(f"key of {part}", key, _KEYS[part])


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-.")


@contextlib.contextmanager
def _at(place: str) -> Iterator[None]:
    """Let a refusal say where in the suite it is of; also that of a constructor that was given a wrong type."""
    try:
        yield
    except (ValueError, TypeError, AttributeError) as error:
        raise SettingError(f"{place}: {error}") from None
