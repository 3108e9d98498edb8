"""Published algorithms as values of their families' settings."""

import dataclasses
from dataclasses import replace
from typing import Any

from jaxmarl_lite.core.settings import require_known
from jaxmarl_lite.learners.learner import Learner, Settings
from jaxmarl_lite.learners.off_policy_settings import OffPolicySettings
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings
from jaxmarl_lite.learners.value_settings import ValueSettings

IPPO = OnPolicySettings()
"""de Witt et al. 2020, arXiv:2011.09533: with r = pi(a_i | o_i) / pi_old(a_i | o_i), maximise

    E[min(r A_i, clip(r, 1 - clip, 1 + clip) A_i)]

(Schulman et al. 2017, arXiv:1707.06347, eq. 7), where A_i is held against the agent's own V(o_i)."""
MAPPO = replace(IPPO, critic="joint")
"""Yu et al. 2022, arXiv:2103.01955: IPPO with a critic of the global state, V(s)."""
# Without much entropy at first, two of eight seeds stay at the worst of climbing's three resting points (125 each).
IA2C = replace(
    IPPO, objective="gradient", estimator="n_step", num_envs=32, rollout_length=5, epochs=1, minibatches=1, lr=2e-3,
    entropy=0.1, anneal_entropy=True,
)  # fmt: skip
"""Papoudakis et al. 2021, arXiv:2006.07869, after Mnih et al. 2016, arXiv:1602.01783: along

    E[grad log pi(a_i | o_i) (R - V(o_i))]

where R is the return of a few steps, and then the value."""
MAA2C = replace(IA2C, critic="joint")
"""Papoudakis et al. 2021, arXiv:2006.07869: IA2C with a critic of the global state, V(s)."""
# With estimator="critic" what is held against the baseline is the critic's own word, as in eq. 4; its errors outweigh
# what a single action does in spread: -60 after 4M steps, where these returns give -32. Advantages keep the scale of
# rewards, which that of the entropy follows.
COMA = replace(
    MAA2C, critic="both", baseline="counterfactual", estimator="gae", standardise_advantages=False, entropy=0.5
)
"""Foerster et al. 2018, arXiv:1705.08926, eq. 4: A2C with

    A_i = G - sum_a pi(a | o_i) Q_i(s, o_i, (a, a_-i))

where G are the lambda-returns that the critic learns from."""
# Passes over a rollout by a policy that has since moved stand for the lag of actors behind learners.
IMPALA = replace(IA2C, estimator="vtrace", passes=2)
"""Espeholt et al. 2018, arXiv:1802.01561, eq. 1: A2C with values towards

    v_t = V_t + c_t (d_t + gamma lam (v_t+1 - V_t+1)),  c_t = min(1, pi / pi_old)

where d_t is the error of V over one step."""
TRPO = replace(IPPO, objective="trust_region", max_kl=0.01)
"""Schulman et al. 2015, arXiv:1502.05477, eq. 14: maximise

    E[pi(a_i | o_i) / pi_old(a_i | o_i) A_i]  while  E[KL(pi_old, pi)] <= max_kl

by a step along the natural gradient."""
MATRPO = replace(TRPO, critic="joint")
"""Hu et al. 2023, arXiv:2210.13708: TRPO with a critic of the global state, as MARLlib has it."""
HAPPO = replace(MAPPO, sequential=True, sharing="independent")
"""Kuba et al. 2022, arXiv:2109.11251, eq. 11: MAPPO, one agent after another, with

    A_i = A prod_j pi_new(a_j | o_j) / pi_old(a_j | o_j)

over the agents j before i."""
HATRPO = replace(MATRPO, sequential=True, sharing="independent")
"""Kuba et al. 2022, arXiv:2109.11251, eqs. 11-12: MATRPO, one agent after another, as in HAPPO."""

