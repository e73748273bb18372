"""What a file is by its first bytes, and what is not stored."""

from __future__ import annotations

import struct

import pytest

from airflow_provider_segmind.media.content_type import WrongContentError, check_type, suffix_of, type_of_content
from airflow_provider_segmind.media.reading import image_type


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    box = b"ftyp" + major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", len(box) + 4) + box + bytes(64)


KINDS = [
    (ftyp(b"avif", b"avif", b"mif1"), "image/avif", ".avif"),
    (ftyp(b"mif1", b"mif1", b"avif", b"miaf"), "image/avif", ".avif"),
    (ftyp(b"mif1", b"miaf", b"MA1B", b"avif"), "image/avif", ".avif"),
    (ftyp(b"miaf", b"avif"), "image/avif", ".avif"),
    (ftyp(b"avis", b"msf1"), "image/avif", ".avif"),
    (ftyp(b"msf1", b"avis"), "image/avif", ".avif"),
    (ftyp(b"heic", b"mif1"), "image/heic", ".heic"),
    (ftyp(b"heix", b"mif1"), "image/heic", ".heic"),
    (ftyp(b"mif1", b"heic"), "image/heic", ".heic"),
    (ftyp(b"hevc", b"msf1"), "image/heic", ".heic"),
    (ftyp(b"msf1", b"hevc"), "image/heic", ".heic"),
    (ftyp(b"mif1", b"miaf"), "image/heif", ".heif"),
    (ftyp(b"isom", b"iso2", b"avc1", b"mp41"), "video/mp4", ".mp4"),
    (ftyp(b"mp42", b"isom"), "video/mp4", ".mp4"),
    (ftyp(b"iso5", b"dash"), "video/mp4", ".mp4"),
    (ftyp(b"iso6", b"avif"), "video/mp4", ".mp4"),
    (ftyp(b"dash"), "video/mp4", ".mp4"),
    (ftyp(b"avc1"), "video/mp4", ".mp4"),
    (b"....ftypisom", "video/mp4", ".mp4"),
    (ftyp(b"qt  "), "video/quicktime", ".mov"),
    (b"\x00\x00\x00\x08wide\x00\x00\x10\x00mdat", "video/quicktime", ".mov"),
    (ftyp(b"M4V "), "video/x-m4v", ".m4v"),
    (ftyp(b"M4A ", b"isom"), "audio/mp4", ".m4a"),
    (ftyp(b"3gp5"), "video/3gpp", ".3gp"),
    (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\x82\x84webmB\x87", "video/webm", ".webm"),
    (b"\x1aE\xdf\xa3\xa3B\x86\x81\x01B\xf7\x81\x01B\x82\x88matroska", "video/x-matroska", ".mkv"),
    (b"RIFF\x10\x00\x00\x00AVI LIST", "video/x-msvideo", ".avi"),
    (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "image/png", ".png"),
    (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg", ".jpg"),
    (b"GIF89a\x01\x00", "image/gif", ".gif"),
    (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image/webp", ".webp"),
    (b"BM\x36\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00", "image/bmp", ".bmp"),
    (b"II*\x00\x08\x00\x00\x00", "image/tiff", ".tiff"),
    (b"MM\x00*\x00\x00\x00\x08", "image/tiff", ".tiff"),
    (b"\xff\x0a\x00\x01", "image/jxl", ".jxl"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl", ".jxl"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", ".svg"),
    (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- c --><svg>", "image/svg+xml", ".svg"),
    (b"ID3\x04\x00\x00\x00\x00\x00\x00", "audio/mpeg", ".mp3"),
    (b"\xff\xfb\x90\x64\x00\x00", "audio/mpeg", ".mp3"),
    (b"\xff\xf1\x50\x80\x00\x00", "audio/aac", ".aac"),
    (b"RIFF\x10\x00\x00\x00WAVEfmt ", "audio/wav", ".wav"),
    (b"fLaC\x00\x00\x00\x22", "audio/flac", ".flac"),
    (b"OggS\x00\x02\x00\x00\x00\x00OpusHead", "audio/ogg", ".ogg"),
    (b"OggS\x00\x02\x00\x00\x00\x00\x80theora", "video/ogg", ".ogv"),
    (b"glTF\x02\x00\x00\x00", "model/gltf-binary", ".glb"),
    (b"ply\nformat ascii 1.0\n", "model/ply", ".ply"),
    (b"solid cube\nfacet normal 0 0 1\n", "model/stl", ".stl"),
    (b"PK\x03\x04\x14\x00\x00\x00", "application/zip", ".zip"),
    (b"WEBVTT\n\n00:00.000 --> 00:01.000\n", "text/vtt", ".vtt"),
    (b"1\r\n00:00:00,000 --> 00:00:01,000\r\nhi\r\n", "application/x-subrip", ".srt"),
    (b'{"a": [1, 2]}', "application/json", ".json"),
    (b'[{"long": "' + b"x" * 4085, "application/json", ".json"),
    (b"Once upon a time\n", "text/plain", ".txt"),
    ("Grüße, 世界".encode(), "text/plain", ".txt"),
    ("世界".encode() * 700, "text/plain", ".txt"),
]


@pytest.mark.parametrize(("content", "media_type", "suffix"), KINDS, ids=lambda value: repr(value)[:40])
def test_a_file_is_what_its_content_says(content: bytes, media_type: str, suffix: str) -> None:
    head = content[:4096]
    assert type_of_content(head) == media_type
    assert check_type(head, "", []) == media_type
    assert suffix_of(media_type) == suffix


@pytest.mark.parametrize(
    "content",
    [content for content, media_type, _ in KINDS if not media_type.startswith(("text/plain", "application/json"))],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_certain_by_its_content_is_stored_whatever_was_announced(content: bytes) -> None:
    for declared, name in (("video/mp4", "a.mp4"), ("image/png", "a.php"), ("text/html", "a.html")):
        assert check_type(content, declared, [name])


@pytest.mark.parametrize(
    ("content", "declared", "names", "media_type"),
    [
        (b"v 0 0 0\nf 1 2 3\n", "", ["mesh.obj"], "model/obj"),
        (b"v 0 0 0\n", "model/obj", ["mesh"], "model/obj"),
        (b"v 0 0 0\n", "application/json", ["mesh.obj"], "model/obj"),
        (b'{"asset": {"version": "2.0"}}', "application/json", ["a.json"], "application/json"),
        (b'{"asset": {"version": "2.0"}}', "application/octet-stream", ["a.gltf"], "model/gltf+json"),
        (b"<?xml version='1.0'?><COLLADA/>", "", ["a.dae"], "model/vnd.collada+xml"),
        (b"[Script Info]\n", "", ["a.ass"], "text/x-ssa"),
        (b"a,b\n", "text/csv", ["x"], "text/csv"),
        (b"PK\x03\x04\x14\x00", "model/vnd.usdz+zip", ["x"], "model/vnd.usdz+zip"),
        (ftyp(b"isom"), "audio/mp4", ["x"], "audio/mp4"),
        (bytes(80) + b"\x01\x00\x00\x00", "", ["a.stl"], "model/stl"),
        (b"\x00\x01\x02\x03", "video/x-new", ["a"], "video/x-new"),
        (b"\x00\x01\x02\x03", "", ["a"], "application/octet-stream"),
        (b"\x00\x01\x02\x03", "text/plain", ["a.txt"], "application/octet-stream"),
        (b"<!DOCTYPE html><p>a report", "text/html", ["report.html"], "text/html"),
        (b"v 0 0 0\n", "text/plain", ["mesh.obj"], "model/obj"),
        (b"newmtl a\n", "text/plain", ["mesh.mtl"], "model/mtl"),
        (b"a,b\n", "text/plain", ["a.csv"], "text/csv"),
        (b"solid cube\n", "text/plain", ["a.stl"], "model/stl"),
        (b'{"asset": {"version": "2.0"}}', "application/json", ["a.gltf"], "model/gltf+json"),
        (b"<?xml version='1.0'?><COLLADA/>", "application/xml", ["a.dae"], "model/vnd.collada+xml"),
        (b"; FBX 7.3.0 project file\n", "application/octet-stream", ["a.fbx"], "application/vnd.autodesk.fbx"),
        (b"Kaydara FBX Binary  \x00\x1a\x00", "text/plain", ["a.fbx"], "application/vnd.autodesk.fbx"),
        (b"#?RGBE\nFORMAT=32-bit_rle_rgbe\n", "image/vnd.radiance", ["a.hdr"], "image/vnd.radiance"),
        (b"<p align=center>Hello</p>\n# A title\n", "text/markdown", ["a.md"], "text/markdown"),
        (b"<b>Once</b> upon a time\n", "text/plain", ["a.txt"], "text/plain"),
    ],
)
def test_what_was_announced_says_more_where_the_content_allows(
    content: bytes, declared: str, names: list[str], media_type: str
) -> None:
    assert check_type(content, declared, names) == media_type


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE html>",
        b"  \n<!doctype HTML PUBLIC",
        b"<html lang=en>",
        b"\xef\xbb\xbf<HTML>",
        b"<!-- saved --><head>",
        b"<!-- " + b"x" * 5000,
        b"<?xml version='1.0'?><!DOCTYPE html><html>",
        b"<h1>Not found</h1>",
        b"<script>location='x'</script>",
        "<html>".encode("utf-16"),
    ],
)
def test_a_web_page_is_not_stored(content: bytes) -> None:
    head = content[:4096]
    for declared, names in (
        *(("video/mp4", ["a.mp4"]), ("", []), ("text/html", ["a.mp4"]), ("", ["a.html"])),
        *(("text/plain", ["a.mp4"]), ("text/plain", ["a.mp4", "a.txt"])),
    ):
        with pytest.raises(WrongContentError, match="a web page"):
            check_type(head, declared, names)


@pytest.mark.parametrize(
    "content",
    [
        b"\x7fELF\x02\x01\x01\x00" + bytes(50),
        b"MZ\x90\x00\x03\x00" + bytes(50),
        b"MZ\x90\x00free" + bytes(50),
        *(magic + bytes(50) for magic in (b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xce", b"\xca\xfe\xba\xbe")),
        b"#!/usr/bin/env python3\n",
        b"#! /bin/sh",
        b"\xef\xbb\xbf#!/bin/sh",
        b"<?php system($_GET[0]);",
        b"\n\n<?PHP ",
        b"<?= 1 ?>",
        b"@echo off\r\n",
    ],
)
def test_a_program_or_a_script_is_not_stored(content: bytes) -> None:
    for declared, names in (("video/mp4", ["a.mp4"]), ("", []), ("text/plain", ["a.txt"]), ("", ["a.sh"])):
        with pytest.raises(WrongContentError, match=r"a (program|script)"):
            check_type(content, declared, names)


@pytest.mark.parametrize(
    ("declared", "names"),
    [
        ("video/mp4", []),
        ("image/png", []),
        ("audio/mpeg", []),
        ("image/x-anything", []),
        ("", ["a.mp4"]),
        ("application/json", ["a.webp"]),
        ("text/plain", ["a", "b.MP3"]),
        ("application/octet-stream", ["clip.mp4", "b"]),
        ("model/gltf-binary", []),
        ("application/zip", []),
    ],
)
@pytest.mark.parametrize(
    "content",
    [
        b'{"error": "x"}',
        b"<?xml version='1.0'?><Error>",
        b"<Error><Code>x",
        b"Not found",
        b"Fichier non trouv\xe9",
    ],
)
def test_an_error_document_is_not_stored_as_media(declared: str, names: list[str], content: bytes) -> None:
    with pytest.raises(WrongContentError, match=", not "):
        check_type(content, declared, names)


@pytest.mark.parametrize(
    "content", [b"BMW is a car", b"RIFF-RAFF", b"OggS", b"", b"free text, free", b"GIF", b"\x89PN"]
)
def test_what_only_looks_like_an_image_at_first_is_none(content: bytes) -> None:
    assert image_type(content) is None


@pytest.mark.parametrize(
    ("content", "media_type", "taken"),
    [
        (content, kind, kind.startswith("image/") and kind not in ("image/svg+xml", "image/jxl"))
        for content, kind, _ in KINDS
    ],
    ids=lambda value: repr(value)[:40],
)
def test_models_take_some_images(content: bytes, media_type: str, taken: bool) -> None:
    assert image_type(content) == (media_type if taken else None)
