"""Environments by name."""

import inspect
import weakref
from collections.abc import Callable
from typing import Any

from jaxmarl_lite.core.env import Env
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_known
from jaxmarl_lite.environments.butterfly.pistonball import Pistonball
from jaxmarl_lite.environments.comm.signalling import Signalling
from jaxmarl_lite.environments.comm.switch_riddle import SwitchRiddle
from jaxmarl_lite.environments.grid.coin_game import CoinGame
from jaxmarl_lite.environments.grid.navigation import Navigation
from jaxmarl_lite.environments.grid.predator_prey import PredatorPrey
from jaxmarl_lite.environments.grid.team_navigation import TeamNavigation
from jaxmarl_lite.environments.lbf.foraging import Foraging
from jaxmarl_lite.environments.matrix.game import MatrixGame
from jaxmarl_lite.environments.matrix.named import NAMED_GAMES
from jaxmarl_lite.environments.matrix.two_step import TwoStep
from jaxmarl_lite.environments.memory.cue import Cue
from jaxmarl_lite.environments.memory.team_cue import TeamCue
from jaxmarl_lite.environments.mpe.predator_prey import PredatorPrey as ParticlePredatorPrey
from jaxmarl_lite.environments.mpe.simple import Simple
from jaxmarl_lite.environments.mpe.simple_adversary import SimpleAdversary
from jaxmarl_lite.environments.mpe.simple_crypto import SimpleCrypto
from jaxmarl_lite.environments.mpe.simple_push import SimplePush
from jaxmarl_lite.environments.mpe.simple_reference import SimpleReference
from jaxmarl_lite.environments.mpe.simple_speaker_listener import SimpleSpeakerListener
from jaxmarl_lite.environments.mpe.simple_spread import SimpleSpread
from jaxmarl_lite.environments.mpe.simple_tag import SimpleTag
from jaxmarl_lite.environments.mpe.simple_world_comm import SimpleWorldComm
from jaxmarl_lite.environments.probe.probes import PROBES
from jaxmarl_lite.environments.rware.warehouse import Warehouse

Constructor = Callable[..., Env]

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

_constructors: dict[str, Constructor] = {
    "butterfly/pistonball": Pistonball,
    "comm/signalling": Signalling,
    "comm/switch_riddle": SwitchRiddle,
    "grid/coin_game": CoinGame,
    "grid/navigation": Navigation,
    "grid/predator_prey": PredatorPrey,
    "grid/team_navigation": TeamNavigation,
    "lbf/foraging": Foraging,
    "matrix/game": MatrixGame,
    **{f"matrix/{name}": constructor for name, constructor in NAMED_GAMES.items()},
    "matrix/two_step": TwoStep,
    "memory/cue": Cue,
    "memory/team_cue": TeamCue,
    "mpe/predator_prey": ParticlePredatorPrey,
    "mpe/simple": Simple,
    "mpe/simple_adversary": SimpleAdversary,
    "mpe/simple_crypto": SimpleCrypto,
    "mpe/simple_push": SimplePush,
    "mpe/simple_reference": SimpleReference,
    "mpe/simple_speaker_listener": SimpleSpeakerListener,
    "mpe/simple_spread": SimpleSpread,
    "mpe/simple_tag": SimpleTag,
    "mpe/simple_world_comm": SimpleWorldComm,
    **{f"probe/{name}": constructor for name, constructor in PROBES.items()},
    "rware/warehouse": Warehouse,
}
# How each environment that lives was made, by its id, so that a run can be written down.
_origins: dict[int, tuple[str, dict[str, Any]]] = {}


def envs() -> tuple[str, ...]:
    """Return the names that `make` knows, in order."""
    return tuple(sorted(_constructors))


def register(name: str, constructor: Constructor) -> None:
    """Make `constructor` available as `make(name, **settings)`; a name is registered once.

    To be saved and loaded with a run, the settings must be plain JSON values.

    Raises SettingError if the name is taken by another constructor.
    """
    if _constructors.get(name, constructor) is not constructor:
        raise SettingError(f"environment {name!r} is already registered; choose another name.")
    _constructors[name] = constructor


def constructor_of(name: str) -> Constructor:
    """Return the constructor registered as `name`; raises SettingError, with near matches, if there is none."""
    require_known("environment", name, _constructors)
    return _constructors[name]


def make(name: str, **settings: Any) -> Env:
    """Return the environment registered as `name`, for instance `make("mpe/simple_spread", num_agents=3)`.

    Raises SettingError, naming what is allowed, on an unknown name or setting or on a value out of range.
    """
    constructor = constructor_of(name)
    parameters = inspect.signature(constructor).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for setting in () if takes_any else settings:
        require_known(f"setting of {name}", setting, parameters)
    for setting, parameter in parameters.items():
        is_required = parameter.default is parameter.empty and parameter.kind not in _VARIADIC
        if is_required and setting not in settings:
            raise SettingError(f"{name} needs the setting {setting!r}.")
    env = constructor(**settings)
    _origins[id(env)] = (name, settings)
    weakref.finalize(env, _origins.pop, id(env), None)
    return env


def origin(env: Env) -> tuple[str, dict[str, Any]] | None:
    """Return the name and settings that `make` made `env` from, or None if it was built otherwise."""
    return _origins.get(id(env))
