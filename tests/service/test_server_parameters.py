"""parameters of the server API: whatever is sent is read, or refused as a bad request"""

from __future__ import annotations

from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.api.compat.parameters import BadParameter, Parameters, read_parameters
from pillarbox.api.problems import RequestError, status_of

NAMES = st.sampled_from(["idapp", "host", "port", "auth", "sslTls", "SSLTLS", "name", ""])
FORMS = st.lists(st.tuples(NAMES, st.binary(max_size=12), st.booleans()), max_size=8).map(
    lambda pairs: b"&".join(
        name.encode() + (b"=" + quote_from_bytes(value).encode() if valued else b"")
        for name, value, valued in pairs
    )
)
JSON = st.recursive(
    st.sampled_from(["null", "true", "1", "-0.5", '"a"', '"\\ud800"', "1e999", '"\\u0000"']),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]"),
    max_leaves=4,
).map(lambda value: f'{{"host": {value}, "port": "587"}}'.encode())


def ask_everything(parameters: Parameters) -> None:
    """As the calls do, each by itself."""
    for asked in (
        lambda: parameters.text("host"),
        lambda: parameters.required("name", most=3),
        lambda: parameters.number("port", None, 1, 65535),
        lambda: parameters.switch("ssltls", "auth"),
        lambda: parameters.id("idapp", "host"),
    ):
        try:
            asked()
        except BadParameter as error:
            assert error.http_status == 400 and len(error.sentence) < 200


@given(
    body=st.one_of(st.binary(max_size=60), FORMS, JSON),
    media_type=st.sampled_from(
        ["application/x-www-form-urlencoded", "application/json", "", "text/plain"]
    ),
)
def test_a_body_is_understood_or_a_bad_request(body: bytes, media_type: str) -> None:
    try:
        found = read_parameters(body, media_type)
    except RequestError as error:
        assert status_of(error) == 400 and len(error.sentence) < 200
        return
    assert all(found.given.values()), "what is empty was not given"
    assert all(name == name.lower() for name in found.given)
    ask_everything(found)


@pytest.mark.parametrize(
    ("body", "given_values"),
    [
        (b"a&b=&c=1", {"c": "1"}),
        (b"a=%20&b=+", {"a": " ", "b": " "}),
        (b"A=x&a=x", {"a": "x"}),
        ("n=\u00e4%C3%B6".encode(), {"n": "äö"}),
        (b'{"a": null, "b": "", "c": false, "d": 5, "E": "x"}', {"c": "false", "d": "5", "e": "x"}),
        (b"", {}),
    ],
)
def test_empty_is_not_given_and_names_have_no_letter_case(
    body: bytes, given_values: dict[str, str]
) -> None:
    assert read_parameters(body, "application/x-www-form-urlencoded").given == given_values
