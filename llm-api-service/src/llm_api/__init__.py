"""An LLM API that answers from a chain of providers."""
