"""a file that is there while it is read: for what libraries take from files alone"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def passing_file(content: bytes) -> Iterator[str]:
    """The path under which this process reads `content` meanwhile.

    On Linux it lies in memory and in no directory; elsewhere in a file of the owner, gone
    afterwards.
    """
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("pillarbox", os.MFD_CLOEXEC)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{handle}"
        return
    with tempfile.NamedTemporaryFile() as named:
        named.write(content)
        named.flush()
        yield named.name
