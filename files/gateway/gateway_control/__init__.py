# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps replicas that do not answer out of nginx's upstream, and reloads nginx.

It uses only what Debian's python3-minimal has.
"""
