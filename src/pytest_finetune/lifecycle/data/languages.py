"""Detects the script and the language of a text; a language is named only if it is nearly certain."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pytest_finetune.lifecycle.data.libraries import needed

if TYPE_CHECKING:
    from collections.abc import Callable

UNDECIDED = "undecided"
"""The result for a text that is too short, too mixed, or has too many names."""

CERTAIN = 0.8
"""Minimum probability to name a language: of 2,750 short English requests 84 % are named, 0.2 % wrongly."""

# Letters that an ASCII text needs, and characters that are examined.
_LONG_ENOUGH = 12
_LOOKED_AT = 1000
_LANGUAGES = (  # noqa: SIM905 - a word a line would be a page
    "ar be bg bn bs ca cs da de el en es et eu fa fi fr ga gu he hi hr hu hy id is it ja ka kk km kn ko lo lt lv "
    "mk ml mn mr ms my nl no pa pl pt ro ru si sk sl sq sr sv sw ta te th tl tr uk ur uz vi zh"
).split()
"""Widespread languages: if rare ones were allowed, English texts with names would be taken for them."""

_SCRIPTS = (  # noqa: SIM905 - a word a line would be a page
    "Latin Han Hiragana Katakana Hangul Cyrillic Greek Arabic Hebrew Devanagari Bengali Tamil Telugu Thai "
    "Georgian Armenian"
).split()


def language_of(text: str) -> str:
    """
    The language of a text as its ISO 639 code, or `undecided`.

    Raises:
        FinetuneError: py3langid is not installed.
    """
    if sum(map(str.isalpha, text[:_LOOKED_AT])) < _LONG_ENOUGH and text.isascii():
        return UNDECIDED
    code, certainty = _identifier()(text[:_LOOKED_AT])
    return code if certainty >= CERTAIN else UNDECIDED


def script_of(text: str) -> str:
    """The script of most letters of a text; `Japanese` if it has any kana, empty if it has no letters."""
    if text.isascii():
        return "Latin" if any(map(str.isalpha, text)) else ""
    counts = {name: len(pattern.findall(text)) for name, pattern in _patterns().items()}
    if counts.pop("Hiragana") + counts.pop("Katakana"):
        return "Japanese"
    most = max(counts, key=counts.__getitem__)
    if counts[most]:
        return most
    return "other" if any(map(str.isalpha, text)) else ""


@lru_cache(maxsize=1)
def _identifier() -> Callable[[str], tuple[str, float]]:
    langid = needed("py3langid.langid")
    identifier = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
    identifier.set_languages(_LANGUAGES)
    classify: Callable[[str], tuple[str, float]] = identifier.classify
    return classify


@lru_cache(maxsize=1)
def _patterns() -> dict[str, Any]:
    import regex

    return {name: regex.compile(rf"\p{{Script={name}}}") for name in _SCRIPTS}
