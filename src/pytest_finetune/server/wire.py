"""The wire's own shapes: every error, list and checked body as OpenAI's API has them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeVar

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
"""Bytes of a JSON body; files are uploaded another way."""

_NUMBER = re.compile(r"[0-9]{1,9}")
_CHOICE = re.compile(r"literal\[|(constrained-)?(int|float)$")
"""What pydantic adds to the place of a value that may be of several kinds."""


class ApiError(Exception):
    """
    A request is refused.

    Args:
        message: What is wrong and what to do, for people.
        status: HTTP status.
        param: The parameter that is at fault.
        code: OpenAI's word for the fault.
        kind: OpenAI's word for the class of faults.
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
        """The JSON that the client gets."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """The whole answer."""
        return JSONResponse(self.body(), self.status)


def no_such(what: str, name: str, param: str) -> ApiError:
    """The refusal of an id that nothing has."""
    code = "model_not_found" if param == "model" else None
    return ApiError(f"No such {what}: {name}", status=404, param=param, code=code)


class Body(BaseModel):
    """A request body: a key that nothing would read is refused, and so is a number in quotes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


AnyBody = TypeVar("AnyBody", bound=BaseModel)


async def read_object(request: Request) -> dict[str, Any]:
    """
    The JSON object of a request.

    Raises:
        ApiError: The body is none, or too long.
    """
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MOST_BODY:
            raise ApiError(f"The body is longer than {MOST_BODY >> 20} MiB.", status=413)
    return parse_object(bytes(data))


def parse_object(data: bytes) -> dict[str, Any]:
    """
    A JSON object from bytes.

    Raises:
        ApiError: They hold none.
    """
    try:
        return parse_line(data)
    except LineFault as fault:
        raise ApiError(f"We could not parse the JSON body of your request: {fault.problem}") from None


def check_body(kind: type[AnyBody], value: Any) -> AnyBody:
    """
    A body as its model has it.

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
    """The first fault; where a word or a number may stand, what is wrong with the number, which is what was given."""
    first, *others = error.errors(include_url=False, include_context=False)
    if first["type"] != "literal_error" or isinstance(first["input"], str):
        return first
    return next((other for other in others if other["loc"][:-1] == first["loc"][:-1]), first)


def read_limit(request: Request, usual: int = 20) -> int:
    """
    How many objects a page is to have.

    Raises:
        ApiError: That is no number from 1 to `MOST_LISTED`.
    """
    text = request.query_params.get("limit", str(usual))
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= MOST_LISTED:
        raise ApiError(f"Invalid 'limit': {text!r} is no number from 1 to {MOST_LISTED}.", param="limit")
    return int(text)


def page(objects: Sequence[dict[str, Any]], *, has_more: bool) -> JSONResponse:
    """One page of a list."""
    ends = {"first_id": objects[0]["id"], "last_id": objects[-1]["id"]} if objects else {}
    return JSONResponse({"object": "list", "data": list(objects), "has_more": has_more, **ends})


def encode_line(value: Any) -> bytes:
    """One line of a JSONL file."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
