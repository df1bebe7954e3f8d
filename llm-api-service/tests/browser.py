"""Somebody who looks at the pages: follows what they say, and sends their forms."""

from __future__ import annotations

import re
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from llm_api.service import EXTENSION, Service

CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')
PASSWORD = "the operator's password"


class Browser:
    """A browser at one replica."""

    def __init__(self, client: FlaskClient, **headers: str) -> None:
        """Look at what `client` serves, and send `headers` along."""
        self.client = client
        self._headers = headers

    @property
    def service(self) -> Service:
        """The replica."""
        service: Service = self.client.application.extensions[EXTENSION]
        return service

    def get(self, path: str) -> TestResponse:
        """Open a page."""
        return self.client.get(path, headers=self._headers)

    def post(self, path: str, data: dict[str, Any], *, form_at: str = "") -> TestResponse:
        """Send a form that the page `form_at` has; by default that is the same path."""
        found = CSRF.search(self.get(form_at or path).text)
        assert found
        data = {"csrf_token": found[1], **data}
        return self.client.post(path, data=data, headers=self._headers)

    def log_in(self, username: str = "admin", password: str = PASSWORD) -> TestResponse:
        """Send the form of the login page."""
        return self.post("/login", {"username": username, "password": password})

    def cookie(self, name: str = "session") -> str:
        """Return the value of a cookie, empty if there is none."""
        cookie = self.client.get_cookie(name)
        return cookie.value if cookie else ""


def fields(page: str) -> dict[str, Any]:
    """Return what the form of the settings would send as it is."""
    values: dict[str, Any] = {}
    for name, value in re.findall(r'<input type="text" id="(\w+)"[^>]* value="([^"]*)"', page):
        values[name] = value
    for name, value in re.findall(r'<textarea id="(\w+)"[^>]*>\n([^<]*)</textarea>', page):
        values[name] = value
    for name in re.findall(r'role="switch" id="(\w+)"[^>]* checked>', page):
        values[name] = "on"
    return values


def errors(page: str) -> dict[str, str]:
    """Return the errors beside the fields of a page."""
    return dict(re.findall(r'<p class="error" id="(\w+)-error"[^>]*>([^<]*)</p>', page))
