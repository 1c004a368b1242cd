"""What `redis_url` may be, and the error for what it may not."""

from __future__ import annotations

import random
from urllib.parse import quote

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
        ("unix:///run/r.sock", Address((), socket="/run/r.sock"), "/run/r.sock"),
        (
            "unix://u:QQ@/run/r%20s.sock?db=3",
            Address((), db=3, socket="/run/r s.sock", login={"username": "u", "password": "QQ"}),
            "/run/r s.sock",
        ),
        (
            "redis+socket://:QQ@/run/R@1.sock?virtual_host=/2",
            Address((), db=2, socket="/run/R@1.sock", login={"password": "QQ"}),
            "/run/R@1.sock",
        ),
        (
            "unix:///r.sock?db=1&password=QQ&username=u",
            Address((), db=1, socket="/r.sock", login={"username": "u", "password": "QQ"}),
            "/r.sock",
        ),
        (" redis://h:7/3\n", Address((("h", 7),), db=3), "h:7"),
        ("REDIS://h:7/3", Address((("h", 7),), db=3), "h:7"),
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
        # Either of two ends may be the host's.
        (f"redis://:x@h/0?y={SECRET}@h:1/0", "unknown option"),
        (f"redis://:x#{SECRET}@h 1/0", "percent-encode|give redis://"),
        (f"redis://:{SECRET}\x00@h:1/0", "control character"),
        (f"redis://:{SECRET}\udcff@h:1/0", "not UTF-8"),
        (f"redis://:{SECRET}@h:1/a", "number of the database"),
        (f"redis://:{SECRET}@h:0/0", "name the host"),
        (f"redis://:{SECRET}@/0", "give redis://"),
        (f"rediss://:{SECRET}@h/0?ssl_cert_reqs=maybe", "required or none"),
        (f"unix://{SECRET}", "whole path"),
        (f"unix://{SECRET}/r.sock", "whole path"),
        (f"unix:///r.sock?db={SECRET}", "number of the database"),
        (f"unix:///r.sock?master={SECRET}", "unknown option"),
        ("unix:///?db=1", "whole path"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_fix(url: str, mend: str) -> None:
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
        ("unix://u:p#@/run/r.sock?db=2", "unix://u:p%23@%2Frun%2Fr.sock/2"),
    ],
)
def test_the_broker_is_given_no_more_than_it_takes(url: str, broker: str) -> None:
    """Options go to it beside the URL."""
    assert parse(url).broker_url == broker


@pytest.mark.parametrize(
    "password",
    [
        "a#b",
        "a/b",
        "a?b",
        "a@b",
        "a:b",
        "a[b",
        "a]b",
        "a%",
        "a%zz",
        "a%ffb",
        "#",
        "//",
        "?x=y",
        "@h:1/0#",
        "p@h2/0#",
        "1/x",
        "a&b=c;d",
        " a b ",
        "\u20ac",
    ],
)
@pytest.mark.parametrize(
    ("head", "tail", "host"),
    [
        ("redis://:", "h:1/0", ("h", 1)),
        ("redis://user:", "[::1]:1", ("::1", 1)),
        ("rediss://u:", "h.example?ssl_cert_reqs=none", ("h.example", 6379)),
        ("sentinel://:", "h:1,b/0?master=m&sentinel_password=x%40y", ("h", 1)),
    ],
)
def test_a_password_need_not_be_encoded_where_it_can_be_read_in_one_way(
    head: str, tail: str, host: tuple[str, int], password: str
) -> None:
    """And it is masked as written, and as meant."""
    address = parse(f"{head}{password}@{tail}")
    assert address.login["password"] == password
    assert address.hosts[0] == host
    assert {password, quote(password, safe="")} <= set(address.secrets)
    assert parse(f"{head}{quote(password, safe='')}@{tail}") == address


def test_no_password_is_ever_read_as_another() -> None:
    """Of any characters that are no encoding: it is read as it is, or refused."""
    dice = random.Random(7)
    refused = 0
    for _ in range(20_000):
        password = "".join(dice.choices("ab1#/?@:[]&=,. ", k=dice.randint(1, 12)))
        try:
            address = parse(f"redis://:{password}@host:6379/0")
        except SettingsError:
            refused += 1
            continue
        assert address.login.get("password", "") == password
        assert address.hosts == (("host", 6379),)
    assert refused < 2_000