IQL = ValueSettings()
"""Tan 1993; Tampuu et al. 2017, arXiv:1511.08779; Mnih et al. 2015, doi:10.1038/nature14236: towards

    Q_i(o_i, a_i) = r_i + gamma max_a Q_i(o_i', a)

by a target network, from a replay."""
IQL_TABULAR = replace(
    IQL, bins=5, sharing="independent", experience="fresh", rollout_length=5, epochs=1, minibatches=1, lr=0.2,
    double=False, normalise_values=False,
)  # fmt: skip
"""Watkins and Dayan 1992, doi:10.1007/BF00992698, eq. 1: IQL by a table, from what has just been played."""
VDN = replace(IQL, mixer="sum")
"""Sunehag et al. 2017, arXiv:1706.05296, eq. 3: IQL of the team's reward, with

    Q(s, a) = sum_i Q_i(o_i, a_i)

in the place of each agent's own value."""
VDN_DUELING = replace(VDN, dueling=True)
"""Sunehag et al. 2017, arXiv:1706.05296; Wang et al. 2016, arXiv:1511.06581, eq. 9: VDN with

    Q_i(o_i, a) = V_i(o_i) + A_i(o_i, a) - mean_b A_i(o_i, b)

as its authors have it."""
QMIX = replace(IQL, mixer="monotonic")
"""Rashid et al. 2018, arXiv:1803.11485, eqs. 4-6: VDN with

    Q(s, a) = f(Q_1(o_1, a_1), ..., Q_A(o_A, a_A); s)

where f grows with every Q_i."""
QTRAN_BASE = replace(IQL, mixer="transform")
"""Son et al. 2019, arXiv:1905.05408, theorem 1: a Q(s, a) of any form is learnt, and agents' values are fitted to it,

    sum_i Q_i(o_i, a_i) + V(s) >= Q(s, a)

with equality at the best actions."""
QTRAN_ALT = replace(IQL, mixer="alternatives")
"""Son et al. 2019, arXiv:1905.05408, theorem 2: QTRAN, fitted at all that each agent might have done,

    min over a_i of (sum_j Q_j(o_j, a_j) + V(s) - Q(s, a)) = 0

for every agent i, while the others do what they did."""
QPLEX = replace(IQL, mixer="duplex")
"""Wang et al. 2021, arXiv:2008.01062, eqs. 8-11: with V_i = max_a Q_i and A_i = Q_i - V_i, scaled by the state,

    Q(s, a) = sum_i V_i + sum_i lambda_i(s, a) A_i

where lambda_i > 0."""
CENTRAL_Q = replace(IQL, central=True)
"""Mnih et al. 2015, doi:10.1038/nature14236, eq. 2: one agent, which sees the global state and acts for all."""
PQN = replace(VDN, experience="fresh", rollout_length=8, lr=4e-3, lam=0.6, layer_norm=True, double=False)
"""Gallici et al. 2024, arXiv:2407.04811, algorithm 1 and eq. 7: VDN without replay and target network, towards

    G_t = r_t + gamma ((1 - lam) max_a Q(s_t+1, a) + lam G_t+1)

which layer norm keeps from diverging."""

IDDPG = OffPolicySettings()
"""Lillicrap et al. 2016, arXiv:1509.02971: actors climb E[Q_i(o_i, mu(o_i))], and critics go towards

    Q_i(o_i, a_i) = r_i + gamma Q_i(o_i', mu(o_i'))

by target networks, from a replay."""
MADDPG = replace(IDDPG, critic="joint")
"""Lowe et al. 2017, arXiv:1706.02275, eqs. 6-7: IDDPG with critics that know what all do, Q_i(s, a_1, ..., a_A)."""
MATD3 = replace(MADDPG, critics=2, actor_period=2, target_period=2, target_noise=0.2, gradient_steps=32)
"""Ackermann et al. 2019, arXiv:1910.01465; Fujimoto et al. 2018, arXiv:1802.09477, algorithm 1: MADDPG towards

    Q_i(s, a) = r_i + gamma min_k Q_ik(s', mu(o') + noise),  k = 1, 2

with actors and targets that move less often."""
ISAC = replace(IDDPG, stochastic=True, critics=2, gradient_steps=32)
"""Haarnoja et al. 2018, arXiv:1812.05905: IDDPG with two critics and actors that are drawn from, which climb

    E[Q_i(o_i, a_i) - temperature log pi(a_i | o_i)]

at a temperature that follows from a target for the entropy."""
MASAC = replace(ISAC, critic="joint")
"""Haarnoja et al. 2018, arXiv:1812.05905; Lowe et al. 2017, arXiv:1706.02275: ISAC with Q_i(s, a_1, ..., a_A)."""
FACMAC = replace(IDDPG, mixer="monotonic")
"""Peng et al. 2021, arXiv:2003.06709, eqs. 4 and 7: IDDPG of the team's reward, with

    Q(s, a) = f(Q_1(o_1, a_1), ..., Q_A(o_A, a_A); s)

a monotonic mixture that all actors climb together."""
MAAC = replace(
    ISAC, critic="attention", critics=1, others="policy", discrete="score", tune_temperature=False, temperature=0.01,
    gradient_steps=16,
)  # fmt: skip
"""Iqbal and Sha 2019, arXiv:1810.02912, eqs. 5-8: ISAC with critics of all own actions,

    Q_i = f(o_i, a_i, sum_j w_ij v(o_j, a_j))

where w_ij says how well the key of agent j answers the question of agent i; actors climb them where all others do what
they would do now."""

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
