# SPDX-License-Identifier: Apache-2.0
"""Answers held against the documented schema of the API that they imitate.

The OpenAPI file is not part of this repository; it lies beside it, in ../shared/specs. Where it is missing, a clone
without it can still run everything else: the answers are then not held against it, and the test of the checker is
skipped with the reason, so that a contract that was not checked does not look like one that was kept. Continuous
integration (CI is set) fails instead.

One artefact of the file's generator is read for what it means: in `anyOf: [{type: number}, {nullable: true, title:
"null"}]` the second branch would admit anything at all, so it is taken as "null" and nothing else.
"""

import functools
import os
import pathlib

import pytest
import yaml
from openapi_schema_validator import OAS30Validator
from referencing import Registry, Resource

FILE = pathlib.Path(__file__).resolve().parents[2].parent / "shared" / "specs" / "venice-openapi.yaml"
BASE = "urn:venice"


def tighten(node):
    if isinstance(node, dict):
        if node.get("nullable") is True and set(node) == {"nullable", "title"}:
            return {"enum": [None]}
        return {key: tighten(value) for key, value in node.items()}
    if isinstance(node, list):
        return [tighten(value) for value in node]
    return node


@functools.cache
def document():
    if not FILE.is_file():
        if os.environ.get("CI"):
            pytest.fail(f"the contract is missing: {FILE}", pytrace=False)
        return None
    with open(FILE, encoding="utf-8") as file:
        return tighten(yaml.load(file, Loader=yaml.CSafeLoader))


@functools.cache
def validator(pointer):
    registry = Registry().with_resource(BASE, Resource.opaque(document()))
    return OAS30Validator({"$ref": f"{BASE}#{pointer}"}, registry=registry)


def schema_pointer(method, path, status):
    """Where the answer's schema is; what is not documented for the operation must at least be an error as usual."""
    responses = document()["paths"][path][method.lower()]["responses"]
    if str(status) not in responses:
        assert status >= 400, f"{method} {path} is not documented to answer {status}"
        return "/components/schemas/StandardError"
    return "/paths/{}/{}/responses/{}/content/application~1json/schema".format(
        path.replace("~", "~0").replace("/", "~1"), method.lower(), status)


def check(method, path, status, body):
    """path as in the file, e.g. /api_keys/{id}."""
    if document() is None:
        return
    errors = sorted(validator(schema_pointer(method, path, status)).iter_errors(body), key=str)
    assert not errors, f"{method} {path} {status}: {body}\n" + "\n".join(str(error) for error in errors)
