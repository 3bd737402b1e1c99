# SPDX-License-Identifier: Apache-2.0
"""A Tollkey and a demo upstream on free ports, as a user would start them.

The binary is build/tollkey or $TOLLKEY_BIN. Nothing waits for a time: starting waits for the line
"ready http://HOST:PORT" that the program prints once it accepts.
"""

import glob
import json
import os
import pathlib
import signal
import subprocess
import threading

import httpx
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TOLLKEY_BIN", str(ROOT / "build" / "tollkey"))
# The sanitized binary runs several times slower; bounds are multiplied, never asserted as speed.
PATIENCE = float(os.environ.get("TOLLKEY_PATIENCE", "1"))

PRICE = {"input": 0.15, "output": 0.60, "cache_input": 0.075}
NANO_INPUT, NANO_OUTPUT = 150, 600  # the same price, a token


def faked_clock(**how):
    """An environment in which libfaketime answers for the wall clock, and only for that: timers run on the monotonic
    one. how: its own settings, e.g. FAKETIME="+40d"."""
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    assert found, "libfaketime is not installed: tools/setup test does that"
    return {"LD_PRELOAD": found[0], "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", **how}


class Process:
    """One child; its output is collected, so that it never blocks and a failed test can show it."""

    def __init__(self, *args, env=None, **popen):
        self.child = subprocess.Popen(
            [BINARY, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **(env or {})}, **popen)
        self.log = []
        self._ready = threading.Event()
        self.url = None
        self._threads = [threading.Thread(target=self._read_out, daemon=True),
                         threading.Thread(target=self._read_err, daemon=True)]
        for thread in self._threads:
            thread.start()
        if not self._ready.wait(30 * PATIENCE) or self.url is None:
            self.child.kill()
            raise RuntimeError(f"{args[0]} did not become ready:\n" + "\n".join(self.log))

    def _read_out(self):
        for line in self.child.stdout:
            self.log.append(line.rstrip())
            if line.startswith("ready "):
                self.url = line.split()[1]
                self._ready.set()
        self._ready.set()

    def _read_err(self):
        for line in self.child.stderr:
            self.log.append(line.rstrip())

    def stop(self):
        """Ends it as Ctrl-C would; a sanitizer's finding or a crash is a failure of the test."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)
        try:
            code = self.child.wait(40 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            code = "did not stop"
        for thread in self._threads:
            thread.join(5)
        assert code == 0, f"exit {code}:\n" + "\n".join(self.log)

    def kill(self):
        self.child.kill()
        self.child.wait()


class Stack:
    def __init__(self, folder, demo_args=(), models=None, **settings):
        self.folder = pathlib.Path(folder)
        self.config = self.folder / "tollkey.yaml"
        self.demo = Process("demo-upstream", "--listen", "127.0.0.1:0", *demo_args)
        self.server = None
        self.barrier = None
        self.env = None  # of the server, beside what it inherits
        self.settings = {
            "listen": "127.0.0.1:0",
            "store": f"sqlite:{self.folder}/tollkey.db",
            "providers": {"demo": {"base_url": self.demo.url + "/v1", "api_key": "demo-secret"}},
            "models": models or [
                {"id": "demo-small", "provider": "demo", "max_output_tokens": 4096, "price": PRICE},
                {"id": "demo-embed", "provider": "demo", "type": "embedding", "price": {"input": 0.02}},
            ],
            **settings,
        }

    def write_config(self):
        self.config.write_text(yaml.safe_dump(self.settings))

    def start(self, **how):
        self.write_config()
        self.server = Process("serve", "--config", str(self.config), env=self.env, **how)
        self.url = self.server.url
        self.barrier = None
        return self

    def stop(self):
        try:
            if self.server:
                self.server.stop()
        finally:
            self.demo.stop()

    def cli(self, *args, check=True):
        done = subprocess.run([BINARY, *args, "--config", str(self.config)], capture_output=True, text=True,
                              timeout=60 * PATIENCE)
        if check:
            assert done.returncode == 0, done.stderr
        return done

    def key(self, kind="inference", usd=None, period=None, description="a test", user=None):
        """Made by the command line on the store itself, while the server runs or not."""
        args = ["key", "create", "--kind", "user" if user else kind, "--description", description, "--json"]
        if user:
            args += ["--user", user]
        if usd is not None:
            args += ["--usd", str(usd)]
        if period is not None:
            args += ["--period", period]
        return json.loads(self.cli(*args).stdout)

    def admin(self):
        return httpx.Client(base_url=self.url, timeout=60 * PATIENCE,
                            headers={"Authorization": "Bearer " + self.key("admin")["key"]})

    def caller(self, key):
        return httpx.Client(base_url=self.url, timeout=60 * PATIENCE, headers={"Authorization": "Bearer " + key})

    def truth(self):
        """What the provider really produced, by its own count."""
        return httpx.get(self.demo.url + "/demo/truth").json()


def entries(stack, key_id):
    """What the store says of a key: totals and calls, newest first. The management API shows everything that was
    answered before, so one look at it first makes the store's file complete."""
    if stack.server.child.poll() is None:
        if stack.barrier is None:
            stack.barrier = stack.admin()
        assert stack.barrier.get(f"/api/v1/api_keys/{key_id}").status_code in (200, 400)
    return json.loads(stack.cli("usage", key_id, "--json").stdout)
