#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""torture: kills the real server again and again under load, and then asks whether the ledger is still true.

    torture.py [--seed N] [--kills N] [--seconds N] [--clients N]

The server is the real binary on real SQLite; the provider is `tollkey demo-upstream`, which counts what it really
produced, at a pace, and which is never killed. Streaming clients share keys with small caps over days, months and a
lifetime. They leave in the middle, read slowly, ask for whole answers and embeddings; some keys have no cap; caps are
raised while they are being reached. The server dies by SIGKILL: at any time, right after an answer or an acknowledged
edit, or while it starts. After each death a copy of its files is looked at, and the next server goes on with the
originals.

At the end the server is stopped cleanly, what is left on each key is spent, and audit.py compares. A violation prints
the seed and the key, and the exit status is 1. The seed fixes what is tried, not how threads interleave: a failure
may need several runs to show again.
"""

import argparse
import asyncio
import collections
import contextlib
import dataclasses
import json
import math
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid

import httpx

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parents[1] / "e2e")]

import audit  # noqa: E402
import client  # noqa: E402
from resolver import KIND_OF, USER, Resolver, to_int  # noqa: E402
from ledger_file import DAY, HOUR, LIFETIME, METERS, MONTH, WEEK, LedgerFile, window_number  # noqa: E402
from stack import BINARY, PATIENCE, PRICE, Stack, faked_clock  # noqa: E402

DELAYS_MS = {"paced": 10, "quick": 4, "slow": 25}   # the provider's time for a token
LAG_S = 1.0 * PATIENCE                              # longest time that bytes lie between two processes
TOKENS = 150                                        # of an answer whose length nobody limits
CALLS_MAX = 900                                     # of one life of the server: the truth keeps 1024 users apart
KEYS_NR = 24
REST_TOKENS = 20000
TURNED_DAYS = 40                                    # in which every window but a lifetime turns
LAST_LIFE_S = 2                                     # of load, before the server is stopped cleanly
VIOLATIONS_SHOWN = 50
PRICE_MOST = 600                                    # nano for a token
# In doubt after one death: what each client needs in the seconds for which a lease lends (service/account.h), in holds
# that are larger than any here. Windows that nobody comes near have caps that are many thousand times as large.
DOUBT_HOLDS = 32
HOLD_MOST = {"usd": 1000 * PRICE_MOST, "tokens": 1000, "requests": 1}
AUDITED = 0.25                                      # of all deaths; an operator speaks in the life after it


def model(name, fault, **more):
    return {"id": name, "provider": "demo", "upstream_id": f"demo-small+{fault}", "max_output_tokens": 4096,
            "price": PRICE, **more}


MODELS = [
    *(model(name, f"delay={ms}") for name, ms in DELAYS_MS.items()),
    model("whole", "delay=10"), model("mute", "delay=10+no-usage"), model("breaks", "delay=10+break-after=20"),
    model("rest", f"delay=0+tokens={REST_TOKENS}", max_output_tokens=REST_TOKENS),
    {"id": "embed", "provider": "demo", "upstream_id": "demo-embed", "type": "embedding", "price": {"input": 0.02}},
]
PRICES = {m["id"]: (150, 600) for m in MODELS} | {"embed": (20, 0)}


@dataclasses.dataclass(eq=False)
class Key:
    name: str
    id: uuid.UUID
    secret: str
    weight: int
    cap: int | None           # nano, as the store has it at least
    asked: int | None = None  # a cap that was asked for and perhaps not acknowledged
    refusals: int = 0

    @property
    def limited(self):
        return self.cap is not None

    @property
    def edge(self):
        """Always close to its cap, where leases lend exactly what is needed and nothing hides in their slack."""
        return self.name.startswith("edge")


class Failure(Exception):
    """The run cannot go on."""


class Torture:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.rng = random.Random(options.seed)
        self.stack = Stack(folder, models=MODELS, demo_args=["--tokens", str(TOKENS)], hold_output_tokens=64)
        self.stack.write_config()
        self.resolver = Resolver(self.stack)
        self.demo_port = int(self.stack.demo.url.rsplit(":", 1)[1])
        self.keys, self.calls, self.truth, self.violations = [], [], {}, []
        self.kills = collections.Counter()
        self.stored = {}                # id -> due: entries that were in the store at some death
        self.acknowledged_at = 0        # when the last acknowledged write was sent

    # ---- keys ----

    def make_keys(self):
        rng = self.rng
        self.admin = self.stack.key("admin")["key"]
        self.stack.cli("user", "add", USER)
        for i in range(KEYS_NR):
            period = ("day", "month", "lifetime")[i % 3]
            if i < 3:
                name, cap, weight = f"hot{i}", rng.randrange(100, 400) * 10**6, 8
            elif i < 6:
                name, cap, weight = f"free{i}", None, 1
            elif i < 12:
                name, cap, weight = f"edge{i}", rng.randrange(1, 6) * 10**5, 8
            else:
                name, cap, weight = f"small{i}", rng.randrange(2, 40) * 10**5 * rng.choice((1, 10)), 1
            made = self.stack.key(usd=cap and client_money(cap), period=period, description=name,
                                  user=None if i % 2 else USER)
            self.keys.append(Key(name, uuid.UUID(made["id"]), made["key"], weight, cap))
        self.weights = [key.weight for key in self.keys]
        self.more_limits()

    def more_limits(self):
        """What the command line does not set: a second limit on small keys, and limits of their groups, which are too
        wide to be reached, but count and are lent all the same."""
        db = sqlite3.connect(self.folder / "tollkey.db")
        [(workspace, org)] = db.execute("SELECT DISTINCT workspace, org FROM api_key")
        [(user,)] = db.execute("SELECT id FROM org_user")
        rows = [(org, 0, "usd", DAY, "1000"), (org, 1, "tokens", LIFETIME, str(10**12)),
                (workspace, 0, "usd", MONTH, "1000"), (workspace, 1, "requests", WEEK, str(10**9)),
                (user, 0, "usd", DAY, "1000"), (user, 1, "tokens", MONTH, str(10**12))]
        kinds = [("requests", DAY, 40, 400), ("tokens", LIFETIME, 2000, 40000), ("usd", HOUR, 5, 50), None]
        for i, key in enumerate(key for key in self.keys if key.name.startswith("small")):
            if kinds[i % len(kinds)]:
                meter, kind, least, most = kinds[i % len(kinds)]
                cap = self.rng.randrange(least, most)
                rows.append((key.id.bytes, 1, meter, kind, client_money(cap * 10**6) if meter == "usd" else str(cap)))
        for subject, ordinal, meter, kind, cap in rows:
            db.execute("INSERT INTO subject_limit (subject, ordinal, meter, window_kind, cap, window_days, window_anchor, "
                       "flags, alert, base_number, base) VALUES (?, ?, ?, ?, ?, 0, 0, 0, '0', 0, 0)",
                       (subject, ordinal, METERS.index(meter), kind, cap))
        db.commit()
        db.close()

    # ---- the load ----

    def next_call(self, rng):
        key = rng.choices(self.keys, self.weights)[0]
        call = client.Call(user=f"{key.name}.{len(self.calls)}", key=key, words=rng.randrange(1, 30),
                           model=rng.choice(tuple(DELAYS_MS)))
        self.calls.append(call)
        kind = rng.random()
        if kind < 0.08:
            call.path, call.model, call.stream = "/v1/embeddings", "embed", False
            return call
        if kind < 0.20:
            call.model, call.stream, call.max_tokens = "whole", False, rng.randrange(1, 60)
            call.path = rng.choice(("/v1/chat/completions", "/v1/completions"))
        elif kind < 0.30:
            call.model = rng.choice(("mute", "breaks"))
        else:
            call.max_tokens = rng.choice((None, rng.randrange(1, 120)))
        ending = rng.random()
        if ending < 0.12:
            call.leave_after_s = rng.uniform(0, 0.8)
        elif ending < 0.24 and call.stream:
            call.leave_after_tokens = rng.randrange(0, 60)
        elif ending < 0.30 and call.stream:
            call.nap_s = 0.05
        call.leave_by_reset = rng.random() < 0.5
        return call

    async def one_client(self, rng):
        while not self.over and len(self.calls) - self.calls_before < CALLS_MAX:
            call = self.next_call(rng)
            await client.perform(self.server, call.key.secret, call)
            self.life_calls.append(call)
            if call.end == "refused":
                call.key.refusals += 1
                await asyncio.sleep(rng.uniform(0, 0.05))
            if call.end in ("done", "cut"):
                self.ends += 1
                self.progress.set()

    async def raise_caps(self, rng):
        """Caps grow while they are reached: an edit reloads the counters under live holds. Some are made by the command
        line, as another process on the same file, of which the server learns by the change log."""
        while not self.over:
            await asyncio.sleep(rng.uniform(0.02, 0.2))
            wanting = [key for key in self.keys if key.limited and key.refusals > 3]
            if not wanting:
                continue
            key = rng.choice(wanting)
            key.asked = key.cap + rng.randrange(1, 6) * 10**5 * (1 if key.edge else 20)
            if rng.random() < 0.3:
                await asyncio.to_thread(self.stack.cli, "key", "edit", str(key.id), "--usd", client_money(key.asked))
                key.cap, key.refusals = key.asked, 0
                continue
            sent_at = time.monotonic()
            status = await client.ask(self.server, "PATCH", "/api/v1/api_keys", self.admin,
                                      {"id": str(key.id), "consumptionLimit": {"usd": key.asked / 1e9}})
            if status == 200:
                key.cap, key.refusals, self.acknowledged_at = key.asked, 0, sent_at
                self.edits += 1
                self.progress.set()
            elif status is not None:
                raise Failure(f"an edit was answered with {status}")

    # ---- one life of the server ----

    async def until(self, manner, rng, gap_s):
        """Returns at the moment of death."""
        if manner == "any time":
            await asyncio.sleep(rng.uniform(0, 2 * gap_s))
            return
        ends = self.ends + rng.randrange(1, 40) if manner == "after an answer" else None
        edits = self.edits + 1 if manner == "after an edit" else None
        deadline = time.monotonic() + 2 * gap_s + 1
        while time.monotonic() < deadline:
            if ends and self.ends >= ends or edits and self.edits >= edits:
                return
            self.progress.clear()
            try:
                await asyncio.wait_for(self.progress.wait(), deadline - time.monotonic())
            except TimeoutError:
                return

    async def live(self, end_of_life, clients, edits=True):
        """Starts a server and loads it until end_of_life(tasks) has ended it; collects what came of the calls."""
        await asyncio.to_thread(self.stack.start)
        host, port = self.stack.url.removeprefix("http://").rsplit(":", 1)
        self.server = (host, int(port))
        self.over, self.life_calls, self.calls_before = False, [], len(self.calls)
        self.ends = self.edits = 0
        self.progress = asyncio.Event()
        tasks = [asyncio.create_task(self.one_client(random.Random(self.rng.random()))) for _ in range(clients)]
        if edits:
            tasks.append(asyncio.create_task(self.raise_caps(random.Random(self.rng.random()))))
        if edits:
            await asyncio.to_thread(self.resolver.resolve_some, self.rng, 4)
            self.resolver.needs = {}  # what this life leaves open is not known yet
        await end_of_life(tasks)
        self.over = True
        await asyncio.wait_for(asyncio.gather(*tasks), 60 * PATIENCE)

    async def die(self, manner, gap_s):
        async def end_of_life(_):
            await self.until(manner, self.rng, gap_s)
            if self.stack.server.child.poll() is not None:
                raise Failure("the server died by itself:\n" + "\n".join(self.stack.server.log))
            self.killed_at = time.monotonic()
            self.stack.server.kill()
        await self.live(end_of_life, self.options.clients)
        for call in self.life_calls:
            call.killed = True
            call.durable = call.end == "done" and call.ended_at < self.acknowledged_at
            if call.end == "lost" and call.ended_at < self.killed_at:
                self.violations.append(f"key {call.key.name}, call {call.user}: the server broke the connection")
        await self.quiet()
        self.take_truth()

    async def die_in_start(self):
        child = subprocess.Popen([BINARY, "serve", "--config", str(self.stack.config)], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        await asyncio.sleep(self.rng.uniform(0, 0.03) * PATIENCE)
        child.kill()
        child.wait()

    async def quiet(self):
        """Waits until the provider has noticed that the server is dead: no connection to it is left."""
        deadline = time.monotonic() + 30 * PATIENCE
        while connections(self.demo_port):
            if time.monotonic() > deadline:
                raise Failure("the provider still works for a dead server")
            await asyncio.sleep(0.005)

    def take_truth(self):
        """The provider's counts of this life; they are set back, because it keeps only so many users apart."""
        with httpx.Client(base_url=self.stack.demo.url, headers={"Connection": "close"}, verify=False) as demo:
            truth = demo.get("/demo/truth").json()
            demo.post("/demo/truth/reset")
        if "(others)" in truth["users"]:
            raise Failure("more calls than the provider keeps apart")
        for user, counts in truth["users"].items():
            if user in self.truth:
                raise Failure(f"the provider was asked twice for {user}")
            self.truth[user] = counts

    # ---- what a death left behind ----

    def look(self):
        """On a copy: to open the file would mend it before the server has to."""
        grave = self.folder / "grave"
        shutil.rmtree(grave, ignore_errors=True)
        grave.mkdir()
        for name in ("tollkey.db", "tollkey.db-wal"):
            if (self.folder / name).exists():
                shutil.copy(self.folder / name, grave / name)
        ledger = LedgerFile(grave / "tollkey.db")
        try:
            self.check(ledger)
            if self.rng.random() < AUDITED:
                self.resolver.learn(ledger, self.audit(ledger).rows)
        finally:
            ledger.close()

    def audit(self, ledger, clean_since_s=None):
        lag_tokens = math.ceil(LAG_S * 1000 / min(DELAYS_MS.values()))
        result = audit.Audit(ledger, self.keys, self.calls, self.truth, self.resolver.spent, PRICES, lag_tokens)
        result.run()
        if clean_since_s:
            result.whole_answers(clean_since_s)
        self.violations += result.violations
        return result

    def check(self, ledger):
        if ledger.integrity() != ["ok"]:
            self.violations.append(f"integrity: {ledger.integrity()}")
        for entry_id, due in self.stored.items():
            if entry_id not in ledger.entries or ledger.entries[entry_id].due != due:
                self.violations.append(f"entry {entry_id} was in the store and is not any more, or has changed")
        self.stored = {entry.id: entry.due for entry in ledger.entries.values()}
        for call in self.calls:
            if call.durable and call.id not in ledger.entries:
                self.violations.append(f"key {call.key.name}, call {call.user}: was answered before an edit that was "
                                       "acknowledged, and is lost")
        for key in self.keys:
            if key.limited:
                cap = ledger.limits[key.id][0].cap
                if cap not in (key.cap, key.asked):
                    self.violations.append(f"key {key.name}: the cap {key.cap} was acknowledged, {cap} is stored")
                key.cap = cap
        for subject in [key.id for key in self.keys] + [*ledger.groups[self.keys[0].id]]:
            for limit, number in ledger.windows(subject):
                used = ledger.posted(subject, *limit[:2], number) + ledger.doubt(subject, *limit[:2], number)
                if used > limit.cap:
                    self.violations.append(f"subject {subject}: posted and in doubt {used} above {limit}")

    # ---- the end ----

    async def last_life(self):
        """Ends cleanly: every client is served to its end first."""
        async def end_of_life(tasks):
            await asyncio.sleep(LAST_LIFE_S)
            self.over = True
            await asyncio.gather(*tasks)
            await asyncio.to_thread(self.stack.server.stop)
        self.last_life_s = int(time.time())
        await self.live(end_of_life, self.options.clients)
        self.take_truth()

    async def spend_rest(self):
        """Whatever is not posted and not in doubt can still be spent: asks each key until it refuses."""
        async def spend(key):
            while True:
                call = client.Call(user=f"{key.name}.rest{len(self.calls)}", key=key, model="rest", stream=False,
                                   words=1, max_tokens=REST_TOKENS, path="/v1/completions")
                self.calls.append(call)
                await client.perform(self.server, key.secret, call)
                if call.end != "done":
                    return call

        async def end_of_life(_):
            self.last_refused = await asyncio.gather(*(spend(key) for key in self.keys if key.limited))
            await asyncio.to_thread(self.stack.server.stop)
        await self.live(end_of_life, clients=0, edits=False)
        self.take_truth()

    def check_rest(self, ledger, rows, now_s):
        """A key was refused only where the least that its last call needed was left on none of its limits."""
        for call in self.last_refused:
            size = len(json.dumps(call.body()))
            input_nano, output_nano = PRICES["rest"]
            least = {"usd": size * input_nano + output_nano, "tokens": size + 1, "requests": 1}
            subjects = (call.key.id, *ledger.groups[call.key.id])
            left = [(row.limit.meter, row.limit.cap - row.posted - row.doubt) for row in rows
                    if row.subject in subjects and row.number == window_number(row.limit.kind, now_s)]
            if call.status != 429 or all(rest >= least[meter] for meter, rest in left):
                self.violations.append(f"key {call.key.name}: was answered {call.status} {call.text}, and there is left "
                                       + ", ".join(f"{rest} of {meter}" for meter, rest in left))

    def closed(self):
        """The store's file while no server has it."""
        return contextlib.closing(LedgerFile(self.folder / "tollkey.db"))

    async def end(self):
        """Audits what the deaths have left; then nothing is left in doubt and all can be spent; then windows turn."""
        await self.last_life()
        with self.closed() as ledger:
            self.check(ledger)
            result = self.audit(ledger, self.last_life_s)
            self.check_doubt(result.rows)
            self.resolver.learn(ledger, result.rows)
            self.check_listed(ledger)
        print(audit.table(result.rows))
        self.resolver.resolve_all()
        await self.spend_rest()
        with self.closed() as ledger:
            self.check(ledger)
            self.check_rest(ledger, self.audit(ledger).rows, time.time())
        self.stack.env = faked_clock(FAKETIME=f"+{TURNED_DAYS}d")
        await self.spend_rest()
        with self.closed() as ledger:
            self.check_turned(ledger, time.time() + TURNED_DAYS * 86400)
        return result

    def check_doubt(self, rows):
        """What the deaths put into doubt follows what was needed, not the cap."""
        holds = sum(self.kills.values()) * self.options.clients * DOUBT_HOLDS
        for row in rows:
            if row.limit.meter in HOLD_MOST and row.doubt > holds * HOLD_MOST[row.limit.meter]:
                self.violations.append(f"subject {row.subject}: {row}: more is in doubt than {holds} holds")

    def check_listed(self, ledger):
        """`tollkey ledger doubt` shows what the file has."""
        listed = {(subject, meter, KIND_OF[window], number): to_int(meter, amount)
                  for subject, _, meter, window, number, amount in self.resolver.listed()}
        stored = {(subject, *at): amount for subject, rows in ledger.doubts.items() for at, amount in rows.items()
                  if at[2] == window_number(at[1], time.time())}
        if listed != stored or any(ledger.leases.values()):
            self.violations.append(f"listed as in doubt: {listed}, stored: {stored}, and leases {ledger.leases}")

    def check_turned(self, ledger, now_s):
        """Weeks later only lifetimes remember: each other window can be spent to its end, and nothing of it is in doubt."""
        rows = [audit.Row(subject, None, limit, number, ledger.posted(subject, *limit[:2], number),
                          ledger.doubt(subject, *limit[:2], number), 0, 0)
                for subject in [key.id for key in self.keys] + [*ledger.groups[self.keys[0].id]]
                for limit, number in ledger.windows(subject) if number == window_number(limit.kind, now_s)]
        self.check_rest(ledger, rows, now_s)
        for row in rows:
            if row.posted + row.doubt > row.limit.cap or row.doubt and row.limit.kind != LIFETIME:
                self.violations.append(f"subject {row.subject}: {row} in a window that has turned")

    async def run(self):
        self.make_keys()
        gap_s = self.options.seconds / self.options.kills
        for i in range(self.options.kills):
            manner = self.rng.choices(("any time", "after an answer", "after an edit", "while it starts"),
                                      (8, 4, 4, 2))[0]
            if manner == "while it starts":
                await self.die_in_start()
            else:
                await self.die(manner, gap_s)
            self.kills[manner] += 1
            self.look()
            say(f"death {i + 1}, {manner}: {len(self.calls)} calls, {len(self.stored)} entries")
        self.report(await self.end())

    def report(self, result):
        ends = collections.Counter(call.end for call in self.calls)
        print(f"kills: {sum(self.kills.values())}: " + ", ".join(f"{n} {manner}" for manner, n in self.kills.items()))
        print(f"calls: {len(self.calls)}: " + ", ".join(f"{ends[end]} {end}" for end in client.ENDS))
        print(f"entries: {len(self.stored)}; words of an operator on a doubt: {self.resolver.words}")
        print(f"in flight: {audit.amount('usd', sum(result.in_flight.values()))} of "
              f"{audit.amount('usd', sum(result.cost(c, *result.produced(c)) for c in self.calls))}, at most {result.worst} tokens of one call")
        if sum(result.forgotten.values()):
            print("spent without a limit and lost by a kill: " + audit.amount("usd", sum(result.forgotten.values())))


