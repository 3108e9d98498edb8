"""What many tests share: quick compilation, tiny settings, a probe environment and a finished run."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version

# Before JAX starts, here and in processes that tests start: programs of tests are too small to need several threads.
os.environ.setdefault("NPROC", "1")
# And they compile in half of the time without the newer emitter. XLA stops at flags that it does not know.
if version("jaxlib").startswith("0.10."):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"

import gc
import math
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest
from flax import struct

from jaxmarl_lite.cli.main import main
from jaxmarl_lite.core.env import TimeStep
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.environments import registry
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.training.claims import claim
from jaxmarl_lite.training.loop import train

LEARNER = {"num_envs": 8, "rollout_length": 5, "minibatches": 2, "hidden": (16,)}
PLAN = {"steps": 160, "blocks": 4, "eval_episodes": 8}
ENV, ENV_SETTINGS = "grid/navigation", {"horizon": 20}
SEEDS = 2

gc.set_threshold(200_000, 50, 1000)  # tracing leaves many objects that live on: less often is it worth while to look


class ProbeState(NamedTuple):
    time: jax.Array


@struct.dataclass(eq=False)
class Probe:
    """Agents see the time, one-hot, and get a constant reward; the episode ends after `length` steps.

    The last two times look the same, so that a critic has learnt what it is asked for at a time limit.
    """

    reward: tuple[float, ...] = (1.0,)
    bonus: float = 0.0  # on top, for everybody who takes action 1
    infinite_from: float = math.inf  # the time from which rewards are infinite
    length: int = struct.field(pytree_node=False, default=5)
    terminates: bool = struct.field(pytree_node=False, default=False)
    absent: tuple[int, ...] = struct.field(pytree_node=False, default=())  # gone from the first step on
    illegal: tuple[int, ...] = struct.field(pytree_node=False, default=())
    num_actions: int = struct.field(pytree_node=False, default=2)

    @property
    def spec(self):
        agents = tuple(f"agent_{i}" for i in range(len(self.reward)))
        sizes = (self.length,) * len(agents)
        return Spec(agents, sizes, (self.num_actions,) * len(agents), self.length, self.length)

    def reset(self, key):
        state = ProbeState(jnp.zeros((), jnp.int32))
        return state, self.observe(state)

    def step(self, key, state, action):
        state = ProbeState(state.time + 1)
        reward = jnp.stack([jnp.asarray(r, jnp.float32) for r in self.reward]) + self.bonus * (action == 1)
        reward = jnp.where(state.time >= self.infinite_from, jnp.inf, reward)
        over = state.time >= self.length
        return state, self.observe(state)._replace(
            reward=reward,
            terminated=self._absent | (over & self.terminates),
            truncated=over & (not self.terminates),
        )

    def observe(self, state):
        num, absent = len(self.reward), self._absent
        legal = jnp.asarray([a not in self.illegal for a in range(self.num_actions)])
        view = jax.nn.one_hot(jnp.minimum(state.time, self.length - 1), self.length)
        return TimeStep(
            obs=jnp.stack([view] * num),
            state=view,
            legal=jnp.where(absent[:, None], jnp.arange(self.num_actions) == 0, legal),
            active=~absent,
            reward=jnp.zeros(num),
            terminated=absent,
            truncated=jnp.zeros((), bool),
        )

    @property
    def _absent(self):
        return jnp.asarray([i in self.absent for i in range(len(self.reward))])


class Answer(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """What was said on stderr, without the boxes and the line breaks of a terminal."""
        return " ".join("".join(" " if c in "│─╭╮╰╯" else c for c in self.err).split())


def options(**settings: Any) -> list[str]:
    """Return settings as a user would type them."""
    words = []
    for name, value in settings.items():
        words += [f"--{name.replace('_', '-')}", *(map(str, value) if isinstance(value, tuple) else [str(value)])]
    return words


@pytest.fixture(scope="session", autouse=True)
def quick_compilation(tmp_path_factory):
    """Compile fast to slow programs, and remember them for the session, here and in processes that tests start."""
    settings = {
        "jax_disable_most_optimizations": True,
        "jax_traceback_in_locations_limit": 0,
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            jax.config.update(name, value)
            patch.setenv(name.upper(), str(value))
        yield


@pytest.fixture
def fast_programs():
    """Compile slowly to fast programs, for what runs for long."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="session")
def full_compilation() -> dict[str, Any]:
    """Return options to compile a program as users do, for tests of what becomes of it."""
    options = {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False}
    if "fusion_emitters" in os.environ.get("XLA_FLAGS", ""):
        options["xla_cpu_use_fusion_emitters"] = True
    return options


@pytest.fixture(scope="session")
def learner_settings():
    """Settings with which an update takes no time."""
    return LEARNER


@pytest.fixture(scope="session")
def plan():
    """A run of 4 blocks of one update each."""
    return PLAN


@pytest.fixture(scope="session")
def train_words():
    """The words after `train` for a tiny run on one device, without --out."""
    env = {f"env.{name}": value for name, value in ENV_SETTINGS.items()}
    return ["ippo", ENV, *options(**LEARNER, **PLAN, **env, seeds=SEEDS, devices=1)]


@pytest.fixture(scope="session")
def probe():
    """Return a maker of probe environments, registered so that their runs can be saved."""
    registry.register("test/probe", Probe)

    def make(**settings):
        return registry.make("test/probe", **settings)

    return make


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory, train_words) -> Path:
    """The folder of a tiny run of two seeds; not to be changed."""
    out = tmp_path_factory.mktemp("finished") / "run"
    assert main(["train", *train_words, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def solved_run(tmp_path_factory) -> Path:
    """The folder of a run of two seeds, long enough to learn the way to the goals; not to be changed."""
    out = tmp_path_factory.mktemp("solved") / "run"
    learner, env = make_learner("ippo", num_envs=32), registry.make(ENV)
    train(learner, env, jax.random.key(0), steps=6e4, seeds=SEEDS, blocks=2, eval_episodes=8, out=out)
    return out


@pytest.fixture
def run_copy(finished_run, tmp_path) -> Path:
    """A copy of the finished run, to be spoilt."""
    return Path(shutil.copytree(finished_run, tmp_path / "copy"))


@pytest.fixture
def cli(capsys, monkeypatch):
    """Return a function that runs one command as a user would and returns its Answer."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words):
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # the command line sets its own
        capsys.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as stop:
            status = stop.code
        return Answer(status, *capsys.readouterr())

    return call


@pytest.fixture
def snapshot():
    """Return a function that maps every file below a folder to its bytes."""
    return lambda folder: {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def claimed_elsewhere():
    """Return a context in which a thread of its own holds the claim of a folder, as another process would."""

    @contextmanager
    def hold(path):
        claimed = claim(path)
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(claimed.__enter__).result()
            try:
                yield
            finally:
                thread.submit(claimed.__exit__, None, None, None).result()

    return hold


@pytest.fixture(scope="session")
def python() -> list[str]:
    """The start of a command that runs this package in a process of its own."""
    return [sys.executable, "-m", "jaxmarl_lite"]
