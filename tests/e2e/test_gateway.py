# SPDX-License-Identifier: Apache-2.0
"""The main job, end to end: a key with a cap, enforced on a real stream, through the real SDK.

Goal: what the ledger says equals what the provider produced; a cap is a cap under concurrency; whatever the
provider does wrong, the caller gets a clear error and pays for what was produced, and the server goes on.
"""

import concurrent.futures
import contextlib
import json
import socket
import time
import uuid

import httpx
import openai
import pytest

from stack import NANO_INPUT, NANO_OUTPUT, PATIENCE, PRICE, Stack, entries

FAULTS = ["status=500", "status=429", "status=401", "status=418", "no-usage", "break-after=0", "break-after=5",
          "malformed", "huge-usage", "usage-in-every-chunk", "tokens=500+delay=20", "slow-head=600000",
          "stall-after=3", "tokens=3000", "tokens=3000+delay=2"]


def demo_model(model_id, **more):
    return {"id": model_id, "provider": "demo", "max_output_tokens": 4096, "price": PRICE, **more}


MODELS = [
    demo_model("demo-small"),
    {"id": "demo-embed", "provider": "demo", "type": "embedding", "price": {"input": 0.02}},
    {"id": "unpriced", "provider": "demo", "max_output_tokens": 100},
    demo_model("renamed", upstream_id="demo-small"),
    demo_model("public", upstream_id="demo-small", privacy="anonymized"),
    {"id": "down", "provider": "nowhere", "max_output_tokens": 100, "price": PRICE},
    {"id": "badkey", "provider": "impatient", "upstream_id": "demo-small+status=401", "max_output_tokens": 100,
     "price": PRICE},
] + [{"id": fault, "provider": "impatient", "upstream_id": f"demo-small+{fault}", "max_output_tokens": 4096,
      "price": PRICE} for fault in FAULTS]


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("gateway"), demo_args=["--tokens", "40"], models=MODELS)
    stack.settings["providers"]["nowhere"] = {"base_url": f"http://127.0.0.1:{closed_port()}/v1"}
    stack.settings["providers"]["impatient"] = {"base_url": stack.demo.url + "/v1", "first_byte_ms": 1500,
                                                "idle_ms": 1500}
    stack.start()
    yield stack
    stack.stop()


def sdk(stack, key, path="/v1"):
    return openai.OpenAI(base_url=stack.url + path, api_key=key, max_retries=0, timeout=60 * PATIENCE)


def ask(client, model="demo-small", **more):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Say hello, please"}],
                                          **more)


def text_of(chunks):
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def last_entry(stack, key):
    return entries(stack, key["id"])["calls"][0]


def cost_nano(usage):
    return usage.prompt_tokens * NANO_INPUT + usage.completion_tokens * NANO_OUTPUT


def usd_nano(entry):
    whole, _, part = str(entry["usd"]).partition(".")
    return int(whole) * 10**9 + int((part + "0" * 9)[:9])


@contextlib.contextmanager
def status_error(code):
    with pytest.raises(openai.APIStatusError) as caught:
        yield caught
    assert caught.value.status_code == code


# ---- what works ----


def test_a_plain_answer_is_metered_to_the_nano(stack):
    key = stack.key(usd=1, period="month")
    answer = ask(sdk(stack, key["key"]))
    assert answer.choices[0].message.content
    entry = last_entry(stack, key)
    assert usd_nano(entry) == cost_nano(answer.usage)
    assert (entry["input_tokens"], entry["output_tokens"]) == (
        answer.usage.prompt_tokens, answer.usage.completion_tokens)
    assert entry["flags"] == []


def test_a_stream_is_metered_without_being_asked_for_usage(stack):
    key = stack.key(usd=1, period="month")
    chunks = list(ask(sdk(stack, key["key"]), stream=True))
    assert all(chunk.usage is None for chunk in chunks)
    assert all(chunk.choices for chunk in chunks), "the extra usage chunk is not for this client"
    entry = last_entry(stack, key)
    assert entry["output_tokens"] == 40 and entry["flags"] == []
    assert usd_nano(entry) == entry["input_tokens"] * NANO_INPUT + 40 * NANO_OUTPUT
    assert text_of(chunks) == ask(sdk(stack, key["key"])).choices[0].message.content


