"""A provider on the internet of the test bed: the neighbour, under an address that nobody has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from testbed.cluster import Cluster
from testbed.outside import Neighbour
from testbed.waiting import wait_until

# Of a network for documentation: what goes there beyond the test bed goes nowhere.
ADDRESS = "203.0.113.10"
MODEL = "far-model"
ANSWER = "An answer from far away."

# What the role is told about it.
PROVIDER = {
    "name": "far",
    "adapter": "openai",
    "base_url": f"http://{ADDRESS}/v1",
    "models": [MODEL],
    "via_egress": True,
    "first_chunk_timeout": 10,
}

_COMPLETION = {
    "id": "chatcmpl-far",
    "object": "chat.completion",
    "created": 0,
    "model": MODEL,
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": ANSWER},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 6},
}

_SCRIPT = f"""
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY = {json.dumps(_COMPLETION).encode()!r}

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

ThreadingHTTPServer(("{ADDRESS}", 80), Handler).serve_forever()
"""


@contextmanager
def provider(cluster: Cluster, outside: Neighbour) -> Iterator[None]:
    """Let `outside` be the provider, and the test host know the way there, for a while."""
    outside.run(["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"])
    outside.start(["python3", "-c", _SCRIPT])
    cluster.host.check_output(f"ip route replace {ADDRESS}/32 via {outside.address}")
    try:
        wait_until(
            lambda: bool(cluster.host.addr(ADDRESS).port(80).is_reachable), "the provider listens"
        )
        yield
    finally:
        cluster.host.check_output(f"ip route delete {ADDRESS}/32")
