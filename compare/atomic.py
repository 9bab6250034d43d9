"""Atomic writes: a process that reads a file while it is written finds the earlier one, whole."""
import os


def write(path, content):
    """Write a text or bytes to `path` under another name, which it gets only when nothing of it is missing.

    Raises:
        OSError: it cannot be written; what was there before is still there.
    """
    path.parent.mkdir(exist_ok=True, parents=True)
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
