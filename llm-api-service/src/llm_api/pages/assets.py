"""The files that pages need, each under a version that is made of its content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flask import Flask, Response, request, send_from_directory, url_for
from werkzeug.exceptions import NotFound

FOLDER = Path(__file__).parent.parent / "static"
YEAR = 365 * 86_400
DIGITS = 12


def register(app: Flask) -> None:
    """Serve the files below /static/, and let templates name them by `asset`."""
    versions = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:DIGITS]
        for path in FOLDER.iterdir()
    }

    def static(filename: str) -> Response:
        version = request.args.get("v")
        # While versions change, the other version's file must not be kept under this one's URL.
        if version and version != versions.get(filename):
            raise NotFound
        return send_from_directory(FOLDER, filename, max_age=YEAR if version else None)

    def asset(filename: str) -> str:
        return url_for("static", filename=filename, v=versions[filename])

    app.add_url_rule("/static/<path:filename>", "static", static)
    app.add_template_global(asset)
