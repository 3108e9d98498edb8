"""The other libraries at the same work; each call measures one and prints JSON.

    python benchmarks/peers.py step jaxmarl --num-envs 1024 --num-agents 3
    python benchmarks/peers.py step jaxmarl --num-envs 1024 --env MPE_simple_tag_v3
    python benchmarks/peers.py step vmas --num-envs 1024
    python benchmarks/peers.py step mpe2
    python benchmarks/peers.py train jaxmarl --script ippo --num-envs 16 --checkout PATH
    python benchmarks/peers.py train benchmarl

Stepping: random actions, observations, rewards and resets computed and read. Training: JaxMARL's own scripts, taken
from a checkout of its repository, which its package does not contain, with the settings of its configuration files;
its command line and tracker are not needed and stand empty. BenchMARL's MADDPG with its own default settings.
"""

import argparse
import importlib
import json
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from stepping_peers import SPREAD, STEPPERS
from timing import compiled, median_speed


def import_script(checkout: Path, folder: str, name: str) -> Any:
    """Return one of JaxMARL's scripts as a module."""
    for missing in ("hydra", "omegaconf", "wandb"):
        sys.modules[missing] = types.ModuleType(missing)
    sys.modules["hydra"].main = lambda **_: lambda function: function  # type: ignore[attr-defined]
    sys.modules["omegaconf"].OmegaConf = None  # type: ignore[attr-defined]
    sys.modules["wandb"].log = lambda metrics: None  # type: ignore[attr-defined]
    sys.path.insert(0, str(checkout / "baselines" / folder))
    return importlib.import_module(name)


# The settings of its configuration file for MPE, which are those that train_speed.py gives this library.
JAXMARL_IPPO = {
    "LR": 2.5e-4, "NUM_STEPS": 128, "UPDATE_EPOCHS": 4, "NUM_MINIBATCHES": 4, "GAMMA": 0.99, "GAE_LAMBDA": 0.95,
    "CLIP_EPS": 0.2, "ENT_COEF": 0.01, "VF_COEF": 0.5, "MAX_GRAD_NORM": 0.5, "ACTIVATION": "tanh",
    "ENV_NAME": "MPE_simple_spread_v3", "ENV_KWARGS": {}, "ANNEAL_LR": True,
}  # fmt: skip


