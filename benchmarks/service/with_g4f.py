"""Run a module whose g4f provider `Custom` asks the fake upstream.

Usage: python -m benchmarks.service.with_g4f URL MODULE [ARGUMENT...]
"""

from __future__ import annotations

import runpy
import sys

from g4f import debug
from g4f.client.factory import AbstractClientFactory
from g4f.Provider import ProviderLoader

from benchmarks.service.wire import MODEL

LIVE_PROVIDERS = {
    "providers": {"default": {"baseUrl": "https://g4f.space/v1"}},
    "defaultModels": {},
}


def main() -> None:
    """Point the class to the upstream, then run the module as if it had been called itself."""
    url, module, *arguments = sys.argv[1:]
    debug.version_check = False
    # It would fetch this list from its home, and `g4f api` does not start where it cannot.
    AbstractClientFactory._live_providers = LIVE_PROVIDERS
    provider = ProviderLoader.from_name("Custom")
    provider.base_url = url
    provider.models = [MODEL]
    provider.default_model = MODEL
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
