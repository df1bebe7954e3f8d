"""The API service against its peers: requests, tokens, latency and memory on one core."""
