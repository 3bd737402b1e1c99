# SPDX-License-Identifier: Apache-2.0
"""Hostile clients and broken providers: what gets tokens that nobody pays for, and what brings the server down.

The providers here are behaviours of rogue.py on a raw socket; the clients are raw sockets where httpx is too polite. What
goes wrong with the disk, the file and the clock is in test_trouble.py.
"""

import concurrent.futures
import contextlib
import gzip
import json
import select
import socket
import sqlite3
import struct
import threading
import time
import uuid

import httpx
import pytest

from rogue import Rogue, answer, chunk, usage_chunk
from stack import NANO_INPUT, NANO_OUTPUT, PATIENCE, PRICE, Stack, entries

MIB = 1 << 20


# ---- what the providers do ----


def hidden(visit):
    """A reasoning model: three words are shown, two thousand tokens are billed, and the bill comes late."""
    visit.body()
    visit.begin_stream()
    for word in ("one", " two", " three"):
        visit.event(chunk(word))
    visit.event(chunk(finish="stop"))
    visit.rogue.gate.wait(20 * PATIENCE)
    visit.event(usage_chunk(10, 2000))
    visit.event(b"[DONE]")


def slow_whole(visit):
    visit.body()
    visit.rogue.gate.wait(20 * PATIENCE)
    visit.reply(answer("late", 10, 2000))


def flood(visit, head, piece):
    """Sends without end, and counts."""
    visit.body()
    visit.send(head)
    visit.rogue.sent = 0
    try:
        while True:
            visit.send(piece)
            visit.rogue.sent += len(piece)
    finally:
        visit.rogue.broken_off.set()


def compressed(visit):
    visit.body()
    visit.reply(gzip.compress(json.dumps(answer("x", 1, 1)).encode()), more=b"Content-Encoding: gzip\r\n")


def compressed_stream(visit):
    visit.body()
    visit.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n",
               gzip.compress(b'data: {"choices":[]}\n\ndata: [DONE]\n\n' * 50))


def bytewise(visit):
    visit.body()
    visit.begin_stream()
    for event in (chunk("a"), chunk("\u00e9"), chunk(finish="stop"), usage_chunk(3, 2)):
        for byte in b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\r\n\r\n":
            visit.send(bytes([byte]))
            time.sleep(0.002)
    visit.event(b"[DONE]")


def drip(visit):
    visit.body()
    visit.begin_stream()
    try:
        while True:
            visit.event(chunk("x"))
            time.sleep(0.02)
    finally:
        visit.rogue.broken_off.set()


def dense(visit):
    """Obeys max_tokens, with words much longer than the four bytes that a token is taken for."""
    asked = visit.body()
    visit.begin_stream()
    count = asked.get("max_tokens", 20)
    for _ in range(count):
        visit.event(chunk(" internationalization"))
    visit.event(chunk(finish="length"))
    visit.event(usage_chunk(10, count))
    visit.event(b"[DONE]")


def obedient(visit):
    """Produces as much as it was told, under the names that OpenAI's API has for it."""
    asked = visit.body()
    most = asked.get("max_completion_tokens") or asked.get("max_tokens") or 4096
    prompt = asked.get("prompt")
    answers = max(asked.get("n") or 1, asked.get("best_of") or 1)
    answers *= len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    visit.reply(answer("x" * 10, 20, most * answers))


def gated_stream(visit):
    """Two words, then nothing until the test opens the gate, then the rest."""
    visit.body()
    visit.begin_stream()
    visit.event(chunk("first"))
    visit.event(chunk(" second"))
    visit.rogue.gate.wait(20 * PATIENCE)
    visit.event(chunk(" third"))
    visit.event(chunk(finish="stop"))
    visit.event(usage_chunk(10, 30))
    visit.event(b"[DONE]")


def silent(visit):
    visit.body()
    visit.until_gone()
    visit.rogue.broken_off.set()


def replying(status, more=b"", kind=b"application/json", body=b'{"error":{"message":"the provider\'s words"}}'):
    def behave(visit):
        visit.body()
        visit.reply(body, status=status, kind=kind, more=more)
    return behave


def raw_head(head):
    def behave(visit):
        visit.body()
        visit.send(head)
    return behave


