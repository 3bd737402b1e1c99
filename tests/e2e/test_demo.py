# SPDX-License-Identifier: Apache-2.0
"""The demo upstream, seen by the real openai SDK and by raw sockets.

Everything else end to end trusts the demo's counts, so they are checked here against the tokenizer as
src/demo/token.h states it, written a second time below.
"""
import base64
import json
import math
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TOLLKEY_BIN", str(ROOT / "build" / "tollkey"))
SPACE = " \t\n\v\f\r"
HELLO = [{"role": "user", "content": "Hello, wide world"}]


def tokens(text):
    """src/demo/token.h: white space, then up to four bytes of whole characters."""
    count, at = 0, 0
    while at < len(text):
        while at < len(text) and text[at] in SPACE:
            at += 1
        size = 0
        while at < len(text) and text[at] not in SPACE and size + len(text[at].encode()) <= 4:
            size += len(text[at].encode())
            at += 1
        count += 1
    return count


class Demo:
    def __init__(self, *options):
        self.process = subprocess.Popen([BINARY, "demo-upstream", "--listen", "127.0.0.1:0", *options],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        match = re.fullmatch(r"ready (http://127\.0\.0\.1:(\d+))\n", line)
        if not match:
            self.process.kill()
            raise AssertionError(f"no ready line but {line!r}: {self.process.communicate()}")
        self.url, self.port = match[1], int(match[2])

    def client(self, key="any", **more):
        return openai.OpenAI(base_url=self.url + "/v1", api_key=key, max_retries=0, timeout=20, **more)

    def request(self, method, path, body=None, headers=None):
        """Status, headers and bytes of a plain request."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def truth(self, user=None):
        truth = json.loads(self.request("GET", "/demo/truth")[2])
        return truth["total"] if user is None else truth["users"].get(user)

    def truth_when(self, user, condition):
        """What the demo notices a moment later (a client that left) is waited for."""
        end = time.monotonic() + 20
        while True:
            truth = self.truth(user)
            if truth and condition(truth):
                return truth
            assert time.monotonic() < end, truth
            time.sleep(0.02)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        assert (self.process.returncode, out, err) == (0, "", "")


@pytest.fixture(scope="module")
def demo():
    demo = Demo()
    yield demo
    demo.stop()


@pytest.fixture(scope="module")
def client(demo):
    return demo.client()


def chat(client, **more):
    return client.chat.completions.create(**{"model": "demo-small", "messages": HELLO, **more})


# ---- chat ----

def test_chat(client):
    answer = chat(client)
    assert re.fullmatch(r"chatcmpl-[0-9a-f]{32}", answer.id)
    assert (answer.object, answer.model, answer.system_fingerprint) == ("chat.completion", "demo-small", "fp_tollkey_demo")
    assert abs(answer.created - time.time()) < 60
    (choice,) = answer.choices
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    assert choice.message.content.startswith("This is Tollkey's demo upstream, not a language model.")
    assert "Hello, wide world" in choice.message.content
    assert answer.usage.prompt_tokens == 1 + tokens("Hello, wide world") == 6
    assert answer.usage.completion_tokens == tokens(choice.message.content) == 64
    assert answer.usage.total_tokens == 70
    assert chat(client).choices[0].message.content == choice.message.content


def test_answers_say_that_they_are_a_demo(demo):
    _, headers, _ = demo.request("GET", "/v1/models")
    assert "not a language model" in headers["x-demo-upstream"]
    assert headers["x-request-id"]


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_limit(client, limit):
    answer = chat(client, **{limit: 3})
    assert answer.choices[0].message.content == "This is Toll"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 3


def test_choices(client):
    answer = chat(client, n=3, max_tokens=40)
    assert [c.index for c in answer.choices] == [0, 1, 2]
    assert len({c.message.content for c in answer.choices}) == 3
    assert answer.usage.completion_tokens == sum(tokens(c.message.content) for c in answer.choices) == 120


def test_many_kinds_of_message(client):
    messages = [{"role": "system", "content": "Sei nett: é€😀"}, {"role": "user", "content": [
        {"type": "text", "text": "look\n\n here"}, {"type": "image_url", "image_url": {"url": "https://x.invalid/y"}}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "42"}]
    answer = chat(client, messages=messages, tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}])
    assert answer.usage.prompt_tokens == 4 + tokens("Sei nett: é€😀") + tokens("look\n\n here") + 1 + tokens("42")


# ---- streams ----

def test_stream(client):
    chunks = list(chat(client, stream=True))
    assert len({c.id for c in chunks}) == 1
    assert all(c.object == "chat.completion.chunk" and c.usage is None and len(c.choices) == 1 for c in chunks)
    first, *middle, last = [c.choices[0] for c in chunks]
    assert (first.delta.role, first.delta.content) == ("assistant", "")
    assert all(tokens(c.delta.content) == 1 and c.finish_reason is None and c.delta.role is None for c in middle)
    assert (last.delta.content, last.finish_reason) == (None, "stop")
    assert len(middle) == 64
    assert "".join(c.delta.content for c in middle) == chat(client).choices[0].message.content


def test_stream_with_usage(client):
    chunks = list(chat(client, stream=True, stream_options={"include_usage": True}, max_tokens=5, n=2))
    *rest, last = chunks
    assert all(c.usage is None for c in rest)
    assert last.choices == []
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (6, 10, 16)
    texts = {0: "", 1: ""}
    for chunk in rest:
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert [tokens(t) for t in texts.values()] == [5, 5]
    assert [c.choices[0].finish_reason for c in rest[-2:]] == ["length", "length"]


def test_stream_bytes(demo):
    body = {"model": "demo-small", "messages": HELLO, "stream": True, "stream_options": {"include_usage": True}, "max_tokens": 1}
    status, headers, raw = demo.request("POST", "/v1/chat/completions", body)
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    events = raw.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(e.removeprefix("data: ")) for e in events[:-2]]
    assert [("usage" in c, c["usage"] is None) for c in chunks] == [(True, True)] * 3 + [(True, False)]
    del body["stream_options"]
    assert b"usage" not in demo.request("POST", "/v1/chat/completions", body)[2]


def test_delay_is_a_pace(client):
    start = time.monotonic()
    stream = chat(client, model="demo-small+delay=50", max_tokens=6, stream=True)
    times = [time.monotonic() - start for chunk in stream if chunk.choices[0].delta.content]
    assert len(times) == 6 and times[-1] >= 0.29
    assert times[0] < times[-1] - 0.15  # They come one by one.
    start = time.monotonic()
    chat(client, model="demo-small+delay=50", max_tokens=6)
    assert time.monotonic() - start >= 0.29


def test_many_at_once(demo, client):
    def one(i):
        text = "".join(c.choices[0].delta.content or "" for c in chat(client, stream=True, max_tokens=10 + i, user="many",
                                                                      model="demo-small+tokens=500"))
        return tokens(text)
    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(one, range(100))) == list(range(10, 110))
    assert demo.truth("many")["completion_tokens"] == sum(range(10, 110))
    assert demo.truth("many")["requests"] == 100


# ---- the other endpoints ----

def test_completions(client):
    answer = client.completions.create(model="demo-small", prompt=["one", "two words"], n=2)
    assert (answer.object, len(answer.choices)) == ("text_completion", 4)
    assert answer.usage.prompt_tokens == tokens("one") + tokens("two words")
    assert answer.usage.completion_tokens == sum(tokens(c.text) for c in answer.choices) == 4 * 16
    assert {c.finish_reason for c in answer.choices} == {"length"}
    stream = client.completions.create(model="demo-small", prompt="hi", stream=True, max_tokens=4,
                                       stream_options={"include_usage": True})
    chunks = list(stream)
    assert [tokens(c.choices[0].text) for c in chunks[:4]] == [1, 1, 1, 1]
    assert chunks[4].choices[0].finish_reason == "length" and chunks[5].usage.completion_tokens == 4


def test_embeddings(demo, client):
    answer = client.embeddings.create(model="demo-embed", input=["a b", "c", "a b"])
    vectors = [d.embedding for d in answer.data]
    assert [d.index for d in answer.data] == [0, 1, 2]
    assert [len(v) for v in vectors] == [256] * 3
    assert vectors[0] == vectors[2] != vectors[1]
    assert all(math.isclose(sum(x * x for x in v), 1, rel_tol=1e-5) for v in vectors)
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (5, 5)
    floats = client.embeddings.create(model="demo-embed", input="a b", encoding_format="float", dimensions=7).data[0]
    raw = demo.request("POST", "/v1/embeddings",
                       {"model": "demo-embed", "input": "a b", "encoding_format": "base64", "dimensions": 7})[2]
    packed = base64.b64decode(json.loads(raw)["data"][0]["embedding"], validate=True)
    assert struct.unpack("<7f", packed) == struct.unpack("<7f", struct.pack("<7f", *floats.embedding))
    assert client.embeddings.create(model="demo-embed", input=[[1, 2, 3], [4]]).usage.prompt_tokens == 4


def test_models(client):
    assert [m.id for m in client.models.list()] == ["demo-small", "demo-embed"]
    model = client.models.retrieve("demo-small")
    assert (model.id, model.object, model.owned_by) == ("demo-small", "model", "tollkey-demo")
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nope")
    assert caught.value.code == "model_not_found"


# ---- errors ----

def test_errors_as_the_sdk_sees_them(client):
    with pytest.raises(openai.NotFoundError) as caught:
        chat(client, model="gpt-9")
    assert caught.value.body == {"message": "The model `gpt-9` does not exist or you do not have access to it.",
                                 "type": "invalid_request_error", "param": None, "code": "model_not_found"}
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, max_tokens=0)
    assert (caught.value.param, caught.value.code) == ("max_tokens", "integer_below_min_value")


@pytest.mark.parametrize("method, path, body, status, param", [
    ("POST", "/v1/chat/completions", b"{", 400, None),
    ("POST", "/v1/chat/completions", b"", 400, None),
    ("POST", "/v1/chat/completions", b"[" * 100000, 400, None),
    ("POST", "/v1/chat/completions", b'{"model":"demo-small"}', 400, "messages"),
    ("POST", "/v1/chat/completions", b'{"model":"demo-small","messages":"\xff"}', 400, None),
    ("GET", "/v1/chat/completions", None, 405, None),
    ("DELETE", "/v1/models", None, 405, None),
    ("POST", "/v1/models/demo-small", b"{}", 405, None),
    ("GET", "/v1/models/%00", None, 404, "model"),
    ("GET", "/v1/models/%zz", None, 404, "model"),
    ("GET", "/v1/models/", None, 404, None),
    ("POST", "/v1/nope", b"{}", 404, None),
    ("GET", "/", None, 404, None),
])
def test_errors_have_openais_shape(demo, method, path, body, status, param):
    got, headers, raw = demo.request(method, path, body)
    assert (got, headers["content-type"]) == (status, "application/json")
    error = json.loads(raw)["error"]
    assert set(json.loads(raw)) == {"error"} and set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert bool(headers["allow"]) == (status == 405)


def test_refusals_of_the_server_itself(demo):
    with socket.create_connection(("127.0.0.1", demo.port), timeout=20) as sock:
        sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello")
        raw = b"".join(iter(lambda: sock.recv(65536), b""))
    head, body = raw.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


def test_api_key():
    demo = Demo("--api-key", "sk-demo-1", "--model", "only")
    try:
        assert [m.id for m in demo.client("sk-demo-1").models.list()] == ["only"]
        for key in ["sk-demo-2", "sk-demo-", "sk-demo-11", "x"]:
            with pytest.raises(openai.AuthenticationError) as caught:
                demo.client(key).models.list()
            assert caught.value.code == "invalid_api_key"
            assert key not in caught.value.message
        status, headers, raw = demo.request("GET", "/v1/models")
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert "didn't provide an API key" in json.loads(raw)["error"]["message"]
        assert demo.request("GET", "/demo/truth")[0] == 401
    finally:
        demo.stop(signal.SIGINT)


# ---- faults and truth ----

def test_fault_status(client):
    with pytest.raises(openai.RateLimitError) as caught:
        chat(client, model="demo-small+status=429")
    assert caught.value.response.headers["retry-after"] == "1"
    with pytest.raises(openai.InternalServerError):
        chat(client, extra_headers={"x-demo-fault": "status=500"})
    with pytest.raises(openai.AuthenticationError):
        chat(client, model="demo-small+status=401", stream=True)
    with pytest.raises(openai.InternalServerError):
        client.embeddings.create(model="demo-embed+status=503", input="x")
    with pytest.raises(openai.BadRequestError):
        chat(client, extra_headers={"x-demo-fault": "nonsense"})


def test_fault_usage(client):
    assert chat(client, model="demo-small+no-usage").usage is None
    chunks = list(chat(client, model="demo-small+no-usage", stream=True, stream_options={"include_usage": True}))
    assert all(c.usage is None and c.choices for c in chunks)
    chunks = list(chat(client, model="demo-small+usage-in-every-chunk", stream=True, max_tokens=3))
    assert [c.usage.completion_tokens for c in chunks] == [0, 1, 2, 3, 3]
    assert chat(client, model="demo-small+huge-usage").usage.completion_tokens == 2**64 - 1


def test_fault_malformed(demo, client):
    with pytest.raises(json.JSONDecodeError):
        chat(client, model="demo-small+malformed")
    status, _, raw = demo.request("POST", "/v1/chat/completions",
                                  {"model": "demo-small+malformed", "messages": HELLO, "stream": True})
    events = raw.decode().split("\n\n")
    assert status == 200 and events[-2] == "data: [DONE]"
    with pytest.raises(json.JSONDecodeError):
        json.loads(events[1].removeprefix("data: "))
    json.loads(events[2].removeprefix("data: "))


def test_fault_slow_head(client):
    start = time.monotonic()
    chat(client, model="demo-small+slow-head=300")
    assert time.monotonic() - start >= 0.3


def read_some(stream):
    """The tokens up to the end or the break."""
    count = 0
    try:
        for chunk in stream:
            count += bool(chunk.choices and chunk.choices[0].delta.content)
    except openai.APIConnectionError:
        return count, "broken"
    return count, "whole"


@pytest.mark.parametrize("after", [0, 3, 64])
def test_fault_break(demo, client, after):
    user = f"break-{after}"
    stream = chat(client, model=f"demo-small+break-after={after}", stream=True, user=user)
    assert read_some(stream) == (after, "broken")
    truth = demo.truth(user)
    assert (truth["requests"], truth["completion_tokens"], truth["broken"], truth["cancelled"]) == (1, after, 1, 0)
    with pytest.raises(openai.APIConnectionError):
        chat(client, model=f"demo-small+break-after={after}")


def post(sock, body):
    body = json.dumps(body).encode()
    sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def test_fault_stall_until_the_client_leaves(demo):
    # By a reset: a plain close cannot be told from half a close by a server that has nothing to send.
    with socket.create_connection(("127.0.0.1", demo.port), timeout=20) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        post(sock, {"model": "demo-small+stall-after=5", "messages": HELLO, "stream": True, "user": "stall"})
        raw = b""
        while raw.count(b"data: ") < 6:
            raw += sock.recv(65536)
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        assert demo.truth("stall")["cancelled"] == 0
    truth = demo.truth_when("stall", lambda t: t["cancelled"] == 1)
    assert (truth["completion_tokens"], truth["cancelled_completion_tokens"]) == (5, 5)


def test_truth(demo, client):
    assert json.loads(demo.request("POST", "/demo/truth/reset")[2])["total"]["requests"] == 0
    chat(client, user="ann", max_tokens=3)
    list(chat(client, user="ann", max_tokens=4, n=2, stream=True))
    client.embeddings.create(model="demo-embed", input="a b", user="bob")
    with pytest.raises(openai.NotFoundError):
        chat(client, model="gpt-9", user="ann")
    truth = json.loads(demo.request("GET", "/demo/truth")[2])
    assert truth["users"]["ann"] == {"requests": 2, "prompt_tokens": 12, "completion_tokens": 11, "cancelled": 0,
                                     "cancelled_completion_tokens": 0, "broken": 0, "refused": 0,
                                     "running": 0, "most_at_once": 1}
    assert truth["users"]["bob"]["prompt_tokens"] == 2
    assert truth["models"]["demo-embed"]["requests"] == 1
    assert (truth["total"]["requests"], truth["total"]["refused"]) == (3, 1)


def test_work_ends_when_the_client_leaves(demo, client):
    stream = chat(client, model="demo-small+delay=20+tokens=100000", stream=True, user="leaver")
    for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    stream.close()
    truth = demo.truth_when("leaver", lambda t: t["cancelled"] == 1)
    assert 1 <= truth["completion_tokens"] < 1000
    assert truth["cancelled_completion_tokens"] == truth["completion_tokens"]
    time.sleep(0.2)
    assert demo.truth("leaver") == truth


def test_a_client_that_does_not_read_holds_the_work_back(demo):
    with socket.create_connection(("127.0.0.1", demo.port), timeout=20) as sock:
        post(sock, {"model": "demo-small+tokens=1000000", "messages": HELLO, "stream": True, "user": "slow"})
        before = demo.truth_when("slow", lambda t: t["completion_tokens"] > 0)["completion_tokens"]
        while True:  # until the buffers of the sockets are full
            time.sleep(0.3)
            now = demo.truth("slow")["completion_tokens"]
            if now == before:
                break
            before = now
        assert now < 200000  # 40 MB of the 200 MB that it would be
        assert demo.truth()["requests"] > 0  # The loop still answers others.
        for _ in range(2000):
            sock.recv(65536)
        demo.truth_when("slow", lambda t: t["completion_tokens"] > now)
    truth = demo.truth_when("slow", lambda t: t["cancelled"] == 1)
    assert truth["completion_tokens"] < 1000000


# ---- the command ----

@pytest.mark.parametrize("options, text", [
    (["--nope"], "unknown option '--nope'"), (["--listen"], "needs a value"), (["--tokens", "0"], "must be a number"),
    (["--delay-ms", "x"], "must be a number"), (["--model", "a+b"], "--model takes"), (["--api-key", ""], "must not be empty"),
])
def test_wrong_options(options, text):
    done = subprocess.run([BINARY, "demo-upstream", *options], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (2, "") and text in done.stderr


def test_help():
    done = subprocess.run([BINARY, "demo-upstream", "--help"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and "break-after=N" in done.stdout and "not a language model" in done.stdout


def test_address_in_use(demo):
    done = subprocess.run([BINARY, "demo-upstream", "--listen", f"127.0.0.1:{demo.port}"], capture_output=True, text=True,
                          timeout=20)
    assert (done.returncode, done.stdout) == (1, "") and done.stderr


def test_stop_with_calls_open():
    demo = Demo("--loops", "2", "--tokens", "5")
    client = demo.client()
    stream = chat(client, model="demo-small+stall-after=2", stream=True)
    seen = threading.Event()

    def read():
        for chunk in stream:
            if chunk.choices[0].delta.content:
                seen.set()
    thread = threading.Thread(target=lambda: pytest.raises(Exception, read))
    thread.start()
    assert seen.wait(20)
    demo.stop()
    thread.join(20)
    assert not thread.is_alive()
