"""Work for a worker process that obeys: it echoes, sleeps, crashes, or eats memory, as a request says."""

import os
import signal
import subprocess
import sys
import time
from typing import Any

from modashift.app.jobs import ClassAnswer
from modashift.errors import ModashiftError

HELD: list[bytearray] = []


class Obey:
    """Does what the request says."""

    def __init__(self, settings: dict[str, Any]) -> None:
        if message := settings.get("unfit"):
            raise ModashiftError(message)
        if settings.get("dies"):
            os._exit(3)
        self.facts = settings.get("facts")
        self.stopped = False

    def handle(self, order: tuple[Any, ...], tell: Any) -> Any:
        kind, what, *_ = order
        self.stopped = False
        if kind == "texts":
            return [self.one(u.words[0]) for u in what]
        tell("words", 0.5)
        return self.one(what.name), None

    def one(self, what: str) -> Any:
        verb, _, rest = what.partition(" ")
        if verb == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if verb == "exit":
            os._exit(4)
        if verb == "raise":
            raise RuntimeError("a bug")
        if verb == "eat":
            HELD.append(bytearray(int(float(rest) * 1e6)))
            time.sleep(5)
        if verb == "sleep":
            end = time.monotonic() + float(rest)
            while time.monotonic() < end and not self.stopped:
                time.sleep(0.01)
            if self.stopped:
                raise ModashiftError("stopped in the middle")
        if verb == "stubborn":
            time.sleep(float(rest))
        if verb == "bad":
            return ("bad-input", "it does not fit")
        return ClassAnswer(what, str(os.getpid()), {})

    def stop(self) -> None:
        self.stopped = True


class Parent(Obey):
    """Has a child that does nothing."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        self.facts = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid
