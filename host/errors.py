# SPDX-License-Identifier: BSD-2-Clause
"""The one exception that a user's mistake raises."""


class UserError(Exception):
    """Something that a user handed in is wrong.

    The message is one sentence that names the file, the field, what it was and what was expected. The
    command line prints it on stderr and exits with status 2, without a traceback.
    """
