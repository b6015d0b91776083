# SPDX-License-Identifier: BSD-2-Clause
"""Drop-ins for the package ncps 1.0: its names, its draws and its return values. No torch comes with the wirings."""