def test_a_client_that_asks_for_usage_gets_it(stack):
    key = stack.key(usd=1)
    chunks = list(ask(sdk(stack, key["key"]), stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 40
    assert usd_nano(last_entry(stack, key)) == cost_nano(chunks[-1].usage)


def test_bytes_pass_unchanged(stack):
    """A stream through Tollkey equals one straight from the provider, but for ids and times."""
    key = stack.key(usd=1)
    body = {"model": "demo-small", "stream": True, "stream_options": {"include_usage": True},
            "messages": [{"role": "user", "content": "Grüße, 世界 \U0001f600"}]}

    def events(url, token):
        with httpx.stream("POST", url + "/v1/chat/completions", json=body, timeout=60,
                          headers={"Authorization": "Bearer " + token}) as answer:
            raw = answer.read().decode()
        out = []
        for block in raw.split("\n\n"):
            if block.startswith("data: {"):
                event = json.loads(block[6:])
                event.pop("id"), event.pop("created")
                out.append(event)
            else:
                out.append(block)
        return out

    assert events(stack.url, key["key"]) == events(stack.demo.url, "demo-secret")


def test_completions_and_embeddings(stack):
    key = stack.key(usd=1)
    client = sdk(stack, key["key"])
    done = client.completions.create(model="demo-small", prompt="Once upon", max_tokens=9)
    assert done.usage.completion_tokens == 9
    assert usd_nano(last_entry(stack, key)) == cost_nano(done.usage)
    vectors = client.embeddings.create(model="demo-embed", input=["a b", "c"])
    assert len(vectors.data) == 2
    assert usd_nano(last_entry(stack, key)) == vectors.usage.prompt_tokens * 20
    assert last_entry(stack, key)["output_tokens"] == 0


def test_the_same_under_api_v1(stack):
    key = stack.key(usd=1)
    client = sdk(stack, key["key"], "/api/v1")
    assert ask(client).usage.completion_tokens == 40
    assert len(list(ask(client, stream=True))) > 40
    assert "demo-small" in [m.id for m in client.models.list()]


def test_the_provider_gets_its_own_model_name(stack):
    key = stack.key(usd=1)
    assert ask(sdk(stack, key["key"]), model="renamed").usage.completion_tokens == 40
    assert last_entry(stack, key)["model"] == "renamed"


@pytest.mark.parametrize("header", ["x-api-key", "api-key", "x-portkey-api-key", "authorization"])
def test_every_header_carries_a_key(stack, header):
    key = stack.key(usd=1)["key"]
    value = "Bearer " + key if header == "authorization" else key
    assert httpx.get(stack.url + "/v1/models", headers={header: value}).status_code == 200


def test_the_ledger_equals_what_the_provider_produced(stack):
    """Concurrent mixed traffic of one key; the provider's own count is the truth."""
    httpx.post(stack.demo.url + "/demo/truth/reset")
    key = stack.key(usd=100)
    client = sdk(stack, key["key"])

    def one(i):
        if i % 2:
            return len(list(ask(client, stream=True, max_tokens=5 + i, user="truth")))
        return ask(client, max_tokens=5 + i, user="truth").usage.completion_tokens

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(64)))
    truth = stack.truth()["users"]["truth"]
    shown = entries(stack, key["id"])["key"]["usage"]["all"]
    assert truth["requests"] == shown["requests"] == 64
    assert truth["prompt_tokens"] + truth["completion_tokens"] == shown["tokens"]
    assert usd_nano(shown) == truth["prompt_tokens"] * NANO_INPUT + truth["completion_tokens"] * NANO_OUTPUT


# ---- caps ----


