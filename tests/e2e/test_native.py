# SPDX-License-Identifier: Apache-2.0
"""The native API as other services use it: every answer, every repetition, and what a crash leaves.

Goal: whatever is repeated, raced or killed, what is charged is what was posted, once, and never more than the cap.
"""

import concurrent.futures
import itertools
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import threading
import time

import httpx
import pytest

from stack import NANO_INPUT, NANO_OUTPUT, PATIENCE, Stack, entries

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "doc" / "native-api.md"
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("native"))
    yield stack.start()
    stack.stop()


class Service:
    """A service that charges: calls with an admin key, knows nothing but the API."""

    def __init__(self, stack, key=None):
        self.key = key or stack.key("admin")["key"]
        self.url = stack.url
        self.client = stack.caller(self.key)

    def call(self, method, path, body=None):
        answer = self.client.request(method, path, json=body) if body is not None else self.client.request(method, path)
        good = answer.status_code == 200
        assert answer.headers["content-type"] == ("application/json" if good else "application/problem+json")
        return answer.status_code, answer.json()

    def authorize(self, key, name, **more):
        return self.call("POST", "/v1/authorize", {"key": key["key"], "id": name, **more})

    def must_authorize(self, key, name, **more):
        status, body = self.authorize(key, name, **more)
        assert (status, body["verdict"]) == (200, "pass"), body
        return body["hold"]

    def post(self, name, **actual):
        return self.call("POST", f"/v1/holds/{name}/post", {"actual": actual})

    def get(self, name):
        return self.call("GET", f"/v1/holds/{name}")


@pytest.fixture(scope="module")
def service(stack):
    return Service(stack)


@pytest.fixture
def name():
    return f"job-{next(NUMBERS)}"


def code(answer):
    status, body = answer
    assert body["status"] == status and body["type"] == "about:blank" and body["detail"]
    return status, body["code"]


def usd(stack, key):
    return entries(stack, key["id"])["key"]["usage"]["all"]["usd"]


# ---- one hold ----------------------------------------------------------------------------------------------

def test_a_hold_is_taken_and_posted_once(stack, service, name):
    key = stack.key(usd=1)
    hold = service.must_authorize(key, name, cost={"usd": 0.25})
    assert hold["held"] == {"usd": 0.25, "requests": 1, "tokens": 0}
    assert hold["left"] == {"usd": 0.75, "requests": None, "tokens": None}
    for _ in range(3):
        status, body = service.authorize(key, name, cost={"usd": "0.25"})
        assert (status, body["replayed"], body["hold"]["state"]) == (200, True, "pending")
    assert code(service.authorize(key, name, cost={"usd": 0.26})) == (409, "conflict")
    assert code(service.authorize(stack.key(), name, cost={"usd": 0.25})) == (409, "conflict")
    status, body = service.post(name, usd=0.1)
    assert (status, body["hold"]["state"], "replayed" in body) == (200, "posted", False)
    for _ in range(3):
        status, body = service.post(name, usd=0.1)
        assert (status, body["replayed"], body["hold"]["due"]["usd"]) == (200, True, 0.1)
    assert code(service.post(name, usd=0.11)) == (409, "conflict")
    assert service.authorize(key, name, cost={"usd": 0.25})[1]["hold"]["state"] == "posted"
    assert usd(stack, key) == "0.1"
    calls = entries(stack, key["id"])["calls"]
    assert len(calls) == 1 and calls[0]["usd"] == "0.1"


def test_more_than_held_is_overrun(stack, service, name):
    key = stack.key(usd=1)
    service.must_authorize(key, name, cost={"usd": 0.25}, amounts={"tokens": 100})
    _, body = service.post(name, usd=0.4, tokens=40)
    assert body["hold"]["due"] == {"usd": 0.25, "requests": 1, "tokens": 40}
    assert body["hold"]["overrun"] == {"usd": 0.15, "requests": 0, "tokens": 0}
    assert usd(stack, key) == "0.25"
    assert entries(stack, key["id"])["calls"][0]["overrun_usd"] == "0.15"


