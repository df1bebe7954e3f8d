# SPDX-License-Identifier: GPL-3.0-or-later
"""Gets certificates, renews them in time, and sees to it that the gateway serves them."""