def test_a_cap_of_a_cent_with_64_streams(stack):
    """Never more than a cent, in any interleaving; and all of it can be spent."""
    key = stack.key(usd=0.01, period="lifetime")
    cap = 10**7

    def stream(_):
        try:
            return text_of(ask(sdk(stack, key["key"]), model="tokens=3000", stream=True))
        except openai.RateLimitError as refused:
            assert refused.code == "insufficient_quota"
        except openai.APIError as cut:  # in-band: the stream had begun
            assert "limit" in str(cut)
        return None

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        list(pool.map(stream, range(64)))
    used = usd_nano(entries(stack, key["id"])["key"]["usage"]["all"])
    assert used <= cap
    # What is left is too little for the streams above; smaller and smaller calls spend it to the end.
    for _ in range(200):
        try:
            sdk(stack, key["key"]).completions.create(model="demo-small", prompt="x", max_tokens=1)
        except openai.RateLimitError:
            break
    else:
        pytest.fail("the cap was never reached")
    used = usd_nano(entries(stack, key["id"])["key"]["usage"]["all"])
    smallest = len('{"model":"demo-small","prompt":"x","max_tokens":1}') * NANO_INPUT + 2 * NANO_OUTPUT
    assert cap - smallest < used <= cap
    assert entries(stack, key["id"])["key"]["usage"]["all"]["usd"] <= "0.01"


def test_a_spent_key_is_refused_in_each_dialect(stack):
    key = stack.key(usd=0)
    with status_error(429) as caught:
        ask(sdk(stack, key["key"]))
    assert caught.value.code == "insufficient_quota"
    with status_error(402) as caught:
        ask(sdk(stack, key["key"], "/api/v1"))
    assert caught.value.response.json() == {
        "error": "API key USD spend limit exceeded. Your account may still have USD balance, but this API key has "
                 "reached its configured USD spending limit."}
    assert entries(stack, key["id"])["calls"] == [], "a refused call consumes nothing"


def test_a_huge_max_tokens_blocks_nobody(stack):
    """A key that can pay for the real answer is served, whatever maximum it names."""
    key = stack.key(usd=0.001)  # 1,666 output tokens; the model's maximum would cost 0.0025
    assert text_of(ask(sdk(stack, key["key"]), stream=True, max_tokens=4096))
    assert ask(sdk(stack, key["key"]), max_tokens=4096).usage.completion_tokens == 40


def test_max_tokens_is_clamped_to_what_the_key_affords(stack):
    key = stack.key(usd=0.0001)  # about 130 output tokens after the input bound
    answer = ask(sdk(stack, key["key"]), model="tokens=3000")
    assert answer.choices[0].finish_reason == "length"
    assert usd_nano(last_entry(stack, key)) <= 10**5


def test_a_stream_is_cut_in_band_at_the_bound(stack):
    """Two streams share what one alone could have had: at the end of the money both end, in-band."""
    key = stack.key(usd=0.0005)

    def stream(_):
        try:
            return text_of(ask(sdk(stack, key["key"]), model="tokens=3000", stream=True))
        except openai.APIError as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(stream, range(8)))
    assert any(isinstance(r, openai.APIError) for r in results)
    shown = entries(stack, key["id"])
    assert usd_nano(shown["key"]["usage"]["all"]) <= 5 * 10**5
    assert any("cut" in call["flags"] for call in shown["calls"]) or any(
        isinstance(r, openai.RateLimitError) for r in results)


def test_what_the_provider_produced_is_never_more_than_what_is_posted(stack):
    """Thirty streams that cannot all be paid for, at the pace of a real provider: the truth stays within the cap."""
    httpx.post(stack.demo.url + "/demo/truth/reset")
    key = stack.key(usd=0.002, period="lifetime")

    def stream(_):
        with contextlib.suppress(openai.APIError):
            list(ask(sdk(stack, key["key"]), model="tokens=3000+delay=2", stream=True, user="capped"))

    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        list(pool.map(stream, range(30)))
    used = usd_nano(entries(stack, key["id"])["key"]["usage"]["all"])
    deadline = time.monotonic() + 20 * PATIENCE
    while True:  # streams that were cut end at the provider a moment later
        truth = stack.truth()["users"]["capped"]
        if truth["requests"] == len(entries(stack, key["id"])["calls"]):
            break
        assert time.monotonic() < deadline
    produced = truth["prompt_tokens"] * NANO_INPUT + truth["completion_tokens"] * NANO_OUTPUT
    assert produced <= used <= 2 * 10**6
    assert used > 1.9 * 10**6


def test_a_raised_cap_acts_at_once(stack):
    admin, key = stack.admin(), stack.key(usd=0)
    with status_error(429):
        ask(sdk(stack, key["key"]))
    patched = admin.patch("/api/v1/api_keys", json={"id": key["id"], "consumptionLimit": {"usd": 1}})
    assert patched.status_code == 200
    assert ask(sdk(stack, key["key"])).usage


