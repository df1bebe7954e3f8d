"""A gateway in a container, with replicas that do as they are told."""
