"""httpx's functions for HTTP without TLS.

Its own read all certificates of the machine for each request, which takes longer than most of what
the tests ask.
"""

from __future__ import annotations

import ssl
from functools import partial

import httpx

# Trusts nobody: there is nobody to be trusted.
NO_TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

get = partial(httpx.get, verify=NO_TRUST)
options = partial(httpx.options, verify=NO_TRUST)
post = partial(httpx.post, verify=NO_TRUST)
stream = partial(httpx.stream, verify=NO_TRUST)
Client = partial(httpx.Client, verify=NO_TRUST)
