# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong."""

from __future__ import annotations


class CertificateError(Exception):
    """A certificate could not be got, deployed or given back; the message says why."""
