"""Finds personal data in text: candidates match a pattern, and a library validates their check digits or country."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError, did_you_mean
from pytest_finetune.lifecycle.data.libraries import needed
from pytest_finetune.lifecycle.data.published import (
    IBANS,
    RESIDENT_IDS,
    is_example_host,
    is_fictitious_phone,
    is_test_card,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REGIONS = ("US", "CN")
"""Countries whose national phone numbers are detected; with `+` and a country code, all countries' are."""

_EMAIL = re.compile(
    r"(?<![a-z0-9._%+-])[a-z0-9][a-z0-9._%+'-]{0,63}@((?:[a-z0-9](?:[a-z0-9-]{0,62})\.)+[a-z]{2,24})\b",
    re.IGNORECASE | re.ASCII,
)
# Not top-level domains, but suffixes of files: icon@2x.png is the picture for screens of twice the density.
_FILE = re.compile(
    r".*\.(?:apng|avif|bmp|css|gif|heic|html|ico|jpe?g|json|pdf|png|svg|tiff?|webp|woff2?|xml|js|mp[34])", re.IGNORECASE
)
_LOCAL_DOMAIN = re.compile(r"(?:.*\.)?localhost", re.IGNORECASE)
_DIGITS = re.compile(r"(?<!\w)(?<!\d[.,:/-])[+(]?\d(?:[ ().\u2010-\u2015/-]{0,3}\d){6,24}+[xX]?(?![\w:])", re.ASCII)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", re.ASCII)
_SEPARATOR = re.compile(r"[^0-9xX]")
_DECIMALS = re.compile(r"\d+\.\d+(?: +-?\d+\.\d+)*", re.ASCII)
_CARD_GROUPS = re.compile(r"[\d -]+")
_ISSUERS = re.compile(
    r"""4\d{12}(?:\d{3}){0,2}                                                   # Visa
      | (?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}        # Mastercard
      | 3[47]\d{13}                                                             # American Express
      | (?:6011|65\d\d|64[4-9]\d)\d{12}                                         # Discover
      | 62\d{14,17}                                                             # UnionPay
      | 35(?:2[89]|[3-8]\d)\d{12}                                               # JCB
      | 3(?:0[0-5]|[68]\d)\d{11}                                                # Diners Club""",
    re.VERBOSE,
)
_REPOSITORY = "git@"
"""The user in ssh addresses of repositories, which is not a person."""

_GROUP = re.compile("[0-9]+")
_ID_LENGTH = 18
_MOST_DIGITS = 15
"""Digits of a phone number, from ITU-T E.164."""

# Groups of digits in a phone number, at most.
_MOST_GROUPS = 6
# Characters before an address that are searched for the scheme of a URL.
_LONGEST_URL = 200


class PersonalData:
    """
    Finds personal data.

    Args:
        regions: See `REGIONS`; two-letter codes.

    Raises:
        DataError: phonenumbers or python-stdnum is not installed, or a region is unknown.
    """

    def __init__(self, regions: Sequence[str] = REGIONS) -> None:
        self._phone = needed("phonenumbers")
        self._regions = tuple(region.upper() for region in regions)
        for region in self._regions:
            if region not in self._phone.SUPPORTED_REGIONS:
                known = did_you_mean(region, self._phone.SUPPORTED_REGIONS)
                raise DataError(f"unknown region {region!r}", hint=f"use two letters, such as DE; {known}")
        self._luhn, self._iban, self._ric = map(needed, ("stdnum.luhn", "stdnum.iban", "stdnum.cn.ric"))

    def find(self, text: str) -> Iterator[tuple[str, str]]:
        """Yield the code and the data itself: email addresses first, then numbers, then bank accounts."""
        if "@" in text:
            for match in _EMAIL.finditer(text):
                if _is_of_a_person(match[0], match[1]) and not _in_url(text, match.start()):
                    yield "email_address", match[0]
        for match in _DIGITS.finditer(text):
            if code := self._kind(match[0]):
                yield code, match[0]
        for match in _IBAN.finditer(text):
            if match[0].replace(" ", "") not in IBANS and self._iban.is_valid(match[0]):
                yield "bank_account", match[0]

    def _kind(self, written: str) -> str:
        """The code of a run of digits, or empty. Ids and cards come first: their check digits are stronger evidence."""
        digits = _SEPARATOR.sub("", written)
        if len(digits) == _ID_LENGTH and digits == written and self._ric.is_valid(digits):
            return "" if digits in RESIDENT_IDS else "resident_id"
        if _CARD_GROUPS.fullmatch(written) and _ISSUERS.fullmatch(digits) and self._luhn.is_valid(digits):
            return "" if is_test_card(digits) else "payment_card"
        return "phone_number" if self._is_phone(written, digits) else ""

    def _is_phone(self, written: str, digits: str) -> bool:
        # Also two decimals, such as a position: grouped by a dot as some phone numbers are, but only once each.
        if _DECIMALS.fullmatch(written):
            return False
        if len(digits) > _MOST_DIGITS or len(_GROUP.findall(written)) > _MOST_GROUPS:
            return False
        regions = (None,) if written.startswith("+") else self._regions
        return any(self._is_phone_of(region, written, digits) for region in regions)

    def _is_phone_of(self, region: str | None, written: str, digits: str) -> bool:
        leniency = self._phone.Leniency
        # Separators must be where the country's own numbers have them: other grouped digits are dates, prices, orders.
        strict = leniency.VALID if region is None or written == digits else leniency.STRICT_GROUPING
        match: Any = next(iter(self._phone.PhoneNumberMatcher(written, region, strict)), None)
        if match is None:
            return False
        international = self._phone.format_number(match.number, self._phone.PhoneNumberFormat.E164)
        if is_fictitious_phone(international):
            return False
        # Digits without separators could be any number: only those that can only be a mobile phone count.
        return written != digits or self._phone.number_type(match.number) == self._phone.PhoneNumberType.MOBILE


def _is_of_a_person(address: str, domain: str) -> bool:
    is_reserved = is_example_host(domain) or _LOCAL_DOMAIN.fullmatch(domain)
    return not (is_reserved or address.startswith(_REPOSITORY) or _FILE.fullmatch(domain))


def _in_url(text: str, at: int) -> bool:
    """Whether a position is within the user name or password of a URL."""
    before = text[max(at - _LONGEST_URL, 0) : at].split()
    return bool(before) and not text[at - 1].isspace() and "://" in before[-1]
