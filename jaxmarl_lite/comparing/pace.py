"""How long the rest of a suite will take, from how fast it went so far."""

from collections import defaultdict
from collections.abc import Iterable

Work = tuple[str, float, bool]
"""(algorithm, environment steps of all seeds to come, whether its programs are still to be made)"""


class Pace:
    """Seconds a step by algorithm, and seconds before the first step, as they were seen."""

    def __init__(self) -> None:
        self._steps: defaultdict[str, float] = defaultdict(float)
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._starts: list[float] = []

    def saw(self, algo: str, env_steps: float, seconds: float) -> None:
        """Take in that steps of all seeds together took so many seconds, evaluation included."""
        self._steps[algo] += env_steps
        self._seconds[algo] += seconds

    def saw_start(self, seconds: float) -> None:
        """Take in how long a run took before its first step."""
        self._starts.append(seconds)

    def seconds_for(self, work: Iterable[Work]) -> float | None:
        """Return how long some work will take, or None as long as nothing was seen; unknown algorithms go as others."""
        seconds, steps = sum(self._seconds.values()), sum(self._steps.values())
        if not steps:
            return None
        start = sum(self._starts) / max(len(self._starts), 1)
        per_step = {algo: self._seconds[algo] / self._steps[algo] for algo in self._steps if self._steps[algo]}
        return sum(left * per_step.get(algo, seconds / steps) + start * is_new for algo, left, is_new in work)
