"""What the upstream and the load agree on."""

MODEL = "bench"
MARK = "zq"
"""The text of every token, which occurs nowhere else in an answer."""
