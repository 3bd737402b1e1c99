# SPDX-License-Identifier: Apache-2.0
"""Limits that an operator sets: at every level, of every kind, through the command line and the real SDK.

A server reads what the command line changed a moment later. So limits are set before the server starts, and what is
about that moment waits for it.
"""

import concurrent.futures
import contextlib
import json
import subprocess
import time

import openai
import pytest

from stack import BINARY, NANO_INPUT, NANO_OUTPUT, PATIENCE, PRICE, Stack, entries

FAULTS = ["tokens=3000", "tokens=60+delay=5", "tokens=3000+delay=20"]
MODELS = [{"id": "demo-small", "provider": "demo", "max_output_tokens": 4096, "price": PRICE}] + [
    {"id": fault, "provider": "demo", "upstream_id": f"demo-small+{fault}", "max_output_tokens": 4096, "price": PRICE}
    for fault in FAULTS]
ANN = "ann@example.com"
NOWHERE = "01a2009a-a43c-756c-8855-2fc3b9c7e875"


@pytest.fixture
def stack(tmp_path):
    """Not started: a test sets its limits first."""
    stack = Stack(tmp_path, demo_args=["--tokens", "10"], models=MODELS)
    stack.write_config()
    yield stack
    stack.stop()


def sdk(stack, key, path="/v1"):
    return openai.OpenAI(base_url=stack.url + path, api_key=key["key"], max_retries=0, timeout=60 * PATIENCE)


def ask(client, model="demo-small", **more):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}], **more)


def tiny(client):
    """A small call; its body is known to the byte, and so is what it needs at least: that, and one token."""
    return client.completions.create(model="demo-small", prompt="x", max_tokens=10)


TINY_BYTES = len('{"model":"demo-small","prompt":"x","max_tokens":10}')
TINY_NANO = TINY_BYTES * NANO_INPUT + NANO_OUTPUT


def limit(stack, subject, meter, window, cap, *flags):
    return json.loads(stack.cli("limit", "set", subject, "--meter", meter, "--window", window, "--cap", str(cap),
                                "--json", *flags).stdout)


def limits(stack, *subject):
    return json.loads(stack.cli("limit", "list", *subject, "--json").stdout)["limits"]


def nano(text):
    whole, _, part = text.partition(".")
    return int(whole) * 10**9 + int((part + "0" * 9)[:9])


def spent(stack, *keys):
    return sum(nano(entries(stack, key["id"])["key"]["usage"]["all"]["usd"]) for key in keys)


@contextlib.contextmanager
def refused(status, code=None):
    with pytest.raises(openai.APIStatusError) as caught:
        yield caught
    assert caught.value.status_code == status, caught.value
    if code:
        assert caught.value.code == code


def retry_after(caught):
    text = caught.value.response.headers["retry-after"]
    assert text.isdigit() and int(text) >= 1
    return int(text)


def until(condition, seconds=10):
    deadline = time.monotonic() + seconds * PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"


def passes(call):
    try:
        call()
        return True
    except openai.RateLimitError:
        return False


# ---- levels ----


def owner(stack, level):
    """Whose the keys are whose level it is."""
    if level != ANN:
        return None
    stack.cli("user", "add", ANN)
    return ANN


@pytest.mark.parametrize("level, words", [("org", "the organisation"), ("workspace", "the workspace"),
                                          (ANN, "the user")])
def test_one_cap_binds_two_keys(stack, level, words):
    cap = 10**5
    user = owner(stack, level)
    one, two = stack.key(usd=1, user=user), stack.key(usd=1, user=user)
    limit(stack, level, "usd", "month", "0.0001")
    stack.start()
    for _ in range(3):
        tiny(sdk(stack, one))
    client = sdk(stack, two)
    for _ in range(200):
        if not passes(lambda: tiny(client)):
            break
    else:
        pytest.fail("the cap was never reached")
    with refused(429, "insufficient_quota") as caught:
        tiny(sdk(stack, one))
    assert f"The limit of {words} is 0.0001 usd per month: " in caught.value.message
    assert " 0 held, " in caught.value.message and "it turns at " in caught.value.message
    assert 0 < retry_after(caught) <= 31 * 86400
    with refused(402) as caught:
        tiny(sdk(stack, one, "/api/v1"))
    assert caught.value.response.json() == {
        "error": "API key USD spend limit exceeded. Your account may still have USD balance, but this API key has "
                 "reached its configured USD spending limit."}
    assert "retry-after" not in caught.value.response.headers
    total = spent(stack, one, two)
    assert cap - TINY_NANO < total <= cap
    assert spent(stack, one) > 0 and spent(stack, two) > 0
    [shown] = limits(stack)[:1]
    assert shown["subject"] == level and nano(shown["used"]) == total and nano(shown["left"]) == cap - total


def test_a_user_is_held_to_limits_until_removed(stack):
    """Beside a running server: a new limit acts within a second, on the keys of this user alone, and so does the end."""
    for email in (ANN, "bob@example.com"):
        stack.cli("user", "add", email)
    hers, more, his, nobodys = stack.key(user=ANN), stack.key(user=ANN), stack.key(user="bob@example.com"), stack.key()
    stack.start()
    for key in (hers, more, his, nobodys):
        tiny(sdk(stack, key))
    limit(stack, ANN, "requests", "lifetime", 2)
    until(lambda: not passes(lambda: tiny(sdk(stack, hers))), seconds=1)
    with refused(429, "rate_limit_exceeded") as caught:
        tiny(sdk(stack, more))
    assert "The limit of the user is 2 requests in its lifetime: " in caught.value.message
    for key in (his, nobodys):
        tiny(sdk(stack, key))
    service = stack.caller(stack.key("admin")["key"])
    answer = service.post("/v1/verify", json={"key": hers["key"]}).json()
    assert answer["verdict"] == "rate" and answer["refusal"]["subject"] == "user"
    assert json.loads(stack.cli("user", "remove", ANN, "--json").stdout)["keys_revoked"] == 2
    until(lambda: service.post("/v1/verify", json={"key": more["key"]}).json()["verdict"] != "rate", seconds=1)
    with refused(401):
        tiny(sdk(stack, hers))
    tiny(sdk(stack, his))


def test_a_refused_hold_uses_nothing_on_any_level(stack):
    one, two = stack.key(), stack.key()
    limit(stack, "org", "requests", "lifetime", 3)
    limit(stack, one["id"], "requests", "lifetime", 1)
    stack.start()
    tiny(sdk(stack, one))
    for _ in range(5):
        with refused(429, "rate_limit_exceeded") as caught:
            tiny(sdk(stack, one))
        assert "this key is 1 requests in its lifetime" in caught.value.message
        assert "retry-after" not in caught.value.response.headers, "it would be tried for ever"
    for _ in range(2):
        tiny(sdk(stack, two))
    with refused(429):
        tiny(sdk(stack, two))
    assert entries(stack, one["id"])["key"]["usage"]["all"]["requests"] == 1
    assert [shown["used"] for shown in limits(stack)] == [3, 1]
    assert len(entries(stack, one["id"])["calls"]) == 1


# ---- rates ----


def test_a_rate_in_both_dialects(stack):
    key = stack.key()
    assert limit(stack, key["id"], "requests", "minute", 3)["sliding"]
    stack.start()
    for _ in range(3):
        tiny(sdk(stack, key))
    with refused(429, "rate_limit_exceeded") as caught:
        tiny(sdk(stack, key))
    assert retry_after(caught) <= 120
    assert "The limit of this key is 3 requests per minute: 3 used, 0 held, 0 left" in caught.value.message
    with refused(429) as caught:
        tiny(sdk(stack, key, "/api/v1"))
    assert caught.value.response.json() == {"error": "Rate limit exceeded"}
    assert retry_after(caught) <= 120


def test_retry_after_is_true(stack):
    key = stack.key()
    limit(stack, key["id"], "requests", "second", 1)
    stack.start()
    client = sdk(stack, key)
    for _ in range(3):
        with refused(429) as caught:
            for _ in range(50):
                tiny(client)
        time.sleep(retry_after(caught))
        tiny(client)


def test_a_token_limit_by_the_day(stack):
    """One call of thousands is kept near the limit; many small ones use all of it."""
    big, small = stack.key(), stack.key()
    for key in (big, small):
        assert limit(stack, key["id"], "tokens", "day", 1000)["sliding"]
    stack.start()
    answer = ask(sdk(stack, big), model="tokens=3000", max_tokens=4000)
    assert answer.choices[0].finish_reason == "length"
    assert 700 < answer.usage.total_tokens <= 1000
    chunks = list(ask(sdk(stack, small), model="tokens=3000", stream=True, stream_options={"include_usage": True},
                      max_tokens=600))
    assert chunks[-1].usage.completion_tokens == 600
    client = sdk(stack, small)
    for _ in range(400):
        if not passes(lambda: tiny(client)):
            break
    else:
        pytest.fail("the limit was never reached")
    with refused(429, "rate_limit_exceeded") as caught:
        tiny(sdk(stack, small))
    assert 0 < retry_after(caught) <= 2 * 86400
    used = entries(stack, small["id"])["key"]["usage"]["all"]["tokens"]
    # What the last call would hold is its bytes; what it then uses is less, and so the rest is used by more calls.
    assert 1000 - TINY_BYTES - 1 <= used <= 1000
    assert [(shown["used"], shown["left"]) for shown in limits(stack, small["id"])] == [(used, 1000 - used)]


def test_a_stream_is_cut_at_a_token_limit_that_others_use(stack):
    key = stack.key()
    limit(stack, key["id"], "tokens", "day", 3000)
    stack.start()

    def stream(_):
        try:
            for _ in ask(sdk(stack, key), model="tokens=3000", stream=True):
                pass
        except openai.RateLimitError:
            return "refused"
        except openai.APIError as error:
            return str(error)
        return "whole"

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = set(pool.map(stream, range(8)))
    assert any("The limit of this key is 3000 tokens per day" in result for result in results) or "refused" in results
    assert entries(stack, key["id"])["key"]["usage"]["all"]["tokens"] <= 3000


# ---- in flight ----


def test_never_more_than_two_at_once(stack):
    """By the provider's own count. Whoever comes third is told to come again in a second, and gets its turn."""
    key = stack.key()
    limit(stack, key["id"], "requests", "flight", 2)
    stack.start()
    turned_away = []

    def stream(_):
        deadline = time.monotonic() + 60 * PATIENCE
        while time.monotonic() < deadline:
            try:
                return len(list(ask(sdk(stack, key), model="tokens=60+delay=5", stream=True, user="crowd")))
            except openai.RateLimitError as error:
                assert error.code == "rate_limit_exceeded" and "in flight" in error.message
                assert error.response.headers["retry-after"] == "1"
                turned_away.append(error)
        return None

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        lengths = list(pool.map(stream, range(6)))
    assert all(length and length >= 60 for length in lengths)
    assert turned_away
    truth = stack.truth()["users"]["crowd"]
    assert truth["most_at_once"] == 2 and truth["requests"] == 6


def test_clients_that_leave_give_their_slots_back(stack):
    key = stack.key()
    limit(stack, key["id"], "requests", "flight", 2)
    stack.start()
    client = sdk(stack, key)
    for _ in range(5):
        streams = []
        until(lambda: passes(lambda: streams.append(ask(client, model="tokens=3000+delay=20", stream=True))))
        until(lambda: passes(lambda: streams.append(ask(client, model="tokens=3000+delay=20", stream=True))))
        for stream in streams:
            next(iter(stream))
        with refused(429, "rate_limit_exceeded"):
            tiny(client)
        for stream in streams:
            stream.close()
    until(lambda: passes(lambda: tiny(client)))
    gone = [call for call in entries(stack, key["id"])["calls"] if "client_gone" in call["flags"]]
    assert len(gone) == 10