def ippo_of_jaxmarl(num_envs: int, steps: int, checkout: Path) -> tuple[Callable[..., Any], int]:
    """Return JaxMARL's feed-forward IPPO as a function key -> (returns, parameters), and its environment steps."""
    per_update = num_envs * JAXMARL_IPPO["NUM_STEPS"]
    total = max(2, steps // per_update) * per_update
    settings = {**JAXMARL_IPPO, "NUM_ENVS": num_envs, "TOTAL_TIMESTEPS": total}
    train = import_script(checkout, "IPPO", "ippo_ff_mpe").make_train(settings)

    def run(key):
        made = train(key)
        return made["metrics"]["returned_episode_returns"], made["runner_state"][0].params

    return run, total


# Of its configuration files ql_rnn_mpe, vdn_ff_mpe and pqn_vdn_ff_mpe, each with 20 evaluations of 512 episodes. What
# vdn_ff counts as 2 layers is a single matrix from observations to values; 4 make two hidden layers.
_EVALUATED = {"TEST_DURING_TRAINING": True, "TEST_INTERVAL": 0.05, "TEST_NUM_STEPS": 30, "TEST_NUM_ENVS": 512}
_JAXMARL_Q = {
    "EPS_START": 1.0, "EPS_FINISH": 0.05, "EPS_DECAY": 0.1, "MAX_GRAD_NORM": 25, "TARGET_UPDATE_INTERVAL": 200,
    "TAU": 1.0, "NUM_EPOCHS": 1, "LR": 0.005, "LEARNING_STARTS": 10_000, "LR_LINEAR_DECAY": True, "GAMMA": 0.9,
    "HIDDEN_SIZE": 64, "BUFFER_BATCH_SIZE": 32,
}  # fmt: skip
JAXMARL_Q = {
    "qmix_rnn": {
        **_JAXMARL_Q, "NUM_ENVS": 8, "NUM_STEPS": 26, "BUFFER_SIZE": 5000, "MIXER_EMBEDDING_DIM": 32,
        "MIXER_HYPERNET_HIDDEN_DIM": 128, "MIXER_INIT_SCALE": 0.001,
    },
    "vdn_ff": {**_JAXMARL_Q, "NUM_ENVS": 32, "NUM_STEPS": 16, "BUFFER_SIZE": 100_000, "NUM_LAYERS": 2},
    "pqn_vdn_ff": {
        "NUM_ENVS": 256, "NUM_STEPS": 16, "HIDDEN_SIZE": 256, "NUM_LAYERS": 2, "NORM_INPUTS": False,
        "NORM_TYPE": "layer_norm", "EPS_START": 1.0, "EPS_FINISH": 0.1, "EPS_DECAY": 0.1, "MAX_GRAD_NORM": 1,
        "NUM_MINIBATCHES": 16, "NUM_EPOCHS": 4, "LR": 0.0005, "LR_LINEAR_DECAY": False, "GAMMA": 0.9, "LAMBDA": 0.3,
    },
}  # fmt: skip


def q_learning_of_jaxmarl(script: str, steps: int, checkout: Path) -> tuple[Callable[..., Any], int]:
    """Return one of JaxMARL's value-based learners as `ippo_of_jaxmarl` does; the returns are of its last test."""
    from jaxmarl import make  # type: ignore[import-not-found]
    from jaxmarl.wrappers.baselines import MPELogWrapper  # type: ignore[import-not-found]

    settings = {**JAXMARL_Q[script], **_EVALUATED, "TOTAL_TIMESTEPS": steps, "WANDB_MODE": "disabled"}
    per_update = settings["NUM_ENVS"] * settings["NUM_STEPS"]
    module = import_script(checkout, "QLearning", script)
    train = module.make_train(settings, MPELogWrapper(make("MPE_simple_spread_v3")))

    def run(key):
        learnt, *_, tested, _ = train(key)["runner_state"]
        return tested["returned_episode_returns"], learnt.params

    return run, steps // per_update * per_update


def train_jaxmarl(script: str, num_envs: int, steps: int, repeats: int, checkout: Path) -> dict:
    """Train by one of JaxMARL's own scripts; `steps` environment steps, rounded to updates."""
    import jax

    if script == "ippo":
        train, total = ippo_of_jaxmarl(num_envs, steps, checkout)
    else:
        train, total = q_learning_of_jaxmarl(script, steps, checkout)
    program, seconds = compiled(train, jax.random.PRNGKey(0))
    made: list[Any] = []

    def run(repeat: int) -> None:
        made[:] = jax.block_until_ready(program(jax.random.PRNGKey(repeat)))

    speed = median_speed(run, total, repeats)
    returns = np.asarray(made[0])
    assert np.isfinite(returns).all()
    return {**speed, "compile_seconds": seconds, "last_return": float(returns.reshape(-1)[-1])}


def train_benchmarl(steps: int, repeats: int) -> dict:
    """Train BenchMARL's MADDPG on the spread of VMAS with its default settings; a repeat is so many iterations.

    An iteration is 6,000 environment steps and 1,000 gradient steps on 128 of them. One comes before time is taken.
    """
    from benchmarl.algorithms import MaddpgConfig  # type: ignore[import-not-found]
    from benchmarl.environments import VmasTask  # type: ignore[import-not-found]
    from benchmarl.experiment import Callback, Experiment, ExperimentConfig  # type: ignore[import-not-found]
    from benchmarl.models.mlp import MlpConfig  # type: ignore[import-not-found]

    config = ExperimentConfig.get_from_yaml()
    per_iteration = config.off_policy_collected_frames_per_batch
    each = max(1, steps // per_iteration)
    config.max_n_iters = 1 + repeats * each
    config.loggers, config.evaluation, config.render, config.create_json = [], False, False, False
    config.save_folder = tempfile.mkdtemp()
    ends, losses = [], []

    class Clock(Callback):
        def on_train_end(self, training_td: Any, group: str) -> None:
            ends.append(time.perf_counter())
            losses.append(float(training_td["loss_value"].mean()))

    experiment = Experiment(
        algorithm_config=MaddpgConfig.get_from_yaml(),
        model_config=MlpConfig.get_from_yaml(),
        critic_model_config=MlpConfig.get_from_yaml(),
        task=VmasTask.SIMPLE_SPREAD.get_from_yaml(),
        config=config,
        seed=0,
    )
    experiment.callbacks.append(Clock())  # it would be pickled, were it given before
    experiment.run()
    assert np.isfinite(losses).all()
    seconds = np.diff(ends[::each])
    return {"env_steps_per_second": float(np.median(each * per_iteration / seconds))}


def main() -> None:
    """Measure one library and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=["step", "train"])
    parser.add_argument("library", choices=sorted((*STEPPERS, "benchmarl")))
    parser.add_argument("--script", choices=["ippo", *JAXMARL_Q], default="ippo", help="what trains")
    parser.add_argument("--env", default=SPREAD, help="which of JaxMARL's particle worlds is stepped")
    parser.add_argument("--num-envs", type=int, default=1)
    parser.add_argument("--num-agents", type=int, default=3)
    parser.add_argument("--env-steps", type=int, default=200_000, help="environment steps of a repeat, about")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--checkout", type=Path, help="of JaxMARL's repository")
    given = parser.parse_args()
    if given.work == "train" and given.library == "benchmarl":
        figures = train_benchmarl(given.env_steps, given.repeats)
    elif given.work == "train":
        if given.library != "jaxmarl" or given.checkout is None:
            parser.error("train measures benchmarl, and jaxmarl, which needs --checkout PATH of its repository")
        figures = train_jaxmarl(given.script, given.num_envs, given.env_steps, given.repeats, given.checkout)
    else:
        steps = max(25, given.env_steps // given.num_envs)
        world = {"env_id": given.env} if given.library == "jaxmarl" else {}
        figures = STEPPERS[given.library](given.num_envs, given.num_agents, steps, given.repeats, **world)
    print(json.dumps({"library": given.library, "num_envs": given.num_envs, **figures}))


if __name__ == "__main__":
    main()
