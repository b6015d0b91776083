# SPDX-License-Identifier: BSD-2-Clause
"""The gateware, one block a file, and the tables that everything is derived from."""
