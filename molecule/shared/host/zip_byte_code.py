"""Keeps the byte code of what is imported from zip archives, as Python itself does for files.

Ansible sends each module in such an archive, with all that it imports. To compile all of it anew
is half of what a small module costs. Each Python of a test host imports this first, so it imports
no more than it must.
"""

import _imp
import marshal
import os
import sys
import zipimport
from types import CodeType

FOLDER = "/var/cache/zip-byte-code"

_compile = zipimport._compile_source  # type: ignore[attr-defined]  # Python's own


def _compile_once(path: str, source: bytes) -> CodeType:
    """Return the byte code of `source`, which is in an archive at `path`."""
    digest = _imp.source_hash(sys.hexversion, source).hex()
    kept = f"{FOLDER}/{digest}-{len(source)}"
    try:
        with open(kept, "rb") as file:  # noqa: PTH123  # pathlib costs more than it reads
            code: CodeType = marshal.loads(file.read())  # noqa: S302  # only root writes there
    except OSError:
        code = _compile(path, source)
        _keep(kept, code)
    else:
        # The archive is in another place each time.
        _imp._fix_co_filename(code, path)  # type: ignore[attr-defined]
    return code


def _keep(path: str, code: CodeType) -> None:
    """Write the byte code, where that can be done."""
    draft = f"{path}.{os.getpid()}"
    try:
        with open(draft, "wb") as file:  # noqa: PTH123  # as above
            file.write(marshal.dumps(code))
        os.replace(draft, path)  # noqa: PTH105  # as above
    except OSError:
        # Whoever is not root may not write there, and a disk may be full.
        return


zipimport._compile_source = _compile_once  # type: ignore[attr-defined]
