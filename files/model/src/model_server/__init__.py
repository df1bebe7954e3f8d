"""An OpenAI-compatible server for one small language model."""
