"""What nginx as the project configures it costs, against nginx bare and against Caddy."""
