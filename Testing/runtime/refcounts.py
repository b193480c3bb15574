"""Works around PySide6 6.12 on Python 3.11: a call that returns None, True or False takes a reference away.

After some ten thousand calls Python aborts ("none_dealloc", "bool_dealloc"). Python 3.12 made these objects
immortal; before, a number of references that cannot be used up does the same.
"""

import ctypes
import sys

PLENTY = 1 << 40


def protect():
    """Make None, True and False immortal where Python does not do so itself."""
    if sys.version_info < (3, 12):
        for item in (None, True, False):
            ctypes.c_ssize_t.from_address(id(item)).value += PLENTY
