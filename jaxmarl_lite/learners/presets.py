"""Published algorithms as values of their families' settings."""

import dataclasses
from dataclasses import replace
from typing import Any

from jaxmarl_lite.core.settings import require_known
from jaxmarl_lite.learners.learner import Learner, Settings
from jaxmarl_lite.learners.off_policy_settings import OffPolicySettings
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings
from jaxmarl_lite.learners.value_settings import ValueSettings

# Independent PPO: de Witt et al. 2020, arXiv:2011.09533; PPO: Schulman et al. 2017, arXiv:1707.06347.
IPPO = OnPolicySettings()
# Multi-agent PPO, IPPO with a critic of the global state: Yu et al. 2022, arXiv:2103.01955.
MAPPO = replace(IPPO, critic="joint")
# Independent A2C and its twin with a critic of the global state: Papoudakis et al. 2021, arXiv:2006.07869; A2C is the
# synchronous A3C of Mnih et al. 2016, arXiv:1602.01783. Without much entropy at first, two of eight seeds stay at the
# worst of climbing's three resting points (125 each).
IA2C = replace(
    IPPO, objective="gradient", estimator="n_step", num_envs=32, rollout_length=5, epochs=1, minibatches=1, lr=2e-3,
    entropy=0.1, anneal_entropy=True,
)  # fmt: skip
MAA2C = replace(IA2C, critic="joint")
# Counterfactual multi-agent policy gradients: Foerster et al. 2018, arXiv:1705.08926. What is held against the baseline
# are the lambda-returns that the critic learns from. With estimator="critic" it is the critic's own word, as in eq. 4;
# its errors outweigh what a single action does in spread: -60 after 4M steps, where these returns give -32.
# Advantages keep the scale of rewards, which that of the entropy follows.
COMA = replace(
    MAA2C, critic="both", baseline="counterfactual", estimator="gae", standardise_advantages=False, entropy=0.5
)
# Importance weighted actor-learners, for each agent: Espeholt et al. 2018, arXiv:1802.01561. Passes over a rollout by
# a policy that has since moved stand for the lag of actors behind learners.
IMPALA = replace(IA2C, estimator="vtrace", passes=2)
# Trust region policy optimisation for each agent: Schulman et al. 2015, arXiv:1502.05477; and with a critic of the
# global state, as MARLlib has it: Hu et al. 2023, arXiv:2210.13708.
TRPO = replace(IPPO, objective="trust_region", max_kl=0.01)
MATRPO = replace(TRPO, critic="joint")
# Heterogeneous-agent PPO and TRPO, one agent after another: Kuba et al. 2022, arXiv:2109.11251.
HAPPO = replace(MAPPO, sequential=True, sharing="independent")
HATRPO = replace(MATRPO, sequential=True, sharing="independent")

# Independent Q-learning (Tan 1993) with deep networks and a replay: Tampuu et al. 2017, arXiv:1511.08779, and the deep
# Q-network of Mnih et al. 2015, doi:10.1038/nature14236.
IQL = ValueSettings()
# The same with a table for each agent: Watkins and Dayan 1992, doi:10.1007/BF00992698, eq. 1.
IQL_TABULAR = replace(
    IQL, bins=5, sharing="independent", experience="fresh", rollout_length=5, epochs=1, minibatches=1, lr=0.2,
    double=False, normalise_values=False,
)  # fmt: skip
# Value decomposition, Q = sum_i Q_i: Sunehag et al. 2017, arXiv:1706.05296, eq. 3.
VDN = replace(IQL, mixer="sum")
# The same with streams of value and advantage, as the authors have it: Wang et al. 2016, arXiv:1511.06581, eq. 9.
VDN_DUELING = replace(VDN, dueling=True)
# A joint value that grows with each agent's: Rashid et al. 2018, arXiv:1803.11485, eqs. 4-6.
QMIX = replace(IQL, mixer="monotonic")
# A sum fitted to a joint value that need not be one, below it and equal at the best actions, and the same for all that
# each agent might have done: Son et al. 2019, arXiv:1905.05408, section 3.
QTRAN_BASE = replace(IQL, mixer="transform")
QTRAN_ALT = replace(IQL, mixer="alternatives")
# A joint value of which nothing is asked but that its best action is the agents': Wang et al. 2021, arXiv:2008.01062,
# eqs. 8-11.
QPLEX = replace(IQL, mixer="duplex")
# A single deep Q-network that chooses the joint action by the global state: Mnih et al. 2015, eq. 2.
CENTRAL_Q = replace(IQL, central=True)
# Parallelised Q-networks: no replay and no target network, but layer norm and returns of all lengths: Gallici et al.
# 2024, arXiv:2407.04811, algorithm 1 and eq. 7; with agents' values added up.
PQN = replace(VDN, experience="fresh", rollout_length=8, lr=4e-3, lam=0.6, layer_norm=True, double=False)