BEHAVIOURS = {
    "hidden": hidden, "slow-whole": slow_whole, "bytewise": bytewise, "drip": drip, "dense": dense,
    "obedient": obedient, "gated-stream": gated_stream, "silent": silent,
    "gzip": compressed, "gzip-stream": compressed_stream,
    "plain": lambda v: (v.body(), v.reply(answer("fine", 10, 20))),
    "early": lambda v: v.reply(answer("early", 1, 1), more=b"Connection: close\r\n"),
    "endless-body": lambda v: flood(v, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"a\":\"", b"a" * 65536),
    "endless-error": lambda v: flood(v, b"HTTP/1.1 500 No\r\nContent-Type: application/json\r\n\r\n{\"a\":\"", b"a" * 65536),
    "endless-line": lambda v: flood(v, b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ", b"a" * 65536),
    "endless-stream": lambda v: flood(v, b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
                                      b": nothing but a comment\n\n" * 2000),
    "endless-head": lambda v: flood(v, b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"a" * 1000 + b"\r\n"),
    "nothing": lambda v: v.body(), "mute": silent,
    "garbage": raw_head(b"\x00\x01\x02 hello\r\n\r\n"),
    "status-99": raw_head(b"HTTP/1.1 99 No\r\n\r\n"),
    "status-101": raw_head(b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    "status-204": raw_head(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "status-302": replying(b"302 Found", more=b"Location: http://127.0.0.1:1/\r\n"),
    "status-402": replying(b"402 Payment Required"),
    "status-600": replying(b"600 What"),
    "status-999": replying(b"999 What"),
    "lengths": raw_head(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x"),
    "retry-cr": replying(b"429 No", more=b"Retry-After: 1\rSet-Cookie: evil=1\r\n"),
    "retry-nul": replying(b"429 No", more=b"Retry-After: 1\x00\r\n"),
    "retry-fold": replying(b"429 No", more=b"Retry-After: 1\r\n Set-Cookie: evil=1\r\n"),
    "type-cr": replying(b"200 OK", kind=b"application/json\rSet-Cookie: evil=1", body=b"{}"),
    "type-long": replying(b"200 OK", kind=b"application/json; a=" + b"b" * 5000, body=json.dumps(answer("a", 1, 1)).encode()),
    "cookie": replying(b"200 OK", more=b"Set-Cookie: evil=1\r\nServer: evil\r\nX-Request-Id: evil\r\n",
                       body=json.dumps(answer("a", 1, 1)).encode()),
}


class Hostile(Stack):
    """A stack whose providers are all rogues; each behaviour is a model of its own."""

    def __init__(self, folder, **settings):
        super().__init__(folder, models=[
            {"id": name, "provider": name, "max_output_tokens": 4096, "price": PRICE} for name in BEHAVIOURS], **settings)
        self.rogue = Rogue(BEHAVIOURS, PATIENCE)
        self.rogue.gate = threading.Event()
        self.rogue.broken_off = threading.Event()
        self.settings["providers"] = {name: self.rogue.provider(name) for name in BEHAVIOURS}
        self.settings["providers"]["mute"]["first_byte_ms"] = 300
        self.http = httpx.Client(timeout=60 * PATIENCE)

    def stop(self):
        super().stop()
        self.rogue.close()
        self.http.close()
        assert not self.rogue.faults, self.rogue.faults

    def ask(self, key, model, path="/v1/chat/completions", **more):
        return self.http.post(self.url + path, headers={"Authorization": "Bearer " + key["key"]},
                              json={"model": model, "messages": [{"role": "user", "content": "hello"}], **more})


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Hostile(tmp_path_factory.mktemp("hostile"))
    try:
        yield stack.start()
    finally:
        stack.stop()


@pytest.fixture(autouse=True)
def closed_gate(stack):
    stack.rogue.gate.clear()
    stack.rogue.broken_off.clear()
    yield
    stack.rogue.gate.set()


def calls(stack, key):
    return entries(stack, key["id"])["calls"]


def only_call(stack, key):
    """The one entry of the key, as soon as it is there."""
    deadline = time.monotonic() + 20 * PATIENCE
    while not (found := calls(stack, key)):
        assert time.monotonic() < deadline, "the call was never posted"
        time.sleep(0.02)
    assert len(found) == 1
    return found[0]


def nano(entry):
    whole, _, part = str(entry["usd"]).partition(".")
    return int(whole) * 10**9 + int((part + "0" * 9)[:9])


class Client:
    """One request on a raw socket."""

    def __init__(self, stack, key, body, path="/v1/chat/completions"):
        host, port = stack.url.removeprefix("http://").split(":")
        self.sock = socket.create_connection((host, int(port)), timeout=20 * PATIENCE)
        data = json.dumps(body).encode()
        self.sock.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
                          b"Content-Length: %d\r\n\r\n" % (path.encode(), key["key"].encode(), len(data)) + data)
        self.got = b""

    def until(self, text):
        while text not in self.got:
            piece = self.sock.recv(65536)
            assert piece, self.got[-500:]
            self.got += piece
        return self

    def rest(self):
        while piece := self.sock.recv(65536):
            self.got += piece
        return self.got

    def reset(self):
        """Leaves so that the server sees it at once."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def chat(model, **more):
    return {"model": model, "messages": [{"role": "user", "content": "hello"}], **more}


# ---- clients that leave before the bill ----


def test_whoever_leaves_a_whole_answer_pays_for_it(stack):
    key = stack.key(usd=1)
    client = Client(stack, key, chat("slow-whole"))
    while not stack.rogue.seen:
        time.sleep(0.01)
    client.reset()
    time.sleep(0.1)  # whatever the server does about it, it does before the answer comes
    stack.rogue.gate.set()
    entry = only_call(stack, key)
    assert (entry["input_tokens"], entry["output_tokens"]) == (10, 2000)
    assert entry["flags"] == ["client_gone"]


def test_whoever_leaves_after_the_last_word_pays_for_what_was_hidden(stack):
    key = stack.key(usd=1)
    Client(stack, key, chat("hidden", stream=True)).until(b'"stop"').reset()
    time.sleep(0.1)
    stack.rogue.gate.set()
    entry = only_call(stack, key)
    assert (entry["input_tokens"], entry["output_tokens"]) == (10, 2000)


def test_whoever_leaves_in_the_middle_ends_the_providers_work(stack):
    key = stack.key(usd=1)
    Client(stack, key, chat("drip", stream=True)).until(b'"x"').reset()
    assert stack.rogue.broken_off.wait(20 * PATIENCE), "the provider was not told"
    entry = only_call(stack, key)
    assert "client_gone" in entry["flags"] and entry["output_tokens"] >= 1


def test_calls_that_go_on_alone_end_with_the_server(tmp_path):
    """Clients left, their answers are still being produced, and the server is stopped: it does not wait for them."""
    stack = Hostile(tmp_path).start()
    try:
        keys = [stack.key(usd=1) for _ in range(4)]
        clients = [Client(stack, key, chat("slow-whole")) for key in keys]
        while len(stack.rogue.seen) < 4:
            time.sleep(0.01)
        for client in clients:
            client.reset()
        begun = time.monotonic()
        stack.server.stop()
        assert time.monotonic() - begun < 8 * PATIENCE
        stack.rogue.gate.set()
        assert all(calls(stack, key) for key in keys), "what was sent to the provider is posted"
    finally:
        stack.stop()


def test_a_client_that_reads_nothing_holds_the_provider_back(stack):
    key = stack.key(usd=1)
    client = Client(stack, key, chat("endless-stream", stream=True)).until(b"comment")
    seen = -1
    while seen != stack.rogue.sent:  # until the provider cannot send any more
        seen = stack.rogue.sent
        time.sleep(0.3)
    assert seen < 32 * MIB
    assert stack.ask(stack.key(usd=1), "plain").status_code == 200, "nobody else waits for it"
    client.reset()
    assert stack.rogue.broken_off.wait(20 * PATIENCE)


# ---- providers that cannot be read ----


@pytest.mark.parametrize("model", ["gzip", "gzip-stream"])
@pytest.mark.parametrize("stream", [False, True])
def test_compressed_answers_are_not_passed_on(stack, model, stream):
    key = stack.key(usd=1)
    got = stack.ask(key, model, stream=stream)
    assert b"\x1f\x8b" not in got.content, got.content
    assert got.status_code == 502 or b'"code":"upstream_failed"' in got.content
    assert "estimated" in only_call(stack, key)["flags"]


@pytest.mark.parametrize("model,stream", [("endless-body", False), ("endless-body", True), ("endless-line", True),
                                          ("endless-line", False)])
def test_an_answer_without_end_is_broken_off(stack, model, stream):
    """And counts for no more than the provider was told to produce, however much it sent."""
    key = stack.key(usd=1)
    got = stack.ask(key, model, stream=stream, max_tokens=100)
    assert got.status_code == 502 or b'"code":"upstream_failed"' in got.content
    assert stack.rogue.broken_off.wait(20 * PATIENCE), "the provider sends on"
    assert len(got.content) < MIB
    entry = only_call(stack, key)
    assert entry["output_tokens"] == 100 and "upstream_broken" in entry["flags"]


def test_an_error_without_end_is_broken_off_and_free(stack):
    key = stack.key(usd=1)
    assert stack.ask(key, "endless-error").status_code == 502
    assert stack.rogue.broken_off.wait(20 * PATIENCE)
    assert calls(stack, key) == []


@pytest.mark.parametrize("model,status", [("nothing", 502), ("garbage", 502), ("endless-head", 502), ("mute", 504)])
@pytest.mark.parametrize("stream", [False, True])
def test_a_request_that_was_sent_and_not_answered_costs_its_input(stack, model, status, stream):
    """The provider had all of it, and may have billed it: no head of an answer says that it did not."""
    key = stack.key(usd=1)
    assert stack.ask(key, model, stream=stream).status_code == status
    assert_input_is_paid(only_call(stack, key), "upstream_broken")


def test_whoever_leaves_before_the_head_pays_for_his_input(stack):
    key = stack.key(usd=1)
    seen = len(stack.rogue.seen)
    client = Client(stack, key, chat("silent", stream=True))
    while len(stack.rogue.seen) == seen:
        time.sleep(0.01)
    client.reset()
    assert_input_is_paid(only_call(stack, key), "client_gone")


def assert_input_is_paid(entry, flag):
    assert {"estimated", flag} == set(entry["flags"])
    assert entry["input_tokens"] > 0 and entry["output_tokens"] == 0
    assert nano(entry) == entry["input_tokens"] * NANO_INPUT


@pytest.mark.parametrize("model,status", [
    ("nothing", 502), ("garbage", 502), ("status-99", 502), ("status-101", 502), ("status-204", 502), ("status-302", 502),
    ("status-402", 502), ("status-600", 600), ("status-999", 999), ("lengths", 502)])
@pytest.mark.parametrize("stream", [False, True])
def test_strange_statuses(stack, model, status, stream):
    key = stack.key(usd=1)
    got = stack.ask(key, model, stream=stream)
    assert got.status_code == status
    assert got.json()["error"]["message"]


def test_the_operators_own_bill_is_not_the_callers(stack):
    key = stack.key(usd=1)
    got = stack.ask(key, "status-402", path="/api/v1/chat/completions")
    assert got.status_code == 500 and "provider" not in got.text
    assert calls(stack, key) == []


@pytest.mark.parametrize("model", ["retry-cr", "retry-nul", "retry-fold", "type-cr", "type-long", "cookie"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_providers_headers_cannot_split_ours(stack, model, stream):
    client = Client(stack, stack.key(usd=1), chat(model, stream=stream)).until(b"\r\n\r\n")
    head = client.got.partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
    assert b"\r" not in head.replace(b"\r\n", b"") and b"\x00" not in head
    assert b"set-cookie" not in names and b"server" not in names
    assert names.count(b"x-request-id") == 1 and b"evil" not in head.partition(b"x-request-id: ")[2].split(b"\r\n")[0]
    client.reset()


@pytest.mark.parametrize("size", [10, 8 * MIB])
def test_an_answer_before_the_request_was_read(stack, size):
    """The provider does not even read, so whether its answer arrives depends on the kernel; the bill does not."""
    key = stack.key(usd=100)
    got = stack.ask(key, "early", user="u" * size)
    assert got.status_code in (200, 502)
    assert len(calls(stack, key)) <= 1
    assert stack.ask(key, "plain").status_code == 200


def test_one_byte_at_a_time(stack):
    key = stack.key(usd=1)
    got = stack.ask(key, "bytewise", stream=True)
    shown = [json.loads(line[6:]) for line in got.text.split("\r\n\r\n") if line.startswith("data: {")]
    assert [c["choices"][0]["delta"].get("content") for c in shown] == ["a", "\u00e9", None]
    entry = only_call(stack, key)
    assert (entry["output_tokens"], entry["flags"]) == (2, [])


def test_an_obedient_provider_with_long_words_is_not_cut(stack):
    """Words are longer than what a token is taken for, so that the count runs ahead of the truth."""
    key = stack.key(usd=1)
    got = stack.ask(key, "dense", stream=True, max_tokens=50)
    assert got.text.count("internationalization") == 50 and "error" not in got.text
    assert (only_call(stack, key)["output_tokens"], only_call(stack, key)["flags"]) == (50, [])


# ---- requests that a provider might read differently ----


REFUSED = [
    {"mod\\u0065l": "obedient"}, {"Model": "obedient"}, {"model\\u0000": "obedient"},
    {"MAX_TOKENS": 4000}, {"max_to\u212aens": 4000}, {"max_tokens\\u0000": 4000}, {"n": 10**9}, {"n": 1.5}, {"n": "5"},
    {"best_of": -1}, {"max_tokens": 1e300}, {"max_tokens": -5}, {"max_tokens": "many"}, {"stream": "true"},
    {"stream_options": "all"}, {"stream_options": {"include_Usage": False}},
    {"n_predict": 4000}, {"num_predict": 4000}, {"max_output_tokens": 4000}, {"max_new_tokens": 4000},
    {"max_tokens_to_sample": 4000}, {"candidate_count": 4}, {"models": ["other"]}, {"fallbacks": ["other"]},
]


@pytest.mark.parametrize("more", REFUSED, ids=lambda m: json.dumps(m)[:40])
def test_requests_with_two_meanings_are_refused(stack, more):
    key = stack.key(usd=1)
    body = json.dumps({**chat("obedient", max_tokens=5), **more}).replace("\\\\u", "\\u").encode()
    before = len(stack.rogue.seen)
    got = stack.caller(key["key"]).post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert got.status_code == 400, got.text
    assert got.json()["error"]["message"]
    assert len(stack.rogue.seen) == before and calls(stack, key) == []


@pytest.mark.parametrize("body", [
    b'{"model":"obedient","messages":[],"max_tokens":1,"max_tokens":4000}',
    b'{"model":"obedient","messages":[],"max_tokens":1,"max_tok\\u0065ns":4000}',
    b'{"model":"obedient","messages":[],"n":1,"\\u006e":100}',
    b'{"model":"obedient","messages":[],"stream":true,"stream":false}',
    b'\xef\xbb\xbf{"model":"obedient","messages":[]}', b'{"model":"obedient","messages":[]}\x00',
    b'{"model":"obedient","messages":[]} {"model":"plain"}', b'{"model":"obedient",/**/"messages":[]}',
    b'{"model":"obedient","messages":[],}', b'{"model":"obedient","messages":[NaN]}',
])
def test_documents_with_two_meanings_are_refused(stack, body):
    key = stack.key(usd=1)
    before = len(stack.rogue.seen)
    got = stack.caller(key["key"]).post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert got.status_code == 400, got.text
    assert len(stack.rogue.seen) == before and calls(stack, key) == []


CLAMPED = [
    ("/v1/chat/completions", {}), ("/v1/chat/completions", {"max_tokens": None}),
    ("/v1/chat/completions", {"max_tokens": 10**12}), ("/v1/chat/completions", {"max_completion_tokens": 10**12}),
    ("/v1/chat/completions", {"max_tokens": 4000, "max_completion_tokens": 1}),
    ("/v1/chat/completions", {"max_tokens": 1, "max_completion_tokens": 4000}),
    ("/v1/chat/completions", {"max_tokens": None, "max_completion_tokens": 4000}),
    ("/v1/chat/completions", {"n": 7}), ("/v1/chat/completions", {"n": 3, "best_of": 9}),
    ("/v1/completions", {"prompt": ["a", "b", "c", "d", "e"], "messages": None}),
    ("/v1/completions", {"prompt": [[1, 2], [3, 4], [5]], "n": 2}), ("/v1/completions", {"prompt": [1, 2, 3]}),
    ("/v1/completions", {"prompt": "x", "best_of": 20, "n": 1}), ("/v1/completions", {"prompt": ["a"] * 10, "best_of": 10}),
]


@pytest.mark.parametrize("path,more", CLAMPED, ids=lambda x: str(x)[-40:])
def test_no_shape_of_a_request_gets_more_than_was_held(stack, path, more):
    """The provider produces all that it was told it may, in every answer of every prompt."""
    key = stack.key(usd=0.001)
    got = stack.ask(key, "obedient", path=path, **more)
    assert got.status_code in (200, 429), got.text
    if got.status_code == 200:
        asked = stack.rogue.seen[-1]
        for name in ("max_tokens", "max_completion_tokens"):
            assert (asked.get(name) or 0) <= 4096
        produced = got.json()["usage"]["completion_tokens"]
        assert produced * NANO_OUTPUT <= 10**6, "more than the key ever had"
        assert only_call(stack, key)["output_tokens"] == produced
        assert nano(only_call(stack, key)) >= produced * NANO_OUTPUT, "an overrun"


def test_of_two_maxima_both_tell_the_smaller(stack):
    stack.ask(stack.key(usd=1), "obedient", max_tokens=4000, max_completion_tokens=7)
    asked = stack.rogue.seen[-1]
    assert (asked["max_tokens"], asked["max_completion_tokens"]) == (7, 7)


def test_a_callers_headers_stay_here(stack):
    """Nothing of the caller's own credentials, cookies or forwarding reaches the provider."""
    seen = {}
    stack.rogue.behaviours["plain"] = lambda v: (seen.update(v.headers), v.body(), v.reply(answer("x", 1, 1)))
    key = stack.key(usd=1)
    try:
        got = stack.caller(key["key"]).post("/v1/chat/completions", json=chat("plain"), headers={
            "cookie": "a=b", "x-forwarded-for": "1.2.3.4", "x-api-key": key["key"], "openai-organization": "org-mine",
            "accept-encoding": "gzip", "traceparent": "00-1-2-03"})
    finally:
        stack.rogue.behaviours["plain"] = BEHAVIOURS["plain"]
    assert got.status_code == 200
    assert key["key"] not in str(seen) and seen["authorization"] == "Bearer rogue-secret"
    assert not {"cookie", "x-forwarded-for", "x-api-key", "openai-organization", "accept-encoding"} & seen.keys()


# ---- races ----


@contextlib.contextmanager
def meanwhile(work):
    """Does the work again and again on a thread, with a count, until the block ends; its failure is the test's."""
    stop, failures = threading.Event(), []

    def loop():
        i = 0
        try:
            while not stop.is_set():
                work(i)
                i += 1
        except BaseException as failure:  # noqa: BLE001
            failures.append(failure)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]


def test_edits_beside_posts_count_nothing_twice(stack):
    """An edit reads the counters anew while calls are posted; afterwards all that is left can be spent, and no more."""
    admin, key = stack.admin(), stack.key(usd=0.01, period="month")

    def edit(i):
        assert admin.patch("/api/v1/api_keys", json={"id": key["id"], "description": f"edit {i}"}).status_code == 200

    with meanwhile(edit), concurrent.futures.ThreadPoolExecutor(9) as pool:
        codes = [c.status_code for c in pool.map(lambda i: stack.ask(key, "plain", max_tokens=20), range(200))]
    assert set(codes) == {200}, "each costs 13,500 nano of ten million"
    admin.patch("/api/v1/api_keys", json={"id": key["id"], "consumptionLimit": {"usd": 0.003}})
    # 200 calls cost 2,700,000 nano; of the 300,000 left, each hold needs 150 a byte of the request and 600 a token.
    while stack.ask(key, "plain", max_tokens=20).status_code == 200:
        codes.append(200)
    spent = nano(entries(stack, key["id"])["key"]["usage"]["all"])
    assert spent == len(codes) * 13500 <= 3 * 10**6
    body = len(json.dumps(chat("plain", max_tokens=20)))
    assert 3 * 10**6 - spent < body * 150 + 20 * NANO_OUTPUT, "something was counted twice"


def test_a_cap_that_moves_under_running_streams(stack):
    admin, key = stack.admin(), stack.key(usd=0.002, period="month")

    def move(i):
        admin.patch("/api/v1/api_keys", json={"id": key["id"], "consumptionLimit": {"usd": [0.002, 0.0005, 0, 0.001][i % 4]}})

    with meanwhile(move), concurrent.futures.ThreadPoolExecutor(16) as pool:
        codes = [c.status_code for c in pool.map(lambda i: stack.ask(key, "dense", stream=True, max_tokens=60), range(100))]
    assert set(codes) <= {200, 429} and 200 in codes
    shown = entries(stack, key["id"])
    assert nano(shown["key"]["usage"]["all"]) <= 2 * 10**6
    assert shown["key"]["usage"]["all"]["requests"] == codes.count(200)


def test_a_key_revoked_under_running_streams(stack):
    admin, key = stack.admin(), stack.key(usd=1)
    clients = [Client(stack, key, chat("gated-stream", stream=True)).until(b"second") for _ in range(8)]
    assert admin.delete("/api/v1/api_keys", params={"id": key["id"]}).status_code == 200
    assert stack.ask(key, "plain").status_code == 401
    stack.rogue.gate.set()
    for client in clients:
        client.until(b"[DONE]").reset()
        assert b"revoked" in client.got and b"third" not in client.got, "cut at the next event, and told why"
    admin.get("/api/v1/api_keys")  # shows all that was answered before
    with sqlite3.connect(f"file:{stack.folder}/tollkey.db?mode=ro", uri=True) as db:
        paid = db.execute("SELECT count(*) FROM entry WHERE subject = ?", [uuid.UUID(key["id"]).bytes]).fetchone()
        cut = db.execute("SELECT count(*) FROM entry WHERE subject = ? AND flags & 4 AND due_usd > 0",
                         [uuid.UUID(key["id"]).bytes]).fetchone()
    assert paid == cut == (8,), "what was begun is paid for"


def test_a_key_that_is_edited_under_a_running_stream(stack):
    """An edit that leaves it active ends nothing."""
    admin, key = stack.admin(), stack.key(usd=1)
    client = Client(stack, key, chat("gated-stream", stream=True)).until(b"second")
    assert admin.patch("/api/v1/api_keys", json={"id": key["id"], "description": "renamed"}).status_code == 200
    stack.rogue.gate.set()
    assert b" third" in client.until(b"[DONE]").got
    client.reset()
    assert only_call(stack, key)["flags"] == []


def test_a_key_that_expires_under_a_running_stream(stack):
    admin, key = stack.admin(), stack.key(usd=1)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2 * PATIENCE))
    assert admin.patch("/api/v1/api_keys", json={"id": key["id"], "expiresAt": at}).status_code == 200
    client = Client(stack, key, chat("gated-stream", stream=True)).until(b"second")
    deadline = time.monotonic() + 20 * PATIENCE
    while stack.ask(key, "plain").status_code != 401:
        assert time.monotonic() < deadline
    stack.rogue.gate.set()
    client.until(b"[DONE]").reset()
    assert b"expired" in client.got and b"third" not in client.got


