"""What each command can be told, as typed dataclasses that become its `--help`."""

import ast
import dataclasses
import inspect
import itertools
import json
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import tyro

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_known
from jaxmarl_lite.environments.registry import constructor_of, envs
from jaxmarl_lite.learners.presets import algos, preset
from jaxmarl_lite.tracking.names import Name
from jaxmarl_lite.training.plan import Plan

DEFAULT_STEPS = 2e6
DEFAULT_ALGO, DEFAULT_ENV = "ippo", "mpe/simple_spread"

Folder = Annotated[Path, tyro.conf.Positional]


@dataclass(frozen=True)
class Resume:
    """Go on with a run, stopped or finished, as if it had never stopped."""

    run: Folder
    """folder of the run"""
    steps: float | None = None
    """lengthen the run to this many environment steps for each seed"""
    devices: int | None = None
    """devices that share the environments; left out: as many as before, if there are so many"""
    track: tuple[Name, ...] | None = None
    """trackers that are told of the run, also what they missed; left out: those that were told before"""
    json: bool = False
    """print the run's summary as JSON instead of a table"""


@dataclass(frozen=True)
class Eval:
    """Play complete episodes with a trained team and print the figures."""

    run: Folder
    """folder of the run"""
    episodes: int = 1000
    """episodes for each seed"""
    seed: int = 0
    """of the random key that the episodes begin from"""
    sample: bool = False
    """draw actions, instead of taking the likeliest"""
    json: bool = False
    """print JSON instead of a table"""


@dataclass(frozen=True)
class BenchEnv:
    """Measure how fast an environment steps under random actions, with observations, rewards and resets."""

    num_envs: int = 4096
    """environments stepped together"""
    steps: int | None = None
    """steps of each, in one repeat; left out, about a million of all together"""
    repeats: int = 5
    """timed repeats; the median is reported"""
    devices: int | None = None
    """devices that share the environments; left out: all that there are and that can share them equally"""
    sweep: tuple[int, ...] | None = None
    """measure these numbers of environments; no number: 1, 4, 16, ..., 65536"""
    out: Path | None = None
    """picture to draw the speeds in"""
    json: bool = False
    """print JSON instead of a table"""


@dataclass(frozen=True)
class BenchTrain:
    """How training is measured."""

    updates: int | None = None
    """updates of one repeat; left out, as many as make 100,000 environment steps"""
    repeats: int = 5
    """timed repeats; the median is reported"""
    seeds: int = 1
    """seeds trained together"""
    devices: int | None = None
    """devices that share the environments; left out: all that there are and that can share them equally"""
    sweep: tuple[int, ...] | None = None
    """measure these values of num_envs that the settings allow; no number: 1, 4, 16, ..., 65536"""
    out: Path | None = None
    """picture to draw the speeds in"""
    json: bool = False
    """print JSON instead of a table"""


@dataclass(frozen=True)
class Profile:
    """How a learner is profiled."""

    repeats: int = 20
    """timed steps; the median is reported"""
    seeds: int = 1
    """seeds trained together"""
    trace: Path | None = None
    """folder in which to leave a trace of one step that https://ui.perfetto.dev opens"""
    json: bool = False
    """print JSON, with the slowest kernels, instead of a table"""


@dataclass(frozen=True)
class List:
    """List the environments and algorithms."""

    what: Annotated[Literal["all", "envs", "algos"], tyro.conf.Positional] = "all"
    """which of them"""


@dataclass(frozen=True)
class Start:
    """Where a run begins and where it is written."""

    config: Path | None = None
    """file to take ALGO, ENV and their settings from, a sweep's best.json or a run's config.json; options beside
    it win"""
    seed: int = 0
    """of the random key that the whole run follows from"""
    out: Path | None = None
    """folder to write; left out, a new one under runs/"""
    overwrite: bool = False
    """replace the run that the folder holds"""
    track: tuple[Name, ...] = ()
    """trackers that are told of the run too, such as `--track tensorboard wandb`; each needs the extra of its name"""
    json: bool = False
    """print the run's summary as JSON instead of a table"""