def test_void_returns_everything(stack, service, name):
    key = stack.key(usd=1)
    service.must_authorize(key, name, cost={"usd": 1})
    assert service.authorize(key, name + ".b", cost={"usd": 0.01})[1]["verdict"] == "cap"
    assert service.call("POST", f"/v1/holds/{name}/void")[1]["hold"]["state"] == "voided"
    assert service.call("POST", f"/v1/holds/{name}/void", {})[1]["replayed"]
    assert code(service.post(name, usd=1)) == (409, "hold_voided")
    assert code(service.call("POST", f"/v1/holds/{name}/extend", {"by": {"usd": 1}})) == (409, "hold_voided")
    service.must_authorize(key, name + ".b", cost={"usd": 1})
    assert usd(stack, key) == "0"


def test_extend(stack, service, name):
    key = stack.key(usd=1)
    service.must_authorize(key, name, cost={"usd": 0.25})

    def extend(**more):
        return service.call("POST", f"/v1/holds/{name}/extend", more)

    assert extend(by={"usd": 0.25})[1]["hold"]["held"]["usd"] == 0.5
    for _ in range(2):
        assert extend(to={"usd": 0.75})[1]["hold"]["held"]["usd"] == 0.75
    status, body = extend(by={"usd": 0.5}, used={"usd": 0.6})
    assert (status, body["verdict"], body["hold"]["held"]["usd"]) == (200, "cap", 0.75)
    assert body["hold"]["used"]["usd"] == 0.6
    assert body["refusal"]["left"] == 0.25
    assert extend(by={"usd": 0.5}, least={"usd": 0.1})[1]["hold"]["held"]["usd"] == 1
    assert service.post(name, usd=1)[1]["hold"]["due"]["usd"] == 1
    assert code(extend(by={"usd": 0.1})) == (409, "hold_posted")


