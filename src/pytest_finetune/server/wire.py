"""Errors, lists and request bodies in the format of OpenAI's API."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.responses import JSONResponse

from pytest_finetune.verdicts.evalset.reading import LineFault
from pytest_finetune.verdicts.evalset.reading import read_object as parse_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails
    from starlette.requests import Request

MOST_LISTED = 100
MOST_BODY = 16 << 20
"""Maximum bytes of a JSON body; files are uploaded as multipart forms."""

_NUMBER = re.compile(r"[0-9]{1,9}")
_CHOICE = re.compile(r"literal\[|(constrained-)?(int|float)$")
"""Names that pydantic adds to the location of a value whose type is a union."""


class WireObject(Protocol):
    """A record that clients see."""

    def to_wire(self) -> dict[str, Any]:
        """The object of the API."""


class ApiError(Exception):
    """
    The response to a request that is refused.

    Args:
        message: What is wrong and what to do.
        status: HTTP status.
        param: The parameter at fault.
        code: OpenAI's error code.
        kind: OpenAI's error type.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.message, self.status, self.param, self.code, self.kind = message, status, param, code, kind

    def body(self) -> dict[str, Any]:
        """The error object of the API."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """The HTTP response."""
        return JSONResponse(self.body(), self.status)


def no_such(what: str, name: str, param: str) -> ApiError:
    """The error for an unknown id."""
    code = "model_not_found" if param == "model" else None
    return ApiError(f"No such {what}: {name}", status=404, param=param, code=code)


class Body(BaseModel):
    """A request body; unknown keys and numbers in quotes are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


AnyBody = TypeVar("AnyBody", bound=BaseModel)


async def read_json_body(request: Request) -> dict[str, Any]:
    """
    Read the JSON object of a request.

    Raises:
        ApiError: The body is not a JSON object, or too long.
    """
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MOST_BODY:
            raise ApiError(f"The body is longer than {MOST_BODY >> 20} MiB.", status=413)
    return parse_object(bytes(data))


def parse_object(data: bytes) -> dict[str, Any]:
    """
    Parse a JSON object.

    Raises:
        ApiError: The bytes are not a JSON object.
    """
    try:
        return parse_line(data)
    except LineFault as fault:
        raise ApiError(f"We could not parse the JSON body of your request: {fault.problem}") from None


def check_body(kind: type[AnyBody], value: object) -> AnyBody:
    """
    Validate a body with its model.

    Raises:
        ApiError: A key is missing, unknown or of the wrong type.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = _clearest(error)
        where = ".".join(str(part) for part in first["loc"] if not _CHOICE.match(str(part))) or None
        if first["type"] == "extra_forbidden":
            code = "unknown_parameter"
            raise ApiError(f"Unrecognized request argument supplied: {where}", param=where, code=code) from None
        raise ApiError(f"Invalid value for '{where}': {first['msg']}.", param=where, code="invalid_value") from None


def _clearest(error: ValidationError) -> ErrorDetails:
    """The first error; for a union of a word and a number, the error about the number, if a number was sent."""
    first, *others = error.errors(include_url=False, include_context=False)
    if first["type"] != "literal_error" or isinstance(first["input"], str):
        return first
    return next((other for other in others if other["loc"][:-1] == first["loc"][:-1]), first)


@dataclass(frozen=True, slots=True)
class PageQuery:
    """
    The page of a list that a client requests.

    Args:
        after: Id of the last object of the previous page; None for the first page.
        limit: Maximum number of objects.
    """

    after: str | None = None
    limit: int = 20


def read_page_query(request: Request, usual: int = 20) -> PageQuery:
    """
    The page that a request wants, by default with at most `usual` objects.

    Raises:
        ApiError: The limit is not a number from 1 to `MOST_LISTED`.
    """
    text = request.query_params.get("limit", str(usual))
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= MOST_LISTED:
        raise ApiError(f"Invalid 'limit': {text!r} is not a number from 1 to {MOST_LISTED}.", param="limit")
    return PageQuery(request.query_params.get("after"), int(text))


def page_response(request: Request, page: tuple[Sequence[WireObject], bool] | None, what: str) -> JSONResponse:
    """
    One page of a list.

    Args:
        request: The client's request.
        page: The objects, and whether more follow; None if there is no object with the id `after`.
        what: The kind of object, for the error message.

    Raises:
        ApiError: There is no object with the id `after`.
    """
    if page is None:
        raise no_such(what, request.query_params["after"], "after")
    objects = [each.to_wire() for each in page[0]]
    ends = {"first_id": objects[0]["id"], "last_id": objects[-1]["id"]} if objects else {}
    return JSONResponse({"object": "list", "data": objects, "has_more": page[1], **ends})


def encode_line(value: object) -> bytes:
    """One line of a JSONL file."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
