# SPDX-License-Identifier: Apache-2.0
"""bench_scale: what a great number of keys costs: the start, and the memory of each.

  tools/bench scale
  build/venv/bin/python tests/bench/bench_scale.py [--quick] [--keys N] [--spenders N]

  start     from the start of the process until it says `ready`, with so many keys in the store; median of three. The
            store is written by fill_keys: straight, in the order of digests, 50,000 keys a transaction. 10 million
            take some minutes and 6 GB; --quick leaves them out, and so does a disk without room
  checked   resident memory a key, once every key was checked (GET /v1/models): its record with two limits, its account
  spending  as checked, once every key made a call that was held, posted and stored: its two counters beside that

Resident memory is VmRSS of the process. What SQLite keeps of its file has a fixed size (8 MB a reader, 32 MB for the
writer), so before each measurement other keys fill it: only what grows with keys is divided by keys. The line `all in
all` divides everything.
"""

import argparse
import contextlib
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

from bench_gateway import CHAT, Bench, each_once, fail, print_machine, request_text, HELPERS, BUILD

KEYS = 300_000
SPENDERS = 100_000
WARMING = 60_000  # of each kind of request, for the caches
TEN_MILLION, TEN_MILLION_BYTES = 10_000_000, 12_000_000_000  # with the log of the last transactions, and room to spare
START_BAR_MS = 1000
KEY_BAR_BYTES = 400


class Scale(Bench):
    """As Bench, without what only its rows need."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.stack = contextlib.ExitStack()
        self.upstream = self.demo = self.slow_demo = self.nginx("upstream", self.upstream_conf())

    def fill_unseen(self, store, count):
        done = subprocess.run([HELPERS / "fill_keys", f"sqlite:{store}", str(count)], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            fail(done.stderr)


def verdict(value, bar):
    return f"bar {bar}: {'met' if value <= bar else 'NOT MET'}"


def measure_start(bench, name, count, fill):
    """A store with so many keys; what fill returns of them, and the configuration on it."""
    store = bench.path(f"{name}.db")
    began = time.monotonic()
    keys = fill(store, count)
    filled_s = time.monotonic() - began
    config = bench.config(name, store)
    starts = []
    for _ in range(3):
        server = bench.tollkey(config)
        starts.append(server.ready_s * 1000)
        server.stop()
    ready_ms = statistics.median(starts)
    print(f"start     {count:>10,} keys, {store.stat().st_size / 1e9:.2f} GB, written in {filled_s:.0f} s: ready after "
          f"{ready_ms:.0f} ms   {verdict(ready_ms, START_BAR_MS)}", flush=True)
    return keys, config


def growth(server, text, warming, keys):
    """What a key of `keys` adds once such a request was made with it; the others only warm up."""
    each_once(server.url, text, warming)
    before = server.resident_bytes()
    each_once(server.url, text, keys)
    return (server.resident_bytes() - before) / len(keys)


def measure_memory(server, keys, spenders_nr):
    warming, keys = keys[:WARMING], keys[WARMING:]
    idle = server.resident_bytes()
    checked = growth(server, request_text("GET", "/v1/models"), warming, keys)
    spent = growth(server, request_text("POST", "/v1/chat/completions", CHAT), warming, keys[:spenders_nr])
    print(f"checked   {checked:.0f} bytes a key with two limits   {verdict(checked, KEY_BAR_BYTES)}")
    print(f"spending  {checked + spent:.0f} bytes a key with two limits   {verdict(checked + spent, KEY_BAR_BYTES)}")
    used = server.resident_bytes()
    print(f"all in all {used / 1e6:.1f} MB, {idle / 1e6:.1f} MB of it before the first request; "
          f"{len(warming) + len(keys):,} keys checked, {WARMING + spenders_nr:,} of them spending")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--keys", type=int, default=KEYS)
    parser.add_argument("--spenders", type=int, default=SPENDERS)
    args = parser.parse_args()
    if args.keys < WARMING + args.spenders:
        fail("more keys must be checked than spend")
    if subprocess.run(["ninja", "-C", BUILD, HELPERS.relative_to(BUILD) / "fill_keys"],
                      stdout=subprocess.DEVNULL).returncode != 0:
        fail("the helpers do not build")
    print_machine()
    with tempfile.TemporaryDirectory(prefix="tollkey-bench-") as folder:
        bench = Scale(folder)
        with bench.stack:
            keys, config = measure_start(bench, "million", max(1_000_000, args.keys), bench.fill)
            measure_memory(bench.tollkey(config), keys[:args.keys], args.spenders)
            if args.quick:
                return
            free = shutil.disk_usage(folder).free
            if free < TEN_MILLION_BYTES:
                print(f"start     {TEN_MILLION:>10,} keys: not measured; they take {TEN_MILLION_BYTES / 1e9:.0f} GB, "
                      f"{free / 1e9:.0f} GB are free")
                return
            measure_start(bench, "ten", TEN_MILLION, bench.fill_unseen)


if __name__ == "__main__":
    main()
