"""An app of its own for tests: a free port, an empty home, trainings that take half a second."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`python app.py` as people start it, until the block ends. No pace: the visitors' own."""

    def __init__(self, home: Path, pace: float | None = 0.5) -> None:
        self.home, self.port, self.pace = home, free_port(), pace
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Server:
        env = os.environ | {"WORKBENCH_HOME": str(self.home)}
        env |= {} if self.pace is None else {"WORKBENCH_PACE": str(self.pace)}
        for name in ("GRADIO_SERVER_PORT", *(["WORKBENCH_PACE"] if self.pace is None else [])):
            env.pop(name, None)
        self.log = open(self.home.parent / f"app-{self.port}.log", "w+")
        command = [sys.executable, str(ROOT / "app.py"), "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, env=env, cwd=ROOT, stdout=self.log, stderr=subprocess.STDOUT
        )
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(self.url, timeout=1)
                return self
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        self.__exit__()
        raise RuntimeError(f"the app did not start: {self.said()}")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def said(self) -> str:
        """What it printed so far."""
        return Path(self.log.name).read_text()
