"""Uploaded and generated files: streamed to disk under their id, never under a name that a client sent."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from pytest_finetune.base.files import atomic_writer
from pytest_finetune.server.ids import new_id, now
from pytest_finetune.server.store import StoredRecord
from pytest_finetune.server.wire import ApiError, no_such, page_response, read_page_query

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from pathlib import Path

    from starlette.datastructures import FormData, UploadFile
    from starlette.requests import Request

    from pytest_finetune.server.store import Store

MOST_BYTES = 512 << 20
"""Bytes, the limit of OpenAI's API for one file."""

_CHUNK = 1 << 20
_EXPIRY = ("expires_after[anchor]", "expires_after[seconds]")
_SHORTEST, _LONGEST = 3600, 30 * 24 * 3600
"""Seconds until a file may expire, from OpenAI's API reference."""

_PURPOSES = ("fine-tune", "batch")


class FileRecord(StoredRecord):
    """The record of a file. `sha256` is for people who inspect the database; the API does not return it."""

    filename: str
    purpose: Literal["fine-tune", "batch", "fine-tune-results", "batch_output"]
    bytes: int
    sha256: str
    expires_at: int | None = None

    def to_wire(self) -> dict[str, Any]:
        """The file object of the API."""
        shown = self.model_dump(exclude={"sha256"})
        return {"object": "file", **shown, "status": "processed", "status_details": None}


@dataclass(frozen=True, slots=True)
class Files:
    """
    The files of a server.

    Args:
        folder: Folder of their contents; each file is named by its id.
        store: Store of their records.
    """

    folder: Path
    store: Store

    def path(self, record: FileRecord) -> Path:
        """Path of the content."""
        return self.folder / record.id

    def get(self, name: str, param: str = "id") -> FileRecord:
        """
        Get a file by its id.

        Raises:
            ApiError: There is no such file.
        """
        record = self.store.find(FileRecord, name)
        if record is not None and record.expires_at is not None and record.expires_at <= now():
            self.remove(record)
            record = None
        if record is None:
            raise no_such("File object", name, param)
        return record

    def remove_expired(self) -> None:
        """Delete expired files."""
        for record in list(self.store.all(FileRecord)):
            if record.expires_at is not None and record.expires_at <= now():
                self.remove(record)

    def write(self, filename: str, purpose: str, chunks: Iterable[bytes], *, seconds: int | None = None) -> FileRecord:
        """Write a file atomically and add its record; with `seconds`, it expires after so many."""
        name = new_id("file-")
        digest = hashlib.sha256()
        with atomic_writer(self.folder / name) as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
            size = file.tell()
        fields = {"filename": filename, "purpose": purpose, "bytes": size, "sha256": digest.hexdigest()}
        created = now()
        expires = None if seconds is None else created + seconds
        record = FileRecord.model_validate({"id": name, "created_at": created, "expires_at": expires, **fields})
        self.store.add(record)
        return record

    def remove(self, record: FileRecord) -> None:
        """Delete a file and its record."""
        self.store.remove(record)
        self.path(record).unlink(missing_ok=True)


class FileApi:
    """
    The endpoints of files.

    Args:
        files: Files of the server.
    """

    def __init__(self, files: Files) -> None:
        self._files = files

    def routes(self) -> list[Route]:
        """All routes."""
        return [
            Route("/v1/files", self._upload, methods=["POST"]),
            Route("/v1/files", self._list, methods=["GET"]),
            Route("/v1/files/{id}", self._retrieve, methods=["GET"]),
            Route("/v1/files/{id}", self._delete, methods=["DELETE"]),
            Route("/v1/files/{id}/content", self._content, methods=["GET"]),
        ]

    def _get(self, request: Request) -> FileRecord:
        return self._files.get(request.path_params["id"])

    async def _upload(self, request: Request) -> Response:
        # Closing the form removes its temporary file, also after an error.
        form = await _read_form(request)
        try:
            name, purpose, file = _check_form(form)
            chunks = iter(lambda: file.file.read(_CHUNK), b"")
            record = self._files.write(name, purpose, chunks, seconds=_expiry(form))
        finally:
            await form.close()
        return JSONResponse(record.to_wire())

    async def _list(self, request: Request) -> Response:
        self._files.remove_expired()
        purpose = request.query_params.get("purpose")
        found = self._files.store.page(
            FileRecord,
            query=read_page_query(request, 100),
            oldest_first=request.query_params.get("order") == "asc",
            fields={"purpose": purpose} if purpose else None,
        )
        return page_response(request, found, "File object")

    async def _retrieve(self, request: Request) -> Response:
        return JSONResponse(self._get(request).to_wire())

    async def _content(self, request: Request) -> Response:
        return FileResponse(self._files.path(self._get(request)), media_type="application/octet-stream")

    async def _delete(self, request: Request) -> Response:
        record = self._get(request)
        self._files.remove(record)
        return JSONResponse({"id": record.id, "object": "file", "deleted": True})


async def _read_form(request: Request) -> FormData:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise ApiError("Upload a file as multipart/form-data, with the fields 'file' and 'purpose'.", param="file")
    try:
        return await MultiPartParser(request.headers, _bounded(request), max_files=1, max_fields=10).parse()
    except (MultiPartException, KeyError) as error:
        raise ApiError(f"The form cannot be read: {error}.", param="file") from None


async def _bounded(request: Request) -> AsyncGenerator[bytes, None]:
    seen = 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen > MOST_BYTES:
            raise ApiError(f"The file is larger than {MOST_BYTES >> 20} MiB.", status=413, param="file")
        yield chunk


def _check_form(form: FormData) -> tuple[str, str, UploadFile]:
    if unknown := sorted(set(form) - {"file", "purpose", *_EXPIRY}):
        raise ApiError(f"Unrecognized request argument supplied: {unknown[0]}", param=unknown[0])
    file, purpose = form.get("file"), form.get("purpose")
    if purpose not in _PURPOSES:
        raise ApiError(f"'{purpose}' is not one of {list(_PURPOSES)} - 'purpose'", param="purpose")
    if file is None or isinstance(file, str):
        raise ApiError("'file' is a required property", param="file")
    if not file.size:
        raise ApiError("File is empty.", param="file")
    name = (file.filename or "upload.jsonl").replace("\\", "/").rpartition("/")[2]
    if not name.endswith(".jsonl"):
        raise ApiError(f"Invalid file format: {name!r}. Must be .jsonl", param="file")
    return name, purpose, file


def _expiry(form: FormData) -> int | None:
    """Seconds after which the file expires; None if it does not."""
    anchor, seconds = (form.get(name) for name in _EXPIRY)
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        raise ApiError("'expires_after[anchor]' must be 'created_at'.", param=_EXPIRY[0])
    if not (isinstance(seconds, str) and seconds.isdecimal() and _SHORTEST <= int(seconds) <= _LONGEST):
        message = f"'expires_after[seconds]' must be an integer from {_SHORTEST} to {_LONGEST}."
        raise ApiError(message, param=_EXPIRY[1])
    return int(seconds)
