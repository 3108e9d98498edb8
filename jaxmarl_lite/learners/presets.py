"""Published algorithms as values of their families' settings."""

import dataclasses
from typing import Any

from jaxmarl_lite.core.settings import require_known
from jaxmarl_lite.learners.learner import Learner, Settings
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings

# Independent PPO: de Witt et al. 2020, arXiv:2011.09533; PPO: Schulman et al. 2017, arXiv:1707.06347.
IPPO = OnPolicySettings()
# Multi-agent PPO, IPPO with a critic of the global state: Yu et al. 2022, arXiv:2103.01955.
MAPPO = dataclasses.replace(IPPO, critic="joint")

PRESETS: dict[str, Settings] = {"ippo": IPPO, "mappo": MAPPO}

SUMMARIES = {
    "ippo": "Independent PPO (de Witt et al. 2020): each agent's critic sees what the agent sees.",
    "mappo": "Multi-agent PPO (Yu et al. 2022): the critic sees the global state.",
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