# ---- observe ----


def test_observe_refuses_nothing_and_marks_what_passes(stack):
    key = stack.key()
    limit(stack, key["id"], "requests", "day", 2, "--observe")
    limit(stack, "org", "usd", "day", 0, "--observe")
    stack.start()
    other = stack.key()
    for _ in range(4):
        tiny(sdk(stack, key))
    assert ["observed" in call["flags"] for call in entries(stack, key["id"])["calls"]] == [True] * 4
    stack.cli("limit", "drop", "org", "--meter", "usd", "--window", "day")

    def clean():
        tiny(sdk(stack, other))
        return entries(stack, other["id"])["calls"][0]["flags"] == []

    until(clean)
    [shown] = limits(stack, key["id"])
    assert shown["observe"] and shown["used"] == 4 and shown["left"] == 0


# ---- a server that runs ----


def test_a_limit_acts_on_a_running_server_within_a_second(stack):
    stack.start()
    key = stack.key()
    client = sdk(stack, key)
    tiny(client)
    for subject in (key["id"], "org", "workspace"):
        for cap, wanted in ((0, False), (10**6, True), (0, False), (None, True)):
            if cap is None:
                stack.cli("limit", "drop", subject, "--meter", "requests", "--window", "day")
            else:
                limit(stack, subject, "requests", "day", cap)
            since = time.monotonic()
            until(lambda: passes(lambda: tiny(client)) is wanted)
            assert time.monotonic() - since < 1 * PATIENCE


def test_limits_and_what_is_used_survive_a_restart(stack):
    key = stack.key()
    limit(stack, "org", "usd", "lifetime", "0.0002")
    limit(stack, key["id"], "tokens", "day", 1000)
    limit(stack, key["id"], "requests", "hour", 4, "--fixed")
    stack.start()
    for _ in range(2):
        tiny(sdk(stack, key))
    before = spent(stack, key)
    stack.server.stop()
    shown = limits(stack)
    stack.start()
    assert limits(stack) == shown and nano(shown[0]["used"]) == before
    for _ in range(2):
        tiny(sdk(stack, key))
    with refused(429, "rate_limit_exceeded") as caught:
        tiny(sdk(stack, key))
    assert "4 requests per hour: 4 used" in caught.value.message


def test_a_killed_server_counts_the_organisations_spend_once(stack):
    """What is in doubt after a crash is a part of what was left, never what was posted once more."""
    cap = 2 * 10**5
    one, two = stack.key(), stack.key()
    limit(stack, "org", "usd", "lifetime", "0.0002")
    stack.start()
    while spent(stack, one, two) < 0.6 * cap:
        tiny(sdk(stack, one))
        tiny(sdk(stack, two))
    stack.server.kill()
    stack.start()
    client = sdk(stack, one)
    for _ in range(200):
        if not passes(lambda: tiny(client)):
            break
    else:
        pytest.fail("the cap was never reached")
    assert 0.85 * cap < spent(stack, one, two) <= cap


# ---- the command line ----


@pytest.fixture
def quiet(tmp_path):
    """A store without any server."""
    class Quiet:
        def __init__(self):
            (tmp_path / "tollkey.yaml").write_text(f"store: sqlite:{tmp_path}/t.db\n")

        def run(self, *args, code=0):
            done = subprocess.run([BINARY, *args, "--config", str(tmp_path / "tollkey.yaml")], capture_output=True,
                                  text=True, timeout=60 * PATIENCE)
            assert done.returncode == code, (args, done.stdout, done.stderr)
            return done

        def json(self, *args):
            return json.loads(self.run(*args, "--json").stdout)

    quiet = Quiet()
    quiet.key = quiet.json("key", "create", "--kind", "inference", "--description", "x")["id"]
    return quiet


