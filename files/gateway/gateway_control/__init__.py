# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells nginx which replicas answer and which certificates there are, and reloads it.

It uses only what Debian's python3-minimal has.
"""