def test_a_hold_expires_with_what_was_reported(stack, service, name):
    key = stack.key(usd=1)
    service.must_authorize(key, name, cost={"usd": 1}, expires_in=1)
    service.call("POST", f"/v1/holds/{name}/extend", {"used": {"usd": 0.3, "requests": 1}})
    deadline = time.monotonic() + 30 * PATIENCE
    # By its entry, which nobody's question has made: the housekeeper ends it.
    while not (calls := entries(stack, key["id"])["calls"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert calls[0]["usd"] == "0.3" and calls[0]["flags"] == ["expired"]
    hold = service.get(name)[1]["hold"]
    assert hold["state"] == "expired" and hold["due"] == {"usd": 0.3, "requests": 1, "tokens": 0}
    assert code(service.post(name, usd=1)) == (409, "hold_expired")
    assert code(service.call("POST", f"/v1/holds/{name}/void")) == (409, "hold_expired")
    service.must_authorize(key, name + ".rest", cost={"usd": 0.7})


def test_a_model_is_priced_by_the_catalogue(stack, service, name):
    key = stack.key(usd=1)
    hold = service.must_authorize(key, name, model="demo-small", input_tokens=1000, output_tokens=500)
    assert hold["held"]["usd"] == pytest.approx((1000 * NANO_INPUT + 500 * NANO_OUTPUT) / 1e9, abs=1e-12)
    body = {"model": "demo-small", "input_tokens": 900, "output_tokens": 100}
    _, answer = service.call("POST", f"/v1/holds/{name}/post", body)
    assert answer["hold"]["due"]["tokens"] == 1000
    assert service.call("POST", f"/v1/holds/{name}/post", body)[1]["replayed"]
    call = entries(stack, key["id"])["calls"][0]
    assert (call["model"], call["input_tokens"], call["output_tokens"]) == ("demo-small", 900, 100)
    nano = 900 * NANO_INPUT + 100 * NANO_OUTPUT
    assert call["usd"] == f"{nano / 1e9:.9f}".rstrip("0")


# ---- who may what --------------------------------------------------------------------------------------------

def test_refusals(stack, service, name):
    key = stack.key(usd=0.5)
    status, body = service.authorize(key, name, cost={"usd": 0.6})
    assert (status, body["verdict"]) == (200, "cap")
    refusal = body["refusal"]
    assert (refusal["meter"], refusal["cap"], refusal["left"], refusal["least"]) == ("usd", 0.5, 0.5, 0.6)
    assert code(service.get(name)) == (404, "no_such_hold")
    body = service.authorize(key, name, model="none", input_tokens=1, output_tokens=1)[1]
    assert body["verdict"] == "model_unknown"
    assert service.authorize({"key": "tk_inf_" + "0" * 50}, name)[1] == {
        "verdict": "unknown_key", "detail": "the API key is not known"}
    assert usd(stack, key) == "0"
    stack.admin().delete("/api/v1/api_keys", params={"id": key["id"]}).raise_for_status()
    assert service.authorize(key, name)[1]["verdict"] == "revoked"
    assert service.call("POST", "/v1/verify", {"key": key["key"]})[1]["verdict"] == "revoked"


def test_limits_of_every_kind_refuse(own):
    """Requests per hour of the key, what is in flight, and money of the organisation: who refused, and when it turns."""
    key, other = own.key(), own.key()
    own.cli("limit", "set", key["id"], "--meter", "requests", "--window", "hour", "--cap", "3")
    own.cli("limit", "set", other["id"], "--meter", "requests", "--window", "flight", "--cap", "1")
    own.cli("limit", "set", "org", "--meter", "usd", "--window", "month", "--cap", "0.5")
    service = Service(restart(own))
    for i in range(3):
        service.must_authorize(key, f"r{i}")
        assert service.post(f"r{i}")[0] == 200
    body = service.authorize(key, "r3")[1]
    assert (body["verdict"], body["refusal"]["meter"], body["refusal"]["window"]) == ("rate", "requests", "hour")
    # A rate slides: what was used lies in the window that ends now for up to two of them.
    assert body["refusal"]["sliding"] and 0 < body["refusal"]["retry_after"] <= 7200 and body["refusal"]["turns_at"]
    service.must_authorize(other, "f1")
    body = service.authorize(other, "f2")[1]
    assert (body["verdict"], body["refusal"]["window"], body["refusal"]["turns_at"]) == ("rate", "flight", None)
    assert service.post("f1")[0] == 200
    service.must_authorize(other, "f2", cost={"usd": 0.4})
    assert service.call("POST", "/v1/holds/f2/void")[0] == 200
    body = service.authorize(other, "f3", cost={"usd": 0.6})[1]
    assert (body["verdict"], body["refusal"]["subject"], body["refusal"]["cap"]) == ("cap", "organisation", 0.5)


def test_an_observing_limit_is_told_and_refuses_nothing(own):
    """Also after a restart, from the entry."""
    key = own.key()
    own.cli("limit", "set", key["id"], "--meter", "usd", "--window", "day", "--cap", "0.5", "--observe")
    service = Service(own)
    assert "observed" not in service.must_authorize(key, "within", cost={"usd": 0.4})
    assert service.must_authorize(key, "beyond", cost={"usd": 0.4})["observed"] is True
    assert service.post("beyond", usd=0.4)[1]["hold"]["observed"] is True
    restart(own)
    assert Service(own).get("beyond")[1]["hold"]["observed"] is True
    shown = Service(own).call("POST", "/v1/verify", {"key": key["key"]})[1]["key"]["limits"]
    assert [(limit["cap"], limit.get("observe")) for limit in shown] == [(0.5, True)]


def test_callers_without_the_right(stack, service, name):
    key = stack.key()
    paths = [("POST", "/v1/authorize", {"key": key["key"], "id": name}), ("POST", "/v1/verify", {"key": key["key"]}),
             ("GET", f"/v1/holds/{name}", None), ("POST", f"/v1/holds/{name}/extend", {"by": {}}),
             ("POST", f"/v1/holds/{name}/post", {"actual": {}}), ("POST", f"/v1/holds/{name}/void", {})]
    with httpx.Client(base_url=stack.url) as nobody, stack.caller(key["key"]) as customer:
        for method, path, body in paths:
            answer = nobody.request(method, path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (401, "no_key")
            assert "www-authenticate" in answer.headers
            answer = customer.request(method, path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, "scope")
    assert code(service.get(name)) == (404, "no_such_hold")


@pytest.mark.parametrize("body,path", [
    ({}, "key"), ({"key": 1, "id": "x"}, "key"), ({"key": "k"}, "id"), ({"key": "k", "id": ""}, "id"),
    ({"key": "k", "id": "x" * 129}, "id"), ({"key": "k", "id": "x/y"}, "id"), ({"key": "k", "id": "x", "z": 1}, ""),
    ({"key": "k", "id": "x", "cost": {"usd": -1}}, "cost.usd"), ({"key": "k", "id": "x", "cost": {"usd": "1e"}}, "cost.usd"),
    ({"key": "k", "id": "x", "cost": {"usd": 1000001}}, "cost.usd"), ({"key": "k", "id": "x", "cost": {"eur": 1}}, "cost"),
    ({"key": "k", "id": "x", "amounts": {"tokens": 1.5}}, "amounts.tokens"),
    ({"key": "k", "id": "x", "least": {"usd": 1}}, "least.usd"), ({"key": "k", "id": "x", "expires_in": 0}, "expires_in"),
    ({"key": "k", "id": "x", "expires_in": 86401}, "expires_in"), ({"key": "k", "id": "x", "model": "m"}, "model"),
    ({"key": "k", "id": "x", "input_tokens": 1, "output_tokens": 1}, "model"),
])
def test_bad_bodies_say_where(service, body, path):
    status, answer = service.call("POST", "/v1/authorize", body)
    assert (status, answer["code"]) == (400, "invalid_param")
    assert path in [error["path"] for error in answer["errors"]]
    assert all(error["message"] for error in answer["errors"])


@pytest.mark.parametrize("text,type_,expected", [
    ("{", "application/json", (400, "invalid_json")),
    ('{"key":"a","key":"b"}', "application/json", (400, "invalid_json")),
    ("\x00", "application/json", (400, "invalid_json")),
    ("[]", "application/json", (400, "invalid_param")),
    ("{}", "text/plain", (415, "content_type")),
    ('{"key":"' + "x" * 70000 + '"}', "application/json", (413, "too_large")),
])
def test_what_is_no_body(service, text, type_, expected):
    answer = service.client.post("/v1/authorize", content=text, headers={"content-type": type_})
    assert code((answer.status_code, answer.json())) == expected


def test_no_key_is_ever_written_down(stack, service, name):
    key = stack.key(usd=1)
    secret = key["key"]
    for body in [{"key": secret, "id": name, "cost": {"usd": 9}}, {"key": secret, "id": secret + "/"},
                 {"key": secret, "id": name, secret: 1}, {"key": secret, "id": name, "model": secret}]:
        text = service.client.post("/v1/authorize", json=body).text
        assert secret not in text
    text = service.client.post("/v1/authorize", content='{"key":"' + secret, headers={"content-type": "application/json"}).text
    assert secret not in text
    assert secret not in service.client.post("/v1/verify", json={"key": secret}).text
    assert secret not in "\n".join(stack.server.log)


# ---- verify -------------------------------------------------------------------------------------------------

def test_verify_counts_one_use(stack, service):
    key = stack.key(usd=1, description="a customer")

    def verify(**more):
        status, body = service.call("POST", "/v1/verify", {"key": key["key"], **more})
        assert status == 200
        return body

    body = verify()
    assert body["verdict"] == "pass"
    assert body["key"]["description"] == "a customer" and body["key"]["kind"] == "inference"
    assert verify(cost={"usd": 0.6})["key"]["limits"][0]["left"] == 0.4
    body = verify(cost={"usd": 0.6})
    assert (body["verdict"], body["refusal"]["left"]) == ("cap", 0.4)
    assert verify(scope="api_keys.read")["verdict"] == "scope"
    assert verify(scope="models.read", requests=0)["verdict"] == "pass"
    assert verify(model="none")["verdict"] == "model_unknown"
    assert verify(model="demo-small", requests=3)["verdict"] == "pass"
    usage = entries(stack, key["id"])["key"]["usage"]["all"]
    assert (usage["usd"], usage["requests"]) == ("0.6", 5)


def test_verify_stops_at_the_cap_exactly(stack):
    key = stack.key(usd=1)
    services = [Service(stack) for _ in range(8)]

    def spend(service):
        return [service.call("POST", "/v1/verify", {"key": key["key"], "cost": {"usd": 0.03}})[1]["verdict"]
                for _ in range(10)]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        verdicts = [v for many in pool.map(spend, services) for v in many]
    assert verdicts.count("pass") == 33 and verdicts.count("cap") == 47
    assert usd(stack, key) == "0.99"


# ---- many at once ------------------------------------------------------------------------------------------

def test_64_threads_spend_a_cap_and_not_a_nano_more(stack):
    key = stack.key(usd=1)
    admin = stack.key("admin")["key"]
    threads, each = 64, 4
    start = threading.Barrier(threads)

    def spend(thread):
        service = Service(stack, admin)
        passed = 0
        start.wait()
        for i in range(each):
            name = f"t{thread}.{i}"
            _, body = service.authorize(key, name, cost={"usd": 0.02})
            assert body["verdict"] in ("pass", "cap"), body
            if body["verdict"] == "pass":
                status, body = service.post(name, usd=0.01)
                assert status == 200 and body["hold"]["due"]["usd"] == 0.01
                passed += 1
        return passed

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        passed = sum(pool.map(spend, range(threads)))
    spent = float(usd(stack, key))
    assert spent == pytest.approx(passed * 0.01) and spent <= 1
    # All of the rest can be spent, to the last cent.
    service = Service(stack, admin)
    for i in range(100 - passed):
        service.must_authorize(key, f"rest.{i}", cost={"usd": 0.01})
        assert service.post(f"rest.{i}", usd=0.01)[0] == 200
    assert usd(stack, key) == "1"
    assert service.authorize(key, "none", cost={"usd": "0.000000001"})[1]["verdict"] == "cap"


def test_many_callers_of_one_name_get_one_hold(stack):
    key = stack.key(usd=1)
    admin = stack.key("admin")["key"]
    start = threading.Barrier(16)

    def race(i):
        service = Service(stack, admin)  # a connection of its own, so that both loops are asked
        start.wait()
        status, body = service.authorize(key, "one", cost={"usd": 0.4})
        assert (status, body["verdict"]) == (200, "pass")
        first = "replayed" not in body
        start.wait()
        status, body = service.post("one", usd=0.3)
        assert status == 200
        return first, "replayed" not in body

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(race, range(16)))
    assert sum(first for first, _ in answers) == 1
    assert sum(posted for _, posted in answers) == 1
    assert usd(stack, key) == "0.3"


# ---- restarts and crashes ---------------------------------------------------------------------------------------

def restart(stack, kill=False):
    (stack.server.kill if kill else stack.server.stop)()
    return stack.start()


@pytest.fixture
def own(tmp_path):
    stack = Stack(tmp_path)
    yield stack.start()
    stack.stop()


def test_after_a_clean_restart(own):
    key, admin = own.key(usd=1), own.key("admin")["key"]
    service = Service(own, admin)
    service.must_authorize(key, "posted", cost={"usd": 0.2})
    service.post("posted", usd=0.2)
    service.must_authorize(key, "pending", cost={"usd": 0.5})
    service.must_authorize(key, "reported", cost={"usd": 0.2})
    service.call("POST", "/v1/holds/reported/extend", {"used": {"usd": 0.05}})
    before = service.get("posted")[1]
    service = Service(restart(own), admin)
    assert service.get("posted")[1] == before
    assert service.post("posted", usd=0.2)[1]["replayed"]
    assert service.authorize(key, "posted", cost={"usd": 0.2})[1]["replayed"]
    assert code(service.post("posted", usd=0.3)) == (409, "conflict")
    assert code(service.post("pending", usd=0.5)) == (404, "no_such_hold")
    assert service.get("reported")[1]["hold"]["due"]["usd"] == 0.05
    service.must_authorize(key, "pending", cost={"usd": 0.75})  # nothing is in doubt
    assert usd(own, key) == "0.25"


def test_posts_that_meet_a_kill_count_once(own):
    key, admin = own.key(usd=1000), own.key("admin")["key"]
    names = [f"job-{i}" for i in range(400)]
    acknowledged = set()
    halfway = threading.Event()

    def charge(name):
        service = Service(own, admin)
        try:
            service.must_authorize(key, name, cost={"usd": 0.02})
            if service.post(name, usd=0.01)[0] == 200:
                acknowledged.add(name)
                if len(acknowledged) >= 150:
                    halfway.set()
        except (httpx.HTTPError, json.JSONDecodeError):
            pass  # killed in the middle

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        jobs = [pool.submit(charge, name) for name in names]
        assert halfway.wait(60 * PATIENCE)
        own.server.kill()
        for job in jobs:
            job.result()
    assert 150 <= len(acknowledged) < len(names)
    service = Service(own.start(), admin)
    for name in names:
        status, body = service.post(name, usd=0.01)
        if name in acknowledged:
            assert (status, body["replayed"]) == (200, True)
        elif status == 404:  # its hold is gone: the same name again
            service.must_authorize(key, name, cost={"usd": 0.02})
            assert service.post(name, usd=0.01)[0] == 200
        assert code(service.post(name, usd=0.02)) == (409, "conflict")
    assert usd(own, key) == "4"
    rows = sqlite3.connect(own.folder / "tollkey.db").execute(
        "SELECT count(*), count(DISTINCT id), sum(due_usd) FROM entry").fetchone()
    assert rows == (400, 400, 4 * 10**9)


def test_admin_keys_of_before_have_the_rights(own):
    """A key that was minted when nobody knew of the ledger's rights, in the store of that time."""
    key, admin = own.key(usd=1), own.key("admin")["key"]
    own.server.stop()
    with sqlite3.connect(own.folder / "tollkey.db") as db:
        db.execute("UPDATE api_key SET scopes = ? WHERE kind = 1", (bytes([0x1F]) + bytes(31),))
        db.execute("PRAGMA user_version = 1")
    db.close()
    own.start()
    Service(own, admin).must_authorize(key, "old", cost={"usd": 0.5})


# ---- the document -------------------------------------------------------------------------------------------

def examples():
    """Each command of the document with the answer that is shown for it."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return re.findall(r"```sh\n(.*?)```\n```json\n(.*?)```", text, re.DOTALL)


def blank(value, name=None, inside=None):
    """What differs from run to run is left out of the comparison, but must be of the right form."""
    if isinstance(value, dict):
        return {key: blank(item, key, name) for key, item in value.items()}
    if isinstance(value, list):
        return [blank(item, name, inside) for item in value]
    if value is not None and (name == "key_id" or (name == "id" and inside == "key")):
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value)
        return "an id"
    if value is not None and name and name.endswith("_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value)
        return "a time"
    if name == "retry_after" and value is not None:
        return "seconds"
    if isinstance(value, str):
        return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "a time", value)
    return value


def test_the_document_is_true(stack):
    shown = examples()
    assert len(shown) >= 10
    key = stack.key(usd=1, period="day")
    env = {**os.environ, "TOLLKEY": stack.url, "SERVICE_KEY": stack.key("admin")["key"], "CUSTOMER_KEY": key["key"]}
    for command, answer in shown:
        done = subprocess.run(["bash", "-euc", command], env=env, capture_output=True, text=True, timeout=60 * PATIENCE)
        assert done.returncode == 0, done.stderr
        assert blank(json.loads(done.stdout)) == blank(json.loads(answer)), command
