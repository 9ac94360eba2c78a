"""Servers as people write them."""

import pytest

from phonebook.client.address import Address
from phonebook.client.answer import BadInput


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("lab", "lab", 767),
        ("lab:7670", "lab", 7670),
        ("192.0.2.1:1", "192.0.2.1", 1),
        ("[::1]", "::1", 767),
        ("[::1]:65535", "::1", 65535),
        ("::1", "::1", 767),
        ("fe80::1%eth0", "fe80::1%eth0", 767),
    ],
)
def test_parse(text, host, port):
    address = Address.parse(text)
    assert address == (host, port)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["", ":767", "lab:", "lab:0", "lab:65536", "lab:x", "lab:٧٦٧", "[::1", "[::1]767", "[lab]:1"]
    + ["x:y:z", "a b", "http://lab", "a@b", "lab\x1b", "a..b", "a..b:767", "x" * 64],
)
def test_errors(text):
    with pytest.raises(BadInput) as caught:
        Address.parse(text)
    assert str(caught.value).endswith(".") and caught.value.args[0].isprintable()
