# SPDX-License-Identifier: Apache-2.0
"""The audit log: each change leaves exactly one record, with the change; what is refused leaves none.

The cases of the routes are held against tbl/route.tbl, so a route that changes something cannot be added without one.
"""

import contextlib
import functools
import hashlib
import json
import os
import pwd
import re
import sqlite3
import time
import uuid

import httpx
import pytest
import yaml
from openapi_schema_validator import OAS30Validator
from referencing import Registry, Resource

from stack import PATIENCE, ROOT, Stack

KEYS = "/api/v1/api_keys"
OPERATOR = pwd.getpwuid(os.getuid()).pw_name
# What these change is money that was used: entries of the ledger.
CHARGES = {"/v1/authorize", "/v1/holds/{id}/extend", "/v1/holds/{id}/post", "/v1/holds/{id}/void", "/v1/verify"}
INFERENCE = "COMPLETIONS_WRITE"
TEXTS = (6, 7, 8, 10, 11, 12, 13, 15, 16)  # the columns of a record that are text


@functools.cache
def schema():
    """Of the documented answer; None where the file is not there (see contract.py)."""
    file = ROOT.parent / "shared" / "specs" / "portkey-openapi.yaml"
    if not file.is_file():
        if os.environ.get("CI"):
            pytest.fail(f"the contract is missing: {file}", pytrace=False)
        return None
    document = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
    registry = Registry().with_resource("urn:portkey", Resource.opaque(document))
    return OAS30Validator({"$ref": "urn:portkey#/components/schemas/AuditLogObjectList"}, registry=registry)


class Log:
    """The log as an admin key sees it; every answer is held against the document."""

    def __init__(self, stack, key):
        self.stack, self.key, self.org = stack, key, stack.org
        self.http = httpx.Client(base_url=stack.url, timeout=60 * PATIENCE, headers={"x-portkey-api-key": key["key"]})

    def get(self, **query):
        query = {"start_time": "2000-01-01", "end_time": "9999-12-31", "organisation_id": self.org, **query}
        return self.http.get("/v1/audit-logs", params={k: v for k, v in query.items() if v is not None})

    def list(self, **query):
        answer = self.get(**query)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        if schema():
            assert not list(schema().iter_errors(body)), body
        assert body["object"] == "analytics-graph"
        return body

    def records(self, **query):
        return self.list(**query)["records"]

    def total(self, **query):
        return self.list(page_size=0, **query)["total"]

    @contextlib.contextmanager
    def one(self):
        """What is done inside leaves one record, which is filled in."""
        before, record = self.total(), {}
        yield record
        assert self.total() == before + 1
        record.update(self.records(page_size=1)[0])

    @contextlib.contextmanager
    def none(self):
        before = self.total()
        yield
        assert self.total() == before


def database(stack):
    db = sqlite3.connect(stack.folder / "tollkey.db", timeout=30)
    db.text_factory = bytes
    return contextlib.closing(db)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("audit")).start()
    with database(stack) as db:
        stack.org = str(uuid.UUID(bytes=db.execute("SELECT value FROM meta WHERE name = 'store:org'").fetchone()[0]))
        workspace = db.execute("SELECT value FROM meta WHERE name = 'store:workspace'").fetchone()[0]
        stack.workspace = str(uuid.UUID(bytes=workspace))
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def log(stack):
    return Log(stack, stack.key("admin"))


def make(log, **body):
    return log.http.post(KEYS, json={"apiKeyType": "INFERENCE", "description": "a test", **body})


# ---- routes: each prepares, and returns what to do, the action, the resource, and parts of before and after ----


def create_key(log):
    after = {"kind": "inference", "description": "a test",
             "limits": [{"meter": "usd", "window": "day", "cap": 3}]}
    return lambda: make(log, consumptionLimit={"usd": 3}), "api_key.create", None, None, after


def update_key(log):
    key = make(log).json()["data"]["id"]
    change = {"id": key, "description": "another", "consumptionLimit": {"usd": 7}}
    return (lambda: log.http.patch(KEYS, json=change), "api_key.update", key, {"description": "a test", "limits": []},
            {"description": "another", "limits": [{"meter": "usd", "window": "day", "cap": 7}]})


