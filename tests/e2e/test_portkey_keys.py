# SPDX-License-Identifier: Apache-2.0
"""Portkey's API for keys, driven by its own SDK, unmodified; and what its gateway answers at a limit."""

import concurrent.futures
import datetime
import json
import sqlite3
import uuid

import httpx
import pytest
from portkey_ai._vendor.openai import APIStatusError as GatewayError
from portkey_ai.api_resources.exceptions import APIStatusError as AdminError

from portkey import KINDS, ROUTES, SCOPES, SYMBOLS, check, rows, sdk
from stack import PATIENCE, PRICE, Stack
from venice import Venice

MODELS = [{"id": "demo-small", "provider": "demo", "max_output_tokens": 4096, "price": PRICE}]
ELSEWHERE, PERSON = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
NOBODY = "01a2009a-a43c-756c-8855-2fc3b9c7e875"

# The page that this API starts from: "Update API Key", with its values.
START_PAGE = dict(
    name="API_KEY_NAME_0909",
    rate_limits=[{"type": "requests", "unit": "rpm", "value": 100}],
    scopes=[
        "organisation_users.create", "organisation_users.read", "organisation_users.update",
        "organisation_users.delete", "organisation_users.list", "organisation_service_api_keys.create",
        "organisation_service_api_keys.update", "organisation_service_api_keys.read",
        "organisation_service_api_keys.delete", "organisation_service_api_keys.list", "workspaces.delete",
        "workspaces.create", "workspaces.read", "workspaces.update", "workspaces.list", "logs.export", "logs.list",
        "logs.view", "configs.create", "configs.update", "configs.delete", "configs.read", "configs.list",
        "virtual_keys.create", "virtual_keys.update", "virtual_keys.delete", "virtual_keys.duplicate",
        "virtual_keys.read", "virtual_keys.list", "virtual_keys.copy", "workspace_service_api_keys.create",
        "workspace_service_api_keys.delete", "workspace_service_api_keys.update",
        "workspace_service_api_keys.read", "workspace_service_api_keys.list", "workspace_user_api_keys.create",
        "workspace_user_api_keys.delete", "workspace_user_api_keys.update", "workspace_user_api_keys.read",
        "workspace_user_api_keys.list", "workspace_users.create", "workspace_users.read",
        "workspace_users.update", "workspace_users.delete", "workspace_users.list", "analytics.view"])


