"""Images by provider classes of g4f."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from llm_api.operations import Request
from llm_api.providers.base import ProviderError

SIZE = re.compile(r"([1-9]\d{1,3})x([1-9]\d{1,3})")
# What a request may carry without it changing the images, and values as good as none.
HARMLESS = frozenset({"model", "prompt", "response_format", "stream", "user"})
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "size": ("auto",),
    "quality": ("auto", "standard"),
    "style": ("natural",),
    "background": ("auto",),
    "moderation": ("auto",),
}
# Bytes of an image that are fetched.
LARGEST_IMAGE = 32 * 1024 * 1024
DATA_URL = re.compile(r"data:image/[\w.+-]+;base64,")


def listed_models(provider: Any) -> tuple[str, ...]:
    """Return the image models that a class lists without asking anybody, its default first."""
    default = str(getattr(provider, "default_image_model", None) or "")
    names = [default, *map(str, getattr(provider, "image_models", None) or ())]
    return tuple(dict.fromkeys(name for name in names if name))


def unsupported(request: Request, honoured: frozenset[str], *, fetching: bool) -> str | None:
    """Return the first parameter that a class which names those `honoured` would drop.

    Without `fetching`, an image that is elsewhere cannot be put into the answer.
    """
    body = request.body
    for name, value in body.items():
        if name in HARMLESS or value is None or value in NEUTRAL.get(name, ()):
            continue
        good = name in ("n", "seed") and name in honoured
        if name == "size" and {"width", "height"} <= honoured:
            good = bool(SIZE.fullmatch(value))
        if not good:
            return name
    if body.get("response_format") == "b64_json" and not fetching:
        return "response_format"
    return None


def parameters(request: Request, honoured: frozenset[str]) -> dict[str, Any]:
    """Return what `create_async_generator` is given for `request`."""
    body = request.body
    given = {name: body.get(name) for name in ("prompt", "n", "seed")}
    if size := SIZE.fullmatch(body.get("size") or ""):
        given |= {"width": int(size[1]), "height": int(size[2])}
    return {name: v for name, v in given.items() if v is not None and name in honoured}


async def answer(items: AsyncGenerator[Any, None], request: Request, proxy: str | None) -> bytes:
    """Return the answer to `request` from what a provider yields.

    Raises:
        ProviderError: there is no image in it, or one cannot be fetched.
    """
    # By name: importing g4f's classes here would cost every replica that has no g4f provider.
    found = [item async for item in items if type(item).__name__ == "ImageResponse"]
    urls = [str(url) for item in found for url in item.get_list()]
    if not urls:
        raise ProviderError("an answer without an image")
    if request.body.get("response_format") == "b64_json":
        images = [{"b64_json": await _content(url, proxy)} for url in urls]
    else:
        images = [{"url": url} for url in urls]
    return json.dumps({"created": int(time.time()), "data": images}).encode()


async def _content(url: str, proxy: str | None) -> str:
    """Return the image at `url` in base64."""
    if prefix := DATA_URL.match(url):
        return url[prefix.end() :]
    # Only the proxy knows which addresses are none of a third party's business.
    if urlsplit(url).scheme not in ("http", "https") or proxy is None:
        raise ProviderError("an image that cannot be fetched")
    try:
        async with aiohttp.ClientSession() as session, session.get(url, proxy=proxy) as response:
            response.raise_for_status()
            data = await response.content.read(LARGEST_IMAGE + 1)
            while len(data) <= LARGEST_IMAGE and (more := await response.content.readany()):
                data += more
    except (aiohttp.ClientError, OSError) as error:
        raise ProviderError(f"an image that cannot be fetched: {type(error).__name__}") from error
    if len(data) > LARGEST_IMAGE:
        raise ProviderError("an image that is too large")
    return base64.b64encode(data).decode()