SET = ["limit", "set", "org", "--meter", "requests", "--window", "minute", "--cap", "60"]


@pytest.mark.parametrize("meter, window, cap, flags, shown", [
    ("usd", "day", "0.000000001", [], {"cap": "0.000000001", "sliding": False, "left": "0.000000001", "used": "0"}),
    ("usd", "lifetime", "9999999999", [], {"cap": "9999999999", "turns_at": None}),
    ("diem", "month", "5.50", ["--observe"], {"cap": "5.5", "observe": True}),
    ("vcu", "every 10 days", "0", [], {"window": "every 10 days", "cap": "0", "left": "0"}),
    ("usd", "flight", "1", [], {"window": "flight", "used": None, "left": None, "turns_at": None}),
    ("requests", "second", "18446744073709551615", [], {"cap": 18446744073709551615, "sliding": True, "used": None}),
    ("requests", "minute", "60", ["--sliding"], {"sliding": True}),
    ("requests", "week", "60", ["--fixed"], {"sliding": False, "used": 0, "left": 60}),
    ("tokens", "hour", "60", ["--observe"], {"sliding": True, "observe": True, "used": 0}),
    ("tokens", "month", "60", [], {"sliding": False}),
    ("requests", "flight", "2", ["--fixed"], {"sliding": False, "alert": None}),
    ("usd", "month", "5", ["--alert", "4.50"], {"cap": "5", "alert": "4.5"}),
    ("tokens", "minute", "60", ["--alert", "60", "--observe"], {"cap": 60, "alert": 60}),
    ("usd", "week", "5", ["--alert", "0"], {"alert": None}),
])
def test_what_is_set_is_listed(quiet, meter, window, cap, flags, shown):
    quiet.run("user", "add", "Ann@Example.com")
    for subject in ("org", "workspace", ANN, quiet.key):
        made = quiet.json("limit", "set", subject, "--meter", meter, "--window", window, "--cap", cap, *flags)
        assert made.items() >= {"subject": subject, "meter": meter, **shown}.items()
        listed = quiet.json("limit", "list", subject)["limits"]
        assert [{**l, "turns_at": 0} for l in listed] == [{**made, "turns_at": 0}]
    assert [l["subject"] for l in quiet.json("limit", "list")["limits"]] == ["org", "workspace", ANN, quiet.key]
    table = quiet.run("limit", "list").stdout.splitlines()
    assert table[0].split()[:5] == ["SUBJECT", "METER", "WINDOW", "CAP", "USED"] and len(table) == 5
    for subject in ("org", "workspace", ANN, quiet.key):
        assert quiet.json("limit", "drop", subject, "--meter", meter, "--window", window)["dropped"] is True
    assert quiet.json("limit", "list") == {"limits": []}


def test_one_meter_and_window_is_one_limit(quiet):
    quiet.run("key", "edit", quiet.key, "--usd", "5", "--period", "day")
    quiet.run("limit", "set", quiet.key, "--meter", "usd", "--window", "day", "--cap", "7")
    quiet.run("limit", "set", quiet.key, "--meter", "usd", "--window", "month", "--cap", "70")
    assert [(l["window"], l["cap"]) for l in quiet.json("limit", "list", quiet.key)["limits"]] == [
        ("day", "7"), ("month", "70")]
    assert quiet.json("key", "show", quiet.key)["limits"]["usd"] == 7


