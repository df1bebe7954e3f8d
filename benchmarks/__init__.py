"""Benchmarks: of a whole cluster, and of the API service against others."""
