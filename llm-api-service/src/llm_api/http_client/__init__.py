"""A client of HTTP/1.1 for what most of the service's time would go to otherwise.

It asks one server over connections that it keeps, and hands the answer on as it comes. With
aiohttp, which g4f's classes bring along, a quarter of a request's time went there. What is left out
is what nobody needs who asks a provider: redirects, cookies, encodings, pipelining.
"""

from llm_api.http_client.connection import ConnectionFailedError, HttpError, Response
from llm_api.http_client.origin import Origin

__all__ = ["ConnectionFailedError", "HttpError", "Origin", "Response"]