def delete_key(log):
    key = make(log).json()["data"]["id"]
    return lambda: log.http.delete(KEYS, params={"id": key}), "api_key.delete", key, {"description": "a test"}, None


def open_doubt(stack, subject, amount=5 * 10**9):
    with database(stack) as db, db:
        db.execute("INSERT INTO doubt VALUES (?, 0, 6, 0, 0, 0, ?, 1700000000000)",
                   (uuid.UUID(subject).bytes, amount))


def resolve_doubt(log):
    open_doubt(log.stack, log.org)
    path = f"/v1/ledger/doubts/{log.org}:usd:lifetime:0/resolve"
    return (lambda: log.http.post(path, json={"id": "the-word", "spent": 2}), "doubt.resolve", log.org,
            {"meter": "usd", "window": "lifetime", "amount": 5}, {"spent": 2, "freed": 3})


def create_portkey_key(kind, path, more):
    def case(log):
        name = "a long name " * 10
        body = {"name": name, "scopes": ["logs.list"], "alert_emails": ["a@example.com"], **more(log)}
        after = {"kind": kind, "name": name, "alert_emails": ["a@example.com"], "scopes": body["scopes"]}
        return lambda: log.http.post("/v1/api-keys/" + path, json=body), "api_key.create", None, None, after
    return case


def person(log):
    return {"scopes": ["completions.write"], "user_id":
            json.loads(log.stack.cli("user", "add", f"{uuid.uuid4()}@example.com", "--json").stdout)["id"]}


def update_portkey_key(log):
    key = make(log).json()["data"]["id"]
    change = {"name": "another", "usage_limits": {"type": "cost", "credit_limit": 9},
              "defaults": {"metadata": {"team": "blue"}}}
    return (lambda: log.http.put("/v1/api-keys/" + key, json=change), "api_key.update", key,
            {"description": "a test", "limits": []},
            {"description": "another", "limits": [{"meter": "usd", "window": "lifetime", "cap": 9}],
             "metadata": {"team": "blue"}})


def delete_portkey_key(log):
    key = make(log).json()["data"]["id"]
    return lambda: log.http.delete("/v1/api-keys/" + key), "api_key.delete", key, {"description": "a test"}, None


CASES = {
    ("POST", KEYS): create_key,
    ("PATCH", KEYS): update_key,
    ("DELETE", KEYS): delete_key,
    ("POST", "/v1/ledger/doubts/{id}/resolve"): resolve_doubt,
    ("POST", "/v1/api-keys/organisation/service"): create_portkey_key("admin", "organisation/service", lambda log: {}),
    ("POST", "/v1/api-keys/workspace/service"): create_portkey_key(
        "inference", "workspace/service", lambda log: {"scopes": ["completions.write"]}),
    ("POST", "/v1/api-keys/workspace/user"): create_portkey_key("user", "workspace/user", person),
    ("PUT", "/v1/api-keys/{id}"): update_portkey_key,
    ("DELETE", "/v1/api-keys/{id}"): delete_portkey_key,
}
REFUSING = {("POST", "/v1/api-keys/{id}/{id}")}  # whatever is sent


def routes():
    text = (ROOT / "tbl" / "route.tbl").read_text()
    return re.findall(r'^TK_ROUTE\((\w+),\s*"([^"]+)",\s*(\w+),', text, flags=re.M)


def test_every_route_that_manages_has_a_case():
    managing = {(method, path) for method, path, need in routes()
                if method != "GET" and need != INFERENCE and path not in CHARGES}
    assert managing - REFUSING == set(CASES)
    assert CHARGES <= {path for _, path, _ in routes()}


def contains(whole, part):
    if part is None:
        return whole is None
    return all(whole[name] == value for name, value in part.items())


@pytest.mark.parametrize("route", CASES, ids=lambda route: " ".join(route))
def test_a_route_leaves_one_record(log, route):
    act, action, resource, before, after = CASES[route](log)
    with log.one() as record:
        answer = act()
        assert answer.status_code == 200, answer.text
    if not resource:
        resource = answer.json().get("data", answer.json())["id"]
    assert record["action"] == action
    assert record["resource_id"] == resource
    assert contains(record.get("before"), before), record
    assert contains(record.get("after"), after), record
    assert record["request_id"] == answer.headers["x-request-id"]
    assert record["method"] == {"PATCH": "PUT"}.get(route[0], route[0])
    assert record["uri"] == answer.request.url.raw_path.decode().split("?")[0]
    assert record["user_type"] == "api_key"
    assert record["user_id"] == log.key["id"]
    assert record["actor"] == {"type": "api_key", "id": log.key["id"]}
    assert record["client_ip"] == "127.0.0.1"
    assert record["response_status_code"] == 200
    assert record["organisation_id"] == log.org


def test_a_word_that_is_repeated_leaves_one_record(log):
    open_doubt(log.stack, log.org)
    path = f"/v1/ledger/doubts/{log.org}:usd:lifetime:0/resolve"
    with log.one():
        assert log.http.post(path, json={"id": "another-word", "spent": 1}).status_code == 200
    with log.none():
        assert log.http.post(path, json={"id": "another-word", "spent": 1}).json()["replayed"] is True


# ---- commands ----

CHANGING = {"key create", "key edit", "key revoke", "limit set", "limit drop", "balance topup", "ledger resolve",
            "user add", "user remove"}
NOT_CHANGING = {"serve", "key list", "key show", "user list", "user show", "limit list", "balance show", "usage",
                "ledger doubt", "audit list", "alert list", "alert test", "config check", "config template", "demo-upstream", "version", "help"}


def test_every_command_that_changes_is_known():
    sentences = re.findall(r'^TK_CMD\(\w+,\s*"([^"]+)"', (ROOT / "tbl" / "cmd.tbl").read_text(), flags=re.M)
    assert {re.sub(r" [<\[.].*", "", sentence) for sentence in sentences} == CHANGING | NOT_CHANGING


def command(log, *args):
    assert " ".join(args[:2]) in CHANGING
    with log.one() as record:
        done = log.stack.cli(*args)
    assert record["actor"] == {"type": "operator", "name": OPERATOR}
    for absent in ("method", "uri", "request_id", "client_ip", "response_status_code", "user_id", "user_type"):
        assert absent not in record
    return record, done


def test_commands_on_keys_leave_records(stack, log):
    record, done = command(log, "key", "create", "--kind", "inference", "--description", "by hand", "--usd", "2", "--json")
    key = json.loads(done.stdout)["id"]
    assert (record["action"], record["resource_id"], record["workspace_id"]) == ("api_key.create", key, stack.workspace)
    assert record["after"]["description"] == "by hand" and "before" not in record
    record, _ = command(log, "key", "edit", key, "--usd", "none", "--privacy", "private-only")
    assert record["before"] == {"privacy": "ALL", "limits": [{"meter": "usd", "window": "day", "cap": 2}]}
    assert record["after"] == {"privacy": "PRIVATE_ONLY", "limits": []}
    record, _ = command(log, "limit", "set", key, "--meter", "requests", "--window", "minute", "--cap", "60")
    assert (record["action"], record["resource_type"], record["resource_id"]) == ("limit.set", "api_key", key)
    assert record["after"] == {"limits": [{"meter": "requests", "window": "minute", "cap": 60, "sliding": True}]}
    record, _ = command(log, "limit", "drop", key, "--meter", "requests", "--window", "minute")
    assert record["action"] == "limit.drop" and record["after"] == {"limits": []}
    record, _ = command(log, "key", "revoke", key)
    assert record["action"] == "api_key.delete" and "after" not in record


def test_commands_on_the_organisation_leave_records(stack, log):
    record, _ = command(log, "limit", "set", "org", "--meter", "usd", "--window", "month", "--cap", "1000")
    assert (record["action"], record["resource_type"], record["resource_id"]) == ("limit.set", "organisation", log.org)
    assert record["before"] == {"limits": []}
    assert record["after"] == {"limits": [{"meter": "usd", "window": "month", "cap": 1000}]}
    record, _ = command(log, "limit", "drop", "org", "--meter", "usd", "--window", "month")
    assert record["action"] == "limit.drop"
    record, _ = command(log, "balance", "topup", "workspace", "diem", "5", "--id", "invoice-1")
    assert (record["action"], record["resource_type"]) == ("balance.topup", "workspace")
    assert record["after"] == {"id": "invoice-1", "meter": "diem", "amount": 5}
    with log.none():
        stack.cli("balance", "topup", "workspace", "diem", "5", "--id", "invoice-1")  # reported again
    open_doubt(stack, stack.workspace)
    record, _ = command(log, "ledger", "resolve", "workspace", "--meter", "usd", "--window", "lifetime", "--spent", "0")
    assert (record["action"], record["resource_id"]) == ("doubt.resolve", stack.workspace)
    assert record["after"] == {"spent": 0, "freed": 5}


def test_commands_on_users_leave_records(stack, log):
    record, done = command(log, "user", "add", "p@example.com", "--role", "admin", "--json")
    user = json.loads(done.stdout)["id"]
    assert (record["action"], record["resource_type"], record["resource_id"]) == ("user.create", "user", user)
    assert record["after"] == {"email": "p@example.com", "first_name": "", "last_name": "", "role": "admin"}
    record, done = command(log, "key", "create", "--kind", "user", "--description", "theirs", "--user", user, "--json")
    assert record["after"]["user"] == user
    record, _ = command(log, "limit", "set", "p@example.com", "--meter", "usd", "--window", "day", "--cap", "4")
    assert (record["action"], record["resource_type"], record["resource_id"]) == ("limit.set", "user", user)
    record, _ = command(log, "balance", "topup", user, "usd", "1", "--id", "invoice-of-p")
    assert (record["action"], record["resource_id"]) == ("balance.topup", user)
    record, _ = command(log, "user", "remove", "p@example.com")
    assert (record["action"], record["resource_id"]) == ("user.delete", user)
    assert record["before"]["email"] == "p@example.com" and "after" not in record
    with log.none():
        assert stack.cli("user", "remove", "p@example.com", check=False).returncode != 0
        assert stack.cli("user", "add", "no address", check=False).returncode != 0


# ---- what leaves none ----


def test_what_is_refused_leaves_none(stack, log):
    inference = stack.key()
    unknown = str(uuid.uuid4())
    with log.none():
        for answer, status in [
            (make(log, consumptionLimit={"usd": -1}), 400),
            (log.http.post(KEYS, content=b"{", headers={"content-type": "application/json"}), 400),
            (log.http.patch(KEYS, json={"id": unknown, "description": "x"}), 400),
            (log.http.delete(KEYS, params={"id": unknown}), 400),
            (log.http.get(KEYS), 200),
            (log.http.put(KEYS), 405),
            (log.http.post(f"/v1/ledger/doubts/{log.org}:vcu:lifetime:0/resolve", json={"id": "w", "spent": 0}), 404),
            (httpx.post(stack.url + KEYS, json={"apiKeyType": "INFERENCE", "description": "x"}), 401),
            (httpx.post(stack.url + KEYS, json={"apiKeyType": "INFERENCE", "description": "x"},
                        headers={"authorization": "Bearer " + inference["key"]}), 401),
            (httpx.post(stack.url + "/v1/embeddings", json={"model": "demo-embed", "input": "x"},
                        headers={"authorization": "Bearer " + inference["key"]}), 200),
        ]:
            assert answer.status_code == status, answer.text
        for args in (["key", "edit", unknown, "--usd", "1"], ["key", "revoke", unknown],
                     ["limit", "drop", "org", "--meter", "usd", "--window", "week"],
                     ["ledger", "resolve", "org", "--meter", "vcu", "--window", "day", "--spent", "0"]):
            assert stack.cli(*args, check=False).returncode != 0


# ---- what is not in it ----


def test_no_secret_is_in_the_store_and_no_digest_in_the_log(stack, log):
    secrets = [make(log).json()["data"]["apiKey"], stack.key()["key"], log.key["key"]]
    digests = [hashlib.sha256(secret.encode()).digest() for secret in secrets]
    with database(stack) as db:
        cells = [cell if isinstance(cell, bytes) else str(cell).encode()
                 for row in db.execute("SELECT * FROM audit") for cell in row]
    assert len(cells) > 100
    for secret, digest in zip(secrets, digests):
        for form in (secret.encode(), secret[8:40].encode(), digest, digest.hex().encode()):
            assert not any(form in cell for cell in cells)
        for file in stack.folder.glob("tollkey.db*"):
            assert secret.encode() not in file.read_bytes()


