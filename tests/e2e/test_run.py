# SPDX-License-Identifier: Apache-2.0
"""`make run` as a newcomer meets it: the first start, the lines to paste, the second start, an address that is taken."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(os.environ.get("TOLLKEY_FLAVOUR", "plain") != "plain", reason="it runs build/tollkey")


class Run:
    """tools/run in a folder of its own, on free ports unless said otherwise."""

    def __init__(self, folder, demo_listen="127.0.0.1:0"):
        self.lines = []
        self.explained = threading.Event()
        self.child = subprocess.Popen(
            [folder / "tools" / "run"], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env={**os.environ, "TOLLKEY_LISTEN": "127.0.0.1:0", "DEMO_LISTEN": demo_listen},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.child.stdout:
            self.lines.append(line.rstrip("\n"))
            if "Ctrl-C stops it" in line or "another admin" in line:
                self.explained.set()
        self.explained.set()

    def text(self):
        return "\n".join(self.lines)

    def stop(self):
        """Whatever became of the test: nothing of it stays running."""
        if self.child.poll() is None:
            self.child.terminate()
            self.child.wait(60)

    def started(self):
        assert self.explained.wait(120) and self.child.poll() is None, self.text()
        return self.text()

    def ended(self, sig=None):
        if sig:
            self.child.send_signal(sig)
        code = self.child.wait(60)
        self.reader.join(10)
        return code, self.text()


@pytest.fixture
def folder(tmp_path):
    """The checkout without what a user's own runs left in it: links to everything but var/ and tollkey.yaml."""
    for entry in ROOT.iterdir():
        if entry.name not in ("var", "tollkey.yaml", ".git"):
            (tmp_path / entry.name).symlink_to(entry)
    return tmp_path


@pytest.fixture
def start(folder):
    runs = []

    def begin(**options):
        runs.append(Run(folder, **options))
        return runs[-1]

    yield begin
    for run in runs:
        run.stop()


def test_first_start_lines_to_paste_and_second_start(folder, start):
    run = start()
    text = run.started()
    paste = [line for line in run.lines if re.match(r"ADMIN=|curl |cd ", line)]
    assert len(paste) == 3, text
    admin = re.match(r"ADMIN=(tk_adm_\w+);", paste[0]).group(1)
    shell = subprocess.run(["bash", "-c", "\n".join(paste)], capture_output=True, text=True, timeout=60)
    said = shell.stdout
    assert re.match(r"tk_inf_\w+\n", said), said + shell.stderr
    assert "data: [DONE]" in said
    # The last line reads the store's file, where the call stands a moment after it was answered. A person is slower than
    # that, a script is not.
    deadline = time.monotonic() + 60
    while not (spent := re.search(r"my first key +(0\.\d+)", said)):
        assert time.monotonic() < deadline, said
        said = subprocess.run(["bash", "-c", paste[2]], capture_output=True, text=True, timeout=60).stdout
    assert float(spent.group(1)) > 0, said
    code, text = run.ended(signal.SIGINT)
    assert code == 0 and "stopped" in text, text

    # Everything it wrote is under var/, for the user only, and without the secret (but for what a first start builds).
    assert {entry.name for entry in folder.iterdir() if not entry.is_symlink()} - {"build"} == {"var"}
    assert (folder / "var").stat().st_mode & 0o077 == 0
    for path in (folder / "var").iterdir():
        assert admin.encode() not in path.read_bytes(), path

    again = start()
    text = again.started()
    assert "tk_adm_" not in text and "key create" in text
    usage = subprocess.run([folder / "build/tollkey", "usage", "--config", "var/tollkey.yaml"], cwd=folder,
                           capture_output=True, text=True, timeout=60)
    assert re.search(r"my first key +" + re.escape(spent.group(1)), usage.stdout), usage.stdout + usage.stderr
    code, text = again.ended(signal.SIGTERM)
    assert code == 0, text


def test_an_address_that_is_taken_is_named(folder, start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        code, text = start(demo_listen=address).ended()
    assert code != 0
    assert f"something listens on {address} already" in text and "DEMO_LISTEN=" in text
    assert not (folder / "var" / "first-key.json").exists()


def test_a_provider_of_ones_own_is_used_without_the_demo(folder, start):
    (folder / "tollkey.yaml").write_text(
        "providers:\n  mine: { base_url: \"http://127.0.0.1:9/v1\" }\n"
        "models:\n  - { id: mine-1, provider: mine, max_output_tokens: 10, price: { input: 1, output: 1 } }\n")
    run = start()
    text = run.started()
    assert "demo upstream" not in text and '"model":"mine-1"' in text
    assert (folder / "var" / "tollkey.db").exists()
    code, text = run.ended(signal.SIGINT)
    assert code == 0, text


def test_a_bad_configuration_is_said_and_nothing_stays_running(folder, start):
    (folder / "tollkey.yaml").write_text("lisen: 127.0.0.1:0\n")
    run = start()
    code, text = run.ended()
    assert code != 0
    assert "lisen" in text and "could not be made" in text