# ---- the server under load and at its end ----


def test_a_thousand_clients_that_dawdle(stack):
    key = stack.key(usd=1)
    host, port = stack.url.removeprefix("http://").split(":")
    request = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key["key"].encode() + b"\r\n\r\n"
    socks = [socket.create_connection((host, int(port)), timeout=20 * PATIENCE) for _ in range(1000)]
    for sock in socks:
        sock.sendall(request[:40])
    assert stack.ask(key, "plain").status_code == 200
    for sock in socks:
        sock.sendall(request[40:])
    assert all(sock.recv(12) == b"HTTP/1.1 200" for sock in socks)
    for sock in socks:
        sock.close()


def test_slow_headers_and_bodies_are_refused(tmp_path):
    stack = Hostile(tmp_path, header_ms=300, body_ms=300).start()
    try:
        key = stack.key(usd=1)
        host, port = stack.url.removeprefix("http://").split(":")
        for data in (b"GET /v1/models HT", b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{"):
            with socket.create_connection((host, int(port)), timeout=20 * PATIENCE) as sock:
                sock.sendall(data)
                assert sock.recv(65536).startswith(b"HTTP/1.1 408")
        with socket.create_connection((host, int(port)), timeout=20 * PATIENCE) as sock:  # one byte at a time
            got = b""
            with pytest.raises(OSError):
                for byte in b"GET /v1/models HTTP/1.1\r\nX: " + b"a" * 1000:
                    sock.sendall(bytes([byte]))
                    sock.settimeout(0.02)
                    try:
                        got += sock.recv(65536)
                        if got:
                            raise ConnectionError
                    except TimeoutError:
                        pass
            assert got.startswith(b"HTTP/1.1 408")
        assert stack.ask(key, "plain").status_code == 200
    finally:
        stack.stop()


def test_bodies_of_strangers_do_not_fill_the_memory(tmp_path):
    """A body is read before anybody knows whose it is; all of them together are bounded, and small ones always pass."""
    stack = Hostile(tmp_path, loops=1, body_bytes_max=4 * MIB, bodies_bytes_max=6 * MIB, body_ms=3600000).start()
    try:
        host, port = stack.url.removeprefix("http://").split(":")
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (4 * MIB)
        waiting, refused = set(), []
        for _ in range(10):
            sock = socket.create_connection((host, int(port)), timeout=20 * PATIENCE)
            with contextlib.suppress(OSError):  # refused while it still sends
                sock.sendall(head + b"a" * (3 * MIB // 2))
            waiting.add(sock)
        while len(waiting) > 4:  # which it will be when all of them have been read
            readable, _, _ = select.select(waiting, [], [], 20 * PATIENCE)
            assert readable, "more is held than may be"
            for sock in readable:
                refused.append(sock.recv(65536))
                waiting.remove(sock)
        assert all(answer.startswith(b"HTTP/1.1 503") and b"server_busy" in answer for answer in refused)
        key = stack.key(usd=100)
        assert stack.ask(key, "plain", user="u" * 10000).status_code == 200
        for sock in waiting:
            sock.close()
        deadline = time.monotonic() + 20 * PATIENCE
        while stack.ask(key, "plain", user="u" * 3 * MIB).status_code != 200:
            assert time.monotonic() < deadline, "what was held is never given back"
    finally:
        stack.stop()


def test_stopping_finishes_what_runs_and_takes_nothing_new(tmp_path):
    stack = Hostile(tmp_path, stop_ms=60000).start()
    try:
        key = stack.key(usd=1)
        client = Client(stack, key, chat("gated-stream", stream=True)).until(b"second")
        idle = socket.create_connection(client.sock.getpeername(), timeout=20 * PATIENCE)
        stack.server.child.terminate()
        assert idle.recv(1) == b"", "an idle connection is closed"
        with pytest.raises(OSError):
            for _ in range(100):  # the listener closes within a turn of each loop
                socket.create_connection(client.sock.getpeername(), timeout=5).close()
                time.sleep(0.05)
        assert stack.server.child.poll() is None, "it waits for the stream"
        stack.rogue.gate.set()
        assert b"third" in client.rest() and client.got.endswith(b"0\r\n\r\n") and b"[DONE]" in client.got
        assert stack.server.child.wait(20 * PATIENCE) == 0
        entry = only_call(stack, key)
        assert (entry["input_tokens"], entry["output_tokens"], entry["flags"]) == (10, 30, [])
    finally:
        stack.stop()


def test_stopping_twice_ends_at_once_and_posts(tmp_path):
    stack = Hostile(tmp_path, stop_ms=60000).start()
    try:
        key = stack.key(usd=1)
        clients = [Client(stack, key, chat("drip", stream=True)).until(b'"x"') for _ in range(8)]
        stack.server.child.terminate()
        with pytest.raises(OSError):
            for _ in range(100):
                socket.create_connection(clients[0].sock.getpeername(), timeout=5).close()
                time.sleep(0.05)
        stack.server.child.terminate()
        assert stack.server.child.wait(20 * PATIENCE) == 0
        found = calls(stack, key)
        assert len(found) == 8 and all(entry["output_tokens"] >= 1 for entry in found)
    finally:
        stack.stop()


def test_no_secret_was_ever_logged(stack):
    """After all of the above: neither a key nor a provider's secret stands in the log."""
    log = "\n".join(stack.server.log)
    assert "tk_inf_" not in log and "tk_adm_" not in log and "rogue-secret" not in log and "demo-secret" not in log


def test_the_server_still_serves_after_all_this(stack):
    assert stack.ask(stack.key(usd=1), "plain").status_code == 200
