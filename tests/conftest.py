"""What every test gets: a home of its own, fixed seeds, one torch thread, and no network."""

import socket
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent


#: Files that start the app or wait for workers: one after the other, for what they time.
TIMED = {"browser", "test_act.py", "test_app.py", "test_bar.py", "test_bench.py", "test_cli.py",
         "test_jobs.py", "test_upload.py"}  # fmt: skip


def pytest_collection_modifyitems(items):
    """Two processes share the files; those that are timed stay in one of them."""
    for item in items:
        first, *_ = item.path.relative_to(HERE).parts
        item.add_marker(pytest.mark.xdist_group("timed" if first in TIMED else first))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A WORKBENCH_HOME that is empty, and gone after the test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("WORKBENCH_HOME", str(folder))
    monkeypatch.setenv("WORKBENCH_PACE", "0")
    return folder


@pytest.fixture(autouse=True)
def calm():
    """One torch thread, a fixed seed, float32 and gradients on; all as before afterwards."""
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    assert torch.is_grad_enabled(), "the test left gradients off"
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)


@pytest.fixture
def float64():
    """Tensors are made in float64, so that 1e-6 is far above rounding."""
    torch.set_default_dtype(torch.float64)
    return torch.float64


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Connections that leave this machine fail; the machine's own are allowed."""
    connect = socket.socket.connect

    def near(self, address):
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in ("localhost", "127.0.0.1", "::1", "0.0.0.0"):
            raise AssertionError(f"a test went to the network: {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", near)