# ---- helpers ----

def client_money(nano):
    return f"{nano // 10**9}.{nano % 10**9:09d}"


def connections(port):
    """TCP connections of the server of this port that some process still has open."""
    count = 0
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, state = line.split()[1], line.split()[3]
        count += int(local.rsplit(":", 1)[1], 16) == port and state not in ("0A", "06")  # listening, TIME_WAIT
    return count


def say(text):
    if sys.stderr.isatty():
        print(text, file=sys.stderr)


def options_of(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=60, help="of load, spread over the kills")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--keep", action="store_true", help="leave the store's files in place")
    return parser.parse_args(argv)


def main(argv):
    options = options_of(argv)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tollkey-torture-"))
    torture = Torture(options, folder)
    begun = time.monotonic()
    try:
        asyncio.run(torture.run())
    except (Failure, AssertionError) as failure:
        torture.violations.append(str(failure))
    finally:
        for process in (torture.stack.server, torture.stack.demo):
            if process and process.child.poll() is None:
                process.kill()
        if not options.keep:
            shutil.rmtree(folder)
    violations = list(dict.fromkeys(torture.violations))  # some are seen at each death
    for text in violations[:VIOLATIONS_SHOWN]:
        print(f"VIOLATION (seed {options.seed}): {text}")
    print(f"torture: seed {options.seed}, {time.monotonic() - begun:.0f} s, {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
