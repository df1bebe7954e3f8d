# SPDX-License-Identifier: GPL-3.0-or-later
"""Backs up what a host of the cluster keeps, and restores it.

It runs on the host, with what Debian's python3 has, and with gpg.
"""
