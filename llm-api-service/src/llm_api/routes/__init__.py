"""The HTTP interface: one blueprint per protocol."""
