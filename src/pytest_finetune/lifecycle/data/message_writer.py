"""Writes the messages of a row in canonical form, whatever their shape and spelling."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_text import canonical_json, without_nulls
from pytest_finetune.base.strict_json import JsonFault, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_finetune.base.json_text import Json

_PLAIN = {"role", "content"}
_TEXTS = ("text", "input_text", "output_text")


class MessageWriter:
    """
    Writes the messages of one row; call ids are numbered across them.

    Attributes:
        parts: Digests of the parts that are not text, such as pictures, in their order.
    """

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._ids: dict[str, int] = {}

    def write(self, message: Mapping[str, Any]) -> str:
        """A message as text; its parts that are not text are added to `parts` as digests."""
        role, content = message.get("role"), message.get("content")
        role = "system" if role == "developer" else role
        # Nearly all messages have only a role and a content.
        if type(content) is str and message.keys() == _PLAIN and role != "tool":
            return f"{role}\1{json_or_text(content) if role == 'assistant' else content}"
        content = self._content(content)
        if role in ("assistant", "tool") and type(content) is str:
            content = json_or_text(content)
        rest: dict[str, Any] = {
            "calls": [self._call(each) for each in _list_of(message.get("tool_calls"))],
            "answers": self._number(message.get("tool_call_id")),
            "name": message.get("name"),
            "refusal": message.get("refusal"),
        }
        rest = {key: item for key, item in rest.items() if item}
        if type(content) is not str:
            return f"{role}\1{canonical_json(content)}\1{canonical_json(rest)}"
        return f"{role}\1{content}\1{canonical_json(rest)}" if rest else f"{role}\1{content}"

    def _content(self, content: Json) -> Json:
        """Text, or a list of texts and digests; null is an empty text."""
        if not isinstance(content, list | tuple):
            return "" if content is None else content
        joined: list[Any] = []
        for part in content:
            if isinstance(part, dict) and part.get("type") in _TEXTS and isinstance(part.get("text"), str):
                if joined and type(joined[-1]) is str:
                    joined[-1] += part["text"]
                elif part["text"]:
                    joined.append(part["text"])
            elif isinstance(part, dict) and part.get("type") == "refusal":
                joined.append({"refusal": part.get("refusal")})
            else:
                found = digest(canonical_json(_plain_part(part)))
                self.parts.append(found)
                joined.append({"part": found.hex()})
        if not joined:
            return ""
        return joined[0] if len(joined) == 1 and type(joined[0]) is str else joined

    def _call(self, call: Json) -> Json:
        if not isinstance(call, dict) or not isinstance(function := call.get("function"), dict):
            return call
        return [self._number(call.get("id")), function.get("name"), _parsed(function.get("arguments"))]

    def _number(self, name: object) -> int:
        """The number of a call id in order of first occurrence, from 1; 0 for none."""
        return self._ids.setdefault(name, len(self._ids) + 1) if type(name) is str else 0


def _plain_part(part: Json) -> Json:
    """A part without what does not change it: nulls, and the default of `detail`; an address may be an object."""
    if not isinstance(part, dict):
        return part
    found: dict[str, Any] = without_nulls(part)
    image = found.get("image_url")
    if isinstance(image, str):
        image = {"url": image}
    if isinstance(image, dict):
        found |= {"image_url": {key: item for key, item in image.items() if (key, item) != ("detail", "auto")}}
    return found


def json_or_text(text: str) -> str:
    """An object or list as canonical JSON; other text without whitespace at its ends."""
    bare = text.strip()
    if not bare.startswith(("{", "[")):
        return bare
    value = _parsed(bare)
    return bare if type(value) is str else canonical_json(value)


def _parsed(arguments: Json) -> Json:
    """JSON text as its value; other text as it is."""
    if type(arguments) is not str:
        return whole_numbers(arguments)
    try:
        return whole_numbers(parse_json(arguments))
    except (JsonFault, RecursionError):
        return arguments


def whole_numbers(value: Json) -> Json:
    """The value with 1 for 1.0, which are the same number in JSON."""
    if type(value) is float and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: whole_numbers(item) for key, item in value.items()}
    return [whole_numbers(item) for item in value] if isinstance(value, list | tuple) else value


def _list_of(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def digest(text: str) -> bytes:
    """A 12-byte hash of a text; among a billion texts two share a hash with a probability of about 10^-11."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
