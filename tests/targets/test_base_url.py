"""Base URLs and proxies, before any call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.base.errors import TargetError
from pytest_finetune.evaluation.targets.base_url import check_base_url, needs_key, proxy_for
from pytest_finetune.evaluation.targets.key_policy import refuse_to_send_key


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
        (" http://[::1]:8000/ ", "http://[::1]:8000"),
    ],
)
def test_a_base_url_is_read_without_its_trailing_slash(written: str, read: str) -> None:
    assert check_base_url(written) == read


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("api.openai.com/v1", "not an absolute"),
        ("ftp://a.example", "not an absolute"),
        ("http://", "not an absolute"),
        ("http://a.example:port/v1", "not a URL"),
        ("http://[::1", "not a URL"),
        ("http://a.example/v1?api-version=1", "ends with its path"),
        ("http://a.example/v 1", "ends with its path"),
        ("http://a.example/v1/chat/completions", "stops before"),
        ("http://a.example/v1/responses", "stops before"),
    ],
)
def test_a_base_url_that_cannot_work_is_refused_with_a_remedy(url: str, problem: str) -> None:
    with pytest.raises(TargetError, match=problem) as caught:
        check_base_url(url)
    assert caught.value.hint


def test_credentials_in_a_base_url_are_refused_and_not_shown() -> None:
    with pytest.raises(TargetError) as caught:
        check_base_url("https://user:hunter2@a.example/v1")
    assert "hunter2" not in str(caught.value)


@given(st.sampled_from(["", "http://", "https://a.example"]), st.text(max_size=20))
def test_any_text_is_a_stable_base_url_or_a_target_error(start: str, text: str) -> None:
    try:
        url = check_base_url(start + text)
    except TargetError:
        return
    assert check_base_url(url) == url


@pytest.mark.parametrize(
    ("url", "needed"),
    [
        ("https://api.openai.com/v1", True),
        ("https://eu.api.openai.com/v1", True),
        ("https://notapi.openai.com.example/v1", False),
        ("http://127.0.0.1:8000/v1", False),
    ],
)
def test_only_openai_itself_needs_a_key(url: str, needed: bool) -> None:  # noqa: FBT001
    assert needs_key(url) is needed


PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://a.example/v1", {}, None),
        ("https://a.example/v1", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://a.example/v1", {"https_proxy": PROXY}, PROXY),
        ("https://a.example/v1", {"HTTP_PROXY": PROXY}, None),
        ("https://a.example/v1", {"ALL_PROXY": PROXY}, PROXY),
        ("https://a.example/v1", {"HTTPS_PROXY": PROXY, "NO_PROXY": "b.example, .a.example"}, None),
        ("https://x.a.example/v1", {"HTTPS_PROXY": PROXY, "NO_PROXY": "a.example"}, None),
        ("https://xa.example/v1", {"HTTPS_PROXY": PROXY, "NO_PROXY": "a.example"}, PROXY),
        ("https://a.example/v1", {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, None),
        ("http://127.0.0.1:8000/v1", {"HTTP_PROXY": PROXY}, None),
        ("http://[::1]:8000/v1", {"HTTP_PROXY": PROXY}, None),
        ("http://localhost:8000/v1", {"HTTP_PROXY": PROXY}, None),
    ],
)
def test_the_proxy_is_the_one_that_the_environment_names(url: str, environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_for(url, environ) == proxy


def test_a_socks_proxy_is_refused_before_the_first_call() -> None:
    with pytest.raises(TargetError, match="proxies"):
        proxy_for("https://a.example/v1", {"ALL_PROXY": "socks5://proxy.example:1080"})


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example\\.api.openai.com/v1",
        "https://evil.example;.api.openai.com/v1",
        "https://evil.example%2f.api.openai.com/v1",
        "https://evil.example'.api.openai.com/v1",
    ],
)
def test_a_host_that_libraries_read_differently_gets_no_key(url: str) -> None:
    with pytest.raises(TargetError, match="no host name"):
        refuse_to_send_key(url, source="registry:production", environ={})