# ---- reading it ----


def test_filters(stack, log):
    made = make(log)
    key, request = made.json()["data"]["id"], made.headers["x-request-id"]
    changed = log.http.patch(KEYS, json={"id": key, "description": "x"})
    log.http.delete(KEYS, params={"id": key})
    stack.cli("limit", "set", "workspace", "--meter", "tokens", "--window", "day", "--cap", "1000000")
    everything = log.total()
    mine = {"resource_id": key}
    assert [r["action"] for r in log.records(**mine)] == ["api_key.delete", "api_key.update", "api_key.create"]
    assert [r["request_id"] for r in log.records(request_id=request)] == [request]
    assert [r["request_id"] for r in log.records(method="PUT", **mine)] == [changed.headers["x-request-id"]]
    for query, nr in [({"method": "POST"}, 1), ({"method": "DELETE"}, 1), ({"uri": KEYS}, 3), ({"uri": "/v1/none"}, 0),
                      ({"user_id": log.key["id"]}, 3), ({"user_id": key}, 0), ({"user_type": "api_key"}, 3),
                      ({"user_type": "user"}, 0), ({"workspace_id": stack.workspace}, 3), ({"workspace_id": key}, 0),
                      ({"workspace_id": "no-such-slug"}, 0), ({"response_status_code": 200}, 3),
                      ({"response_status_code": 201}, 0), ({"resource_type": "api_key"}, 3), ({"resource_type": "user"}, 0),
                      ({"action": "api_key.update"}, 1), ({"client_ip": "127.0.0.1"}, 3), ({"client_ip": "::1"}, 0),
                      ({"country": "DE"}, 0)]:
        assert log.total(**mine, **query) == nr, query
        assert len(log.records(**mine, **query)) == nr, query
    with database(stack) as db:
        slug = db.execute("SELECT slug FROM workspace WHERE id = ?", (uuid.UUID(stack.workspace).bytes,)).fetchone()[0]
    assert log.total(workspace_id=slug.decode(), **mine) == 3
    assert log.total(user_type="api_key") < everything  # the operator is neither a user nor a key
    at = log.records(request_id=request)[0]["timestamp"]
    assert log.total(start_time=at, end_time=at, request_id=request) == 1
    assert log.total(end_time="2000-01-02") == 0
    assert log.total(start_time="9999-01-01") == 0


def test_pages(log):
    for i in range(5):
        assert make(log, description=f"page {i}").status_code == 200
    everything = log.records(page_size=100)
    assert [r["timestamp"] for r in everything] == sorted((r["timestamp"] for r in everything), reverse=True)
    paged, page = [], 0
    while records := log.records(page_size=7, current_page=page):
        assert len(records) <= 7
        paged += records
        page += 1
    assert [r["id"] for r in paged] == [r["id"] for r in everything][:len(paged)] and len(paged) >= 5
    assert len(paged) == log.total()
    assert log.records(pageSize=1, currentPage=1) == everything[1:2]
    assert log.records(page_size=0) == []


@pytest.mark.parametrize("wrong, param", [
    ({"start_time": None}, "start_time"), ({"end_time": None}, "end_time"), ({"organisation_id": None}, "organisation_id"),
    ({"start_time": "yesterday"}, "start_time"), ({"page_size": 101}, "page_size"), ({"current_page": -1}, "current_page"),
    ({"method": "GET"}, "method"), ({"user_type": "operator"}, "user_type"), ({"user_id": "me"}, "user_id"),
    ({"response_status_code": "ok"}, "response_status_code"), ({"organisation_id": "mine"}, "organisation_id")])
def test_wrong_queries_are_refused(log, wrong, param):
    answer = log.get(**wrong)
    assert answer.status_code == 400
    body = answer.json()
    assert body["success"] is False and body["data"]["errorCode"] == "AB01" and body["error"]["param"] == param


