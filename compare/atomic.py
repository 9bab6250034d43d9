"""Atomic writes: a process that reads a file while it is written finds the earlier one, whole."""
import errno
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mnist import DataError


@contextmanager
def replacing(path):
    """Yield a temporary path beside `path`, for its new content. It replaces `path` if the block ends without an error.

    Raises:
        DataError: the file cannot be written. The earlier file is still there, and the temporary one is removed.
    """
    path, folder = _places(path)
    try:
        folder.mkdir(exist_ok=True, parents=True)
        yield folder / path.name  # the same name, because some libraries look at its end
        os.replace(folder / path.name, path)
    except (OSError, RuntimeError) as error:  # RuntimeError: PyTorch, on a full disk
        raise not_writable(path, error) from None
    finally:
        with suppress(OSError):
            (folder / path.name).unlink(missing_ok=True)
            folder.rmdir()


def write(path, content):
    """Write a text or bytes to `path`, atomically.

    Raises:
        DataError: the file cannot be written. The earlier file is still there.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def check(*paths):
    """Raise DataError if one of these files could not be written: at the beginning, not after hours of work."""
    for path in paths:
        _, folder = _places(path)
        try:
            folder.mkdir(exist_ok=True, parents=True)
        except OSError as error:
            raise not_writable(path, error) from None
        with suppress(OSError):  # another process of the same run may do the same
            folder.rmdir()


def _places(path):
    """Return the file to replace, which is the target if `path` is a link, and the temporary folder beside it."""
    path = Path(os.path.realpath(path))
    return path, path.with_name(path.name + ".part")


def lock(path, what):
    """Return a context in which only this process has the lock `path`, a file that serves nothing else.

    When a process ends, even killed, the system releases its locks.

    Args:
        path: the file.
        what: what only one process may do at a time, for the message: "packing into records".

    Raises:
        DataError: another process has the lock, or the file cannot be written.
    """
    try:
        Path(path).parent.mkdir(exist_ok=True, parents=True)
        return FileLock(path).acquire(timeout=0)
    except Timeout:
        raise DataError(f"Another process is {what}. Wait until it ends, then run the same command again.") from None
    except OSError as error:
        raise not_writable(path, error) from None


def not_writable(path, error):
    """Return a DataError that says why `path` cannot be written."""
    folder = next(each for each in Path(path).absolute().parents if each.exists())
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return DataError(f"{path} cannot be written: {reason}. Its disk has {shutil.disk_usage(folder).free / 1e6:,.0f} MB "
                     "free. Make room, allow writing there, or choose another place, then run the same command again.")


def not_readable(path, error, advice):
    """Return a DataError that says why `path` cannot be used. It gives `advice` only if that is due to the content.

    An error that has a number comes from the system: the file may not be read, or not now. Its content may be right.
    The exception is EINVAL, which a library causes that looks for a place before the beginning of a truncated file.
    """
    if getattr(error, "errno", None) not in (None, errno.EINVAL):
        return DataError(f"{path} cannot be read: {os.strerror(error.errno)}. Allow reading it, or wait until no other "
                         "program uses it, then run the same command again.")
    reason = ": ".join(filter(None, [type(error).__name__, " ".join(str(error).split()).rstrip(".")]))
    return DataError(f"{path} is damaged, or was not written by this program: {reason}. {advice}")
