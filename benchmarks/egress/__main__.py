"""What the way out adds to the time until a server's first byte, on kept connections."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from tests.lab.egress import EGRESS, SERVER, way_out
from tests.lab.gateway import docker

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

# Milliseconds.
MOST_ADDED = 1.0


def main() -> int:
    """Run the command and return 1 if a figure is not what it has to be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.egress", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--json", type=Path, default=ROOT / ".cache/benchmark-egress.json")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        images = _images(Path(folder, "tags.json"))
        configuration = Path(folder, "egress")
        configuration.mkdir()
        Path(folder).chmod(0o755)
        with way_out(images["egress"], images["gateway"], configuration, {}) as way:
            # A real replica has no way around the proxy. This one needs one, to compare.
            docker("network", "connect", way.internet, way.replica)
            script = (HERE / "measure.py").read_text()
            output = docker(
                *("exec", way.replica, "python3", "-c", script),
                *(EGRESS, SERVER, str(options.rounds)),
            )
    times: dict[str, list[float]] = json.loads(output)
    options.json.parent.mkdir(exist_ok=True)
    options.json.write_text(json.dumps(times))
    return _report(times)


def _images(tags: Path) -> dict[str, str]:
    """Make the images where they are missing."""
    playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [playbook, "tests/images.yml", "-e", f"tests_tags_file={tags}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)  # noqa: S603
    images: dict[str, str] = json.loads(tags.read_text())
    return images


def _report(times: dict[str, list[float]]) -> int:
    """Print a table, and return 1 if a figure is not what it has to be."""
    print("Milliseconds until the first byte")
    for name, samples in times.items():
        print(f"  {name:14} median {median(samples):.3f}, p99 {quantiles(samples, n=100)[98]:.3f}")
    good = True
    for name in ("HTTP", "tunnel"):
        added = median(times[name]) - median(times[f"{name} direct"])
        good = good and added <= MOST_ADDED
        print(f"{added:.3f} ms added by {name}, which must be at most {MOST_ADDED}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
