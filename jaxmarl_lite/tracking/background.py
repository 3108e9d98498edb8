"""Work that training does not wait for."""

import queue
import threading
from collections.abc import Callable


class Background:
    """Does jobs one after another, in a thread of its own, until one fails; the process may end without waiting."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        """what ended it before its time"""
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._over = threading.Event()
        # A daemon: an executor's threads are waited for at the end of the process, also one that hangs.
        threading.Thread(target=self._work, daemon=True).start()

    def do(self, job: Callable[[], None]) -> None:
        """Do a job after those before it."""
        self._jobs.put(job)

    def finish(self, seconds: float) -> bool:
        """Take no more jobs, and wait for those there are; returns whether all ended in time."""
        self._jobs.put(None)
        return self._over.wait(seconds)

    def _work(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                job()
        except Exception as error:  # whatever a library makes of its network, disk or settings
            self.fault = error
        finally:
            self._over.set()