def test_an_edited_cap_keeps_its_alert(quiet):
    quiet.run("limit", "set", quiet.key, "--meter", "usd", "--window", "day", "--cap", "7", "--alert", "6")
    quiet.run("key", "edit", quiet.key, "--usd", "9")
    quiet.run("key", "edit", quiet.key, "--period", "month")
    assert [(l["window"], l["cap"], l["alert"]) for l in quiet.json("limit", "list", quiet.key)["limits"]] == [
        ("month", "9", "6")]
    row = quiet.run("limit", "list").stdout.splitlines()[1].split()
    assert row[3:7] == ["9", "0", "9", "6"]


def test_no_more_than_sixteen(quiet):
    for subject in ("org", quiet.key):
        for days in range(1, 17):
            quiet.run("limit", "set", subject, "--meter", "usd", "--window", f"every {days} days", "--cap", "1")
        done = quiet.run("limit", "set", subject, "--meter", "usd", "--window", "day", "--cap", "1", code=1)
        assert "16 limits" in done.stderr and "drop one" in done.stderr
        quiet.run("limit", "set", subject, "--meter", "usd", "--window", "every 3 days", "--cap", "2")
        assert len(quiet.json("limit", "list", subject)["limits"]) == 16


@pytest.mark.parametrize("args, code, words", [
    (SET[:2] + ["nobody"] + SET[3:], 2, "expects org, workspace, the e-mail address of a user or the id of a key"),
    (["limit", "list", "nobody"], 2, "expects org, workspace, the e-mail address of a user or the id of a key"),
    (SET[:2] + ["nobody@here"] + SET[3:], 1, "there is no user nobody@here"),
    (["limit", "list", "nobody@here"], 1, "there is no user nobody@here"),
    (SET[:2] + [NOWHERE] + SET[3:], 1, f"no active key {NOWHERE}"),
    (["limit", "list", NOWHERE], 1, f"no active key {NOWHERE}"),
    (SET[:5] + ["--window", "fortnight", "--cap", "1"], 2, "--window fortnight: expects"),
    (SET[:4] + ["euro"] + SET[5:], 2, "--meter euro: expects usd, diem, vcu, requests or tokens"),
    (SET[:5] + ["--window", "every 0 days", "--cap", "1"], 2, "--window every 0 days: expects"),
    (SET[:5] + ["--window", "every 65536 days", "--cap", "1"], 2, "N from 1 to 65535"),
    (SET[:7] + ["--cap", "-1"], 2, "--cap -1: expects a whole number"),
    (SET[:7] + ["--cap", "1.5"], 2, "--cap 1.5: expects a whole number"),
    (SET[:7] + ["--cap", "none"], 2, "--cap none: expects a whole number"),
    (SET[:4] + ["usd", "--window", "day", "--cap", "10000000000"], 2, "from 0 to 9999999999"),
    (SET[:4] + ["usd", "--window", "day", "--cap", "1", "--sliding"], 2, "money is counted exactly"),
    (SET[:5] + ["--window", "month", "--cap", "1", "--sliding"], 2, "a second to a week"),
    (SET[:5] + ["--window", "flight", "--cap", "1", "--sliding"], 2, "a second to a week"),
    (SET + ["--sliding", "--fixed"], 2, "do not go together"),
    (SET + ["--alert", "61"], 2, "--alert 61: expects an amount up to the cap"),
    (SET + ["--alert", "half"], 2, "--alert half: expects a whole number"),
    (SET[:5] + ["--window", "flight", "--cap", "2", "--alert", "1"], 2, "--alert is for windows of time"),
    (SET[:7], 2, "needs --cap AMOUNT"),
    (["limit", "drop", "org", "--meter", "usd", "--window", "day"], 1, "org has no limit on usd with the window 'day'"),
    (["limit", "drop", NOWHERE, "--meter", "usd", "--window", "day"], 1, "no active key"),
    (["limit"], 2, "not complete"),
])
def test_what_cannot_be_set(quiet, args, code, words):
    done = quiet.run(*args, code=code)
    assert words in done.stderr and done.stdout == ""
    assert quiet.json("limit", "list") == {"limits": []}