def parse(command: Any, args: list[str], prog: str) -> Any:
    """Return `command` filled from `args`; exits with status 2 and a message if they do not fit."""
    return tyro.cli(command, args=args, prog=prog)


def parse_learner(command_of: Callable[[str, str], Any], args: list[str], prog: str) -> Any:
    """Return the command of the ALGO and ENV among `args`, filled from them, as `parse`.

    Raises SettingError on an unknown name.
    """
    algo, env = _names_in(args)
    given = parse(command_of(algo, env), args, prog)
    require_known("algorithm", given.algo, algos())  # what was taken for an option's value may be a wrong name
    require_known("environment", given.env_name, envs())
    if (given.algo, given.env_name) != (algo, env):
        raise SettingError(f"name the algorithm and the environment first: {prog} {given.algo} {given.env_name} ...")
    return given


def _names_in(args: list[str]) -> tuple[str, str]:
    """Return what stands for ALGO and ENV among the words of a command, right or wrong; options may precede it."""
    before_env = (at - 1 for at, word in enumerate(args) if at and word in envs())
    at_algo = (at for at, word in enumerate(args) if word in algos())
    first = next(itertools.chain(before_env, at_algo), 0)
    words = itertools.takewhile(lambda word: word[:1] != "-", args[first : first + 2])
    return next(words, DEFAULT_ALGO), next(words, DEFAULT_ENV)


def config_in(args: list[str]) -> Path | None:
    """Return the file that `--config` names among the words of a command."""
    words = [part for word in args for part in (word.split("=", 1) if word.startswith("--config=") else [word])]
    return next((Path(path) for word, path in itertools.pairwise(words) if word == "--config"), None)


def train_command(algo: str, env: str, learner: Any = None, env_settings: Mapping[str, Any] | None = None) -> type:
    """Return the dataclass of `train ALGO ENV`, with the settings of just this learner and environment.

    `learner` and `env_settings` take the place of defaults. Raises SettingError on an unknown name.
    """
    text = (
        f"Train a team by {algo} in {env} and leave a folder with its curve, figures and checkpoints. "
        "Options of other algorithms and environments: jaxmarl-lite train ALGO ENV --help. "
        "Example: jaxmarl-lite train ippo mpe/simple_spread --steps 5e6 --seeds 4 --env.num-agents 3 --out runs/x"
    )
    parts = {"plan": Plan(steps=DEFAULT_STEPS), "start": Start(), "learner": learner or preset(algo)}
    return learner_command("Train", text, algo, env, env_settings=env_settings, **parts)


def bench_train_command(algo: str, env: str) -> type:
    """Return the dataclass of `bench train ALGO ENV`; raises SettingError on an unknown name."""
    text = (
        f"Measure how fast {algo} trains in {env}, compile time apart, and where the time goes. "
        "Example: jaxmarl-lite bench train ippo mpe/simple_spread --sweep 64 256 1024 --out speed.png"
    )
    return learner_command("BenchTrain", text, algo, env, bench=BenchTrain())


def profile_command(algo: str, env: str) -> type:
    """Return the dataclass of `profile ALGO ENV`; raises SettingError on an unknown name."""
    text = (
        f"Show what each phase of {algo} in {env} costs: time, arithmetic, traffic, memory and kernels. "
        "Example: jaxmarl-lite profile ippo mpe/simple_spread --num-envs 1024 --trace traces"
    )
    return learner_command("Profile", text, algo, env, profile=Profile())


def learner_command(
    title: str, text: str, algo: str, env: str, *, of_env: Any = None, env_settings: Any = None, **parts: Any
) -> type:
    """Return a dataclass of the two names, the settings of both, and `parts`, each a dataclass with its defaults.

    `of_env` and `env_settings` are what `env_command` takes; a learner among the parts stands in the preset's place.
    """
    groups = {"learner": preset(algo), **parts}
    fields = [
        ("algo", _positional("ALGO", "algorithm; `jaxmarl-lite list algos` names them")),
        ("env_name", _positional("ENV", "environment; `jaxmarl-lite list envs` names them")),
        ("env", env_command(env, of_env, env_settings)),
        *(
            (name, tyro.conf.OmitArgPrefixes[type(part)], dataclasses.field(default=part))
            for name, part in groups.items()
        ),
    ]
    return dataclasses.make_dataclass(title, fields, namespace={"__doc__": text}, frozen=True)


