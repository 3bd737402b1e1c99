# SPDX-License-Identifier: Apache-2.0
"""A client of the key routes that believes nothing: each answer is checked against the schema as it comes."""

import datetime

import httpx

import contract
from stack import PATIENCE

# path prefix of the server -> path in the OpenAPI file
ROOT = "/api/v1"


def documented(path):
    rest = path.removeprefix(ROOT)
    if rest.startswith("/api_keys/"):
        return "/api_keys/{id}"
    return rest


class Venice(httpx.Client):
    def __init__(self, url, key):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        super().__init__(base_url=url, headers=headers, timeout=60 * PATIENCE)
        self.key = key

    def request(self, method, url, **kwargs):
        response = super().request(method, url, **kwargs)
        path = httpx.URL(url).path
        document = contract.document()
        known = document["paths"].get(documented(path), {}) if document else {}
        if method.lower() in known:
            assert response.headers["content-type"] == "application/json"
            contract.check(method, documented(path), response.status_code, response.json())
        return response

    def as_(self, key):
        return Venice(str(self.base_url), key)

    # The five routes. Each returns the response; good() takes what a success holds.
    def create(self, **body):
        return self.post(ROOT + "/api_keys", json={"apiKeyType": "INFERENCE", "description": "a test", **body})

    def list(self):
        return self.get(ROOT + "/api_keys")

    def show(self, key_id):
        return self.get(f"{ROOT}/api_keys/{key_id}")

    def update(self, key_id, **body):
        return self.patch(ROOT + "/api_keys", json={"id": key_id, **body})

    def remove(self, key_id):
        return self.delete(ROOT + "/api_keys", params={"id": key_id})

    def made(self, **body):
        return good(self.create(**body))

    def ids(self):
        return [key["id"] for key in good(self.list())]


def good(response):
    assert response.status_code == 200, response.text
    return response.json().get("data")


def refused(response, status, error):
    assert response.status_code == status, response.text
    assert response.json()["error"] == error
    return response.json()


def invalid(response, *path):
    """A 400 in the validation form that blames this path; returns the messages there."""
    body = refused(response, 400, "Invalid request parameters")
    assert body["issues"], body
    node = body["details"]
    for name in path:
        assert name in node, body
        node = node[name]
    assert node["_errors"], body
    assert any(issue["path"] == list(path) for issue in body["issues"]), body
    for issue in body["issues"]:
        assert issue["code"] and issue["message"], body
    return node["_errors"]


def later(**delta):
    """A time from now on, as the API writes it."""
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**delta)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