# Deep deterministic policy gradients, each agent on its own: Lillicrap et al. 2016, arXiv:1509.02971.
IDDPG = OffPolicySettings()
# The same with critics that know what all do: Lowe et al. 2017, arXiv:1706.02275, eqs. 6-7.
MADDPG = replace(IDDPG, critic="joint")
# Two critics, late actors and noise on targets (TD3): Fujimoto et al. 2018, arXiv:1802.09477, algorithm 1; of many
# agents: Ackermann et al. 2019, arXiv:1910.01465.
MATD3 = replace(MADDPG, critics=2, actor_period=2, target_period=2, target_noise=0.2, gradient_steps=32)
# Soft actor-critic, each agent on its own, and with critics that know what all do: Haarnoja et al. 2018,
# arXiv:1812.05905.
ISAC = replace(IDDPG, stochastic=True, critics=2, gradient_steps=32)
MASAC = replace(ISAC, critic="joint")
# Factored critics under a monotonic mixer, whose value all actors climb together: Peng et al. 2021, arXiv:2003.06709,
# eqs. 4 and 7.
FACMAC = replace(IDDPG, mixer="monotonic")
# Critics that attend to others, of all own actions, and soft actors: Iqbal and Sha 2019, arXiv:1810.02912.
MAAC = replace(
    ISAC, critic="attention", critics=1, discrete="score", tune_temperature=False, temperature=0.01, gradient_steps=16
)

PRESETS: dict[str, Settings] = {
    "ippo": IPPO,
    "mappo": MAPPO,
    "ia2c": IA2C,
    "maa2c": MAA2C,
    "coma": COMA,
    "impala": IMPALA,
    "trpo": TRPO,
    "matrpo": MATRPO,
    "happo": HAPPO,
    "hatrpo": HATRPO,
    "iql": IQL,
    "iql_tabular": IQL_TABULAR,
    "vdn": VDN,
    "vdn_dueling": VDN_DUELING,
    "qmix": QMIX,
    "qtran_base": QTRAN_BASE,
    "qtran_alt": QTRAN_ALT,
    "qplex": QPLEX,
    "central_q": CENTRAL_Q,
    "pqn": PQN,
    "iddpg": IDDPG,
    "maddpg": MADDPG,
    "matd3": MATD3,
    "isac": ISAC,
    "masac": MASAC,
    "facmac": FACMAC,
    "maac": MAAC,
}

SUMMARIES = {
    "ippo": "Independent PPO (de Witt et al. 2020): each agent's critic sees what the agent sees.",
    "mappo": "Multi-agent PPO (Yu et al. 2022): the critic sees the global state.",
    "ia2c": "Independent A2C (Mnih et al. 2016): one plain policy gradient step from each short rollout.",
    "maa2c": "Multi-agent A2C (Papoudakis et al. 2021): the critic sees the global state.",
    "coma": "Counterfactual policy gradients (Foerster et al. 2018): an action against the agent's other ones.",
    "impala": "V-trace for each agent (Espeholt et al. 2018): rollouts are used again, corrected for their age.",
    "trpo": "Trust region steps for each agent (Schulman et al. 2015).",
    "matrpo": "Trust region steps (Schulman et al. 2015) with a critic of the global state.",
    "happo": "Heterogeneous-agent PPO (Kuba et al. 2022): agents learn one after another.",
    "hatrpo": "Heterogeneous-agent trust region steps (Kuba et al. 2022): agents learn one after another.",
    "iql": "Independent Q-learning (Tan 1993; Mnih et al. 2015): each agent by its own reward, from a replay.",
    "iql_tabular": "Independent Q-learning with a table for each agent (Tan 1993; Watkins and Dayan 1992).",
    "vdn": "Value decomposition (Sunehag et al. 2017): the team's value is the sum of its agents'.",
    "vdn_dueling": "Value decomposition (Sunehag et al. 2017) with dueling streams (Wang et al. 2016).",
    "qmix": "Monotonic mixing (Rashid et al. 2018): the team's value grows with each agent's.",
    "qtran_base": "QTRAN (Son et al. 2019): a sum of agents' values, fitted to a joint value of any form.",
    "qtran_alt": "QTRAN (Son et al. 2019), fitted at all that each agent might have done.",
    "qplex": "Duplex dueling (Wang et al. 2021): any joint value whose best action is the agents' best.",
    "central_q": "One deep Q-network (Mnih et al. 2015) for the joint action of a small team.",
    "pqn": "Parallelised Q-networks (Gallici et al. 2024): fresh rollouts and layer norm instead of a replay.",
    "iddpg": "Independent DDPG (Lillicrap et al. 2016): each agent's critic knows what the agent sees and does.",
    "maddpg": "Multi-agent DDPG (Lowe et al. 2017): critics know the global state and what all do.",
    "matd3": "Multi-agent TD3 (Ackermann et al. 2019): two critics, late actors, noise on targets.",
    "isac": "Independent soft actor-critic (Haarnoja et al. 2018): actors keep as much entropy as is wanted.",
    "masac": "Multi-agent soft actor-critic (Haarnoja et al. 2018): critics know the global state and what all do.",
    "facmac": "Factored critics under a monotonic mixer (Peng et al. 2021): all actors climb the team's value.",
    "maac": "Attention critics (Iqbal and Sha 2019): of the others' actions each hears as much as it asks for.",
}


def algos() -> tuple[str, ...]:
    """Return the names that `make_learner` knows, in order."""
    return tuple(sorted(PRESETS))


def preset(name: str) -> Settings:
    """Return the settings published as `name`; raises SettingError, with near matches, if there are none."""
    require_known("algorithm", name, PRESETS)
    return PRESETS[name]


def make_learner(name: str, **settings: Any) -> Learner:
    """Return the learner published as `name` with some settings changed, for instance `make_learner("ippo", lr=1e-3)`.

    Raises SettingError, naming what is allowed, on an unknown name or setting or on a value out of range.
    """
    base = preset(name)
    for setting in settings:
        require_known(f"setting of {name}", setting, (field.name for field in dataclasses.fields(base)))
    return dataclasses.replace(base, **settings).build(name)