def test_a_revoked_key_stops_at_once(stack):
    admin, key = stack.admin(), stack.key(usd=1)
    client = sdk(stack, key["key"])
    ask(client)
    assert admin.delete("/api/v1/api_keys", params={"id": key["id"]}).status_code == 200
    with status_error(401):
        ask(client)


def test_a_key_revoked_by_another_process_stops_within_a_second(stack):
    key = stack.key(usd=1)
    client = sdk(stack, key["key"])
    ask(client)
    stack.cli("key", "revoke", key["id"])
    deadline = time.monotonic() + 1 * PATIENCE
    while True:
        try:
            ask(client)
        except openai.AuthenticationError:
            return
        assert time.monotonic() < deadline + 5, "still served long after the revocation"


def test_spend_shows_in_the_management_api(stack):
    admin, key = stack.admin(), stack.key(usd=5, period="month")
    for _ in range(4):
        list(ask(sdk(stack, key["key"]), model="tokens=3000", stream=True))
    data = admin.get(f"/api/v1/api_keys/{key['id']}").json()["data"]
    nano = usd_nano(entries(stack, key["id"])["key"]["usage"]["all"])
    shown = f"{(nano + 50_000) // 100_000 / 10_000:.4f}"
    assert data["usage"]["trailingSevenDays"] == {"usd": shown, "vcu": "0.0000", "diem": "0.0000"}
    assert data["currentPeriodUsage"] == {"usd": shown, "diem": "0.0000"}
    assert data["lastUsedAt"] is not None


# ---- refusals before anything is spent ----


@pytest.mark.parametrize("path,status", [("/v1", 404), ("/api/v1", 404)])
def test_an_unknown_model(stack, path, status):
    key = stack.key(usd=1)
    with status_error(status):
        ask(sdk(stack, key["key"], path), model="no-such-model")


@pytest.mark.parametrize("path", ["/v1", "/api/v1"])
def test_an_unpriced_model_is_never_free(stack, path):
    key = stack.key(usd=1)
    with status_error(400):
        ask(sdk(stack, key["key"], path), model="unpriced")
    assert entries(stack, key["id"])["calls"] == []


def test_a_private_key_refuses_an_anonymous_model(stack):
    admin = stack.admin()
    made = admin.post("/api/v1/api_keys", json={"apiKeyType": "INFERENCE", "description": "p",
                                                "modelPrivacy": "PRIVATE_ONLY"}).json()["data"]
    with status_error(403):
        ask(sdk(stack, made["apiKey"], "/api/v1"), model="public")
    assert ask(sdk(stack, made["apiKey"], "/api/v1")).usage


def test_wrong_keys(stack):
    for key in ["nonsense", "tk_inf_" + "0" * 50, "sk-" + "a" * 48]:
        with status_error(401) as caught:
            ask(sdk(stack, key))
        assert caught.value.code == "invalid_api_key"
        assert key not in caught.value.response.text, "a key is never echoed"
    with status_error(401):
        ask(sdk(stack, "nonsense", "/api/v1"))


