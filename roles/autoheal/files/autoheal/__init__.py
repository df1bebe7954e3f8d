# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts replicas that stay unhealthy: one at a time, and ever more seldom.

It runs on the host, with what Debian's python3 has.
"""
