"""media types: reading a Content-Type, and guessing one from the name of a file"""

from __future__ import annotations

import re
from typing import Final

OCTETS: Final = "application/octet-stream"

_MAX_VALUE: Final = 4096
_PARAMETER: Final = re.compile(
    r';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))', re.DOTALL
)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,100}")

# The machine's own table differs from machine to machine, and reading it means opening files.
_BY_ENDING: Final = {
    "avi": "video/x-msvideo",
    "bmp": "image/bmp",
    "css": "text/css",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "gif": "image/gif",
    "gz": "application/gzip",
    "heic": "image/heic",
    "htm": "text/html",
    "html": "text/html",
    "ics": "text/calendar",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript",
    "json": "application/json",
    "log": "text/plain",
    "md": "text/markdown",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "ogg": "audio/ogg",
    "pdf": "application/pdf",
    "png": "image/png",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "rtf": "application/rtf",
    "svg": "image/svg+xml",
    "tar": "application/x-tar",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "txt": "text/plain",
    "vcf": "text/vcard",
    "wav": "audio/x-wav",
    "webm": "video/webm",
    "webp": "image/webp",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml",
    "zip": "application/zip",
}


def parse_media_type(value: bytes) -> tuple[str, dict[str, str]]:
    """Type and parameters of an unfolded Content-Type, names in lower case; never raises.

    The type is empty where there is none. Of a parameter given twice the first counts.
    """
    text = value[:_MAX_VALUE].decode("latin-1")
    kind = text.partition(";")[0].strip().lower()
    parameters: dict[str, str] = {}
    for match in _PARAMETER.finditer(text):
        found = match[3] if match[2] is None else _QUOTED_PAIR.sub(r"\1", match[2])
        parameters.setdefault(match[1].lower(), found)
    return kind if _TYPE.fullmatch(kind) else "", parameters


def guess_media_type(file_name: str) -> str:
    """The type that a file of that name most likely has; octets where the ending says nothing."""
    return _BY_ENDING.get(file_name.rpartition(".")[2].lower(), OCTETS)
