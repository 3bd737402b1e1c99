# SPDX-License-Identifier: Apache-2.0
"""Portkey's client and documents for the tests of its dialect.

Answers are held against the OpenAPI file beside the repository (see contract.py), with one exception that its servers
make everywhere: what is not set is null there, while the file knows no null. So members that are null are left out.
"""

import functools
import os
import pathlib
import re

import pytest
import yaml
from openapi_schema_validator import OAS30Validator
from portkey_ai import Portkey
from referencing import Registry, Resource

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILE = ROOT.parent / "shared" / "specs" / "portkey-openapi.yaml"


@functools.cache
def document():
    if not FILE.is_file():
        if os.environ.get("CI"):
            pytest.fail(f"the contract is missing: {FILE}", pytrace=False)
        return None
    with open(FILE, encoding="utf-8") as file:
        return yaml.load(file, Loader=yaml.CSafeLoader)


def without_nulls(node):
    if isinstance(node, dict):
        return {key: without_nulls(value) for key, value in node.items() if value is not None}
    return [without_nulls(value) for value in node] if isinstance(node, list) else node


def check(schema, body):
    """body as the named schema of the file has it."""
    if document() is None:
        return
    registry = Registry().with_resource("urn:portkey", Resource.opaque(document()))
    validator = OAS30Validator({"$ref": f"urn:portkey#/components/schemas/{schema}"}, registry=registry)
    errors = sorted(validator.iter_errors(without_nulls(body)), key=str)
    assert not errors, f"{schema}: {body}\n" + "\n".join(str(error) for error in errors)


def sdk(url, key, path="/v1"):
    return Portkey(api_key=key, base_url=url + path)


def rows(table):
    """The rows of a table of tbl/: a list of lists of their arguments, without quotes."""
    text = re.sub(r"/\*.*?\*/", "", (ROOT / "tbl" / f"{table}.tbl").read_text(), flags=re.S)
    return [[argument.strip().strip('"') for argument in re.findall(r'"[^"]*"|[^,]+', row)]
            for row in re.findall(r"^TK_[A-Z]+\((.*)\)$", text, flags=re.M)]


KINDS = {"TK_KINDS_ADMIN": "A", "TK_KINDS_WORK": "SU", "TK_KINDS_SERVICE": "AS", "TK_KINDS_ALL": "ASU"}
SYMBOLS = {row[0]: row[1] for row in rows("scope")}
# Scope -> the kinds that may hold it: A organisation-service, S workspace-service, U workspace-user.
SCOPES = {row[1]: KINDS[row[3]] for row in rows("scope") if row[0] != "NONE"}
ROUTES = [row for row in rows("route") if row[3] == "PORTKEY"]
