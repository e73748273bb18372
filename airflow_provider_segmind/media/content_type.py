"""
What a file is, by its first bytes: names, URLs and headers may say anything, and an error page may be an ``.mp4``.

A small table of our own. Of the libraries, filetype 1.2 is no longer maintained, and neither it nor puremagic 1.30
(the newest for Python 3.11) knows image sequences of HEIC and AVIF, half of the brands of MP4, or scripts; and
puremagic takes an AVIF image of the brand ``mif1`` for a video.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

HEAD = 4096
"""Bytes at the start of a file that are enough to say what it is."""

OPAQUE = "application/octet-stream"

_SUFFIXES = {
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/x-m4v": ".m4v",
    "video/webm": ".webm",
    "video/x-matroska": ".mkv",
    "video/x-msvideo": ".avi",
    "video/3gpp": ".3gp",
    "video/3gpp2": ".3g2",
    "video/mpeg": ".mpg",
    "video/mp2t": ".ts",
    "video/x-flv": ".flv",
    "video/x-ms-asf": ".wmv",
    "video/ogg": ".ogv",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "image/heif": ".heif",
    "image/bmp": ".bmp",
    "image/tiff": ".tiff",
    "image/jxl": ".jxl",
    "image/jp2": ".jp2",
    "image/svg+xml": ".svg",
    "image/x-icon": ".ico",
    "image/vnd.adobe.photoshop": ".psd",
    "image/x-exr": ".exr",
    "image/vnd.radiance": ".hdr",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "audio/flac": ".flac",
    "audio/ogg": ".ogg",
    "audio/mp4": ".m4a",
    "audio/aac": ".aac",
    "audio/aiff": ".aiff",
    "audio/midi": ".mid",
    "audio/amr": ".amr",
    "audio/x-caf": ".caf",
    "audio/webm": ".weba",
    "model/gltf-binary": ".glb",
    "model/gltf+json": ".gltf",
    "model/obj": ".obj",
    "model/mtl": ".mtl",
    "model/stl": ".stl",
    "model/ply": ".ply",
    "model/vnd.usdz+zip": ".usdz",
    "model/vnd.collada+xml": ".dae",
    "model/3mf": ".3mf",
    "application/vnd.autodesk.fbx": ".fbx",
    "application/x-subrip": ".srt",
    "text/vtt": ".vtt",
    "text/x-ssa": ".ass",
    "text/plain": ".txt",
    "text/csv": ".csv",
    "text/markdown": ".md",
    "text/html": ".html",
    "application/xml": ".xml",
    "application/json": ".json",
    "application/vnd.apple.mpegurl": ".m3u8",
    "application/zip": ".zip",
    "application/gzip": ".gz",
    "application/pdf": ".pdf",
    OPAQUE: ".bin",
}
_TYPES = {suffix: media_type for media_type, suffix in _SUFFIXES.items()} | {
    ".jpeg": "image/jpeg",
    ".tif": "image/tiff",
    ".htm": "text/html",
    ".qt": "video/quicktime",
    ".mpeg": "video/mpeg",
    ".asf": "video/x-ms-asf",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".aif": "audio/aiff",
    ".midi": "audio/midi",
    ".ssa": "text/x-ssa",
    ".log": "text/plain",
}
_OTHER_NAMES = {
    "image/jpg": "image/jpeg",
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/x-m4a": "audio/mp4",
    "text/srt": "application/x-subrip",
    "text/xml": "application/xml",
    "application/xhtml+xml": "text/html",
    "application/x-zip-compressed": "application/zip",
    "binary/octet-stream": OPAQUE,
}

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),
    (b"MM\x00+", "image/tiff"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"\xff\x0a", "image/jxl"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"8BPS\x00", "image/vnd.adobe.photoshop"),
    (b"v/1\x01", "image/x-exr"),
    (b"#?RADIANCE", "image/vnd.radiance"),
    (b"#?RGBE", "image/vnd.radiance"),
    *((b"ID3" + version, "audio/mpeg") for version in (b"\x02", b"\x03", b"\x04")),
    (b"fLaC", "audio/flac"),
    (b"MThd\x00", "audio/midi"),
    (b"#!AMR", "audio/amr"),
    (b"caff\x00", "audio/x-caf"),
    (b"FLV\x01", "video/x-flv"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"\x00\x00\x01\xb3", "video/mpeg"),
    (b"glTF\x01\x00\x00\x00", "model/gltf-binary"),
    (b"glTF\x02\x00\x00\x00", "model/gltf-binary"),
    (b"Kaydara FBX Binary", "application/vnd.autodesk.fbx"),
    (b"ply\n", "model/ply"),
    (b"ply\r\n", "model/ply"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"%PDF-", "application/pdf"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "image/heic"),
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "), "audio/mp4"),
    **dict.fromkeys((b"M4V ", b"M4VH", b"M4VP"), "video/x-m4v"),
    **dict.fromkeys((b"3gp4", b"3gp5", b"3gp6", b"3gp7", b"3gp8", b"3gp9"), "video/3gpp"),
    **dict.fromkeys((b"3g2a", b"3g2b", b"3g2c"), "video/3gpp2"),
    b"qt  ": "video/quicktime",
}
_ANY_IMAGE = (b"mif1", b"mif2", b"msf1", b"miaf", b"MiHE", b"MiPr")
"""Brands of image files of any codec: the brands that follow say which."""

_OLD_QUICKTIME = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_FRAGMENTS = (b"styp", b"moof", b"sidx")
_PROGRAMS = (
    *(b"\x7fELF", b"\x00asm", b"dex\n"),
    *(b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"),
    *(b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf"),
)
_SCRIPTS = (b"#!", b"<?php", b"<?=", b"@echo off")

# How browsers recognise a web page: https://mimesniff.spec.whatwg.org/#identifying-a-resource-with-an-unknown-mime-type
_WEB_PAGE = re.compile(
    rb"<!--|<(!doctype\s+html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|meta|center)[\s>/]"
)
_MAY_HAVE_MARKUP = frozenset({"text/plain", "text/markdown"})
_WHOLE_PAGE = re.compile(rb"<(!doctype\s+html|html|head|script|iframe|title|meta)[\s>/]")
_XHTML = re.compile(rb"<(!doctype\s+html|html)[\s>]")
_BEFORE_MARKUP = re.compile(
    rb"(?:\s|<!--.*?-->|<\?xml.*?\?>|<!doctype\s+(?!html).*?>)*", re.DOTALL | re.IGNORECASE
)
_SUBTITLES = re.compile(rb"\d+\s*\r?\n\d\d:\d\d:\d\d[,.]\d{3} --> ")
_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_TEXTUAL = ("application/json", "application/xml", "application/x-subrip", "application/vnd.apple.mpegurl")
_TEXT_MODELS = (
    "model/gltf+json",
    "model/obj",
    "model/mtl",
    "model/stl",
    "model/ply",
    "model/vnd.collada+xml",
    "application/vnd.autodesk.fbx",
)
_TEXT_OR_NOT = ("model/stl", "model/ply", "application/vnd.autodesk.fbx")
_ANYTHING = ("text/plain", "text/html", "application/json", "application/xml")
"""What an error page or an error document may be."""

_VARIANTS = {
    "application/zip": ("model/vnd.usdz+zip", "model/3mf"),
    "video/mp4": ("audio/mp4", "video/x-m4v"),
    "video/webm": ("audio/webm",),
    "video/x-matroska": ("audio/webm",),
}
"""Types that share their first bytes: which of them it is has to be announced."""


class WrongContentError(ValueError):
    """A file is not what was announced, or is nothing that is stored. The text says what it is."""


def type_of_content(head: bytes) -> str | None:
    """
    Return the media type of a file; None if its first bytes do not say.

    :param head: Its first 4 KiB.
    """
    found = _type_of_media(head)
    if found is None and _is_text(head):
        found = _type_of_text(head)
    return found


def check_type(head: bytes, declared: str, names: Sequence[str]) -> str:
    """
    Return the media type of a file that may be stored.

    :param head: Its first 4 KiB.
    :param declared: The type by its HTTP header.
    :param names: Its name, and the path of its URL: their suffixes say what it should be.
    :raises WrongContentError: If it is a web page, a program or a script, or text instead of a picture, a video or
        a sound.
    """
    program = _program(head)
    if program:
        raise WrongContentError(f"it is {program}")
    found = type_of_content(head)
    declared = _OTHER_NAMES.get(declared, declared)
    named = [each for each in map(type_of_name, names) if each]
    announced = [each for each in (declared, *named) if each]
    if found == "text/html":
        if declared == found and found in named:
            return found
        if announced and set(announced) <= _MAY_HAVE_MARKUP and not _WHOLE_PAGE.search(_as_utf_8(head).lower()):
            return _choose_type("text/plain", announced)
        raise WrongContentError("it is a web page")
    binary = next((each for each in announced if _is_binary(each)), None)
    if found in _ANYTHING and binary:
        raise WrongContentError(f"it is {_kind_of_text(found)}, not {binary}")
    return _choose_type(found, announced)


def type_of_name(name: str) -> str | None:
    """Return the media type that the suffix of a name stands for; None if it stands for none."""
    return _TYPES.get(PurePosixPath(name).suffix.lower())


def is_suffix(suffix: str, kinds: tuple[str, ...]) -> bool:
    """
    Whether files of some types may have this suffix.

    :param kinds: Beginnings of media types, such as ``video/``; an empty one stands for all.
    """
    return _TYPES.get(suffix.lower(), "?").startswith(kinds) and suffix.lower() in _TYPES


def suffix_of(media_type: str) -> str:
    """Return the suffix of a file of this type, with its dot; ``.bin`` for types that are not known here."""
    return _SUFFIXES.get(media_type, _SUFFIXES[OPAQUE])


def is_textual(media_type: str) -> bool:
    """Whether a file of this type is text."""
    return media_type.startswith("text/") or media_type in (*_TEXTUAL, *_TEXT_MODELS, "image/svg+xml")


def _type_of_media(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return _type_of_brands(head)
    for start, media_type in _SIGNATURES:
        if head.startswith(start):
            return media_type
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "audio/aiff"
    if head[:4] == b"OggS":
        return "video/ogg" if b"\x80theora" in head else "audio/ogg"
    if head[:4] == b"\x1aE\xdf\xa3":
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    if _is_text(head):
        return None
    return _type_of_unmarked(head)


def _type_of_unmarked(head: bytes) -> str | None:
    """Return the type of formats whose first bytes text may have, too."""
    if head[:2] == b"BM":
        return "image/bmp"
    if head[4:8] in _OLD_QUICKTIME:
        return "video/quicktime"
    if head[4:8] in _FRAGMENTS:
        return "video/mp4"
    if head[:1] == b"G" and head[188:189] == b"G" and head[376:377] in (b"G", b""):
        return "video/mp2t"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "audio/aac"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 in (0xE2, 0xE4, 0xE6) and head[2] >> 4 != 15:
        return "audio/mpeg"
    return None


def _type_of_brands(head: bytes) -> str | None:
    """Return the type of an ISO base media file: by its major brand, or by the brands it is compatible with."""
    size = int.from_bytes(head[:4], "big")
    compatible = head[16 : min(size, HEAD)] if size <= HEAD else b""
    brands = [head[8:12], *(compatible[at : at + 4] for at in range(0, len(compatible), 4))]
    major = brands[0]
    if len(major) < 4:
        return None
    if major in _BRANDS:
        return _BRANDS[major]
    if major in _ANY_IMAGE:
        found = (_BRANDS.get(brand, "") for brand in brands)
        return next((each for each in found if each.startswith("image/")), "image/heif")
    return "video/mp4"


def _type_of_text(head: bytes) -> str:
    text = _as_utf_8(head)
    before = _BEFORE_MARKUP.match(text)
    markup = text[before.end() if before else 0 :].lower()
    is_xml = text.lstrip().startswith(b"<?xml")
    if (_XHTML if is_xml else _WEB_PAGE).match(markup):
        return "text/html"
    if markup.startswith(b"<svg"):
        return "image/svg+xml"
    if is_xml or re.match(rb"<[a-z!]", markup):
        return "application/xml"
    if text.startswith(b"WEBVTT"):
        return "text/vtt"
    if text.startswith(b"#EXTM3U"):
        return "application/vnd.apple.mpegurl"
    if _SUBTITLES.match(text.lstrip()):
        return "application/x-subrip"
    if text.startswith(b"solid") and b"facet" in text:
        return "model/stl"
    return "application/json" if _is_json(text) else "text/plain"


def _is_json(text: bytes) -> bool:
    start = text.lstrip()[:1]
    if start not in (b"{", b"["):
        return False
    try:
        json.loads(text)
    except ValueError:
        return len(text) > HEAD // 2  # it was cut
    return True


def _is_text(head: bytes) -> bool:
    text = _as_utf_8(head)
    if not text or _NO_TEXT.search(text):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(text)  # which allows for half a character at the end
    except UnicodeDecodeError:
        return sum(byte < 0x80 for byte in text) > 0.8 * len(text)  # an older encoding
    return True


def _as_utf_8(head: bytes) -> bytes:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", errors="ignore").encode(errors="ignore")
    return head.removeprefix(b"\xef\xbb\xbf")


def _program(head: bytes) -> str | None:
    if not _is_text(head):
        return "a program" if head.startswith((b"MZ", *_PROGRAMS)) else None
    start = _as_utf_8(head).lstrip().lower()
    return "a script" if start.startswith(_SCRIPTS) and not head.startswith(b"#!AMR") else None


def _choose_type(found: str | None, announced: Sequence[str]) -> str:
    """Return what was found, or what was announced where that says more."""
    if found is None:
        fitting = (each for each in announced if each != OPAQUE and (not is_textual(each) or each in _TEXT_OR_NOT))
    elif found == "application/json":
        fitting = (each for each in announced if each == found or each.endswith("+json"))
    elif found == "application/xml":
        fitting = (each for each in announced if each == found or each.endswith("+xml"))
    elif found == "text/plain":
        fitting = (each for each in announced if is_textual(each) and not each.endswith(("json", "xml", "html")))
    else:
        fitting = (each for each in announced if each in _VARIANTS.get(found, ()))
    # Hosts take many a format for "text/plain", so that a name may say more.
    return next(iter(sorted(fitting, key=lambda each: each == found)), found or OPAQUE)


def _is_binary(media_type: str) -> bool:
    """Whether a file of this type is something else than text."""
    if is_textual(media_type) or media_type == OPAQUE:
        return False
    return media_type in _SUFFIXES or media_type.startswith(("video/", "image/", "audio/"))


def _kind_of_text(media_type: str) -> str:
    return {"application/json": "JSON", "application/xml": "XML"}.get(media_type, "text")