def bench_env_command(env: str) -> type:
    """Return the dataclass of `bench env ENV`; raises SettingError on an unknown name."""
    fields = [
        ("env_name", _positional("ENV", "environment; `jaxmarl-lite list envs` names them")),
        ("env", env_command(env)),
        ("bench", tyro.conf.OmitArgPrefixes[BenchEnv], dataclasses.field(default=BenchEnv())),
    ]
    return dataclasses.make_dataclass("Bench", fields, namespace={"__doc__": BenchEnv.__doc__}, frozen=True)


def env_command(
    name: str, float_as: Callable[[str], Any] | None = None, given: Mapping[str, Any] | None = None
) -> type:
    """Return a dataclass with the settings of an environment, as its constructor declares them.

    `float_as` gives the type of a float setting, by its name, in the place of its own; `given` are other defaults.
    """
    constructor = constructor_of(name)
    helps = attribute_docs(constructor)
    fields = []
    for parameter in inspect.signature(constructor).parameters.values():
        notes = (note for note in get_args(parameter.annotation)[1:] if isinstance(note, str))
        text = helps.get(parameter.name) or next(notes, "")
        kind = _parsable(parameter.annotation)
        if float_as is not None and _bare(parameter.annotation) in (float, float | None):
            kind = float_as(parameter.name)
        described = Annotated[kind, _help(text)]
        default = (given or {}).get(parameter.name, parameter.default)
        optional = () if default is parameter.empty else (_default(_bare(parameter.annotation), default),)
        fields.append((parameter.name, described, *optional))
    return dataclasses.make_dataclass("EnvSettings", fields, namespace={"__doc__": f"Settings of {name}."}, frozen=True)


def chosen_settings(settings: Any) -> dict[str, Any]:
    """Return the fields of an environment's dataclass that differ from their defaults."""
    values = {f.name: (getattr(settings, f.name), _default_of(f)) for f in dataclasses.fields(settings)}
    return {name: value for name, (value, default) in values.items() if value != default}


def _default(kind: Any, value: Any) -> Any:
    """Return a default as a dataclass takes it; the lists of a file are tuples where the type says so."""
    if any(get_origin(one) is tuple for one in (kind, *get_args(kind))):
        return _as_tuples(value)
    return dataclasses.field(default_factory=lambda: value) if isinstance(value, list | dict) else value


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def _default_of(field: dataclasses.Field) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _positional(metavar: str, text: str) -> Any:
    return Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar=metavar, help=text)]


def _help(text: str) -> Any:
    return tyro.conf.arg(help=text)


def _bare(annotation: Any) -> Any:
    """Return a type without the notes that Annotated adds to it."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _parsable(annotation: Any) -> Any:
    # Settings of no plain type, such as a payoff tensor, are written as JSON.
    if annotation not in (Any, inspect.Parameter.empty):
        return annotation
    return Annotated[
        Any,
        tyro.constructors.PrimitiveConstructorSpec(
            nargs=1,
            metavar="JSON",
            instance_from_str=lambda args: json.loads(args[0]),
            is_instance=lambda value: True,
            str_from_instance=lambda value: [json.dumps(value)],
        ),
    ]


def attribute_docs(constructor: Any) -> dict[str, str]:
    """Return the strings that stand under the fields of a dataclass and its bases, or of the one a function makes."""
    is_class = dataclasses.is_dataclass(constructor)
    made = constructor if is_class else inspect.signature(constructor).return_annotation
    if not (isinstance(made, type) and dataclasses.is_dataclass(made)):
        return {}
    bases = (base for base in reversed(made.__mro__) if dataclasses.is_dataclass(base))
    return {name: text for base in bases for name, text in _own_docs(base).items()}


def _own_docs(base: Any) -> dict[str, str]:
    body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
    return {
        field.target.id: " ".join(str(text.value.value).split())
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }
