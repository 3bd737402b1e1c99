# SPDX-License-Identifier: Apache-2.0
"""The command line: every command, both back ends, JSON, errors and exit codes.

Stands on its own: its fixtures are in this file, the binary is build/tollkey or $TOLLKEY_BIN.
"""

import contextlib
import http.server
import json
import os
import pathlib
import re
import signal
import sqlite3
import stat
import subprocess
import threading
import time
import urllib.error
import urllib.request
import uuid

import pytest

pytestmark = pytest.mark.slow  # mostly commands, which have one thread; the others try the servers

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("TOLLKEY_BIN", ROOT / "build" / "tollkey")).absolute()
PATIENCE = float(os.environ.get("TOLLKEY_PATIENCE", "1"))

OK, FAILED, USAGE = 0, 1, 2
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
SECRET = r"tk_(inf|adm)_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}"
NOWHERE = "01a2009a-a43c-756c-8855-2fc3b9c7e875"

COMMANDS = ["serve", "key create", "key list", "key show", "key edit", "key revoke", "limit list", "limit set",
            "limit drop", "balance topup", "balance show", "alert list", "alert test", "usage", "ledger doubt", "ledger resolve", "config check",
            "config template", "demo-upstream", "version"]


def environment(**more):
    """Only what a test asks for: no setting of the developer's shell decides a result."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("TOLLKEY_") and not k.lower().endswith("_proxy")}
    return {**env, "no_proxy": "*", **more}


class Cli:
    def __init__(self, folder):
        self.folder = folder

    def __call__(self, *args, code=OK, stdin=None, env=None):
        done = subprocess.run([str(BINARY), *args], cwd=self.folder, input=stdin or "", capture_output=True, text=True,
                              env=environment(**(env or {})), timeout=60 * PATIENCE)
        assert done.returncode == code, f"{args}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        if code != OK:
            assert done.stderr.startswith("tollkey: "), done.stderr
        return done

    def json(self, *args, **more):
        return json.loads(self(*args, "--json", **more).stdout)

    def create(self, *args, kind="inference", description="test"):
        return self.json("key", "create", "--kind", kind, "--description", description, *args)


@pytest.fixture
def cli(tmp_path):
    (tmp_path / "tollkey.yaml").write_text("store: sqlite:t.db\n")
    return Cli(tmp_path)


@pytest.fixture
def bare(tmp_path):
    return Cli(tmp_path)


class Child:
    """A server of ours; ready when it says so."""

    def __init__(self, folder, *args):
        self.process = subprocess.Popen([str(BINARY), *args], cwd=folder, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=environment())
        line = self.process.stdout.readline()
        if not line.startswith("ready http://"):
            raise RuntimeError(f"{args}: {line}{self.process.communicate()}")
        self.url = line.split()[1]

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=30 * PATIENCE)
        assert self.process.returncode == 0, (out, err)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A server on a file, a demo upstream behind it, an admin key."""
    folder = tmp_path_factory.mktemp("running")
    demo = Child(folder, "demo-upstream", "--listen", "127.0.0.1:0")
    (folder / "tollkey.yaml").write_text(
        f"listen: 127.0.0.1:0\nstore: sqlite:t.db\nproviders:\n  demo: {{ base_url: '{demo.url}/v1' }}\nmodels:\n"
        "  - { id: demo-small, provider: demo, max_output_tokens: 4096, price: { input: 0.15, output: 0.60 } }\n")
    direct = Cli(folder)
    admin = direct.create(kind="admin", description="admin")
    server = Child(folder, "serve")

    class Running:
        url = server.url
        key = admin["key"]
        on_store = direct

        @staticmethod
        def via(*args, env=None, **more):
            return direct(*args, "--url", server.url, env={"TOLLKEY_ADMIN_KEY": admin["key"], **(env or {})}, **more)

        @classmethod
        def via_json(cls, *args, **more):
            return json.loads(cls.via(*args, "--json", **more).stdout)

        @staticmethod
        def call(key):
            request = urllib.request.Request(
                server.url + "/v1/chat/completions", method="POST",
                headers={"Authorization": "Bearer " + key, "Content-Type": "application/json"},
                data=json.dumps({"model": "demo-small", "messages": [{"role": "user", "content": "hello"}]}).encode())
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(request, timeout=30 * PATIENCE) as answer:
                return json.load(answer)

    yield Running
    server.stop()
    demo.stop()


# ---- grammar ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("args", [[], ["help"], ["--help"], ["-h"]])
def test_help_names_every_command(bare, args):
    out = bare(*args).stdout
    for command in COMMANDS:
        assert re.search(rf"^  {command}\b", out, re.MULTILINE), command


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "demo-upstream"])
def test_every_command_explains_itself(bare, command):
    words = command.split()
    holes = ["x"] if command in ("key show", "key edit", "key revoke", "limit set", "limit drop",
                                 "ledger resolve") else []
    if command == "balance topup":
        holes = ["org", "usd", "1"]
    for args in (["help", *words], [*words, "--help"], ["--help", *words], [*words, *holes, "-h"]):
        out = bare(*args).stdout
        assert out.startswith("usage: tollkey " + command), args
        assert "--help" in out
    if command not in ("serve", "version"):
        assert "--json" in out


def test_demo_upstream_explains_itself(bare):
    assert "--listen" in bare("demo-upstream", "--help").stdout
    assert "demo-upstream" in bare("help", "demo-upstream").stdout


def test_help_about_a_group_shows_all_of_it(bare):
    out = bare("help", "key").stdout
    for verb in ("create", "list", "show", "edit", "revoke"):
        assert f"usage: tollkey key {verb}" in out


@pytest.mark.parametrize("args, words", [
    (["frobnicate"], "there is no command 'frobnicate'"),
    (["help", "frobnicate"], "there is no command 'frobnicate'"),
    (["Key", "list"], "there is no command 'Key'"),
    (["--json"], "a command is missing"),
    (["key"], "not complete"),
    (["key", "show"], "tollkey key show <id>"),
    (["key", "frob"], "'frob' is not understood here"),
    (["key", "list", "more"], "'more' is not understood here"),
    (["key", "show", "a", "b"], "'b' is not understood here"),
    (["version", "x"], "'x' is not understood here"),
    (["usage", "a", "b", "c"], "'b' is not understood here"),
    (["a"] * 20, "too many words"),
    (["version", "--jsn"], "there is no option '--jsn'"),
    (["version", "--"], None),
    (["version", "--json", "--json"], "--json is given twice"),
    (["version", "--json=yes"], "--json takes no value"),
    (["version", "--usd", "5"], "'version' does not take --usd"),
    (["key", "list", "--kind", "admin"], "does not take --kind"),
    (["key", "list", "--config"], "--config needs a value: FILE"),
    (["key", "create"], "needs --kind KIND"),
    (["key", "create", "--kind", "admin"], "needs --description TEXT"),
    (["key", "list", "--url", "http://h", "--config", "x"], "do not go together"),
    (["key", "list", "--key-stdin"], "--key-stdin is for --url"),
    (["ledger"], "not complete"),
    (["ledger", "resolve", NOWHERE, "--meter", "usd", "--window", "day"], "needs --spent AMOUNT"),
    (["ledger", "resolve", NOWHERE, "--meter", "eur", "--window", "day", "--spent", "0"], "--meter eur: expects usd"),
    (["ledger", "resolve", NOWHERE, "--meter", "usd", "--window", "dy", "--spent", "0"], "--window dy: expects second"),
    (["ledger", "resolve", NOWHERE, "--meter", "usd", "--window", "day", "--spent", "-1"], "--spent -1: expects an amount"),
    (["ledger", "resolve", NOWHERE, "--meter", "usd", "--window", "day", "--spent", "1 000"], "expects an amount"),
    (["ledger", "resolve", NOWHERE, "--meter", "tokens", "--window", "day", "--spent", "1.5"], "expects a count"),
    (["ledger", "resolve", NOWHERE, "--meter", "usd", "--window", "day", "--spent", "9" * 10], "expects an amount"),
    (["ledger", "resolve", NOWHERE, "--meter", "usd", "--window", "day", "--spent", "0", "--number", "x"],
     "--number x: expects the number of a window"),
    (["ledger", "doubt", "--url", "http://h", "--config", "x"], "do not go together"),
    (["ledger", "doubt", "--key-stdin"], "is for --url"),
    (["limit", "list", "--url", "http://h"], "does not take --url"),
    (["--json", "demo-upstream", "x"], "has to be the first word"),
    (["serve", "--listen", "8080"], "expects HOST:PORT"),
])
def test_what_is_not_understood(bare, args, words):
    done = bare(*args, code=OK if words is None else USAGE)
    assert words is None or words in done.stderr
    assert words is None or done.stdout == ""
    assert list(bare.folder.iterdir()) == []  # nothing was made on the way


def test_options_stand_anywhere(cli):
    made = json.loads(cli("--json", "--kind=admin", "key", "--description", "a b", "create", "--usd=5").stdout)
    assert json.loads(cli("--json", "key", "show", "--", made["id"]).stdout)["limits"]["usd"] == 5


def test_no_control_byte_reaches_the_terminal(cli):
    done = cli("\x1b[31mred\x1b[0m\n", code=USAGE)
    assert "\x1b" not in done.stderr
    assert done.stderr.count("\n") == 1
    cli.create(description="\x1b]0;title\x07 \u009b31m")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u0080-\u009f]", cli("key", "list").stdout)


def test_version(bare):
    version = bare.json("version")["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert bare("version").stdout == f"tollkey {version}\n"


def test_an_answer_that_cannot_be_written_is_a_failure(bare):
    with open("/dev/full", "w") as full:
        done = subprocess.run([str(BINARY), "help"], stdout=full, stderr=subprocess.PIPE, text=True,
                              env=environment())
    assert done.returncode == FAILED
    assert "No space left" in done.stderr


# ---- keys on the store ------------------------------------------------------------------------------------------

def test_create_prints_id_and_key(cli):
    made = cli.create(kind="admin", description="bootstrap")
    assert set(made) == {"id", "key"}
    assert re.fullmatch(UUID, made["id"])
    assert re.fullmatch(SECRET, made["key"]) and made["key"].startswith("tk_adm_")


def test_the_secret_is_shown_once_with_a_note(cli):
    done = cli("key", "create", "--kind", "inference", "--description", "x")
    key = re.search(rf"^key  ({SECRET})$", done.stdout, re.MULTILINE).group(1)
    assert "only time" in done.stderr and key not in done.stderr
    for args in (["key", "list"], ["key", "list", "--json"], ["usage"], ["usage", "--json"]):
        out = cli(*args).stdout
        assert key not in out
        assert key[-6:] in out or args[0] == "usage"
    for path in cli.folder.iterdir():
        assert key.encode() not in path.read_bytes(), path


def test_a_created_key_shows_what_was_asked(cli):
    made = cli.create("--usd", "0.01", "--diem", "9999999999", "--period", "month", "--expires", "2099-12-31",
                      "--privacy", "private-text", description="agent \u00e9\u4e2d")
    shown = cli.json("key", "show", made["id"])
    usage = shown.pop("usage")
    created = shown.pop("created_at")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", created)
    assert shown == {
        "id": made["id"], "kind": "inference", "description": "agent \u00e9\u4e2d", "user": None,
        "last6": made["key"][-6:],
        "limits": {"usd": 0.01, "diem": 9999999999}, "period": "month", "privacy": "private-text",
        "expires_at": "2099-12-31T00:00:00.000Z", "last_used_at": None}
    assert usage["period"] == {"usd": "0", "diem": "0", "requests": 0, "tokens": 0}
    text = cli("key", "show", made["id"]).stdout
    for words in (made["id"], "agent \u00e9\u4e2d", "0.01 USD, 9999999999 Diem", "month", "private-text", "never"):
        assert words in text


def test_defaults_of_a_key(cli):
    shown = cli.json("key", "show", cli.create(description="")["id"])
    assert shown["limits"] == {"usd": None, "diem": None}
    assert (shown["period"], shown["privacy"], shown["expires_at"]) == ("day", "all", None)


def test_caps_are_exact(cli):
    for text, raw in (("0", "0"), ("0.000000001", "0.000000001"), ("0.1", "0.1"), ("5.10", "5.1"),
                      ("9999999998.999999999", "9999999998.999999999"), ("1e-3", "0.001")):
        out = cli("key", "show", cli.create("--usd", text)["id"], "--json").stdout
        assert f'"usd":{raw},' in out, text


@pytest.mark.parametrize("args, words", [
    (["--kind", "root"], "--kind root: expects admin, inference or user"),
    (["--kind", "user"], "--kind user and --user go together"),
    (["--user", "ann@example.com"], "--kind user and --user go together"),
    (["--kind", "user", "--user", "ann"], "--user ann: expects the e-mail address or id of a user"),
    (["--kind", "user", "--user", "a@b", "--url", "http://x"], "it does not go with --url"),
    (["--description", "x" * 65], "longer than 64"),
    (["--description", "\U0001f600" * 33], "longer than 64"),
    (["--usd", "-1"], "--usd -1: expects an amount"),
    (["--usd", "five"], "--usd five"),
    (["--usd", "10000000000"], "expects an amount from 0 to 9999999999"),
    (["--usd", "1,5"], "--usd"),
    (["--usd", ""], "--usd"),
    (["--usd", "0x5"], "--usd"),
    (["--usd", "inf"], "--usd"),
    (["--diem", "nan"], "--diem nan"),
    (["--period", "week"], "expects day, month or lifetime"),
    (["--privacy", "public"], "expects all, private-text or private-only"),
    (["--expires", "2020-01-01"], "in the past"),
    (["--expires", "2099-02-30"], "there is no such date"),
    (["--expires", "2099-1-1"], "expects YYYY-MM-DD"),
    (["--expires", "tomorrow"], "expects YYYY-MM-DD"),
    (["--expires", "2099-01-01T00:00:00+02:00"], "expects YYYY-MM-DD"),
    (["--expires", "0d"], "in the past"),
    (["--expires", "-5d"], "expects YYYY-MM-DD"),
    (["--expires", "9999999999d"], "expects YYYY-MM-DD"),
])
def test_bad_values_change_nothing(cli, args, words):
    given = dict(zip(args[::2], args[1::2]))
    rest = [a for k, v in {"--kind": "inference", "--description": "x", **given}.items() for a in (k, v)]
    done = cli("key", "create", *rest, code=USAGE)
    assert words in done.stderr
    assert not (cli.folder / "t.db").exists()


def test_invalid_utf8_in_a_description(cli):
    done = subprocess.run([str(BINARY).encode(), b"key", b"create", b"--kind", b"admin", b"--description", b"\xff"],
                          cwd=cli.folder, capture_output=True, env=environment())
    assert done.returncode == USAGE and b"not valid UTF-8" in done.stderr


# ---- users ----


def test_a_user_lives_their_life(cli):
    ann = cli.json("user", "add", "Ann@Example.com", "--first-name", "Ann \u00c9", "--role", "admin")["id"]
    bob = cli.json("user", "add", "bob@example.com")["id"]
    made = cli.json("key", "create", "--kind", "user", "--user", "ANN@example.com", "--description", "hers")
    assert made["key"].startswith("tk_usr_")
    assert cli.json("key", "show", made["id"])["user"] == "ann@example.com"
    assert "ann@example.com" in cli("key", "show", made["id"]).stdout
    assert [u["email"] for u in cli.json("user", "list")["users"]] == ["bob@example.com", "ann@example.com"]
    for who in (ann, "ann@example.com"):
        shown = cli.json("user", "show", who)
        assert {k: shown[k] for k in ("id", "email", "first_name", "last_name", "role", "keys")} == {
            "id": ann, "email": "ann@example.com", "first_name": "Ann \u00c9", "last_name": "", "role": "admin",
            "keys": [{"id": made["id"], "description": "hers"}]}
    assert made["id"] in cli("user", "show", ann).stdout
    assert cli.json("user", "show", bob)["keys"] == []
    assert "ann@example.com is a user already" in cli("user", "add", "ann@example.com", code=1).stderr
    assert "revoked 1 of their keys" in cli("user", "remove", "ann@example.com").stdout
    assert cli.json("key", "list") == {"keys": []}
    for args in (["user", "show", ann], ["user", "remove", "ann@example.com"],
                 ["key", "create", "--kind", "user", "--user", ann, "--description", "x"]):
        assert "there is no user" in cli(*args, code=1).stderr
    again = cli.json("user", "add", "ann@example.com")["id"]
    assert again != ann and cli.json("user", "show", "ann@example.com")["keys"] == []
    assert cli.json("user", "remove", bob) == {"id": bob, "removed": True, "keys_revoked": 0}


@pytest.mark.parametrize("args, words", [
    (["ann"], "'ann' is not an e-mail address"),
    (["ann@"], "'ann@' is not an e-mail address"),
    (["ann@x", "--role", "root"], "--role root: expects member, admin or owner"),
    (["ann@x", "--first-name", "a\nb"], "--first-name: expects"),
    (["ann@x", "--last-name", "x" * 128], "--last-name: expects"),
])
def test_bad_users_are_refused(cli, args, words):
    assert words in cli("user", "add", *args, code=USAGE).stderr
    assert not (cli.folder / "t.db").exists()


def test_a_user_that_is_neither_address_nor_id(cli):
    cli.create()
    assert "'ann' is neither an e-mail address nor an id" in cli("user", "show", "ann", code=USAGE).stderr


def test_expiry_from_now(cli):
    for text, seconds in (("90m", 5400), ("12h", 43200), ("30d", 2592000)):
        before = time.time()
        shown = cli.json("key", "show", cli.create("--expires", text)["id"])
        at = time.mktime(time.strptime(shown["expires_at"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        assert before + seconds - 2 <= at <= time.time() + seconds + 2


def test_list_is_newest_first_and_active_only(cli):
    ids = [cli.create(description=f"k{i}")["id"] for i in range(3)]
    assert [k["id"] for k in cli.json("key", "list")["keys"]] == ids[::-1]
    assert cli.json("key", "revoke", ids[1]) == {"id": ids[1], "revoked": True}
    assert [k["id"] for k in cli.json("key", "list")["keys"]] == [ids[2], ids[0]]
    rows = cli("key", "list").stdout.splitlines()
    assert rows[0].split()[:3] == ["ID", "KIND", "DESCRIPTION"]
    assert [r.split()[0] for r in rows[1:]] == [ids[2], ids[0]]
    assert len({r.index(" inference ") for r in rows[1:]}) == 1  # aligned


def test_edit_changes_only_what_is_given(cli):
    made = cli.create("--usd", "5", "--diem", "7", "--period", "month", "--expires", "2099-01-01")
    before = cli.json("key", "show", made["id"])
    after = cli.json("key", "edit", made["id"], "--usd", "6")
    assert after["limits"] == {"usd": 6, "diem": 7}
    assert {k: v for k, v in after.items() if k != "limits"} == {k: v for k, v in before.items() if k != "limits"}
    after = cli.json("key", "edit", made["id"], "--usd", "none", "--expires", "never", "--description", "new",
                     "--privacy", "PRIVATE_ONLY")
    assert after["limits"] == {"usd": None, "diem": 7}
    assert (after["expires_at"], after["description"], after["privacy"]) == (None, "new", "private-only")
    after = cli.json("key", "edit", made["id"], "--period", "lifetime")
    assert (after["period"], after["limits"]) == ("lifetime", {"usd": None, "diem": 7})
    after = cli.json("key", "edit", made["id"], "--period", "day", "--usd", "1")
    assert (after["period"], after["limits"]) == ("day", {"usd": 1, "diem": 7})
    assert cli.json("key", "show", made["id"]) == after


def test_edit_needs_something_to_change(cli):
    assert "nothing to change" in cli("key", "edit", NOWHERE, "--json", code=USAGE).stderr


@pytest.mark.parametrize("verb", ["show", "edit", "revoke"])
def test_unknown_and_malformed_ids(cli, verb):
    cli.create()
    change = ["--usd", "1"] if verb == "edit" else []
    assert "there is no active key" in cli("key", verb, NOWHERE, *change, code=FAILED).stderr
    for bad in ("x", "", "1" * 36, NOWHERE + "0", "../../etc/passwd", "'; drop table key; --"):
        assert "is not the id of a key" in cli("key", verb, bad, *change, code=USAGE).stderr


def test_a_revoked_key_is_gone(cli):
    made = cli.create()
    assert cli("key", "revoke", made["id"]).stdout == f"revoked {made['id']}\n"
    for args in (["revoke"], ["show"], ["edit", "--usd", "1"]):
        assert "there is no active key" in cli("key", args[0], made["id"], *args[1:], code=FAILED).stderr


def test_two_at_once_lose_nothing(cli):
    cli.create()
    children = [subprocess.Popen([str(BINARY), "key", "create", "--kind", "inference", "--description", f"p{i}",
                                  "--json"], cwd=cli.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True, env=environment()) for i in range(6)]
    ids = {json.loads(c.communicate(timeout=60 * PATIENCE)[0])["id"] for c in children}
    assert all(c.returncode == OK for c in children)
    assert ids < {k["id"] for k in cli.json("key", "list")["keys"]} and len(ids) == 6


def test_the_prefix_comes_from_the_configuration(cli):
    (cli.folder / "tollkey.yaml").write_text("store: sqlite:t.db\nkey_prefix: my_org\n")
    assert cli.create()["key"].startswith("my_org_inf_")


def test_a_secret_that_cannot_be_written_is_told(cli):
    with open("/dev/full", "w") as full:
        done = subprocess.run([str(BINARY), "key", "create", "--kind", "admin", "--description", "x"], cwd=cli.folder,
                              stdout=full, stderr=subprocess.PIPE, text=True, env=environment())
    assert done.returncode == FAILED
    lost = re.search(rf"the key ({UUID}) was made, but", done.stderr).group(1)
    cli("key", "revoke", lost)


# ---- which store ------------------------------------------------------------------------------------------------

def test_a_memory_store_makes_no_sense_here(bare):
    (bare.folder / "tollkey.yaml").write_text("store: 'memory:'\n")
    for args in (["key", "list"], ["usage"], ["key", "create", "--kind", "admin", "--description", "x"]):
        assert "lives and dies with its server" in bare(*args, code=FAILED).stderr


def test_a_mistyped_path_is_no_empty_list(bare):
    for args in (["key", "list"], ["usage"], ["key", "revoke", NOWHERE]):
        done = bare(*args, code=FAILED, env={"TOLLKEY_STORE": "sqlite:nowhere/t.db"})
        assert "nowhere/t.db" in done.stderr
    assert list(bare.folder.iterdir()) == []


def test_which_configuration_counts(bare):
    (bare.folder / "other.yaml").write_text("store: sqlite:other.db\n")
    bare("key", "create", "--kind", "admin", "--description", "x", "--config", "other.yaml")
    assert (bare.folder / "other.db").exists()
    bare("key", "create", "--kind", "admin", "--description", "x", "--config", "other.yaml",
         env={"TOLLKEY_STORE": "sqlite:third.db"})
    assert (bare.folder / "third.db").exists()
    assert len(bare.json("key", "list", "--config", "other.yaml")["keys"]) == 1
    assert "No such file" in bare("key", "list", "--config", "absent.yaml", code=FAILED).stderr


def test_a_broken_configuration_stops_every_command(bare):
    (bare.folder / "tollkey.yaml").write_text("listen: 127.0.0.1:8080\nlisten_port: 5\n")
    for args in (["key", "list"], ["usage"], ["serve"], ["config", "check"],
                 ["key", "create", "--kind", "admin", "--description", "x"]):
        assert "tollkey.yaml:2: unknown key 'listen_port'" in bare(*args, code=FAILED).stderr


def test_something_else_than_a_store(bare):
    (bare.folder / "t.db").write_text("this is a text and no database, " * 100)
    done = bare("key", "list", code=FAILED, env={"TOLLKEY_STORE": "sqlite:t.db"})
    assert "t.db" in done.stderr
    assert (bare.folder / "t.db").read_text().startswith("this is a text")


# ---- config -----------------------------------------------------------------------------------------------------

def test_check_says_what_it_read(bare):
    assert bare("config", "check").stdout.startswith("built-in defaults: ok")
    (bare.folder / "tollkey.yaml").write_text(
        "providers: { p: { base_url: 'http://h', api_key: '${PROVIDER_KEY}' } }\nmodels:\n"
        "- { id: free-of-charge, provider: p, max_output_tokens: 1, price: { input: 0, output: 0 } }\n"
        "- { id: unpriced, provider: p, max_output_tokens: 1 }\n")
    env = {"PROVIDER_KEY": "sk-very-secret"}
    done = bare("config", "check", env=env)
    assert "tollkey.yaml: ok, 1 providers, 2 models" in done.stdout
    assert "warning: the model 'unpriced' has no price" in done.stderr and "free-of-charge" not in done.stderr
    assert "sk-very-secret" not in done.stdout + done.stderr
    said = bare.json("config", "check", env=env)
    assert said["ok"] is True and said["models_without_price"] == ["unpriced"] and said["file"] == "tollkey.yaml"
    done = bare("config", "check", code=FAILED)
    assert "tollkey.yaml:1: the environment variable PROVIDER_KEY is not set" in done.stderr


def test_check_in_json_tells_the_error(bare):
    (bare.folder / "x.yaml").write_text("loops: many\n")
    done = subprocess.run([str(BINARY), "config", "check", "--config", "x.yaml", "--json"], cwd=bare.folder,
                          capture_output=True, text=True, env=environment())
    assert done.returncode == FAILED
    said = json.loads(done.stdout)
    assert said["ok"] is False and said["error"].startswith("x.yaml:1: 'loops' expects a whole number")


def test_the_template_is_a_configuration(bare):
    template = bare("config", "template").stdout
    path = bare.folder / "tollkey.yaml"
    path.write_text(template)
    assert "0 providers, 0 models" in bare("config", "check").stdout
    path.write_text(re.sub(r"^#(  |[a-z])", r"\1", template, flags=re.MULTILINE))
    done = bare("config", "check", env=dict.fromkeys(
        ["EXAMPLE_API_KEY", "TOLLKEY_WEBHOOK_SECRET", "TOLLKEY_SMTP_PASSWORD"], "x"))
    assert "1 providers, 1 models" in done.stdout and done.stderr == ""
    names = [p["name"] for p in bare.json("config", "template")["params"]]
    for name in names:
        assert f"{name}:" in template
    assert {"listen", "store", "base_url", "api_key", "max_output_tokens", "long_context", "above"} <= set(names)


# ---- through the API --------------------------------------------------------------------------------------------

def test_a_key_lives_its_life_through_the_api(running):
    made = running.via_json("key", "create", "--kind", "inference", "--description", "api \u00e9", "--usd", "0.123456789",
                            "--period", "month", "--expires", "2099-12-31", "--privacy", "private-only")
    assert re.fullmatch(SECRET, made["key"])
    shown = running.via_json("key", "show", made["id"])
    assert shown["limits"] == {"usd": 0.123456789, "diem": None}
    assert '"usd":0.123456789' in running.via("key", "show", made["id"], "--json").stdout
    assert (shown["period"], shown["privacy"], shown["kind"]) == ("month", "private-only", "inference")
    assert shown["expires_at"] == "2099-12-31T00:00:00.000Z" and shown["last6"] == made["key"][-6:]
    assert shown["usage"]["period"] == {"usd": "0.0000", "diem": "0.0000"}

    edited = running.via_json("key", "edit", made["id"], "--usd", "none", "--diem", "2.5", "--expires", "never",
                              "--description", "edited", "--privacy", "all", "--period", "lifetime")
    assert edited["limits"] == {"usd": None, "diem": 2.5}
    assert (edited["expires_at"], edited["description"], edited["privacy"]) == (None, "edited", "all")
    # What the API tells and what the store holds is one thing.
    stored = running.on_store.json("key", "show", made["id"])
    assert {k: stored[k] for k in ("id", "limits", "period", "privacy", "description", "created_at")} == \
        {k: edited[k] for k in ("id", "limits", "period", "privacy", "description", "created_at")}
    assert made["id"] in running.via("key", "list").stdout

    assert running.via_json("key", "revoke", made["id"]) == {"id": made["id"], "revoked": True}
    assert "400" in running.via("key", "revoke", made["id"], code=FAILED).stderr
    assert "API key not found" in running.via("key", "show", made["id"], code=FAILED).stderr
    assert made["id"] not in running.via("key", "list").stdout


def test_a_change_on_the_store_reaches_the_running_server(running):
    made = running.on_store.create("--usd", "5")
    assert running.call(made["key"])["usage"]["total_tokens"] > 0
    running.on_store("key", "revoke", made["id"])
    deadline = time.monotonic() + 5 * PATIENCE
    while time.monotonic() < deadline:  # promised within a second; seen is seen
        try:
            running.call(made["key"])
        except urllib.error.HTTPError as refused:
            assert refused.code == 401
            return
    pytest.fail("the revoked key still passes")


def test_usage_shows_the_call(running):
    made = running.on_store.create(description="spender")
    answer = running.call(made["key"])
    tokens = answer["usage"]
    nano = tokens["prompt_tokens"] * 150 + tokens["completion_tokens"] * 600
    spent = f"{nano / 1e9:.9f}".rstrip("0")

    running.via_json("usage", made["id"])  # the API shows all that was answered; after it the file holds it, too
    said = running.on_store.json("usage", made["id"])
    assert said["key"]["usage"]["all"] == {"usd": spent, "diem": "0", "requests": 1, "tokens": tokens["total_tokens"]}
    assert said["key"]["usage"]["today"]["usd"] == spent
    [call] = said["calls"]
    assert (call["key"], call["model"], call["usd"]) == (made["id"], "demo-small", spent)
    assert (call["input_tokens"], call["output_tokens"]) == (tokens["prompt_tokens"], tokens["completion_tokens"])
    assert call["flags"] == []
    text = running.on_store("usage", made["id"]).stdout
    assert spent in text and "demo-small" in text

    all_keys = running.on_store.json("usage", "--limit", "1")
    assert len(all_keys["calls"]) == 1
    assert [k["usage"]["all"]["usd"] for k in all_keys["keys"] if k["id"] == made["id"]] == [spent]
    assert running.on_store.json("usage", "--limit", "0")["calls"] == []
    assert "spender" in running.on_store("usage").stdout

    through = running.via_json("usage", made["id"])
    assert through["key"]["usage"]["trailing_7_days"]["usd"] == f"{nano / 1e9:.4f}"
    assert "calls" not in through
    assert "through the API" in running.via("usage").stderr


@pytest.mark.parametrize("limit", ["-1", "1001", "x", ""])
def test_usage_limit_is_checked(cli, limit):
    assert "expects a number from 0 to 1000" in cli("usage", "--limit", limit, code=USAGE).stderr


def test_usage_of_what_is_not_there(cli):
    cli.create()
    assert "is not the id of a key" in cli("usage", "x", code=USAGE).stderr
    assert "there is no active key" in cli("usage", NOWHERE, code=FAILED).stderr


# ---- what is in doubt -----------------------------------------------------------------------------------------

METERS = {"usd": 0, "diem": 1, "vcu": 2, "requests": 3, "tokens": 4}
KINDS = {"hour": 2, "day": 3, "month": 5, "lifetime": 6, "every": 7}
FAR = 10**5  # the number of a window that does not end in our time


def put_doubt(cli, subject, amount, meter="usd", kind="day", days=0, number=FAR):
    """As a start finds it after a crash; the server itself is killed in test_doubt.py."""
    with contextlib.closing(sqlite3.connect(cli.folder / "t.db")) as db, db:
        if subject in ("org", "workspace"):
            [(id,)] = db.execute(f"SELECT id FROM {subject}")
        else:
            id = uuid.UUID(subject).bytes
        db.execute("INSERT INTO doubt VALUES (?, ?, ?, ?, 0, ?, ?, 1795305600000)",
                   (id, METERS[meter], KINDS[kind], days, number, amount))


def doubts(cli):
    return cli.json("ledger", "doubt")["doubts"]


def word(subject, meter, window, spent):
    return ["ledger", "resolve", subject, "--meter", meter, "--window", window, "--spent", spent]


def test_nothing_in_doubt(cli):
    cli.create()
    assert doubts(cli) == []
    done = cli("ledger", "doubt")
    assert done.stdout == "" and "nothing is in doubt" in done.stderr


def test_a_doubt_is_shown_with_whose_it_is(cli):
    made = cli.create(description="agent \u20ac")
    put_doubt(cli, made["id"], 1_500_000_000, kind="lifetime", number=0)
    put_doubt(cli, made["id"], 70, meter="tokens", kind="every", days=10)
    put_doubt(cli, made["id"], 99, kind="day", number=3)  # a window that has ended: it counts no more
    put_doubt(cli, "org", 5)
    put_doubt(cli, "workspace", 6)
    shown = {(d["subject"], d["meter"], d["window"]): d for d in doubts(cli)}
    assert set(shown) == {(made["id"], "usd", "lifetime"), (made["id"], "tokens", "every 10 days"),
                          ("org", "usd", "day"), ("workspace", "usd", "day")}
    assert shown[made["id"], "usd", "lifetime"] == {
        "subject": made["id"], "description": "agent \u20ac", "meter": "usd", "window": "lifetime",
        "number": 0, "turns_at": None, "since": "2026-11-22T00:00:00.000Z", "amount": "1.5"}
    assert shown[made["id"], "tokens", "every 10 days"]["amount"] == 70
    assert shown["org", "usd", "day"]["description"] is None
    text = cli("ledger", "doubt").stdout
    assert re.search(rf"^{made['id']} +agent \u20ac +usd +lifetime +0 +2026-11-22T00:00:00.000Z +1\.5 +-$", text,
                     re.MULTILINE)


def test_a_doubt_of_a_revoked_key_is_still_shown(cli):
    made = cli.create(description="gone")
    put_doubt(cli, made["id"], 5)
    cli("key", "revoke", made["id"])
    assert [d["description"] for d in doubts(cli)] == ["gone"]
    cli(*word(made["id"], "usd", "day", "0"))
    assert doubts(cli) == []


def test_what_is_in_doubt_is_not_left(cli):
    made = cli.create("--usd", "10", "--period", "lifetime")
    put_doubt(cli, made["id"], 2_000_000_000, kind="lifetime", number=0)
    [limit] = cli.json("limit", "list", made["id"])["limits"]
    assert (limit["used"], limit["left"]) == ("2", "8")
    cli(*word(made["id"], "usd", "lifetime", "0.5"))
    [limit] = cli.json("limit", "list", made["id"])["limits"]
    assert (limit["used"], limit["left"]) == ("0.5", "9.5")


def test_resolve_moves_what_was_spent_into_usage(cli):
    made = cli.create()
    put_doubt(cli, made["id"], 2_000_000_000, kind="lifetime", number=0)
    assert "only 2 usd is in doubt" in cli(*word(made["id"], "usd", "lifetime", "2.000000001"), code=FAILED).stderr
    said = cli.json(*word(made["id"], "usd", "lifetime", "0.75"))
    assert (said["amount"], said["spent"], said["freed"]) == ("2", "0.75", "1.25")
    assert cli.json("usage", made["id"])["key"]["usage"]["all"]["usd"] == "0.75"
    assert doubts(cli) == []
    assert "nothing of" in cli(*word(made["id"], "usd", "lifetime", "0"), code=FAILED).stderr


def test_resolve_counts_what_is_counted(cli):
    made = cli.create()
    put_doubt(cli, made["id"], 70, meter="tokens", kind="every", days=10)
    out = cli(*word(made["id"], "tokens", "every 10 days", "70")).stdout
    assert out == "of 70 tokens in doubt, 70 was spent and 0 is free again\n"
    assert cli.json("usage", made["id"])["key"]["usage"]["all"]["tokens"] == 70


def test_resolve_above_the_keys(cli):
    cli.create()
    cli("limit", "set", "org", "--meter", "usd", "--window", "lifetime", "--cap", "10")
    put_doubt(cli, "org", 3_000_000_000, kind="lifetime", number=0)
    put_doubt(cli, "workspace", 2_000_000_000, kind="lifetime", number=0)
    cli(*word("workspace", "usd", "lifetime", "2"))
    [doubt] = doubts(cli)  # the same money was in doubt at the organisation
    assert (doubt["subject"], doubt["amount"]) == ("org", "1")
    [limit] = cli.json("limit", "list", "org")["limits"]
    assert (limit["used"], limit["left"]) == ("3", "7")
    cli(*word("org", "usd", "lifetime", "0"))
    [limit] = cli.json("limit", "list", "org")["limits"]
    assert (limit["used"], limit["left"]) == ("2", "8")


def test_a_doubt_of_a_user(cli):
    ann = cli.json("user", "add", "ann@example.com")["id"]
    put_doubt(cli, ann, 3_000_000_000, kind="lifetime", number=0)
    assert [(d["subject"], d["amount"]) for d in doubts(cli)] == [("ann@example.com", "3")]
    cli("limit", "set", "ann@example.com", "--meter", "usd", "--window", "lifetime", "--cap", "5")
    assert cli.json("limit", "list", "ann@example.com")["limits"][0]["used"] == "3"
    cli(*word("ann@example.com", "usd", "lifetime", "2"))
    assert doubts(cli) == []
    assert cli.json("limit", "list", "ann@example.com")["limits"][0]["used"] == "2"
    cli("limit", "set", "org", "--meter", "usd", "--window", "lifetime", "--cap", "5")
    assert cli.json("limit", "list", "org")["limits"][0]["used"] == "2"
    put_doubt(cli, ann, 1_000_000_000, kind="lifetime", number=0)
    cli("user", "remove", ann)
    assert [(d["subject"], d["description"]) for d in doubts(cli)] == [(ann, "ann@example.com")]
    cli(*word(ann, "usd", "lifetime", "0"))
    assert doubts(cli) == []


def test_of_several_windows_the_number_says_which(cli):
    made = cli.create()
    put_doubt(cli, made["id"], 5, number=FAR)
    put_doubt(cli, made["id"], 6, number=FAR + 1)
    put_doubt(cli, made["id"], 7, kind="month", number=5000)
    args = word(made["id"], "usd", "day", "0")
    assert "2 windows 'day' of" in cli(*args, code=FAILED).stderr
    assert "nothing of" in cli(*args, "--number", "-4", code=FAILED).stderr
    cli(*args, "--number", str(FAR + 1))
    assert sorted(d["amount"] for d in doubts(cli)) == ["0.000000005", "0.000000007"]
    cli(*args)  # one is left, so it is clear
    assert [d["window"] for d in doubts(cli)] == ["month"]


def test_two_words_on_one_doubt(cli):
    """Only one of them is taken."""
    made = cli.create()
    put_doubt(cli, made["id"], 1_000_000_000)
    running = [subprocess.Popen([str(BINARY), *word(made["id"], "usd", "day", "1")], cwd=cli.folder,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
               for _ in range(4)]
    assert sorted(p.wait(60 * PATIENCE) for p in running) == [OK, FAILED, FAILED, FAILED]
    assert cli.json("usage", made["id"])["key"]["usage"]["all"]["usd"] == "1"


def test_where_the_admin_key_comes_from(running):
    url = running.url
    bare = running.on_store
    assert "TOLLKEY_ADMIN_KEY" in bare("key", "list", "--url", url, code=FAILED).stderr
    bare("key", "list", "--url", url, "--key-stdin", stdin=running.key + "\n")
    bare("key", "list", "--url", url + "/", "--key-stdin", stdin=running.key)
    bare("key", "list", "--url", url, "--key-stdin", stdin=running.key + "\r\nmore\n")
    assert "no admin key on standard input" in bare("key", "list", "--url", url, "--key-stdin", stdin="",
                                                    code=FAILED).stderr
    for bad in ("\n", "a b\n", "x" * 600, "k\x01y\n", "\u00e9\n"):
        assert "the admin key is empty" in bare("key", "list", "--url", url, "--key-stdin", stdin=bad,
                                                code=USAGE).stderr


def test_a_key_without_the_right_is_refused(running):
    made = running.on_store.create()
    done = running.via("key", "list", env={"TOLLKEY_ADMIN_KEY": made["key"]}, code=FAILED)
    assert "answers 401" in done.stderr and made["key"] not in done.stderr


def test_the_servers_refusal_is_told(running):
    done = running.via("key", "show", NOWHERE, code=FAILED)
    assert "answers 400: API key not found" in done.stderr


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://h", "http://user:pw@h", "http://h/?a=b", "http://h#x",
                                 "http://h h", "http://\u00e9", "", "file:///etc/passwd"])
def test_urls_are_checked(bare, url):
    done = bare("key", "list", "--url", url, code=USAGE, env={"TOLLKEY_ADMIN_KEY": "k"})
    assert "--url expects http://HOST:PORT" in done.stderr


def test_a_server_that_is_not_there(bare):
    done = bare("key", "list", "--url", "http://127.0.0.1:1", code=FAILED, env={"TOLLKEY_ADMIN_KEY": "k"})
    assert "http://127.0.0.1:1" in done.stderr


def test_a_key_in_clear_is_warned_about(bare, stranger):
    env = {"TOLLKEY_ADMIN_KEY": "k", "http_proxy": stranger.url, "no_proxy": ""}
    stranger.body = b'{"object":"list","data":[]}'
    assert "without encryption" in bare("key", "list", "--url", "http://tollkey.test", env=env).stderr
    assert bare("key", "list", "--url", stranger.url, env={"TOLLKEY_ADMIN_KEY": "k"}).stderr == ""


# ---- a server that is not one of ours ---------------------------------------------------------------------------

@pytest.fixture
def stranger():
    """Answers every request with what the test put into it, and keeps what it was asked."""
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            length = int(self.headers.get("Content-Length", 0))
            server.seen.append((self.command, self.path, self.headers, self.rfile.read(length)))
            self.send_response(server.status)
            for name, value in server.more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(server.body)))
            self.end_headers()
            self.wfile.write(server.body)

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.status, server.body, server.more, server.seen = 200, b"", {}, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def key_object(**more):
    return {"id": NOWHERE, "apiKeyType": "ADMIN", "description": "d", "last6Chars": "abcdef",
            "consumptionLimits": {"usd": 5, "diem": None, "vcu": None}, "limitPeriod": "EPOCH", "modelPrivacy": "ALL",
            "createdAt": "2026-01-01T00:00:00.000Z", "expiresAt": None, "lastUsedAt": None,
            "usage": {"trailingSevenDays": {"usd": "1.5000", "diem": "0.0000", "vcu": "0.0000"}}, **more}


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b"\xff\xfe", b"<html>hello</html>", b'{"data":5}', b'{"data":[5]}', b'{"data":[{}]}',
    b"[" * 100000,
    *[json.dumps({"object": "list", "data": [key_object(**wrong)]}).encode() for wrong in (
        {"id": "x"}, {"id": 5}, {"id": NOWHERE + "x" * 9999}, {"apiKeyType": None}, {"limitPeriod": "WEEK"},
        {"description": "x" * 1000}, {"last6Chars": []}, {"consumptionLimits": None},
        {"consumptionLimits": {"usd": "5"}}, {"consumptionLimits": {"usd": -5}},
        {"consumptionLimits": {"usd": 1e300}}, {"usage": {}}, {"usage": {"trailingSevenDays": {"usd": "x", "diem": "0"}}},
        {"usage": {"trailingSevenDays": {"usd": "1", "diem": 5}}}, {"expiresAt": "9" * 100},
        {"description": "a\u0000b"},
    )],
])
def test_strange_answers(bare, stranger, body):
    stranger.body = body
    done = bare("key", "list", "--url", stranger.url, code=FAILED, env={"TOLLKEY_ADMIN_KEY": "k"})
    assert "not one of a Tollkey server" in done.stderr
    assert done.stdout == ""


def test_a_good_answer_among_them(bare, stranger):
    stranger.body = json.dumps({"object": "list", "data": [key_object()]}).encode()
    [key] = bare.json("key", "list", "--url", stranger.url, env={"TOLLKEY_ADMIN_KEY": "the-key"})["keys"]
    assert key["limits"] == {"usd": 5, "diem": None} and key["usage"]["trailing_7_days"]["usd"] == "1.5000"
    [(method, path, headers, body)] = stranger.seen
    assert (method, path, body) == ("GET", "/api/v1/api_keys", b"")
    assert headers["Authorization"] == "Bearer the-key"


def test_a_refusal_is_shown_without_its_control_bytes(bare, stranger):
    stranger.status = 400
    for body, words in (
            (b'{"error":"no \\u001b[31mway\\n","issues":[{"message":"Field is required"},{"message":5},7]}',
             "answers 400: no ?[31mway?; Field is required"),
            (b'{"error":{"message":"OpenAI form"}}', "answers 400: OpenAI form"),
            (b'{"error":{"code":5}}', "answers 400"), (b"<html>", "answers 400"), (b"", "answers 400"),
            (json.dumps({"error": "x" * 5000}).encode(), "answers 400")):
        stranger.body = body
        done = bare("key", "list", "--url", stranger.url, code=FAILED, env={"TOLLKEY_ADMIN_KEY": "k"})
        assert words in done.stderr and "\x1b" not in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_redirect_does_not_get_the_key(bare, stranger):
    stranger.status, stranger.more = 302, {"Location": stranger.url + "/elsewhere"}
    assert "answers 302" in bare("key", "list", "--url", stranger.url, code=FAILED,
                                 env={"TOLLKEY_ADMIN_KEY": "k"}).stderr
    assert [path for _, path, _, _ in stranger.seen] == ["/api/v1/api_keys"]


def test_requests_are_in_the_documented_form(bare, stranger):
    stranger.body = json.dumps({"success": True, "data": {**key_object(), "apiKey": "tk_inf_x"}}).encode()
    env = {"TOLLKEY_ADMIN_KEY": "k"}
    assert bare.json("key", "create", "--kind", "inference", "--description", 'a"b', "--usd", "0.30", "--url",
                     stranger.url, env=env) == {"id": NOWHERE, "key": "tk_inf_x"}
    bare("key", "edit", NOWHERE, "--usd", "none", "--period", "lifetime", "--expires", "2099-01-01", "--url", stranger.url,
         env=env)
    bare("key", "revoke", NOWHERE, "--url", stranger.url, env=env)
    create, edit, revoke = stranger.seen
    assert (create[0], create[1]) == ("POST", "/api/v1/api_keys")
    assert create[2]["Content-Type"] == "application/json"
    assert create[3] == b'{"apiKeyType":"INFERENCE","description":"a\\"b","consumptionLimit":{"usd":0.3}}'
    assert (edit[0], edit[1]) == ("PATCH", "/api/v1/api_keys")
    assert json.loads(edit[3]) == {"id": NOWHERE, "consumptionLimit": {"usd": None}, "limitPeriod": "LIFETIME",
                                   "expiresAt": "2099-01-01T00:00:00.000Z"}
    assert (revoke[0], revoke[1], revoke[3]) == ("DELETE", f"/api/v1/api_keys?id={NOWHERE}", b"")


# ---- serve and demo-upstream ------------------------------------------------------------------------------------

def test_serve_says_ready_and_stops_cleanly(bare):
    server = Child(bare.folder, "serve", "--listen", "127.0.0.1:0")
    assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d*", server.url)
    server.stop()
    assert (bare.folder / "var" / "tollkey.db").exists()
    assert stat.S_IMODE((bare.folder / "var" / "tollkey.db").stat().st_mode) & 0o077 == 0


def test_serve_on_an_address_in_use(bare, stranger):
    (bare.folder / "tollkey.yaml").write_text("store: 'memory:'\n")
    address = stranger.url.removeprefix("http://")
    assert address in bare("serve", "--listen", address, code=FAILED).stderr


def test_serve_without_a_store_to_write(bare):
    (bare.folder / "file").write_text("x")
    done = bare("serve", "--listen", "127.0.0.1:0", code=FAILED, env={"TOLLKEY_STORE": "sqlite:file/t.db"})
    assert "file/t.db" in done.stderr


def test_demo_upstream_refuses_bad_options(bare):
    done = subprocess.run([str(BINARY), "demo-upstream", "--frob"], capture_output=True, text=True, env=environment())
    assert done.returncode == USAGE and "frob" in done.stderr