BAD_BODIES = [
    b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b'{"model":"demo-small","messages":[]',
    b'{"model":1,"messages":[]}', b'{"messages":[]}', b'{"model":"demo-small","stream":"yes","messages":[]}',
    b'{"model":"demo-small","max_tokens":-1,"messages":[]}', b'{"model":"demo-small","max_tokens":1e9,"messages":[]}',
    b'{"model":"demo-small","max_tokens":99999999999999999999,"messages":[]}',
    b'{"model":"demo-small","model":"renamed","messages":[]}', b'{"model":"demo-small","n":100000,"messages":[]}',
    b'{"model":"demo-small","messages":"\xc3\x28"}', b"[" * 1_000_000, b'{"a":' * 1_000_000,
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda b: b[:40].decode("latin-1"))
@pytest.mark.parametrize("path", ["/v1", "/api/v1"])
def test_bad_bodies_get_a_clear_error_and_cost_nothing(stack, body, path):
    key = stack.key(usd=1)
    answer = stack.caller(key["key"]).post(path + "/chat/completions", content=body,
                                           headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert uuid.UUID(answer.headers["x-request-id"])
    assert entries(stack, key["id"])["calls"] == []


def test_ten_megabytes_of_brackets(stack):
    key = stack.key(usd=1)
    answer = stack.caller(key["key"]).post("/v1/chat/completions", content=b"[" * 10_000_000,
                                           headers={"content-type": "application/json"})
    assert answer.status_code in (400, 413)
    assert answer.json()["error"]["message"]


# ---- providers that fail ----


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_is_down(stack, stream):
    key = stack.key(usd=1)
    with status_error(503):
        ask(sdk(stack, key["key"]), model="down", stream=stream)
    assert entries(stack, key["id"])["calls"] == []


@pytest.mark.parametrize("status", [500, 429, 418])
def test_a_providers_error_is_passed_on_and_free(stack, status):
    key = stack.key(usd=1)
    with status_error(status):
        ask(sdk(stack, key["key"]), model=f"status={status}")
    assert entries(stack, key["id"])["calls"] == []


def test_our_own_credentials_are_not_the_callers_fault(stack):
    key = stack.key(usd=1)
    with status_error(502) as caught:
        ask(sdk(stack, key["key"]), model="badkey")
    assert "demo-secret" not in caught.value.response.text
    with status_error(500):
        ask(sdk(stack, key["key"], "/api/v1"), model="badkey")


@pytest.mark.parametrize("stream", [False, True])
def test_a_missing_usage_is_estimated_and_flagged(stack, stream):
    key = stack.key(usd=1)
    answer = ask(sdk(stack, key["key"]), model="no-usage", stream=stream)
    if stream:
        list(answer)
    entry = last_entry(stack, key)
    assert "estimated" in entry["flags"]
    assert 30 <= entry["output_tokens"] <= 80 and entry["input_tokens"] > 0


@pytest.mark.parametrize("tokens,model", [(0, "break-after=0"), (5, "break-after=5")])
def test_a_stream_that_breaks_is_charged_for_what_came(stack, tokens, model):
    key = stack.key(usd=1)
    with pytest.raises(openai.APIError):
        list(ask(sdk(stack, key["key"]), model=model, stream=True))
    calls = entries(stack, key["id"])["calls"]
    if calls:
        assert "upstream_broken" in calls[0]["flags"] and calls[0]["output_tokens"] >= tokens
    else:
        assert tokens == 0, "nothing was produced, so nothing is charged"


def test_a_stream_that_stalls_is_ended_and_charged(stack):
    key = stack.key(usd=1)
    with pytest.raises(openai.APIError):
        list(ask(sdk(stack, key["key"]), model="stall-after=3", stream=True))
    entry = last_entry(stack, key)
    assert "upstream_broken" in entry["flags"] and entry["output_tokens"] >= 3


def test_a_provider_that_says_nothing_is_a_504(stack):
    key = stack.key(usd=1)
    with status_error(504):
        ask(sdk(stack, key["key"]), model="slow-head=600000")


def test_malformed_answers(stack):
    key = stack.key(usd=1)
    with status_error(502):
        ask(sdk(stack, key["key"]), model="malformed")
    assert "estimated" in last_entry(stack, key)["flags"]


def test_nonsense_usage_is_not_believed(stack):
    key = stack.key(usd=1)
    list(ask(sdk(stack, key["key"]), model="huge-usage", stream=True))
    entry = last_entry(stack, key)
    assert "estimated" in entry["flags"] and usd_nano(entry) < 10**6


def test_usage_in_every_chunk_is_counted_once(stack):
    key = stack.key(usd=1)
    list(ask(sdk(stack, key["key"]), model="usage-in-every-chunk", stream=True))
    entry = last_entry(stack, key)
    assert entry["output_tokens"] == 40 and entry["flags"] == []


def test_a_client_that_leaves_pays_for_what_was_produced(stack):
    httpx.post(stack.demo.url + "/demo/truth/reset")
    key = stack.key(usd=1)
    stream = ask(sdk(stack, key["key"]), model="tokens=500+delay=20", stream=True, user="gone")
    for i, chunk in enumerate(stream):
        if i == 10:
            break
    stream.response.close()
    deadline = time.monotonic() + 20 * PATIENCE
    while not entries(stack, key["id"])["calls"]:
        assert time.monotonic() < deadline, "the call of the client that left was never posted"
    entry = last_entry(stack, key)
    assert "client_gone" in entry["flags"]
    assert 9 <= entry["output_tokens"] < 400
    while stack.truth()["users"].get("gone", {}).get("cancelled") != 1:
        assert time.monotonic() < deadline, "the provider was not told"
    truth = stack.truth()["users"]["gone"]
    # The provider may have written a token or two more before it noticed; each was paid for up to then.
    assert abs(truth["completion_tokens"] - entry["output_tokens"]) <= 15


# ---- raw sockets ----


def raw(stack, data, half_close=False):
    host, port = stack.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20 * PATIENCE) as s:
        s.sendall(data)
        if half_close:
            s.shutdown(socket.SHUT_WR)
        out = b""
        while chunk := s.recv(65536):
            out += chunk
            if b"\r\n\r\n" in out and b"Connection: close" not in out and b"connection: close" not in out:
                break
        return out