def furnish(stack):
    """A second workspace, a person, and another organisation with a key; returns that key's id."""
    foreign = uuid.UUID(int=3)
    with sqlite3.connect(stack.folder / "tollkey.db") as db:
        org, workspace = db.execute("SELECT org, id FROM workspace").fetchone()
        columns = [row[1] for row in db.execute("PRAGMA table_info(workspace)")]
        row = dict(zip(columns, db.execute("SELECT * FROM workspace").fetchone()))
        row.update(id=uuid.UUID(ELSEWHERE).bytes, slug="ws-second", name="second")
        db.execute(f"INSERT INTO workspace ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
        db.execute("INSERT INTO org_user (id, org, email, first_name, last_name, role, created_ms, updated_ms, "
                   "removed_ms) VALUES (?, ?, 'p@example.com', 'P', 'Erson', 0, 1, 1, 0)",
                   (uuid.UUID(PERSON).bytes, org))
        columns = [row[1] for row in db.execute("PRAGMA table_info(api_key)")]
        row = dict(zip(columns, db.execute("SELECT * FROM api_key").fetchone()))
        row.update(id=foreign.bytes, org=uuid.UUID(int=4).bytes, digest=bytes(32))
        db.execute(f"INSERT INTO api_key ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    db.close()
    return str(foreign)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("portkey"), demo_args=["--tokens", "10"], models=MODELS)
    try:
        stack.write_config()
        stack.root = stack.key("admin")["key"]
        stack.foreign = furnish(stack)
        yield stack.start()
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def admin(stack):
    return sdk(stack.url, stack.root)


def raw(stack, method, path, key=None, **how):
    headers = {"x-portkey-api-key": key or stack.root}
    return httpx.request(method, stack.url + path, headers=headers, timeout=60 * PATIENCE, **how)


def made(admin, sub_type="service", kind="workspace", **more):
    args = {"name": "a test", "scopes": ["completions.write"] if kind == "workspace" else ["logs.view"], **more}
    if sub_type == "user":
        args.setdefault("user_id", PERSON)
    return admin.api_keys.create(type=kind, sub_type=sub_type, **args)


def shown(stack, key_id):
    response = raw(stack, "GET", f"/v1/api-keys/{key_id}")
    assert response.status_code == 200, response.text
    if response.json()["status"] != "expired":
        check("ApiKeyObject", response.json())
    return response.json()


def ask(client, **more):
    return client.chat.completions.create(model="demo-small", messages=[{"role": "user", "content": "hi"}], **more)


def refused(call, status, code, words=""):
    """The SDK's error, whose body says the same in all the places in which its clients look."""
    with pytest.raises((AdminError, GatewayError)) as caught:
        call()
    response = caught.value.response
    assert response.status_code == status, response.text
    assert response.headers["x-portkey-request-id"] == response.headers["x-request-id"]
    body = response.json()
    if code.startswith("AB"):
        assert body["success"] is False and body["data"]["errorCode"] == body["error"]["code"] == code, body
        assert body["message"] == body["data"]["message"] == body["error"]["message"], body
        assert set(body["error"]) == {"message", "code", "type", "param"}
    else:
        assert body["status"] == "failure" and body["error"]["code"] == code, body
        assert body["message"] == body["error"]["message"], body
    assert words in body["message"], body
    return body


# ---- the methods of the SDK --------------------------------------------------------------------------------------

def test_the_start_page(admin, stack):
    key = made(admin, kind="organisation", scopes=[], description="kept")
    admin.api_keys.update(id=key.id, **START_PAGE)
    after = admin.api_keys.retrieve(id=key.id)
    assert after.name == START_PAGE["name"] and after.description == "kept"
    assert [dict(rate) for rate in after.rate_limits] == START_PAGE["rate_limits"]
    assert sorted(after.scopes) == sorted(START_PAGE["scopes"])
    check("ApiKeyObject", shown(stack, key.id))
    # The key can now do what it says: manage keys, and not call models.
    own = sdk(stack.url, key.key)
    assert own.api_keys.retrieve(id=key.id).id == key.id
    refused(lambda: ask(own), 403, "033", "Forbidden!")


def test_a_key_from_its_making_to_its_end(admin, stack):
    key = made(admin, name="ci", description="text", workspace_id="ws-second",
               rate_limits=[{"type": "requests", "unit": "rpm", "value": 100},
                            {"type": "tokens", "unit": "rpw", "value": 5000}],
               usage_limits={"type": "cost", "credit_limit": 10, "alert_threshold": 8, "periodic_reset": "monthly"},
               defaults={"metadata": {"env": "ci"}, "config_id": "pc-1", "allow_config_override": False},
               alert_emails=["a@example.com"], expires_at="2099-01-01T00:00:00Z", rotation_policy=None)
    assert key.object == "api-key" and uuid.UUID(key.id)
    got = shown(stack, key.id)
    assert got["key"] == key.key[:2] + "*****" + key.key[-3:]
    assert (got["name"], got["description"], got["type"]) == ("ci", "text", "workspace-service")
    assert got["workspace_id"] == ELSEWHERE and got["user_id"] is None and got["status"] == "active"
    assert got["rate_limits"] == [{"type": "requests", "unit": "rpm", "value": 100},
                                  {"type": "tokens", "unit": "rpw", "value": 5000}]
    turns = got["usage_limits"].pop("next_usage_reset_at")
    assert turns == got["next_usage_reset_at"] and turns[8:] == "01T00:00:00.000Z"
    assert got["usage_limits"] == {
        "type": "cost", "credit_limit": 10, "alert_threshold": 8, "periodic_reset": "monthly",
        "periodic_reset_days": None, "current_usage": 0, "status": "active", "last_reset_at": None}
    assert got["defaults"] == {"metadata": {"env": "ci"}, "config_id": "pc-1", "allow_config_override": False}
    assert (got["alert_emails"], got["expires_at"]) == (["a@example.com"], "2099-01-01T00:00:00.000Z")
    assert got["scopes"] == ["completions.write"]

    admin.api_keys.update(id=key.id, name="ci-2", usage_limits={"credit_limit": 20})  # everything else stays
    after = shown(stack, key.id)
    assert after["name"] == "ci-2" and after["last_updated_at"] >= after["created_at"]
    assert {**got, "name": 0, "last_updated_at": 0} | {"usage_limits": 0} == {
        **after, "name": 0, "last_updated_at": 0} | {"usage_limits": 0}
    assert after["usage_limits"]["credit_limit"] == 20 and after["usage_limits"]["periodic_reset"] == "monthly"

    response = raw(stack, "PUT", f"/v1/api-keys/{key.id}", json={
        "usage_limits": None, "rate_limits": None, "expires_at": None, "alert_emails": None, "defaults": None,
        "rotation_policy": None, "id": key.id, "nobody_knows": [1]})
    assert (response.status_code, response.json()) == (200, {})
    after = shown(stack, key.id)
    assert (after["usage_limits"], after["rate_limits"], after["expires_at"]) == (None, [], None)
    assert after["alert_emails"] is None and after["defaults"]["metadata"] is None

    assert raw(stack, "DELETE", f"/v1/api-keys/{key.id}", json={"id": key.id}).json() == {}
    refused(lambda: admin.api_keys.retrieve(id=key.id), 404, "AB08")
    refused(lambda: admin.api_keys.update(id=key.id, name="x"), 404, "AB08")
    refused(lambda: admin.api_keys.delete(id=key.id), 404, "AB08")
    refused(lambda: ask(sdk(stack.url, key.key)), 401, "03", "Invalid API Key")


def test_a_key_of_a_person(admin, stack):
    key = made(admin, sub_type="user")
    got = shown(stack, key.id)
    assert (got["type"], got["user_id"]) == ("workspace-user", PERSON)
    assert ask(sdk(stack.url, key.key)).choices
    refused(lambda: made(admin, sub_type="user", user_id=NOBODY), 400, "AB01", "There is no such user")
    refused(lambda: made(admin, sub_type="user", user_id=None), 400, "AB01", "There is no such user")


def test_lists_are_pages_newest_first(admin, stack):
    before = admin.api_keys.list().total
    keys = [made(admin, name=f"page {n}", workspace_id=ELSEWHERE).id for n in range(5)]
    page = raw(stack, "GET", "/v1/api-keys?page_size=2&current_page=1&nobody=knows").json()
    check("ApiKeyObjectList", page)
    assert page["object"] == "list" and page["total"] == before + 5
    assert [key["id"] for key in page["data"]] == [keys[2], keys[1]]
    assert all("*****" in key["key"] for key in page["data"])
    other = raw(stack, "GET", "/v2/api-keys?pageSize=2&currentPage=1&").json()
    assert [key["id"] for key in other["data"]] == [keys[2], keys[1]]
    for name in (ELSEWHERE, "ws-second"):
        only = admin.api_keys.list(page_size=3, workspace_id=name)
        assert [key["id"] for key in only.data] == keys[:1:-1] and only.total < before + 5
    assert admin.api_keys.list(page_size=10, current_page=1000).data == []
    for query in ("page_size=x", "page_size=501", "current_page=-1", "page_size=1&page_size=2",
                  "workspace_id=ws-none", f"workspace_id={NOBODY}"):
        assert raw(stack, "GET", f"/v1/api-keys?{query}").json()["data"]["errorCode"] == "AB01", query


# ---- errors ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("more, words", [
    ({"scopes": ["x.y"]}, "There is no scope 'x.y'"),
    ({"scopes": ["organisation_users.create"]}, "may not have the scope 'organisation_users.create'"),
    ({"name": None}, "name: Expected string"),
    ({"usage_limits": {"type": "cost"}}, "credit_limit is missing"),
    ({"usage_limits": {"credit_limit": 5, "alert_threshold": 6}}, "alert_threshold may not be above"),
    ({"rate_limits": [{"type": "requests", "unit": "rpy", "value": 1}]}, "rate_limits.unit"),
    ({"expires_at": "2020-01-01T00:00:00Z"}, "Must be in the future"),
    ({"alert_emails": ["nobody"]}, "Not an e-mail address"),
    ({"workspace_id": "ws-none"}, "There is no such workspace"),
    ({"workspace_id": NOBODY}, "There is no such workspace"),
    ({"rotation_policy": {"rotation_period": "weekly"}}, "rotation_policy"),
])
def test_what_is_wrong_is_said(admin, more, words):
    refused(lambda: made(admin, **more), 400, "AB01", words)


def test_what_is_no_request(admin, stack):
    refused(lambda: made(admin, sub_type="undefined"), 400, "AB01")
    refused(lambda: admin.api_keys.create(type="organisation", sub_type="user", name="x", scopes=[]), 400, "AB01")
    refused(lambda: admin.api_keys.retrieve(id="none"), 404, "AB08")
    refused(lambda: sdk(stack.url, "wrong").api_keys.list(), 401, "AB05")
    for how in ({"content": b"{", "headers": {"content-type": "application/json"}}, {"content": b"{}"},
                {"content": b"", "headers": {"content-type": "application/json"}}):
        response = httpx.put(f"{stack.url}/v1/api-keys/{NOBODY}", timeout=60 * PATIENCE, **{
            **how, "headers": {"x-portkey-api-key": stack.root, **how.get("headers", {})}})
        assert (response.status_code, response.json()["data"]["errorCode"]) == (400, "AB01"), response.text
    response = raw(stack, "PATCH", "/v1/api-keys")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")
    assert raw(stack, "GET", "/v1/api-keys/a/b/c").json()["data"]["errorCode"] == "AB08"
    large = raw(stack, "PUT", f"/v1/api-keys/{NOBODY}", json={"description": "x" * 70000})
    assert (large.status_code, large.json()["data"]["errorCode"]) == (413, "AB01")


# ---- who may what ------------------------------------------------------------------------------------------------

def holder(admin, kind, scopes, **more):
    if kind == "A":
        return made(admin, kind="organisation", scopes=scopes, **more)
    return made(admin, sub_type="service" if kind == "S" else "user", scopes=scopes, **more)


TYPES = {"A": "organisation_service", "S": "workspace_service", "U": "workspace_user"}


def needs(route, target):
    """The scope that this row asks of a caller who means a key of kind `target`."""
    if route[2].startswith("SOME_KEYS_"):
        return f"{TYPES[target]}_api_keys.{route[2].removeprefix('SOME_KEYS_').lower()}"
    return SYMBOLS[route[2]]


def attempt(client, route, target, victim):
    body = {"json": {"name": "x"}} if route[0] in ("PUT", "POST") else {}
    if route[0] == "POST":
        body["json"]["scopes"] = []
        body["json"]["user_id"] = PERSON
    return client.request(route[0], route[1].replace("{id}", victim), **body)


@pytest.mark.slow
def test_every_scope_on_every_route_for_every_kind(admin, stack):
    """A key that holds one scope may do with it what the row says, and nothing else anywhere. From the tables, so that a
    new row cannot escape."""
    assert sum(1 for _ in ROUTES) >= 8
    victims = {kind: holder(admin, kind, []).id for kind in "ASU"}
    mistakes = []

    def walk(scope, kind):
        key = holder(admin, kind, [scope])
        with httpx.Client(base_url=stack.url, headers={"x-portkey-api-key": key.key}, timeout=60 * PATIENCE) as client:
            for route in ROUTES:
                for target in "ASU" if "{id}" in route[1] and route[2].startswith("SOME") else "A":
                    if route[0] == "DELETE" and scope == needs(route, target):
                        continue  # tried apart, as it can be done once
                    response = attempt(client, route, target, victims[target])
                    allowed = route[2] == "NONE" or (
                        scope in [needs(route, k) for k in "ASU"] if route[1] == "/v1/api-keys"
                        else scope == needs(route, target))
                    passed = response.status_code != 403
                    if passed != allowed or (not passed and response.json()["data"]["errorCode"] != "AB03"):
                        mistakes.append((scope, kind, *route[:2], target, response.status_code))
        return 1

    # Most scopes open nothing here; each of those is tried for one kind only, the others for all.
    cases = [(scope, kind) for scope, kinds in SCOPES.items() for kind in kinds
             if "api_keys" in scope or kind == kinds[0]]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda case: walk(*case), cases)) == len(cases)
    assert not mistakes, mistakes[:10]


@pytest.mark.slow
def test_which_kinds_may_hold_which_scopes(admin):
    """The documented table, both ways: every scope for every kind."""
    for kind in "ASU":
        fits = [scope for scope in SCOPES if kind in SCOPES[scope]]
        assert sorted(admin.api_keys.retrieve(id=holder(admin, kind, fits).id).scopes) == sorted(fits)
    strangers = [(scope, kind) for scope in SCOPES for kind in "ASU" if kind not in SCOPES[scope]]
    assert len(strangers) > 50

    def try_one(case):
        scope, kind = case
        refused(lambda: holder(admin, kind, [scope]), 400, "AB01", f"may not have the scope '{scope}'")
        return 1

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(try_one, strangers)) == len(strangers)


def test_nobody_grants_what_he_does_not_hold(admin, stack):
    key = made(admin, kind="organisation", scopes=["workspace_service_api_keys.create", "workspace_service_api_keys.update",
                                                   "logs.view"])
    own = sdk(stack.url, key.key)
    target = made(own, scopes=["logs.view", "completions.write"])  # what only workspace keys can hold he hands out
    refused(lambda: made(own, scopes=["logs.list"]), 403, "AB03")
    refused(lambda: own.api_keys.update(id=target.id, scopes=["logs.view", "logs.list"]), 403, "AB03")
    admin.api_keys.update(id=target.id, scopes=["logs.list"])
    own.api_keys.update(id=target.id, scopes=["logs.list"])  # it had it already
    refused(lambda: own.api_keys.update(id=key.id, name="x"), 403, "AB03")  # a key of the organisation
    refused(lambda: own.api_keys.retrieve(id=target.id), 403, "AB03")


def test_a_service_key_stays_in_its_workspace(admin, stack):
    scopes = [f"workspace_{kind}_api_keys.{verb}" for kind in ("service", "user")
              for verb in ("create", "read", "update", "delete", "list")] + ["completions.write"]
    keeper = made(admin, scopes=scopes, workspace_id=ELSEWHERE)
    inside, outside = made(admin, workspace_id=ELSEWHERE), made(admin)
    own = sdk(stack.url, keeper.key)
    assert own.api_keys.retrieve(id=inside.id).id == inside.id
    assert made(own).id and made(own, workspace_id="ws-second").id
    listed = own.api_keys.list(page_size=500)
    assert {key["workspace_id"] for key in listed.data} == {ELSEWHERE} and listed.total == len(listed.data)
    assert keeper.id in [key["id"] for key in listed.data]
    first = shown(stack, outside.id)["workspace_id"]
    refused(lambda: made(own, workspace_id=first), 400, "AB01", "There is no such workspace")
    assert raw(stack, "GET", f"/v1/api-keys?workspace_id={first}", keeper.key).status_code == 400
    for call in (own.api_keys.retrieve, own.api_keys.delete, lambda id: own.api_keys.update(id=id, name="x")):
        refused(lambda: call(id=outside.id), 404, "AB08")


def test_another_organisation_does_not_exist(admin, stack):
    nothing = raw(stack, "GET", f"/v1/api-keys/{NOBODY}").json()
    for method, how in (("GET", {}), ("PUT", {"json": {"name": "x"}}), ("PUT", {"json": {"reset_usage": True}}),
                        ("DELETE", {})):
        response = raw(stack, method, f"/v1/api-keys/{stack.foreign}", **how)
        assert (response.status_code, response.json()) == (404, nothing), method
    assert stack.foreign not in raw(stack, "GET", "/v1/api-keys?page_size=500").text


# ---- limits ------------------------------------------------------------------------------------------------------

def test_a_budget_bites_and_a_reset_begins_anew(admin, stack):
    key = made(admin, usage_limits={"type": "tokens", "credit_limit": 150, "periodic_reset_days": 30})
    own = sdk(stack.url, key.key)

    def spend():
        for calls in range(20):
            try:
                ask(own, max_tokens=5)
            except GatewayError:
                return calls
        raise AssertionError("it never ends")

    first = spend()
    body = refused(lambda: ask(own, max_tokens=5), 412, "04", "Portkey API Key Usage Limit Exceeded. Error Code: 04")
    assert "150 tokens" in body["error"]["reason"]
    used = shown(stack, key.id)["usage_limits"]["current_usage"]
    assert first > 0 and 0 < used <= 150

    admin.api_keys.update(id=key.id, reset_usage=True)
    after = shown(stack, key.id)
    assert (after["usage_limits"]["current_usage"], after["status"]) == (0, "active")
    assert after["last_reset_at"] == after["usage_limits"]["last_reset_at"] is not None
    assert spend() == first  # the same again, and no more
    refused(lambda: ask(own, max_tokens=5), 412, "04")
    assert shown(stack, key.id)["usage_limits"]["current_usage"] == used
    total = json.loads(stack.cli("usage", key.id, "--json").stdout)["key"]["usage"]["all"]["tokens"]
    assert int(total) == 2 * used  # usage stays what it was

    admin.api_keys.update(id=key.id, usage_limits={"credit_limit": 10000})
    assert ask(own).choices


def test_the_last_cent_is_exhaustion(admin, stack):
    """A cap that the calls before have used to the token is shown as such, and a raise makes it active again."""
    key = made(admin, usage_limits={"type": "tokens", "credit_limit": 10000})
    own = sdk(stack.url, key.key)
    ask(own)
    used = shown(stack, key.id)["usage_limits"]["current_usage"]
    admin.api_keys.update(id=key.id, usage_limits={"credit_limit": used})
    assert shown(stack, key.id)["status"] == shown(stack, key.id)["usage_limits"]["status"] == "exhausted"
    refused(lambda: ask(own), 412, "04")
    admin.api_keys.update(id=key.id, usage_limits={"credit_limit": 10000})
    assert shown(stack, key.id)["status"] == "active"
    assert ask(own).choices


def test_rates_bite(admin, stack):
    key = made(admin, rate_limits=[{"type": "requests", "unit": "rpd", "value": 2},
                                   {"type": "tokens", "unit": "rpm", "value": 100000}])
    own = sdk(stack.url, key.key)
    ask(own), ask(own)
    body = refused(lambda: ask(own), 429, "05", "apikey rate limit exceeded. Error Code: 05")
    assert "2 requests per day" in body["error"]["reason"]
    nothing = made(admin, rate_limits=[{"type": "requests", "unit": "rpm", "value": 0}])
    refused(lambda: ask(sdk(stack.url, nothing.key)), 429, "05")  # nothing is nothing, not everything


def test_an_expired_key(tmp_path):
    """It is refused as expired, still managed, and lives again when its end is moved."""
    stack = Stack(tmp_path, models=MODELS)
    try:
        stack.write_config()
        root = stack.key("admin")["key"]
        stack.start()
        admin = sdk(stack.url, root)
        key = made(admin, expires_at="2099-01-01T00:00:00Z")
        own = sdk(stack.url, key.key)
        assert ask(own).choices
        stack.server.stop()
        with sqlite3.connect(tmp_path / "tollkey.db") as db:
            db.execute("UPDATE api_key SET expires_ms = 1 WHERE id = ?", (uuid.UUID(key.id).bytes,))
        db.close()
        stack.start()
        admin, own = sdk(stack.url, root), sdk(stack.url, key.key)
        stack.root = root
        refused(lambda: ask(own), 401, "01", "Portkey API Key Expired")
        assert shown(stack, key.id)["status"] == "expired"
        assert key.id in [listed["id"] for listed in admin.api_keys.list().data]
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
        admin.api_keys.update(id=key.id, expires_at=until.isoformat())
        assert shown(stack, key.id)["status"] == "active"
        assert ask(own).choices
    finally:
        stack.stop()


# ---- one key, two APIs -------------------------------------------------------------------------------------------

def test_venice_and_portkey_see_the_same_keys(admin, stack):
    with Venice(stack.url, stack.root) as venice:
        born = venice.made(description="born in Venice", consumptionLimit={"usd": 5}, limitPeriod="MONTH")
        got = shown(stack, born["id"])
        assert (got["name"], got["type"]) == ("born in Venice", "workspace-service")
        assert got["usage_limits"]["credit_limit"] == 5 and got["usage_limits"]["periodic_reset"] == "monthly"
        admin.api_keys.update(id=born["id"], name="n" * 70, usage_limits={"credit_limit": 3},
                              rate_limits=[{"type": "requests", "unit": "rpm", "value": 50}])
        seen = venice.show(born["id"]).json()["data"]
        assert seen["description"] == "n" * 64 and seen["consumptionLimits"]["usd"] == 3
        venice.update(born["id"], consumptionLimit={"usd": 4})
        assert shown(stack, born["id"])["usage_limits"]["credit_limit"] == 4
        assert shown(stack, born["id"])["name"] == "n" * 70 and shown(stack, born["id"])["rate_limits"]
        ask(sdk(stack.url, born["apiKey"]))
        spent = shown(stack, born["id"])["usage_limits"]["current_usage"]
        assert spent > 0
        assert float(venice.show(born["id"]).json()["data"]["currentPeriodUsage"]["usd"]) == round(spent, 4)

        key = made(admin, name="born in Portkey", usage_limits={"type": "cost", "credit_limit": 2, "periodic_reset_days": 1})
        seen = venice.show(key.id).json()["data"]
        assert (seen["description"], seen["limitPeriod"], seen["consumptionLimits"]["usd"]) == (
            "born in Portkey", "EPOCH", 2)
        venice.remove(key.id)
        refused(lambda: admin.api_keys.retrieve(id=key.id), 404, "AB08")
        admin.api_keys.delete(id=born["id"])
        assert born["id"] not in venice.ids()


def test_the_tables_are_as_documented():
    assert len(rows("scope")) == 145 and set(KINDS.values()) == {"A", "AS", "ASU", "SU"}
