"""Names of files that are safe in any folder, whatever they are made from. No I/O."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import unquote, urlsplit

_UNSAFE = re.compile("[/\0\ud800-\udfff]")
_DIGITS_OF_HASH = 8


def name_after(location: str) -> str:
    """
    Return the name for an output that is made from an input: the last part of the input's path.

    ``s3://products/images/mug.jpg`` becomes ``mug.jpg``. Inputs of different names get different names. Only of an
    http URL the query is dropped and the name is decoded: elsewhere ``?`` and ``%20`` are part of a name.

    :param location: A URI, a path or a URL.
    """
    name = location.rstrip("/").rpartition("/")[2]
    if location.lower().startswith(("http://", "https://")):
        try:
            path = urlsplit(location).path.rstrip("/")
        except ValueError:
            path = ""
        name = unquote(path.rpartition("/")[2])
    return safe_name(name)


def safe_name(name: str) -> str:
    """
    Return a name as one part of a path.

    It stays as it is wherever a disk or an object store can have it, also with line breaks: a DAG looks for the
    output of an image by the name of the image. What had to be changed gets a short hash of the original, so that
    different names stay different. It may be too long for a storage.
    """
    safe = _UNSAFE.sub("_", name)
    if not safe.strip("."):
        return f"file-{_hash(name)}"
    if safe == name:
        return name
    stem, suffix = split_suffix(safe)
    return f"{stem}-{_hash(name)}{suffix}"


def split_suffix(name: str) -> tuple[str, str]:
    """Return a name without its suffix, and the suffix with its dot: empty if it has none, or a long one."""
    stem, dot, suffix = name.rpartition(".")
    if not stem.strip(".") or not suffix or len(suffix.encode()) > 16:
        return name, ""
    return stem, dot + suffix


def shorten(text: str, longest: int) -> str:
    """Return the beginning of a text, of at most so many bytes and without half a character at its end."""
    return text.encode()[: max(longest, 0)].decode(errors="ignore")


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:_DIGITS_OF_HASH]


def partial_name(text: str) -> str:
    """
    Return a temporary name for the file that a text stands for: no other text has the same name.

    It is the same in each attempt, so that what a killed one has left is replaced; and shorter than disks allow.
    """
    return f".{hashlib.sha256(text.encode()).hexdigest()[:32]}.part"