SMUGGLING = [
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /v1/models\r\n\r\n", b"\x00\x01\x02\r\n\r\n", b"GET /v1/mod\x00els HTTP/1.1\r\nHost: x\r\n\r\n",
]


@pytest.mark.parametrize("data", SMUGGLING, ids=range(len(SMUGGLING)))
def test_ambiguous_requests_are_refused_and_closed(stack, data):
    answer = raw(stack, data)
    assert answer.split(b" ")[1] in (b"400", b"505"), answer[:200]
    assert b"x-request-id" in answer.lower() and b"connection: close" in answer.lower()
    assert b'"error"' in answer or b'"title"' in answer


def test_headers_that_are_too_large(stack):
    answer = raw(stack, b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431") and b"x-request-id" in answer.lower()


def test_a_body_that_is_too_large(stack):
    answer = raw(stack, b"POST /api/v1/api_keys HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413") and b"x-request-id" in answer.lower()


def test_a_half_closed_client_is_answered(stack):
    key = stack.key(usd=1)["key"].encode()
    answer = raw(stack, b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key +
                 b"\r\nConnection: close\r\n\r\n", half_close=True)
    assert answer.startswith(b"HTTP/1.1 200")


def test_the_server_still_serves_after_all_this(stack):
    key = stack.key(usd=1)
    assert ask(sdk(stack, key["key"])).usage.completion_tokens == 40


# ---- restarts ----


def test_a_restart_keeps_keys_spend_and_caps(tmp_path):
    stack = Stack(tmp_path).start()
    try:
        key = stack.key(usd=0.01, period="lifetime")
        for _ in range(5):
            ask(sdk(stack, key["key"]))
        before = entries(stack, key["id"])
        stack.server.stop()
        stack.start()
        assert entries(stack, key["id"]) == before
        assert ask(sdk(stack, key["key"])).usage
        assert len(entries(stack, key["id"])["calls"]) == len(before["calls"]) + 1
    finally:
        stack.stop()


def test_a_killed_server_never_forgets_spend(tmp_path):
    """kill -9 in the middle of streams: after the restart the cap still holds against the provider's truth."""
    stack = Stack(tmp_path, demo_args=["--tokens", "400", "--delay-ms", "2"]).start()
    try:
        key = stack.key(usd=0.001, period="lifetime")  # 1,666 tokens: a few answers
        for _ in range(3):
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                def stream(_):
                    with contextlib.suppress(openai.APIError, httpx.HTTPError):
                        list(ask(sdk(stack, key["key"]), stream=True))
                running = [pool.submit(stream, i) for i in range(4)]
                concurrent.futures.wait(running, timeout=0.3, return_when=concurrent.futures.FIRST_COMPLETED)
                stack.server.kill()
            stack.start()
        for _ in range(20):
            try:
                ask(sdk(stack, key["key"]))
            except openai.RateLimitError:
                break
        else:
            pytest.fail("the cap was never reached")
        assert usd_nano(entries(stack, key["id"])["key"]["usage"]["all"]) <= 10**6
    finally:
        stack.stop()


def test_two_servers_on_one_store_are_refused(stack):
    done = stack.cli("serve", check=False)
    assert done.returncode == 1 and "another tollkey serves" in done.stderr
