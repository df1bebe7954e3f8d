"""The adapter for the provider classes of g4f.

g4f's own client keeps conversations between users, writes usage files, fetches lists from its
home and has no timeouts. None of that happens where a provider's `create_async_generator` is
called directly. What the class itself does over the network is up to it: it is a third party
that sees the prompts.
"""

from llm_api.providers.g4f.adapter import G4FProvider, Surroundings
from llm_api.providers.g4f.containment import (
    UnknownClassError,
    cookies_for,
    load_class,
    put_cookies,
)

__all__ = [
    "G4FProvider",
    "Surroundings",
    "UnknownClassError",
    "cookies_for",
    "load_class",
    "put_cookies",
]
