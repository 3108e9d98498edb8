"""Many sizes, one after another."""

from collections.abc import Sequence

from jaxmarl_lite.core.settings import require_int

SIZES = tuple(4**power for power in range(9))
"""1, 4, 16, ..., 65,536 environments."""


def sizes_of(chosen: Sequence[int] | None, alone: int) -> list[int]:
    """Return the sizes to measure: `alone` without a sweep (None), those chosen, or SIZES if none is named.

    Raises SettingError on a size that is not a positive integer.
    """
    sizes = [alone] if chosen is None else sorted(set(chosen)) or list(SIZES)
    for size in sizes:
        require_int("num_envs", size)
    return sizes
