"""Who works on which run, among processes that share a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from jaxmarl_lite.core.errors import SettingError


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Hold the right to train in a folder, against all other processes; False if one has it.

    The operating system takes it from a process that dies, whatever way.
    """
    lock = filelock.FileLock(path.with_name(f".{path.name}.claim"))  # hidden from `plot runs/*/*`
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except filelock.Timeout:
        yield False
        return
    except OSError as error:
        raise SettingError(f"out={str(path.parent)!r} cannot be written: {error.strerror}.") from None
    try:
        yield True
    finally:
        lock.release()


def is_claimed(path: Path) -> bool:
    """Return whether a process trains in a folder."""
    if not path.parent.exists():
        return False
    with claim(path) as is_mine:
        return not is_mine
