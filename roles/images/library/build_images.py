#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module that builds images, all of them at the same time."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: build_images
short_description: Builds images
description:
  - Builds all of the images at the same time, and once more those of which the build failed.
  - Most of a build waits for a mirror or an index, so two of them take little longer than one.
  - Does at once what C(community.docker.docker_image) in a loop does one after the other.
options:
  images:
    description: Paths of the contexts by the images' names.
    type: dict
    required: true
  args:
    description: Build arguments, by name, for all of them.
    type: dict
    default: {}
  attempts:
    description: How often a build is begun. What was made before it failed is kept.
    type: int
    default: 3
"""

PAUSE = 10.0
"""Seconds after which a build is begun again."""
LINES = 25
"""Lines of a failed build that are shown."""


@dataclass(frozen=True)
class Build:
    """What a build came to."""

    image: str
    ok: bool
    said: str


def build(image: str, contexts: Mapping[str, str], args: Mapping[str, object]) -> Build:
    """Build one of the images."""
    arguments = [f"--build-arg={name}={value}" for name, value in args.items()]
    result = subprocess.run(  # noqa: S603
        ["docker", "build", f"--tag={image}", *arguments, contexts[image]],  # noqa: S607
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        # The builder of every engine; the other one is a package of its own.
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
    )
    return Build(image, ok=result.returncode == 0, said=result.stdout)


def build_all(
    contexts: Mapping[str, str], args: Mapping[str, object], attempts: int
) -> list[Build]:
    """Return the last builds of those images that could not be built."""
    pending = list(contexts)
    while True:
        with ThreadPoolExecutor(len(pending)) as pool:
            builds = pool.map(partial(build, contexts=contexts, args=args), pending)
        failed = [one for one in builds if not one.ok]
        attempts -= 1
        if not failed or attempts <= 0:
            return failed
        # A mirror that does not answer for a moment is no reason to stop.
        time.sleep(PAUSE)
        pending = [one.image for one in failed]


def complaint(failed: Sequence[Build]) -> str:
    """Return how the builds ended."""
    parts = []
    for one in failed:
        last = one.said.strip().splitlines()[-LINES:]
        parts += [f"{one.image} could not be built:", *last]
    return "\n".join(parts)


def main() -> None:
    """Run the module as Ansible does."""
    module = AnsibleModule(
        argument_spec={
            "images": {"type": "dict", "required": True},
            "args": {"type": "dict", "default": {}},
            "attempts": {"type": "int", "default": 3},
        },
    )
    contexts, args = module.params["images"], module.params["args"]
    try:
        failed = build_all(contexts, args, module.params["attempts"]) if contexts else []
    except OSError as error:
        module.fail_json(msg=f"docker cannot be run: {error}")
    if failed:
        module.fail_json(msg=complaint(failed))
    module.exit_json(changed=bool(contexts))


if __name__ == "__main__":
    main()
