"""The releases of a cluster, and images of some that are no good."""

from __future__ import annotations

import json
import shlex
from typing import Any

from testbed.cluster import Cluster

RECORD = "/opt/freegpt4/logs/deploys.log"

# Answers 500 to every request for a path that begins like this.
_SICK = """
import flask
healthy = flask.Flask.finalize_request
def sick(self, answer, *arguments, **options):
    if flask.request.path.startswith({path!r}):
        answer = "sick", 500
    return healthy(self, answer, *arguments, **options)
flask.Flask.finalize_request = sick
"""

# A module of the image, and a file by which Python imports it whenever it starts.
_INSTALL = (
    "import pathlib, site; folder = pathlib.Path(site.getsitepackages()[0]);"
    " (folder / 'fault.py').write_text({!r}); (folder / 'fault.pth').write_text('import fault')"
)

WORDS_OF_BROKEN = "this release is broken"


def running(cluster: Cluster) -> dict[str, str]:
    """Return the release of each replica that runs, by the replica's name."""
    form = '{{.Names}} {{.Label "freegpt4.release"}}'
    lines = cluster.docker("ps", "--filter", "label=freegpt4.release", "--format", form)
    found = dict(line.split() for line in lines.splitlines())
    return dict(sorted(found.items()))


def record(cluster: Cluster) -> list[dict[str, Any]]:
    """Return what the host has noted of its deployments, the first one first."""
    return [json.loads(line) for line in cluster.host.check_output(f"cat {RECORD}").splitlines()]


def build_faulty(cluster: Cluster) -> dict[str, str]:
    """Make images of releases that are no good, and return them by what is wrong.

    `broken` ends at once, `sick` answers 500 when it is asked for its models, and `sickly`
    only when somebody chats.
    """
    good = cluster.inspect("api1")["Config"]["Image"]
    ends = ["python", "-c", f"raise SystemExit({WORDS_OF_BROKEN!r})"]
    return {
        "broken": _build(cluster, "broken", good, f"CMD {json.dumps(ends)}"),
        "sick": _build(cluster, "sick", good, _install(_SICK.format(path="/v1/models"))),
        "sickly": _build(cluster, "sickly", good, _install(_SICK.format(path="/v1/chat"))),
    }


def _install(code: str) -> str:
    command = json.dumps(["python", "-c", _INSTALL.format(code)])
    return f"USER root\nRUN {command}\nUSER 65532:65532"


def _build(cluster: Cluster, name: str, base: str, instructions: str) -> str:
    image = f"freegpt4/llm-api:{name}"
    dockerfile = shlex.quote(f"FROM {base}\n{instructions}\n")
    cluster.host.check_output(f"printf %s {dockerfile} | docker build --quiet --tag {image} -")
    return image
