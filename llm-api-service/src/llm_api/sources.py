"""Removal of the source marks that web-searching providers put into their answers."""

from __future__ import annotations

import re

# An address without an end must not be looked for over and over to the end of the text.
# Footnotes in the text, such as [^1^], [^1^][2] or [[1]](https://…).
MARK = re.compile(r"\[\^\d+\^\](?:\[\d+\])?|\[\[\d+\]\]\([^)\[\s]{0,2000}\)")
# Their definitions, a line each: [1]: https://… "title"
DEFINITION = re.compile(r"^[ \t]*\[\^?\d+\^?\]:[ \t]*<?https?://.*\n?", re.MULTILINE)


def remove_sources(text: str) -> str:
    """Return `text` without source marks and their definitions, and otherwise as it is."""
    answer = MARK.sub("", DEFINITION.sub("", text))
    # Where the definitions come first, an empty line parts them from the answer.
    return answer.lstrip("\n") if DEFINITION.match(text) else answer
