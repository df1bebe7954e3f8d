# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges what `playbooks/status.yml` has collected, and shows it to people and machines."""
