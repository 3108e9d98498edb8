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
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def median_speed(run: Callable[[int], Any], steps: int, repeats: int) -> dict:
    """Time `run(repeat)`, which takes `steps` environment steps, after one call that is not timed."""
    run(0)
    speeds = []
    for repeat in range(repeats):
        begin = time.perf_counter()
        run(repeat)
        speeds.append(steps / (time.perf_counter() - begin))
    return {"env_steps_per_second": statistics.median(speeds)}


def compiled(function: Callable[..., Any], *args: Any) -> tuple[Any, float]:
    """Return the jitted function compiled for its arguments, and how long that took."""
    import jax

    begin = time.perf_counter()
    program = jax.jit(function).lower(*args).compile()
    return program, time.perf_counter() - begin


def step_jaxmarl(num_envs: int, num_agents: int, steps: int, repeats: int, *, env_id: str) -> dict:
    """Step one of JaxMARL's particle worlds, with this library's draw of actions, which is cheaper than its own.

    `num_agents` is that of spread; the others have their default sizes.
    """
    import jax
    import jaxmarl

    from jaxmarl_lite.environments.actions import random_action

    sizes = {"num_agents": num_agents, "num_landmarks": num_agents} if env_id == SPREAD else {}
    env = jaxmarl.make(env_id, **sizes)
    spec = spec_of_jaxmarl(env)

    def read(obs, weights):
        return sum(obs[agent] @ weights[agent] for agent in env.agents)

    def play(weights, key):
        def step(world, key):
            state, seen = world
            acting, moving = jax.random.split(key)
            actions = random_action(acting, spec, num_envs)
            chosen = {agent: actions[:, i] for i, agent in enumerate(env.agents)}
            keys = jax.random.split(moving, num_envs)
            obs, state, reward, done, _ = jax.vmap(env.step)(keys, state, chosen)
            return (state, seen + read(obs, weights) + sum(reward.values()) + done["__all__"]), None

        starting, playing = jax.random.split(key)
        obs, state = jax.vmap(env.reset)(jax.random.split(starting, num_envs))
        return jax.lax.scan(step, (state, read(obs, weights)), jax.random.split(playing, steps))[0][1]

    key = jax.random.key(0)
    weights = {agent: jax.random.normal(key, (size,)) for agent, size in zip(env.agents, spec.obs_sizes, strict=True)}
    program, seconds = compiled(play, weights, key)
    speed = median_speed(
        lambda repeat: program(weights, jax.random.key(repeat)).block_until_ready(), num_envs * steps, repeats
    )
    return {**speed, "compile_seconds": seconds}


def spec_of_jaxmarl(env: Any) -> Any:
    """Return what this library must know of one of JaxMARL's environments to draw its actions."""
    import jax

    from jaxmarl_lite.core.spec import Spec

    obs, _ = jax.eval_shape(env.reset, jax.random.key(0))
    spaces = [env.action_spaces[agent] for agent in env.agents]
    is_discrete = hasattr(spaces[0], "n")
    return Spec(
        agents=tuple(env.agents),
        obs_sizes=tuple(obs[agent].shape[0] for agent in env.agents),
        action_sizes=tuple(space.n if is_discrete else space.shape[0] for space in spaces),
        state_size=0,
        horizon=env.max_steps,
        action_kind="discrete" if is_discrete else "continuous",
    )


def step_vmas(num_envs: int, num_agents: int, steps: int, repeats: int) -> dict:
    """Step the spread of VMAS (torch), which resets all of its environments together every 25 steps."""
    import torch
    import vmas

    env = vmas.make_env(
        "simple_spread", num_envs=num_envs, continuous_actions=False, n_agents=num_agents, max_steps=None
    )
    obs = env.reset()
    weights = torch.randn(num_agents, obs[0].shape[-1])

    def play(repeat: int) -> float:
        seen = torch.zeros(num_envs)
        for t in range(steps):
            actions = [torch.randint(0, 5, (num_envs,)) for _ in range(num_agents)]
            obs, rewards, dones, _ = env.step(actions)
            seen = seen + sum(o @ w for o, w in zip(obs, weights, strict=True)) + sum(rewards) + dones
            if t % 25 == 24:
                env.reset()
        return float(seen.sum())

    return median_speed(play, num_envs * steps, repeats)


def step_mpe2(num_envs: int, num_agents: int, steps: int, repeats: int) -> dict:
    """Step one environment of mpe2 (NumPy); it has no batch."""
    from mpe2 import simple_spread_v3

    env = simple_spread_v3.parallel_env(N=num_agents, max_cycles=25)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    weights = rng.normal(size=env.observation_space(env.possible_agents[0]).shape)

    def play(repeat: int) -> float:
        seen = 0.0
        for _ in range(steps):
            if not env.agents:
                env.reset()
            obs, rewards, *_ = env.step({agent: rng.integers(5) for agent in env.agents})
            seen += sum(float(o @ weights) for o in obs.values()) + sum(rewards.values())
        return seen

    return median_speed(play, steps, repeats)


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


SPREAD = "MPE_simple_spread_v3"
STEPPERS: dict[str, Callable[..., dict]] = {"jaxmarl": step_jaxmarl, "vmas": step_vmas, "mpe2": step_mpe2}


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
