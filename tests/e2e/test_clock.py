# SPDX-License-Identifier: Apache-2.0
"""The real server under a clock that is stepped while it runs.

libfaketime answers for the system's wall clock (and only for that: timers run on the monotonic clock) and reads how
far to be off from a file, at each call. So midnight, the end of a month and a machine that wakes up after three days
come when a test wants them. What a key has used in which window is read from the store's file with the calendar of
Python. Nothing waits for a time but for the clock of the server to reach midnight, seconds after a test has set it.
"""

import concurrent.futures
import contextlib
import datetime
import json
import os
import sys
import threading
import time
import uuid

import httpx
import pytest

from stack import NANO_INPUT, NANO_OUTPUT, PATIENCE, PRICE, ROOT, Stack, faked_clock

sys.path.append(str(ROOT / "tests/torture"))
from ledger_file import DAY, MONTH, LedgerFile, window_number  # noqa: E402

CAP = 10**5            # nano: a few small calls
CAP_USD = "0.0001"
SMALLEST = 200 * NANO_INPUT + NANO_OUTPUT  # more than the least that a call of these tests holds


def utc(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp()


class Clock:
    """The server's wall clock: the machine's, and so many whole seconds."""

    def __init__(self, folder):
        self.path = folder / "clock"
        self.offset = 0
        self.env = faked_clock(FAKETIME_TIMESTAMP_FILE=str(self.path), FAKETIME_NO_CACHE="1")

    def set(self, at):
        """To within a second, and never later."""
        self.offset = int(utc(at) - time.time())
        new = self.path.with_suffix(".new")
        new.write_text(f"{self.offset:+d}")
        os.replace(new, self.path)  # whoever reads it sees the one or the other

    def now(self):
        return time.time() + self.offset

    def wait_until(self, at):
        time.sleep(max(0, utc(at) - self.now()))


class World:
    def __init__(self, folder, at, **settings):
        self.clock = Clock(folder)
        self.clock.set(at)
        models = [{"id": "small", "provider": "demo", "upstream_id": "demo-small", "max_output_tokens": 4096,
                   "price": PRICE},
                  {"id": "paced", "provider": "demo", "upstream_id": "demo-small+delay=20+tokens=4000",
                   "max_output_tokens": 4096, "price": PRICE}]
        self.stack = Stack(folder, demo_args=["--tokens", "2000"], models=models, hold_output_tokens=16, **settings)
        self.stack.env = self.clock.env
        self.stack.start()
        self.http = httpx.Client(timeout=60 * PATIENCE)

    def key(self, period="day", usd=CAP_USD):
        return self.stack.key(usd=usd, period=period)

    def call(self, key, max_tokens=1, **more):
        body = {"model": "small", "messages": [{"role": "user", "content": "x"}], "max_tokens": max_tokens, **more}
        return self.http.post(self.stack.url + "/v1/chat/completions", json=body,
                              headers={"Authorization": "Bearer " + key["key"]})

    def spend(self, key):
        """Until it is refused; how many calls that took."""
        for count in range(100):
            answer = self.call(key, 4096)
            if answer.status_code != 200:
                assert answer.status_code == 429 and answer.json()["error"]["code"] == "insufficient_quota"
                return count
        pytest.fail("the cap was never reached")

    @contextlib.contextmanager
    def stream(self, key, max_tokens=4000):
        """Yields an iterator of its events, the first of which has arrived."""
        body = {"model": "paced", "messages": [{"role": "user", "content": "x"}], "max_tokens": max_tokens,
                "stream": True}
        with self.http.stream("POST", self.stack.url + "/v1/chat/completions", json=body,
                              headers={"Authorization": "Bearer " + key["key"]}) as answer:
            assert answer.status_code == 200
            events = (line for line in answer.iter_lines() if line)
            next(events)
            yield events

    def ledger(self):
        if self.stack.server.child.poll() is None:  # an acknowledged write stands behind all that came before it
            answer = self.http.post(self.stack.url + "/api/v1/api_keys", headers={"Authorization": "Bearer " + self.admin()},
                                    json={"apiKeyType": "INFERENCE", "description": "-"})
            assert answer.status_code == 200, answer.text
        return contextlib.closing(LedgerFile(self.stack.folder / "tollkey.db"))

    def admin(self):
        if not hasattr(self, "admin_key"):
            self.admin_key = self.stack.key("admin")["key"]
        return self.admin_key

    def used(self, key, kind, at):
        with self.ledger() as ledger:
            return ledger.posted(key_id(key), "usd", kind, window_number(kind, utc(at)))

    def entries(self, key):
        with self.ledger() as ledger:
            return sorted((e for e in ledger.entries.values() if e.subject == key_id(key)), key=lambda e: e.held_s)


def key_id(key):
    return uuid.UUID(key["id"])


@pytest.fixture
def world(tmp_path):
    made = []

    def make(at, **settings):
        made.append(World(tmp_path, at, **settings))
        return made[-1]
    yield make
    for one in made:
        one.http.close()
        one.stack.stop()


def is_spent(used):
    return CAP - SMALLEST < used <= CAP


# ---- windows turn ----


def test_a_day_turns_at_midnight_under_load(world):
    """No call that begins before midnight is served from the new day, none that begins after it is refused by the old."""
    w = world("2027-03-09T23:59:56")
    probe, hot, over = w.key(), w.key(), threading.Event()
    w.spend(probe)
    probes = []

    def load():
        while not over.is_set():
            w.call(hot, 20)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        running = [pool.submit(load) for _ in range(8)]
        try:
            while not probes or probes[-1][1] != 200:
                began = w.clock.now()
                assert began < utc("2027-03-10T00:00:30"), "the window never turned"
                probes.append((began, w.call(probe).status_code, w.clock.now()))
            w.spend(probe)
        finally:
            over.set()
        for done in running:
            done.result()
    w.spend(hot)
    midnight = utc("2027-03-10T00:00:00")
    assert len(probes) > 10 and probes[-1][2] >= midnight, "served from a day that had not begun"
    assert not [began for began, status, _ in probes if began >= midnight and status != 200], "refused after midnight"
    assert 0 < w.used(hot, DAY, "2027-03-09") <= CAP and is_spent(w.used(hot, DAY, "2027-03-10"))
    assert is_spent(w.used(probe, DAY, "2027-03-09")) and is_spent(w.used(probe, DAY, "2027-03-10"))


@pytest.mark.parametrize("before,after,turns", [
    ("2027-01-30T12:00:00", "2027-01-31T23:59:58", False),
    ("2027-01-31T23:59:50", "2027-02-01T00:00:01", True),
    ("2027-02-28T23:59:50", "2027-03-01T00:00:01", True),
    ("2028-02-28T23:59:50", "2028-02-29T23:59:50", False),   # a leap year
    ("2028-02-29T23:59:50", "2028-03-01T00:00:01", True),
    ("2027-12-31T23:59:50", "2028-01-01T00:00:01", True),
], ids=lambda value: str(value))
def test_a_month_ends_with_its_last_day(world, before, after, turns):
    w = world(before)
    key, whole = w.key("month"), w.key("lifetime")
    assert w.spend(key) and w.spend(whole)
    w.clock.set(after)
    assert bool(w.spend(key)) == turns
    assert w.spend(whole) == 0, "a lifetime never turns"
    assert is_spent(w.used(key, MONTH, before)) and is_spent(w.used(key, MONTH, after))
    assert len({e.held_s // 86400 for e in w.entries(key)}) == (2 if turns else 1)


# ---- the clock steps back ----


def test_steps_back_reopen_nothing(world):
    w = world("2027-05-04T10:00:00")
    key, half = w.key(), w.key()
    assert w.call(half, 40).status_code == 200
    left_behind = w.used(half, DAY, "2027-05-04")
    w.clock.set("2027-05-05T10:00:00")
    assert w.spend(key) and w.spend(half)
    for back in ("2027-05-05T09:00:00", "2027-05-04T23:59:59", "2027-05-04T10:00:00", "2027-04-01T00:00:00",
                 "2027-05-05T09:59:00"):
        w.clock.set(back)
        assert w.spend(key) == 0 and w.spend(half) == 0, f"something could be spent again after a step to {back}"
    assert w.used(half, DAY, "2027-05-04") == left_behind, "the day before was over"
    assert is_spent(w.used(key, DAY, "2027-05-05")) and is_spent(w.used(half, DAY, "2027-05-05"))
    w.clock.set("2027-05-06T00:00:01")
    assert w.spend(key) and w.spend(half), "the next day comes all the same"


def test_a_step_back_over_a_restart_doubles_no_allowance(world):
    """A new process has only the clock to go by; but what a window has used is in the store."""
    w = world("2027-05-04T10:00:00")
    key = w.key()
    w.spend(key)
    w.clock.set("2027-05-05T10:00:00")
    w.spend(key)
    for at in "2027-05-04T10:00:00", "2027-05-05T10:00:00", "2027-05-04T10:00:00":
        w.stack.server.stop()
        w.clock.set(at)
        w.stack.start()
        assert w.spend(key) == 0
    for day in "2027-05-04", "2027-05-05":
        assert is_spent(w.used(key, DAY, day))


def test_a_clock_that_trembles_around_midnight(world):
    """Steps to and fro while many spend: two days are two allowances, however often midnight is crossed."""
    w = world("2027-06-15T23:59:55")
    keys, over = [w.key() for _ in range(4)], threading.Event()

    def load(key):
        while not over.is_set():
            assert w.call(key, 7).status_code in (200, 429)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        running = [pool.submit(load, key) for key in keys for _ in range(2)]
        for i in range(40):
            w.clock.set("2027-06-16T00:00:05" if i % 2 else "2027-06-15T23:59:55")
            w.call(keys[0])
        w.clock.set("2027-06-16T00:00:05")
        for key in keys:
            w.spend(key)
        over.set()
        for done in running:
            done.result()
    for key in keys:
        assert is_spent(w.used(key, DAY, "2027-06-16"))
        assert w.used(key, DAY, "2027-06-15") <= CAP
        held = [e.held_s for e in w.entries(key)]
        assert {int(at // 86400) for at in held} <= {int(utc("2027-06-15") // 86400), int(utc("2027-06-16") // 86400)}


# ---- what runs while the clock moves ----


@pytest.mark.parametrize("after", ["2027-08-02T00:00:00", "2027-08-05T07:00:05"], ids=["midnight", "three_days"])
def test_a_stream_belongs_to_the_window_of_its_hold(world, after):
    """Over midnight, and over a sleep of the machine of three days; extended by many steps on the far side."""
    w = world("2027-08-01T23:59:57")
    key = w.key(usd="1")
    with w.stream(key, max_tokens=300) as events:
        next(events)
        if after.endswith("00:00:00"):
            w.clock.wait_until(after)
        else:
            w.clock.set(after)
        assert w.call(key, 5).status_code == 200
        far = sum('"content":"' in line for line in events)
    assert far > 100, "most of it came on the far side"
    old, new = w.entries(key)
    assert old.output == 300 and old.flags == 0
    assert old.held_s < utc("2027-08-02") and new.held_s // 86400 == utc(after) // 86400
    assert w.used(key, DAY, "2027-08-01") == old.due["usd"] == old.input * NANO_INPUT + 300 * NANO_OUTPUT
    assert w.used(key, DAY, after) == new.due["usd"]


def test_streams_from_before_midnight_end_at_the_cap_of_their_day(world):
    """Each was told that it may use all that was left; together they get it once, whatever the new day offers."""
    w = world("2027-08-01T23:59:57")
    key = w.key()
    with w.stream(key) as one, w.stream(key) as other:
        w.clock.set("2027-08-02T00:00:05")
        assert w.spend(key), "the new day is all there"
        lasts = [[line for line in events if line.startswith("data: {")][-1] for events in (one, other)]
    errors = [json.loads(last[6:])["error"]["code"] for last in lasts if '"error"' in last]
    assert errors and set(errors) == {"insufficient_quota"}
    assert is_spent(w.used(key, DAY, "2027-08-01")) and is_spent(w.used(key, DAY, "2027-08-02"))


def test_an_edit_after_midnight_keeps_the_window_of_a_stream(world):
    """An edit reloads the counters, also those of the window that is over but for this stream."""
    w = world("2027-08-01T23:59:57")
    key = w.key(usd="0.001")
    with w.stream(key) as events:
        w.clock.set("2027-08-03T00:00:05")
        w.stack.cli("key", "edit", key["id"], "--usd", CAP_USD)
        deadline = time.monotonic() + 30 * PATIENCE
        while json.loads(w.stack.cli("key", "show", key["id"], "--json").stdout)["limits"]["usd"] != float(CAP_USD):
            assert time.monotonic() < deadline
        assert w.spend(key)
        last = [line for line in events if line.startswith("data: {")][-1]
    assert "error" in json.loads(last[6:])
    assert w.used(key, DAY, "2027-08-01") <= 10**6 and is_spent(w.used(key, DAY, "2027-08-03"))


def test_many_streams_over_a_sleep_of_three_days(world):
    """All streams of a loaded server are in the middle when it sleeps: each posts into its own day, none twice."""
    w = world("2027-12-30T12:00:00")
    keys = [w.key(usd="1") for _ in range(4)]
    woken = threading.Event()

    def one(key):
        with w.stream(key, max_tokens=150) as events:
            assert woken.wait(60 * PATIENCE)
            return sum('"content":"' in line for line in events)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        running = [pool.submit(one, keys[i % 4]) for i in range(16)]
        while w.stack.truth()["total"]["completion_tokens"] < 16 * 10:
            assert not any(done.done() for done in running)
        w.clock.set("2028-01-02T12:00:00")
        assert w.call(keys[0]).status_code == 200
        woken.set()
        assert all(done.result() > 0 for done in running)
    for key in keys:
        old = [e for e in w.entries(key) if e.held_s < utc("2027-12-31")]
        assert len(old) == 4 and all(e.output == 150 and e.flags == 0 for e in old)
        assert w.used(key, DAY, "2027-12-30") == sum(e.due["usd"] for e in old)


def test_a_doubt_ends_with_its_day(world):
    """kill -9 in the middle of a stream leaves its lease in doubt until midnight, and no longer."""
    w = world("2027-09-09T12:00:00")
    key = w.key()
    with pytest.raises(httpx.HTTPError), w.stream(key) as events:
        w.stack.server.kill()
        for _ in events:
            pass
    w.stack.start()
    w.spend(key)
    used = w.used(key, DAY, "2027-09-09")
    assert used < CAP - SMALLEST, "some of it is in doubt"
    w.clock.set("2027-09-10T00:00:01")
    assert w.spend(key) and is_spent(w.used(key, DAY, "2027-09-10"))
    w.stack.server.stop()
    w.stack.start()
    assert w.spend(key) == 0
