"""Clients that send requests from threads of their own until the end of a `with` block."""

import threading
from collections.abc import Callable


class Traffic:
    """Calls each function that `repeat` is given in a thread of its own, again and again.
    What goes wrong is collected in `failures`; so is a call that does not return within
    `timeout_seconds` after the end."""

    def __init__(self, timeout_seconds: float):
        self.timeout_seconds = timeout_seconds
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.failures: list[str] = []
        self.threads: list[threading.Thread] = []

    def repeat(self, act: Callable[[], None]) -> None:
        def run() -> None:
            while not self.stopped.is_set():
                act()

        self.threads.append(threading.Thread(target=run))

    def fail(self, failure: str) -> None:
        with self.lock:
            self.failures.append(failure)

    def __enter__(self) -> "Traffic":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join(self.timeout_seconds)
        if any(thread.is_alive() for thread in self.threads):
            self.fail("a request never ended")
