"""What a caller may ask, and whom."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Allowed:
    """Models and providers that may be used; where there are none, all may."""

    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    """Providers that the caller's own settings name. They allow nothing beyond `providers`."""

    def allows(self, provider: str, model: str, wanted: str) -> bool:
        """Return whether `provider` may be asked for its `model` for a client that `wanted` one."""
        for names in (self.providers, self.chosen):
            if names and provider not in names:
                return False
        return not self.models or model in self.models or wanted in self.models


EVERYTHING = Allowed()
