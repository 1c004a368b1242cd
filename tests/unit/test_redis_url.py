"""What `redis_url` may be, and what is said of what it may not."""

from __future__ import annotations

import pytest

from worker.errors import SettingsError
from worker.store.address import Address, parse

SECRET = "Zk9-planted0123456789"


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        ("redis://h", Address((("h", 6379),)), "h:6379"),
        ("redis://h:7/3", Address((("h", 7),), db=3), "h:7"),
        ("redis://[::1]:7/0", Address((("::1", 7),)), "[::1]:7"),
        (
            "redis://u:p%40x@h:7/0",
            Address((("h", 7),), login={"username": "u", "password": "p@x"}),
            "h:7",
        ),
        ("redis://:p@h", Address((("h", 6379),), login={"password": "p"}), "h:6379"),
        (
            "sentinel://a:1,b,[::1]:3/2?master=m&sentinel_password=s%2F",
            Address(
                (("a", 1), ("b", 26379), ("::1", 3)),
                db=2,
                master="m",
                sentinel_login={"password": "s/"},
            ),
            "m of a:1,b:26379,[::1]:3",
        ),
        (
            "rediss://h?ssl_check_hostname=no",
            Address((("h", 6379),), tls={"ssl_check_hostname": False, "ssl_cert_reqs": "required"}),
            "h:6379",
        ),
        (
            "sentinel://h?master=m&ssl=true&ssl_cert_reqs=none",
            Address(
                (("h", 26379),),
                master="m",
                tls={"ssl_check_hostname": True, "ssl_cert_reqs": "none"},
            ),
            "m of h:26379",
        ),
    ],
)
def test_what_it_says_is_what_is_read(url: str, address: Address, shown: str) -> None:
    """And what is shown of it holds no login."""
    assert parse(url) == address
    assert parse(url).shown == shown
    assert not any(secret in repr(parse(url)) for secret in address.secrets)


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        (f"sentinel://:{SECRET}@h:1/0", "name the master"),
        (f"sentinel://:{SECRET}@h:1,,b/0?master=m", "each host is host:port"),
        (f"sentinel://:{SECRET}@h:1/0?master=m&ssl=maybe", "ssl must be true or false"),
        (f"sentinel://:{SECRET}@h:1/0?master=m&ssl_cert_reqs=none", "add ssl=true"),
        (f"redis://:{SECRET}@h:1/0?master=m", "unknown option"),
        (f"redis://:x?{SECRET}=@h:1/0", "give redis://|unknown option"),
        (f"redis://:x?y={SECRET}@h:1/0", "percent-encode|unknown option"),
        (f"redis://:x/{SECRET}@h:1/0", "percent-encode"),
        (f"redis://:x#{SECRET}@h:1/0", "give redis://"),
        (f"redis://:{SECRET}@h:1/a", "number of the database"),
        (f"redis://:{SECRET}@h:0/0", "name the host"),
        (f"redis://:{SECRET}@/0", "give redis://"),
        (f"rediss://:{SECRET}@h/0?ssl_cert_reqs=maybe", "required or none"),
        (f"unix:///{SECRET}", "give redis://"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_mend(url: str, mend: str) -> None:
    """Which shows no part of what may be a password."""
    with pytest.raises(SettingsError, match=rf"^redis_url: .*({mend})") as caught:
        parse(url)
    assert SECRET not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("redis://u:p%2F@h:7/3", "redis://u:p%2F@h:7/3"),
        ("redis://:p@h", "redis://:p@h:6379/0"),
        ("rediss://h/1?ssl_cert_reqs=none", "rediss://h:6379/1"),
        ("sentinel://u:p@a:1,b:2/0?master=m&sentinel_password=s", "sentinel://u:p@a:1/0"),
    ],
)
def test_the_broker_is_told_no_more_than_it_takes(url: str, broker: str) -> None:
    """Options go to it beside the URL."""
    assert parse(url).broker_url == broker
