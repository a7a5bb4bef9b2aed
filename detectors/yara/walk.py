"""The regular files under paths, opened without following a link that somebody put there."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from soc.errors import InputError

_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER: Final = _FILE | os.O_DIRECTORY

Problem = Callable[[InputError], None]


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A regular file, open for reading; `path` is how it was reached."""

    path: str
    descriptor: int
    status: os.stat_result


def open_files(paths: Sequence[Path], problem: Problem) -> Iterator[OpenFile]:
    """Yield every regular file under the paths, open until the next one is asked for.

    A folder that is named may be a link, nothing below it: links, devices and pipes in it are
    passed over. What cannot be opened is told.
    """
    for path in paths:
        try:
            folder = path.is_dir()
            place = str(path.resolve() if folder else path)
        except OSError as error:
            problem(_unreadable(str(path), error))
            continue
        if folder:
            yield from _below(place, problem)
        else:
            yield from _one(place, place, None, problem)


def _below(top: str, problem: Problem) -> Iterator[OpenFile]:
    # The stack has paths and not descriptors, so that no depth uses them up; the status tells
    # that a folder is still the one that was listed.
    folders: list[tuple[str, os.stat_result | None]] = [(top, None)]
    while folders:
        folder, listed = folders.pop()
        try:
            with _opened(folder, _FOLDER, None) as descriptor:
                if listed and not os.path.samestat(listed, os.fstat(descriptor)):
                    raise OSError(0, "it was replaced meanwhile")
                with os.scandir(descriptor) as listing:
                    found = sorted(listing, key=lambda entry: entry.name)
                inner = [(_join(folder, e.name), _folder(e)) for e in found]
                folders += reversed([(path, status) for path, status in inner if status])
                for entry in found:
                    if _is_file(entry):
                        yield from _one(_join(folder, entry.name), entry.name, descriptor, problem)
        except OSError as error:
            problem(_unreadable(folder, error))


def _join(folder: str, name: str) -> str:
    return os.path.join(folder, name)


def _folder(entry: "os.DirEntry[str]") -> os.stat_result | None:
    try:
        folder = entry.is_dir(follow_symlinks=False)
        return entry.stat(follow_symlinks=False) if folder else None
    except OSError:
        return None


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return True  # opening it will tell what is wrong


def _one(path: str, name: str, folder: int | None, problem: Problem) -> Iterator[OpenFile]:
    try:
        with _opened(name, _FILE, folder) as descriptor:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                yield OpenFile(path, descriptor, status)
            else:
                problem(InputError("not a regular file", where=path))
    except OSError as error:
        problem(_unreadable(path, error))


@contextmanager
def _opened(name: str, flags: int, folder: int | None) -> Iterator[int]:
    descriptor = os.open(name, flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _unreadable(path: str, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError("no such file, or it has gone meanwhile", where=path)
    if os.path.islink(path):
        return InputError("a symbolic link is not followed", where=path, hint="name its target")
    reason = error.strerror or type(error).__name__
    return InputError(f"cannot be read: {reason}", where=path, hint="check the permissions")
