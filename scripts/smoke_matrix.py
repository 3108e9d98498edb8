"""Start every learner in every environment, in both kinds of actions where it has them, and say what fails.

python scripts/smoke_matrix.py                                   # everything, about an hour
python scripts/smoke_matrix.py --learners qmix coma --worlds mpe/simple_tag "mpe/simple_tag discrete"

A pair is started in earnest, if tiny: a first state, and two updates of a rollout and its gradient steps. It fails if
it raises anything, or if a number of its state or its metrics is not finite. A pair that `Learner.check` refuses is not
started; the sentence is counted.
"""

import argparse
import functools
import inspect
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Env
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.environments.registry import constructor_of, envs, make
from jaxmarl_lite.learners.learner import Learner
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings
from jaxmarl_lite.learners.presets import algos, make_learner, preset

UPDATES = 2
NEEDED = {"matrix/game": {"payoff": [[[1.0, 0.0], [2.0, 3.0]]] * 2}}
SIZES = {"num_envs": 4, "rollout_length": 4, "hidden": (8,)}
ON_POLICY = {"minibatches": 2, "epochs": 1}
REPLAY = {"capacity": 8, "batch": 4, "warmup": 4, "gradient_steps": 2, "mixer_embed": 4, "mixer_hidden": 4}
FRESH = {"minibatches": 2, "epochs": 1}


def small(name: str) -> Learner:
    """Return the learner published as `name` with sizes at which a step takes no time."""
    settings: Any = preset(name)
    if isinstance(settings, OnPolicySettings):
        return make_learner(name, **SIZES, **ON_POLICY)
    return make_learner(name, **SIZES, **(REPLAY if settings.remembers else FRESH))


@functools.cache
def worlds() -> dict[str, Env]:
    """Return every environment as it is shipped, and where it has both kinds of actions also in the other one."""
    found = {}
    for name in envs():
        env = found[name] = make(name, **NEEDED.get(name, {}))
        if "continuous" in inspect.signature(constructor_of(name)).parameters:
            kind = "continuous" if env.spec.is_discrete else "discrete"
            found[f"{name} {kind}"] = make(name, continuous=env.spec.is_discrete, **NEEDED.get(name, {}))
    return found


def refusal(learner: Learner, spec: Spec) -> str | None:
    """Return the sentence with which the learner refuses environments of this spec, or None if it is for them."""
    try:
        learner.check(spec)
    except SettingError as error:
        return str(error)
    return None


def program_of(learner: Learner) -> Callable[[Env], tuple[Any, dict]]:
    """Return env -> (state, metrics [UPDATES, ...]) of a learner's first updates: one program for environments that
    differ in values only."""

    def first_updates(env: Env) -> tuple[Any, dict]:
        progress = jnp.arange(UPDATES) / UPDATES
        state = learner.init(jax.random.key(0), env)
        return jax.lax.scan(lambda state, progress: learner.step(state, env, progress), state, progress)

    return jax.jit(first_updates)


def not_finite(tree: Any) -> list[str]:
    """Return the paths of leaves that hold a number that is not finite."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    floats = [(path, leaf) for path, leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return [jax.tree_util.keystr(path) for path, leaf in floats if not np.isfinite(np.asarray(leaf)).all()]


def fault(program: Callable[[Env], Any], env: Env) -> str | None:
    """Return what goes wrong in a learner's first updates, in a line, or None."""
    try:
        state, metrics = program(env)
        wrong = not_finite((state._replace(hyper={}), metrics))  # there, infinite means that there is no limit
    except Exception as error:  # whatever it is, the others are to be tried too
        first_line = (str(error).strip() or "no message").splitlines()[0]
        return f"{type(error).__name__}: {first_line}"
    return f"not finite: {', '.join(wrong)}" if wrong else None


def main() -> None:
    """Start the pairs and print what failed as a table; the status says whether anything did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learners", nargs="+", choices=algos(), default=algos(), help="by name")
    parser.add_argument("--worlds", nargs="+", choices=worlds(), default=list(worlds()), help="by name, as listed")
    given = parser.parse_args()
    jax.config.update("jax_disable_most_optimizations", True)  # programs run once: the quicker they compile, the better
    failed, count = [], Counter()
    for name in given.learners:
        begin, learner = time.perf_counter(), small(name)
        program = program_of(learner)
        able = [world for world in given.worlds if refusal(learner, worlds()[world].spec) is None]
        faults = {world: fault(program, worlds()[world]) for world in able}
        failed += [(name, world, sentence) for world, sentence in faults.items() if sentence]
        count.update(started=len(able), refused=len(given.worlds) - len(able))
        seconds = time.perf_counter() - begin
        print(f"{name}: {len(able)} started, {sum(map(bool, faults.values()))} failed, {seconds:.0f} s", flush=True)
        jax.clear_caches()  # a thousand programs would not fit the memory
    print(f"\n{count['started']} pairs started, {count['refused']} refused, {len(failed)} failed")
    if failed:
        print("\n| learner | world | what failed |\n| --- | --- | --- |")
        print("\n".join(f"| {name} | {world} | {sentence} |" for name, world, sentence in failed))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
