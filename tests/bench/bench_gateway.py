# SPDX-License-Identifier: Apache-2.0
"""bench_gateway: what a request costs in Tollkey, beside nginx and a bare libh2o handler, in one run.

  tools/bench gateway
  build/venv/bin/python tests/bench/bench_gateway.py [--seconds S] [--rounds N] [--keys N] [NAME ...]    some of the rows

The measure is the CPU time that a server used (utime + stime of all its processes and threads) over the requests
that it answered, because load, servers and upstream share one machine. Each server has one loop or worker. All are
warmed up; then come rounds, in each of which every row has its turn, and the median of the rounds is shown; on a
machine so busy that they would take minutes there are fewer. A row whose answers were not all good fails the
benchmark.

  bare          libh2o's own HTTP/1 code and a handler that sends 29 bytes: what there is to lose (bare_server.c)
  check         tollkey, GET /v1/models with a key of 100,000, all in memory, four of five requests with one of 1,000
  check-nginx   nginx: a map of 10,000 keys and limit_req by key, drawn in the same way; answers an empty GIF, the
                only content that comes after limit_req and is not a file
  verify        tollkey, POST /v1/verify of another service, which counts one request of the same keys, and writes it
  chat          tollkey, POST /v1/chat/completions with one of 1,000 keys with two caps; held, posted, on disk
  chat-floor    our HTTP seam and libcurl with nothing between them (bare_proxy.c): what a call costs before anything
                is checked, held, metered or stored
  chat-nginx    nginx: proxy_pass to the same upstream, which is an nginx of its own with a constant answer
  stream        as chat, with a streamed answer of 16 events from tollkey demo-upstream, as fast as it can
  stream-floor  as chat-floor
  stream-nginx  nginx: proxy_pass to it without buffering
  drip          as stream, with a millisecond between the events, so that each comes alone, as from a real provider;
                the waiting bounds the requests/s
  drip-nginx    nginx: proxy_pass to it without buffering
  list          tollkey, GET /api/v1/api_keys with 50 keys

Everything listens on loopback and lives in a temporary folder; only processes started here are ended.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOLLKEY = pathlib.Path(os.environ.get("TOLLKEY_BIN", ROOT / "build/bench/src/cli/tollkey")).resolve()
BUILD = TOLLKEY.parents[2]
HELPERS = BUILD / "tests/bench"

KEYS = 100_000
HOT_KEYS = 1_000
NGINX_KEYS = 10_000
LISTED_KEYS = 50
SPENDERS = 20_000  # keys that call a model in the measurement of memory
STREAM_EVENTS = 16
CONNECTIONS = 32
TICK = os.sysconf("SC_CLK_TCK")
ROUNDS_UNTIL_S, HALF_LOAD_UNTIL_S = 90, 130  # no further round after so long

CHAT = {"model": "demo-small", "max_tokens": 64,
        "messages": [{"role": "system", "content": "You are a terse assistant."},
                     {"role": "user", "content": "What is the capital of France, and since when?"}]}
ANSWER = {"id": "chatcmpl-0123456789", "object": "chat.completion", "created": 1700000000, "model": "demo-small",
          "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None,
                       "message": {"role": "assistant", "refusal": None, "annotations": [],
                                   "content": "Paris; with interruptions since the late tenth century."}}],
          "usage": {"prompt_tokens": 29, "completion_tokens": 12, "total_tokens": 41,
                    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}},
          "service_tier": "default", "system_fingerprint": None}
MODEL = {"id": "demo-small", "provider": "up", "max_output_tokens": 4096, "price": {"input": 0.15, "output": 0.60}}


STARTED = time.monotonic()


def fail(why):
    sys.exit(f"bench_gateway: {why}")


# ---- processes ----

class Server:
    """A child and all processes that it started."""

    def __init__(self, *args):
        self.started = time.monotonic()
        self.child = subprocess.Popen([str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      text=True)
        self.log = []
        self.url = None
        for pipe in (self.child.stdout, self.child.stderr):
            threading.Thread(target=self._read, args=(pipe,), daemon=True).start()

    def _read(self, pipe):
        for line in pipe:
            if line.startswith("ready "):
                self.ready_s = time.monotonic() - self.started
                self.url = line.split()[1]
            self.log.append(line.rstrip())

    def wait(self, is_ready, what):
        end = time.monotonic() + 20
        while not is_ready():
            if self.child.poll() is not None or time.monotonic() > end:
                fail(f"{what} did not start:\n" + "\n".join(self.log))
            time.sleep(0.002)
        return self

    def pids(self):
        found = [self.child.pid]
        for task in pathlib.Path(f"/proc/{self.child.pid}/task").iterdir():
            found += [int(pid) for pid in (task / "children").read_text().split()]
        return found

    def cpu_s(self):
        ticks = 0
        for pid in self.pids():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])  # utime, stime
        return ticks / TICK

    def resident_bytes(self):
        for line in pathlib.Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return fail("no VmRSS")

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


def ready_server(*args):
    server = Server(*args)
    return server.wait(lambda: server.url, args[0])


class Bench:
    """The servers, each started when the first row needs it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.stack = contextlib.ExitStack()
        self.upstream = self.nginx("upstream", self.upstream_conf())
        self.demo = self.demo_upstream(0)
        self.slow_demo = self.demo_upstream(1)

    def keep(self, server):
        self.stack.callback(server.stop)
        return server

    def path(self, name, text=None):
        path = self.folder / name
        if text is not None:
            path.write_text(text)
        return path

    # tollkey

    def fill(self, store, count):
        done = subprocess.run([HELPERS / "fill_keys", f"sqlite:{store}", str(count)], capture_output=True, text=True)
        if done.returncode != 0:
            fail(done.stderr)
        return done.stdout.split()

    def demo_upstream(self, delay_ms):
        return self.keep(ready_server(TOLLKEY, "demo-upstream", "--listen", "127.0.0.1:0", "--tokens", STREAM_EVENTS,
                                      "--delay-ms", delay_ms))

    def config(self, name, store):
        models = [MODEL] + [{**MODEL, "id": f"demo-{how}", "provider": how, "upstream_id": "demo-small"}
                            for how in ("stream", "drip")]
        return self.path(f"{name}.yaml", yaml.safe_dump({
            "listen": "127.0.0.1:0", "store": f"sqlite:{store}", "loops": 1, "models": models,
            "providers": {"up": {"base_url": self.upstream.url + "/v1", "api_key": "upstream-secret"},
                          "stream": {"base_url": self.demo.url + "/v1", "api_key": "upstream-secret"},
                          "drip": {"base_url": self.slow_demo.url + "/v1", "api_key": "upstream-secret"}}}))

    def tollkey(self, config):
        return self.keep(ready_server(TOLLKEY, "serve", "--config", config))

    # nginx

    def nginx(self, name, http):
        """Debian's nginx on a socket of its own, with everything that it writes in our folder."""
        port = free_port()
        here = self.folder / name
        here.mkdir()
        user = "user root;" if os.geteuid() == 0 else ""
        paths = "".join(f"{kind}_temp_path {here}/{kind};" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.path(f"{name}/nginx.conf", f"""
            daemon off; {user} worker_processes 1; pid {here}/pid; error_log {here}/error.log;
            events {{ worker_connections 1024; }}
            http {{
                access_log off; {paths} keepalive_requests 1000000000; default_type application/json;
                {http.replace("@LISTEN@", f"listen 127.0.0.1:{port};")}
            }}""")
        server = self.keep(Server("nginx", "-e", here / "error.log", "-c", here / "nginx.conf"))
        server.url = f"http://127.0.0.1:{port}"
        return server.wait(lambda: accepts(port), "nginx")

    @staticmethod
    def upstream_conf():
        return f"server {{ @LISTEN@ location / {{ return 200 '{json.dumps(ANSWER)}'; }} }}"

    @staticmethod
    def check_conf(keys):
        rows = "".join(f'"Bearer {key}" k{i};' for i, key in enumerate(keys))
        return f"""
            map_hash_max_size 65536; map_hash_bucket_size 128;
            map $http_authorization $name {{ default ""; {rows} }}
            limit_req_zone $name zone=keys:16m rate=100000r/s;
            server {{ @LISTEN@ location / {{
                if ($name = "") {{ return 401; }}
                limit_req zone=keys burst=100000 nodelay;
                empty_gif;
            }} }}"""

    @staticmethod
    def proxy_conf(upstream, more=""):
        return f"""
            upstream up {{ server {upstream.url.removeprefix("http://")}; keepalive 64;
                           keepalive_requests 1000000000; }}
            server {{ @LISTEN@ location / {{
                proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; {more}
            }} }}"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def accepts(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


# ---- load ----

LUA = """
local texts, hot = {}, %(hot)d
for key in io.lines(%(keys)s) do texts[#texts + 1] = %(before)s .. key .. %(after)s end
math.randomseed(os.time())
local random, n = math.random, #texts
if hot > n then hot = n end
function request()
    if n == hot or random() < 0.8 then return texts[random(hot)] end
    return texts[random(n)]
end
%(delay)s
function done(summary, latency)
    local e = summary.errors
    io.write(string.format("RESULT %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
             e.connect + e.read + e.write + e.timeout + e.status, latency:percentile(50), latency:percentile(99)))
end
"""


def quoted(text):
    return '"' + "".join(c if c.isalnum() else f"\\{ord(c):03d}" for c in text) + '"'


def request_text(method, path, body=None):
    """What stands before and behind the key."""
    before = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nAuthorization: Bearer "
    if body is None:
        return before, "\r\n\r\n"
    text = json.dumps(body)
    return before, f"\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}"


class Row:
    def __init__(self, bench, name, server, text, keys, hot=HOT_KEYS):
        self.name, self.server = name, server
        self.samples = []
        self.keys, self.text, self.hot, self.bench = keys, text, hot, bench
        self.script = self.write_script(name, "")

    def write_script(self, name, delay):
        keys = self.bench.path(f"{name}.keys", "\n".join(self.keys) + "\n")
        return self.bench.path(f"{name}.lua", LUA % {
            "keys": quoted(str(keys)), "hot": min(self.hot, len(self.keys)), "before": quoted(self.text[0]),
            "after": quoted(self.text[1]), "delay": delay})

    def load(self, seconds, script=None, connections=CONNECTIONS):
        cpu = self.server.cpu_s()
        done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
                               "-s", script or self.script, self.server.url], capture_output=True, text=True)
        cpu = self.server.cpu_s() - cpu
        results = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("RESULT")]
        if done.returncode != 0 or not results:
            fail(f"wrk failed in {self.name}: {done.stdout}{done.stderr}")
        requests, us, errors, p50, p99 = (int(x) for x in results[0])
        if requests == 0 or errors:
            fail(f"{errors} of {requests} requests of {self.name} went wrong:\n" + "\n".join(self.server.log[-20:]))
        return {"cpu_us": cpu / requests * 1e6, "rate": requests / us * 1e6, "p50_ms": p50 / 1e3, "p99_ms": p99 / 1e3}

    def median(self, what):
        return statistics.median(sample[what] for sample in self.samples)


def admin_key(config):
    done = subprocess.run([TOLLKEY, "key", "create", "--kind", "admin", "--description", "bench", "--json",
                           "--config", config], capture_output=True, text=True)
    if done.returncode != 0:
        fail(done.stderr)
    return json.loads(done.stdout)["key"]


def verify_text(admin, key):
    """The key is in the body; all are as long as this one."""
    before, after = '{"key": "', '"}'
    return (f"POST /v1/verify HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nAuthorization: Bearer {admin}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(before) + len(key) + len(after)}\r\n\r\n{before}", after)


def rows_of(bench, gateway, admin, keys, names):
    """Starts what the rows need and gives them in order."""
    hot = keys[:HOT_KEYS]
    chat = request_text("POST", "/v1/chat/completions", CHAT)
    # The model has another name at the demo upstream, which nginx cannot change.
    through, straight = ({how: request_text("POST", "/v1/chat/completions", {
        **CHAT, "stream": True, "model": model or f"demo-{how}"}) for how in ("stream", "drip")}
        for model in (None, "demo-small"))

    def row(name, server, *text, of=hot, **more):
        return Row(bench, name, server, *text, of, **more)

    def bare():
        return row("bare", bench.keep(ready_server(HELPERS / "bare_server")), request_text("GET", "/check"))

    def floor(upstream):
        return bench.keep(ready_server(HELPERS / "bare_proxy", upstream.url))

    def check_nginx():
        server = bench.nginx("check", bench.check_conf(keys[:NGINX_KEYS]))
        return row("check-nginx", server, request_text("GET", "/check"), of=keys[:NGINX_KEYS])

    def listing():
        small = bench.path("list.db")
        bench.fill(small, LISTED_KEYS - 1)
        config = bench.config("list", small)
        admin_of_few = admin_key(config)
        return row("list", bench.tollkey(config), request_text("GET", "/api/v1/api_keys"), of=[admin_of_few])

    make = {
        "bare": bare,
        "check": lambda: row("check", gateway, request_text("GET", "/v1/models"), of=keys),
        "check-nginx": check_nginx,
        "verify": lambda: row("verify", gateway, verify_text(admin, keys[0]), of=keys),
        "chat": lambda: row("chat", gateway, chat),
        "chat-floor": lambda: row("chat-floor", floor(bench.upstream), chat),
        "chat-nginx": lambda: row("chat-nginx", bench.nginx("proxy", bench.proxy_conf(bench.upstream)), chat),
        "stream": lambda: row("stream", gateway, through["stream"]),
        "stream-floor": lambda: row("stream-floor", floor(bench.demo), straight["stream"]),
        "stream-nginx": lambda: row("stream-nginx", bench.nginx("stream", bench.proxy_conf(
            bench.demo, "proxy_buffering off;")), straight["stream"]),
        "drip": lambda: row("drip", gateway, through["drip"]),
        "drip-nginx": lambda: row("drip-nginx", bench.nginx("drip", bench.proxy_conf(
            bench.slow_demo, "proxy_buffering off;")), straight["drip"]),
        "list": listing,
    }
    unknown = set(names) - set(make)
    if unknown:
        fail(f"there is no row {', '.join(unknown)}; there are {', '.join(make)}")
    return [made() for name, made in make.items() if not names or name in names]


# ---- what is measured ----

def rounds_until(rounds, seconds):
    """At least one; no further one begins that many seconds after the start of the program."""
    for done in range(rounds):
        if done and time.monotonic() - STARTED > seconds:
            print(f"(only {done} of {rounds} rounds: the machine is busy)")
            return
        yield done


def measure_rows(rows, rounds, seconds):
    for row in rows:
        row.load(1)
    for _ in rounds_until(rounds, ROUNDS_UNTIL_S):
        for row in rows:
            row.samples.append(row.load(seconds))
    bare = next((row.median("cpu_us") for row in rows if row.name == "bare"), None)
    print(f"{'':14}{'CPU us':>8}{'of bare':>9}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}   CPU us of each round")
    for row in rows:
        share = f"{row.median('cpu_us') / bare:.2f}" if bare else ""
        print(f"{row.name:14}{row.median('cpu_us'):8.1f}{share:>9}{row.median('rate'):12.0f}"
              f"{row.median('p50_ms'):9.2f}{row.median('p99_ms'):9.2f}   "
              + " ".join(f"{sample['cpu_us']:.1f}" for sample in row.samples))


def print_ratios(rows):
    cpu = {row.name: row.median("cpu_us") for row in rows}
    bars = [("check", "bare", 1.30), ("check", "check-nginx", 1.15), ("verify", "bare", None),
            ("verify", "check-nginx", None), ("chat", "chat-nginx", 2.00),
            ("stream", "stream-nginx", 2.00), ("drip", "drip-nginx", 2.00)]
    print()
    for row, beside, bar in bars:
        if row in cpu and beside in cpu:
            ratio = cpu[row] / cpu[beside]
            said = f"bar {bar:.2f}: {'met' if ratio <= bar else 'NOT MET'}" if bar else "no bar"
            print(f"{row + ' / ' + beside:24}{ratio:6.2f}   {said}")


def measure_half_load(bench, rows, rounds, seconds):
    """The same number of requests a second, half of what the slower one can do, to each and straight to the
    upstream; the times between requests are random, so that they do not come in bursts."""
    by_name = {row.name: row for row in rows}
    if not {"chat", "chat-nginx"} <= set(by_name):
        return
    direct = Row(bench, "chat-direct", bench.upstream, by_name["chat"].text, by_name["chat"].keys)
    rate = min(by_name[name].median("rate") for name in ("chat", "chat-nginx")) / 2
    connections = 64
    mean_ms = max(1, round(connections / rate * 1000))
    delay = f"function delay() return math.random(0, {2 * mean_ms}) end"
    halves = (direct, by_name["chat-nginx"], by_name["chat"])
    samples = {row.name: [] for row in halves}
    for _ in rounds_until(rounds, HALF_LOAD_UNTIL_S):
        for row in halves:
            script = row.write_script(row.name + "-half", delay)
            samples[row.name].append(row.load(seconds, script, connections))
    found = {name: {what: statistics.median(s[what] for s in some) for what in some[0]}
             for name, some in samples.items()}
    print("\nat half load   requests/s   p50 ms   p99 ms   CPU us")
    for name, s in found.items():
        print(f"{name:14}{s['rate']:11.0f}{s['p50_ms']:9.2f}{s['p99_ms']:9.2f}{s['cpu_us']:9.1f}")
    added = found["chat"]["p99_ms"] - found["chat-direct"]["p99_ms"]
    print(f"added p99 {added:.2f} ms   bar 1 ms: {'met' if added < 1 else 'NOT MET'}"
          f"   (nginx adds {found['chat-nginx']['p99_ms'] - found['chat-direct']['p99_ms']:.2f} ms)")


def each_once(url, text, keys, in_flight=64):
    """One request with each key, pipelined, over one connection."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(keys), in_flight):
            some = keys[at:at + in_flight]
            s.sendall("".join(text[0] + key + text[1] for key in some).encode())
            seen, tail = 0, b""
            while seen < len(some):
                piece = s.recv(262144)
                if not piece:
                    fail("the connection closed while the keys were used")
                # A status line may lie across two pieces, so what could be its beginning is looked at again.
                seen += (tail + piece).count(b"HTTP/1.1 200 ")
                tail = piece[-12:]


def measure_start(bench, config, keys):
    starts = []
    for _ in range(3):
        server = bench.tollkey(config)
        starts.append(server.ready_s)
        server.stop()
    print(f"ready with {len(keys):,} keys in the store after {statistics.median(starts) * 1000:.0f} ms")


def measure_memory(server, keys):
    """Idle, after every key was checked once, after some held money. It warms the server up, too."""
    idle = server.resident_bytes()
    each_once(server.url, request_text("GET", "/v1/models"), keys)
    checked = server.resident_bytes()
    each_once(server.url, request_text("POST", "/v1/chat/completions", CHAT), keys[:SPENDERS])
    spent = server.resident_bytes()
    print(f"resident idle {idle / 1e6:.1f} MB; after {len(keys):,} keys were checked {checked / 1e6:.1f} MB, "
          f"{(checked - idle) / len(keys):.0f} bytes a key;\n"
          f"  after {SPENDERS:,} of them, with two limits each, made a call {spent / 1e6:.1f} MB, "
          f"{(spent - checked) / SPENDERS:.0f} more bytes a key\n")


def print_machine():
    models = [line.partition(":")[2].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]
    load = pathlib.Path("/proc/loadavg").read_text().split()[0]

    def version(*args):
        done = subprocess.run(args, capture_output=True, text=True)
        return (done.stdout + done.stderr).splitlines()[0]

    print(f"machine   {len(models)} x {models[0] if models else platform.machine()}, {platform.system()} "
          f"{platform.release()}, load {load} before the run")
    print(f"programs  {version(str(TOLLKEY), 'version')}; {version('nginx', '-v')}; "
          f"{version('wrk', '-v').split(' Copyright')[0]}; each with one loop or worker")
    print(f"load      {CONNECTIONS} connections from one thread of wrk; medians\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keys", type=int, default=KEYS)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    helpers = [f"tests/bench/{name}" for name in ("bare_server", "bare_proxy", "fill_keys")]
    if subprocess.run(["ninja", "-C", BUILD, *helpers], stdout=subprocess.DEVNULL).returncode != 0:
        fail("the helpers do not build")
    print_machine()
    with tempfile.TemporaryDirectory(prefix="tollkey-bench-") as folder:
        bench = Bench(folder)
        with bench.stack:
            store = bench.path("gateway.db")
            keys = bench.fill(store, args.keys)
            config = bench.config("gateway", store)
            admin = admin_key(config)
            measure_start(bench, config, keys)
            gateway = bench.tollkey(config)
            measure_memory(gateway, keys)
            rows = rows_of(bench, gateway, admin, keys, args.names)
            measure_rows(rows, args.rounds, args.seconds)
            print_ratios(rows)
            measure_half_load(bench, rows, args.rounds, args.seconds)


if __name__ == "__main__":
    main()
