# SPDX-License-Identifier: Apache-2.0
"""Trouble with the store: a full disk, a file that may not grow, that is gone, moved, read-only, or served twice.

The promise under test: what was answered is never lost, no new money is held that could not be remembered, the refusal says
why, and when the trouble is over the server goes on by itself.

A full disk is a small file system in memory where this user may mount one, and a limit on the size of the server's files
where not; the second is always tested, so that nothing is skipped without root.
"""

import contextlib
import json
import os
import pathlib
import pwd
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import httpx
import pytest
import yaml

from rogue import Rogue, answer, chunk, usage_chunk
from stack import BINARY, PATIENCE, PRICE, Stack, entries


def whole(visit):
    visit.body()
    visit.reply(answer("fine", 10, 20))


def gated_stream(visit):
    """As many words as max_tokens says; after each a look at the gate."""
    asked = visit.body()
    visit.begin_stream()
    visit.event(chunk("first"))
    visit.rogue.gate.wait(20 * PATIENCE)
    for _ in range(asked["max_tokens"] - 1):
        visit.event(chunk(" word"))
    visit.event(chunk(finish="stop"))
    visit.event(usage_chunk(10, asked["max_tokens"]))
    visit.event(b"[DONE]")


class Trouble(Stack):
    def __init__(self, folder, **settings):
        models = [{"id": name, "provider": name, "max_output_tokens": 100000, "price": PRICE} for name in ("whole", "stream")]
        super().__init__(folder, models=models, **settings)
        self.rogue = Rogue({"whole": whole, "stream": gated_stream}, PATIENCE)
        self.rogue.gate = threading.Event()
        self.settings["providers"] = {name: self.rogue.provider(name) for name in ("whole", "stream")}
        self.http = httpx.Client(timeout=60 * PATIENCE)

    def stop(self):
        self.rogue.gate.set()
        super().stop()
        self.rogue.close()
        self.http.close()

    def ask(self, key, model="whole", **more):
        return self.http.post(self.url + "/v1/chat/completions", headers={"Authorization": "Bearer " + key["key"]},
                              json={"model": model, "messages": [], "max_tokens": 20, **more})

    def until(self, key, status):
        """Asks until this is the answer; how often it was 200 on the way."""
        served, deadline = 0, time.monotonic() + 20 * PATIENCE
        while True:
            got = self.ask(key)
            served += got.status_code == 200
            if got.status_code == status:
                return served, got
            assert got.status_code in (200, 503), got.text
            assert time.monotonic() < deadline, f"never {status}"
            time.sleep(0.01)

    @contextlib.contextmanager
    def streaming(self, key, **more):
        """A stream that has begun and waits at the gate. Gives its lines."""
        with self.http.stream("POST", self.url + "/v1/chat/completions", headers={"Authorization": "Bearer " + key["key"]},
                              json={"model": "stream", "messages": [], "stream": True, **more}) as got:
            assert got.status_code == 200
            lines = got.iter_lines()
            assert "first" in next(lines)
            yield lines

    def log(self):
        return "\n".join(self.server.log)


# ---- ways to fill a disk ----


