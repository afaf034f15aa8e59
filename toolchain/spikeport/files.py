"""Where results are put: never half-written, and never into a place that cannot take them."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import platform
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from spikeport.findings import fail

HERE = f"{zlib.crc32(platform.node().encode()):08x}"  #: this machine, in the names of parts


def folder(path: Path | str) -> Path:
    """A folder to write into, made if need be. Raises SP906 if it cannot be."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail("SP906", f"cannot be a folder to write into ({error.strerror})", where=str(path), mend="choose another")
    return path


def output(path: Path | str, *suffixes: str) -> Path:
    """A file to write, with one of the endings. Raises SP906 if its folder or its ending is wrong."""
    path = Path(path)
    if suffixes and path.suffix.lower() not in suffixes:
        fail("SP906", "has no ending that says what to write", where=str(path), mend=f"use {' or '.join(suffixes)}")
    if path.is_dir():
        fail("SP906", "is a folder", where=str(path), mend="name a file")
    folder(path.parent)
    return path


@contextmanager
def locked(path: Path, code: str) -> Iterator[None]:
    """A folder that nobody else writes into who asks the same; made if need be. Raises ``code`` where somebody does.

    It is the folder itself that is locked, so that nothing is left in it; on systems without such locks nobody asks.
    """
    handle = os.open(folder(path), os.O_RDONLY)
    try:
        try:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass
        except BlockingIOError:
            fail(code, "another training writes into this folder", where=str(path), mend="wait, or choose another")
        yield
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def replacing(path: Path | str, code: str = "SP970", *, sync: bool = True) -> Iterator[Path]:
    """A name in the folder of ``path`` to write to: what stands there is moved to ``path`` when the block ends well.

    Until then ``path`` stays as it was, and an exception leaves nothing behind. Names are never the same, so that two
    writers of one file do not mix: the last to end has it. What a writer left that was killed is taken away. Without
    ``sync`` nobody waits for the disk, and a machine that loses power may lose the file. Raises ``code`` where the
    folder takes no file, or not all of it.
    """
    path = Path(path)
    _sweep(path)
    part = part_of(path)
    try:
        yield part
        if sync:
            with part.open("rb") as file:
                os.fsync(file.fileno())  # some systems find out only now that there is no room
        os.replace(part, path)
    except OSError as error:
        mend = "is there such a folder, with room, and may you write there? what stood there before is as it was"
        fail(code, f"cannot be written ({error.strerror or error})", where=str(path), mend=mend)
    finally:
        with suppress(OSError):  # moved away, or never written
            part.unlink()


def _sweep(path: Path) -> None:
    """Take away the parts of ``path`` whose writers, processes of this machine, are no more."""
    with suppress(OSError):
        for part in path.parent.glob(f"{glob.escape(path.name)}.{HERE}-*.part"):
            if left(part):
                part.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """A name beside ``path`` that no other writer has, for what is not whole yet: ``NAME.MACHINE-PID-….part``."""
    return path.with_name(f"{path.name}.{HERE}-{os.getpid()}-{uuid4().hex[:8]}.part")


def left(part: Path) -> bool:
    """Whether the writer of such a part was a process of this machine that is no more."""
    machine, _, rest = part.stem.rpartition(".")[2].partition("-")
    writer = rest.partition("-")[0]
    return machine == HERE and writer.isascii() and writer.isdigit() and not _alive(int(writer))


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    with suppress(OSError):  # one that ended, and whose parent has not asked how, writes nothing any more
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    return True


def write_bytes(path: Path | str, data: bytes | memoryview, code: str = "SP970") -> None:
    """Write bytes; the file appears whole. Raises ``code`` where it cannot."""
    with replacing(path, code) as part:
        part.write_bytes(data)


def write_text(path: Path | str, text: str) -> None:
    """Write text as UTF-8, what is no text (of a path) as its escapes; the file appears whole."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def plain(value: Any) -> Any:
    """What JSON says of a value: of a result by its own ``as_dict``, else of a dataclass by its fields.

    Left out are fields that ``repr`` leaves out. Tuples and arrays become lists, numpy's numbers Python's, paths text.
    """
    if hasattr(value, "as_dict"):
        return value.as_dict()
    if is_dataclass(value):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value) if item.repr}
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value) if isinstance(value, Path) else value


def write_json(path: Path | str, value: Any) -> None:
    """Write what is `plain` of a value as JSON, an entry a line; the file appears whole."""
    write_text(path, json.dumps(plain(value), indent=1) + "\n")