def test_who_may_not_read_it(stack, log):
    query = {"start_time": "2000-01-01", "end_time": "9999-12-31", "organisation_id": log.org}
    url = stack.url + "/v1/audit-logs"
    assert httpx.get(url, params=query).status_code == 401
    answer = httpx.get(url, params=query, headers={"x-portkey-api-key": stack.key()["key"]})
    assert answer.status_code == 403 and answer.json()["data"]["errorCode"] == "AB03"
    assert httpx.get(stack.url + "/v2/audit-logs", params=query,
                     headers={"x-portkey-api-key": log.key["key"]}).status_code == 200


def test_organisations_do_not_see_each_other(stack, log):
    other = stack.key("admin")
    org = uuid.uuid4()
    with database(stack) as db, db:  # nobody makes a second organisation yet
        db.execute("UPDATE api_key SET org = ? WHERE id = ?", (org.bytes, uuid.UUID(other["id"]).bytes))
    theirs = Log(stack, other)
    answer = theirs.get()
    assert answer.status_code == 403 and answer.json()["data"]["errorCode"] == "AB03"
    assert log.get(organisation_id=str(org)).json() == answer.json()  # nor whether there is one
    theirs.org = str(org)
    with log.none():
        assert theirs.total() == 0
        record = log.records(page_size=1)[0]
        for query in ({"request_id": record.get("request_id", "x")}, {"resource_id": record["resource_id"]},
                      {"user_id": log.key["id"]}, {"workspace_id": stack.workspace}):
            assert theirs.records(**query) == []
        key = stack.key()["id"]
        with database(stack) as db, db:
            db.execute("DROP TRIGGER audit_is_final")
            db.execute("UPDATE audit SET org = ? WHERE resource = ?", (org.bytes, uuid.UUID(key).bytes))
            db.execute("CREATE TRIGGER audit_is_final BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'final'); END")
    assert [r["resource_id"] for r in theirs.records()] == [key]


def test_the_command_shows_the_same(stack, log):
    shown = json.loads(stack.cli("audit", "list", "--limit", "100", "--json").stdout)["records"]
    assert shown == log.records(page_size=100)
    table = stack.cli("audit", "list", "--limit", "3").stdout.splitlines()
    assert table[0].split()[:3] == ["AT", "ACTOR", "ACTION"] and len(table) == 4
    assert stack.cli("audit", "list", "--limit", "1001", check=False).returncode == 2


# ---- how long it is kept ----


def test_old_records_end(tmp_path):
    stack = Stack(tmp_path, audit_days=30).start()
    try:
        kept = stack.key("admin")["id"]
        with database(stack) as db, db:
            row = list(db.execute("SELECT * FROM audit").fetchone())
            row[3] -= 31 * 86400 * 1000  # at_ms
            for i in range(3):
                row[0] = bytes([i + 1] * 16)
                db.execute(f"INSERT INTO audit VALUES ({','.join('?' * len(row))})",
                           [c.decode() if isinstance(c, bytes) and n in TEXTS else c for n, c in enumerate(row)])
        deadline = time.monotonic() + 30 * PATIENCE
        while len(records := json.loads(stack.cli("audit", "list", "--json").stdout)["records"]) > 1:
            assert time.monotonic() < deadline, records
        assert [r["resource_id"] for r in records] == [kept]
        with database(stack) as db, db, pytest.raises(sqlite3.IntegrityError):
            db.execute("DELETE FROM audit")
    finally:
        stack.stop()


# ---- over a crash ----


def test_a_record_survives_a_kill_after_its_answer(tmp_path):
    stack = Stack(tmp_path).start()
    try:
        admin = stack.key("admin")
        http = stack.caller(admin["key"])
        answer = http.post(KEYS, json={"apiKeyType": "INFERENCE", "description": "last words"})
        stack.server.kill()
        newest = json.loads(stack.cli("audit", "list", "--limit", "1", "--json").stdout)["records"][0]
        assert newest["request_id"] == answer.headers["x-request-id"]
        assert newest["resource_id"] == answer.json()["data"]["id"]
    finally:
        stack.demo.stop()