class Mounted:
    """A file system of its own, with a few MiB; full when a ballast file takes all that is free."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder) / "disk"
        self.folder.mkdir()

    def mount(self):
        """False: this user may not."""
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(self.folder)], capture_output=True)
        return done.returncode == 0

    def close(self):
        subprocess.run(["umount", str(self.folder)], check=True)

    def fill(self, stack):
        with contextlib.suppress(OSError), open(self.folder / "ballast", "wb", buffering=0) as ballast:
            while True:
                ballast.write(b"x" * 4096)

    def free(self, stack):
        (self.folder / "ballast").unlink()


class Limited:
    """No file of the server may grow beyond what the largest one has now. It must not die of the signal either."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def close(self):
        pass

    def fill(self, stack):
        largest = max(os.path.getsize(path) for path in self.folder.glob("tollkey.db*"))
        resource.prlimit(stack.server.child.pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))

    def free(self, stack):
        resource.prlimit(stack.server.child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.fixture(params=["disk", "limit"])
def full(request, tmp_path):
    """A running stack and what can fill its disk. Where nothing may be mounted, the limit stands in for the disk."""
    disk = Mounted(tmp_path) if request.param == "disk" else Limited(tmp_path)
    if request.param == "disk" and not disk.mount():
        disk = Limited(disk.folder)
    stack = Trouble(disk.folder)
    try:
        yield stack.start(), disk
    finally:
        try:
            stack.stop()
        finally:
            disk.close()


# ---- a full disk ----


def test_a_full_disk_loses_nothing_and_recovers(full):
    stack, disk = full
    key, admin = stack.key(usd=1), stack.admin()
    assert stack.ask(key).status_code == 200
    disk.fill(stack)
    served, refused = stack.until(key, 503)
    assert refused.json()["error"]["code"] == "store_unavailable" and int(refused.headers["retry-after"]) > 0
    # Nothing that would have to be remembered is done; what needs no writing goes on.
    assert admin.post("/api/v1/api_keys", json={"apiKeyType": "INFERENCE", "description": "x"}).status_code == 503
    assert admin.patch("/api/v1/api_keys", json={"id": key["id"], "description": "x"}).status_code == 503
    assert stack.http.get(stack.url + "/healthz").status_code == 200
    assert stack.http.get(stack.url + "/readyz").status_code == 503
    assert stack.caller(key["key"]).get("/v1/models").status_code == 200
    assert "the store refuses writes" in stack.log()
    disk.free(stack)
    more, _ = stack.until(key, 200)
    assert "the store takes writes again" in stack.log()
    assert stack.http.get(stack.url + "/readyz").status_code == 200
    shown = entries(stack, key["id"])
    assert shown["key"]["usage"]["all"]["requests"] == 1 + served + more
    assert {call["usd"] for call in shown["calls"]} == {"0.0000135"}  # ten tokens in, twenty out
    stack.server.stop()
    stack.start()
    assert entries(stack, key["id"]) == shown, "a clean restart forgets nothing"
    assert stack.ask(key).status_code == 200


def test_a_stream_across_a_full_disk_is_posted(full):
    """It ends while nothing can be written; its post waits, and is there when the disk is free again."""
    stack, disk = full
    key, other = stack.key(usd=1), stack.key(usd=1)
    assert stack.ask(other).status_code == 200
    with stack.streaming(key, max_tokens=100) as lines:
        disk.fill(stack)
        stack.until(other, 503)
        stack.rogue.gate.set()
        assert sum('" word"' in line for line in lines) == 99, "what was held was lent before"
    assert stack.ask(key).status_code == 503
    disk.free(stack)
    stack.until(other, 200)
    call, = entries(stack, key["id"])["calls"]
    assert (call["input_tokens"], call["output_tokens"], call["flags"]) == (10, 100, [])


def test_a_stream_that_needs_more_than_is_lent_says_why_it_ends(full):
    stack, disk = full
    key, other = stack.key(usd=0.1), stack.key(usd=1)
    assert stack.ask(other).status_code == 200
    with stack.streaming(key, max_tokens=40000) as lines:  # 0.024; what is lent at a time is a sixteenth of what is left
        disk.fill(stack)
        stack.until(other, 503)
        stack.rogue.gate.set()
        text = "\n".join(lines)
    served = text.count('" word"')
    assert '"code":"store_unavailable"' in text and "spending limit" not in text
    assert 1000 < served < 39999, "what is lent is served"
    disk.free(stack)
    stack.until(other, 200)
    call, = entries(stack, key["id"])["calls"]
    assert call["output_tokens"] >= served and "cut" in call["flags"]


def test_a_server_killed_on_a_full_disk_has_the_rest_in_doubt(full):
    """What could not be posted is neither forgotten nor free: what was lent for it counts until its window ends."""
    stack, disk = full
    key = stack.key(usd=0.001, period="lifetime")
    assert stack.ask(key).status_code == 200
    disk.fill(stack)
    served, _ = stack.until(key, 503)
    stack.server.kill()
    with contextlib.suppress(OSError):  # the ballast; the limit went with the process
        disk.free(stack)
    stack.start()
    spent = 0
    while stack.ask(key).status_code == 200:
        spent += 1
    assert (1 + served + spent) * 13500 <= 10**6, "more was served than the cap"


# ---- a file that goes away ----


def test_a_removed_file_is_noticed_and_not_written_to(tmp_path):
    stack = Trouble(tmp_path).start()
    try:
        key = stack.key(usd=1)
        assert stack.ask(key).status_code == 200
        assert len(entries(stack, key["id"])["calls"]) == 1
        for path in tmp_path.glob("tollkey.db*"):
            path.unlink()
        served, refused = stack.until(key, 503)
        assert refused.json()["error"]["code"] == "store_unavailable"
        assert "was removed or replaced" in stack.log()
        stack.server.stop()
        assert stack.log().count("could not be stored") == served, "what is lost is said"
    finally:
        stack.stop()


def test_a_file_that_is_moved_away_and_back_goes_on(tmp_path):
    stack = Trouble(tmp_path).start()
    try:
        key = stack.key(usd=1)
        assert stack.ask(key).status_code == 200
        away = tmp_path / "away"
        away.mkdir()
        for path in tmp_path.glob("tollkey.db*"):
            path.rename(away / path.name)
        served, _ = stack.until(key, 503)
        for path in away.iterdir():
            path.rename(tmp_path / path.name)
        more, _ = stack.until(key, 200)
        assert entries(stack, key["id"])["key"]["usage"]["all"]["requests"] == 1 + served + more
    finally:
        stack.stop()


def test_a_file_replaced_by_an_older_copy_is_not_written_to(tmp_path):
    stack = Trouble(tmp_path).start()
    try:
        key = stack.key(usd=1)
        shutil.copy(tmp_path / "tollkey.db", tmp_path / "copy")
        assert stack.ask(key).status_code == 200
        os.replace(tmp_path / "copy", tmp_path / "tollkey.db")
        stack.until(key, 503)
        assert "was removed or replaced" in stack.log()
    finally:
        stack.stop()


# ---- a file that may not be written ----


def nobody():
    """How to be someone for whom modes count: root may write everywhere."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@pytest.fixture
def common():
    """A folder that every user may enter and write, unlike pytest's own; the binary must be reachable as well."""
    with tempfile.TemporaryDirectory(prefix="tollkey-") as folder:
        os.chmod(folder, 0o777)
        yield pathlib.Path(folder)


@contextlib.contextmanager
def modes(folder, file_mode, folder_mode):
    for path in folder.glob("tollkey.db*"):
        os.chmod(path, file_mode)
    os.chmod(folder, folder_mode)
    try:
        yield
    finally:
        os.chmod(folder, 0o777)
        for path in folder.glob("tollkey.db*"):
            os.chmod(path, 0o600)


def test_a_read_only_file_is_refused_at_the_start(common):
    stack = Trouble(common)
    try:
        stack.start(**nobody())
        stack.server.stop()
        os.chmod(stack.config, 0o644)
        with modes(common, 0o444, 0o555):
            done = subprocess.run([BINARY, "serve", "--config", str(stack.config)], capture_output=True, text=True,
                                  timeout=60 * PATIENCE, **nobody())
        assert done.returncode == 1 and "ready" not in done.stdout
        assert "tollkey.db: the store cannot be written" in done.stderr or "may not write" in done.stderr, done.stderr
        stack.start(**nobody())  # and nothing was harmed
    finally:
        stack.stop()


def test_modes_changed_under_a_running_server_lose_nothing(common):
    """Its files are open, so it may go on; what it cannot do it says."""
    stack = Trouble(common)
    try:
        stack.start(**nobody())
        key = json.loads(subprocess.run(
            [BINARY, "key", "create", "--config", str(stack.config), "--kind", "inference", "--description", "x", "--usd", "1",
             "--json"], capture_output=True, text=True, check=True, **nobody()).stdout)
        assert stack.ask(key).status_code == 200
        with modes(common, 0o444, 0o555):
            served = sum(stack.ask(key).status_code == 200 for _ in range(20))
        more, _ = stack.until(key, 200)
        stack.server.stop()
        shown = subprocess.run([BINARY, "usage", key["id"], "--config", str(stack.config), "--json"], capture_output=True,
                               text=True, check=True, **nobody()).stdout
        assert json.loads(shown)["key"]["usage"]["all"]["requests"] == 1 + served + more
    finally:
        stack.stop()


# ---- one store, one server ----


@pytest.mark.parametrize("link,why", [(os.symlink, "another tollkey serves"), (os.link, "hard links")])
def test_a_second_name_is_no_second_store(tmp_path, link, why):
    """Two servers on one file would each lend what is left of a cap."""
    stack = Trouble(tmp_path).start()
    try:
        link(tmp_path / "tollkey.db", tmp_path / "second.db")
        config = tmp_path / "second.yaml"
        config.write_text(yaml.safe_dump({**stack.settings, "store": f"sqlite:{tmp_path}/second.db"}))
        done = subprocess.run([BINARY, "serve", "--config", str(config)], capture_output=True, text=True, timeout=60 * PATIENCE)
        assert done.returncode == 1 and why in done.stderr
        os.unlink(tmp_path / "second.db")
        assert stack.ask(stack.key(usd=1)).status_code == 200
    finally:
        stack.stop()


# ---- a store in memory ----


def test_a_store_in_memory_serves_and_forgets(tmp_path):
    stack = Trouble(tmp_path, store="memory:").start()
    try:
        admin_key, = [line.removeprefix("admin key ") for line in stack.server.log if line.startswith("admin key ")]
        admin = stack.caller(admin_key)
        made = admin.post("/api/v1/api_keys", json={"apiKeyType": "INFERENCE", "description": "x",
                                                    "consumptionLimit": {"usd": 0.0001}}).json()["data"]
        key = {"key": made["apiKey"]}
        served = 0
        while stack.ask(key).status_code == 200:
            served += 1
        assert 1 <= served <= 10**5 // 13500
        shown = admin.get(f"/api/v1/api_keys/{made['id']}").json()["data"]
        assert float(shown["usage"]["trailingSevenDays"]["usd"]) == pytest.approx(served * 13500 / 1e9, abs=0.0001)
        done = stack.cli("key", "list", check=False)
        assert done.returncode == 1 and "memory:" in done.stderr
        stack.server.stop()
        stack.start()
        assert stack.ask(key).status_code == 401 and stack.caller(admin_key).get("/v1/models").status_code == 401
        assert list(tmp_path.glob("*.db*")) == []
    finally:
        stack.stop()


# ---- sudden ends ----


def test_kill_at_any_moment_never_serves_more_than_the_cap(tmp_path):
    """Streams and whole answers of one key, the server killed among them again and again; the provider's count is the truth."""
    stack = Trouble(tmp_path).start()
    stack.rogue.gate.set()
    try:
        key = stack.key(usd=0.0005, period="lifetime")
        truth = []
        for delay in (0.02, 0.05, 0.1, 0.15):
            stop = threading.Event()

            def work(i):
                while not stop.is_set():
                    with contextlib.suppress(httpx.HTTPError):
                        got = stack.ask(key, "stream" if i % 2 else "whole", stream=bool(i % 2))
                        if got.status_code == 429:
                            return
                        if got.status_code == 200 and (not i % 2 or "[DONE]" in got.text and "error" not in got.text):
                            truth.append(13500)

            workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
            for worker in workers:
                worker.start()
            time.sleep(delay)
            stack.server.child.send_signal(signal.SIGKILL)
            stack.server.child.wait()
            stop.set()
            for worker in workers:
                worker.join()
            stack.start()
        while stack.ask(key).status_code == 200:
            truth.append(13500)
        assert sum(truth) <= 5 * 10**5
        posted = entries(stack, key["id"])["key"]["usage"]["all"]["usd"]
        assert float(posted) <= 0.0005
    finally:
        stack.stop()
