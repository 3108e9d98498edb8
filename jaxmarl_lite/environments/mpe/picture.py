"""Pictures of the particle world."""

from typing import Any

import numpy as np

from jaxmarl_lite.core.env import TimeStep

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def draw(axes: Any, scenario: Any, state: Any, step: TimeStep) -> None:
    """Draw landmarks, agents with their numbers, goals as rings, and messages below."""
    from matplotlib import patches

    reach = max(1.3, float(np.abs(np.asarray(state.agent_pos)).max()) + 0.2)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
    axes.add_patch(patches.Rectangle((-1, -1), 2, 2, fill=False, ec="0.8", ls=":"))
    _landmarks(axes, scenario, state)
    place = 0
    for role in scenario.roles:
        for i in range(role.num):
            pos = np.asarray(state.agent_pos)[place]
            look = {"fc": role.colour, "ec": "white", "alpha": 0.85, "zorder": 3, "gid": f"agent {place}"}
            axes.add_patch(patches.Circle(pos, role.radius, **look))
            axes.annotate(str(i), pos, ha="center", va="center", color="white", fontsize=5 + 40 * role.radius, zorder=4)
            place += 1
    said = _messages(scenario, state)
    if said:
        axes.set_xlabel(said)
    axes.set_title(f"step {int(state.time)}   reward {_rewards(scenario, step)}")


def _landmarks(axes: Any, scenario: Any, state: Any) -> None:
    from matplotlib import patches

    aims = [] if state.goal is None else np.atleast_1d(np.asarray(state.goal)).tolist()
    place = 0
    for mark in scenario.marks:
        for _ in range(mark.num):
            pos = np.asarray(state.landmark_pos)[place]
            alpha = 0.35 if mark.radius > 0.25 else 0.9  # what one can stand in lets it be seen
            axes.add_patch(patches.Circle(pos, mark.radius, fc=mark.colour, alpha=alpha, zorder=1))
            for turn, _ in enumerate(goal for goal in aims if goal == place):
                ring = mark.radius + 0.05 + 0.04 * turn
                axes.add_patch(patches.Circle(pos, ring, fill=False, ec="tab:orange", lw=2, zorder=2))
            place += 1


def _messages(scenario: Any, state: Any) -> str:
    names = [f"{role.name} {i}" for role in scenario.roles if role.speaks for i in range(role.num)]
    words = [LETTERS[int(said.argmax()) % 26] if said.any() else "-" for said in np.asarray(state.comm)]
    return "   ".join(f"{name}: {word}" for name, word in zip(names, words, strict=False))


def _rewards(scenario: Any, step: TimeStep) -> str:
    start, parts = 0, []
    for role in scenario.roles:
        if role.num and not role.is_scripted:
            parts.append(f"{float(np.mean(np.asarray(step.reward)[start : start + role.num])):+.2f}")
            start += role.num
    return " / ".join(parts)
