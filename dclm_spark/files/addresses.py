"""Normalizes the addresses of files, and removes credentials from addresses and texts before they are stored or
shown."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote, unquote_plus

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")

_CHAINED = re.compile(r"::(?=[A-Za-z][A-Za-z0-9+.-]*(?:://|::|$))")
"""Separator of the parts of fsspec's chained addresses, such as `simplecache::https://…`; not the `::` of IPv6."""

_AT_IS_A_PLACE = ("abfs", "abfss", "wasb", "wasbs", "git", "github")
"""Schemes in which the text before an `@` is a container or a repository, not a user."""

# Names of query parameters that are signatures or tokens, or occur only beside one: those of AWS (versions 4 and 2),
# CloudFront, Google, Azure, Alibaba, Tencent, Huawei and Akamai, and common names of others.
_SECRET = re.compile(
    r"x-(amz|goog|oss|cos|obs|bce|tos|ks)-.*|(aws|oss|obs)?accesskeyid|googleaccessid|key-pair-id|ossaccesskeyid"
    r"|q-(sign-.*|ak|key-time|header-list|url-param-list|signature)|hdn(ea|ts|tl)|x-ms-.*token.*"
    r"|.*(token(?!iz)|secret|passw|credential|signature|authoriz|apikey|api[-_.]?key|access[-_.]?key|auth[-_.]?key"
    r"|private[-_.]?key|subscription[-_.]?key|account[-_.]?key|session[-_.]?id|jwt|hmac|bearer).*"
    r"|(sig|sign|auth|pwd|pass|sid|sas|session|ticket|otp|wssecret)"
)
_BESIDE_SECRET = re.compile(
    r"expires?|expir(y|ation)|expires[-_]?(in|at|on)|exp|policy|algorithm|date|timestamp|ts|nonce|valid[-_]?(to|until|from)"
    r"|wstime|user(name)?|login|sv|ss|srt|s[ptere]|spr|sip?|sk(oid|tid|t|e|s|v)|sdd|s[au]oid|scid|ses"
)
_EXPIRES = re.compile(r"expires?|exp|e|wstime|t")
_HASH = re.compile(r"md5|hash|h|st|s|key")  # together with an expiry time, a hash is a signature
_OPAQUE = re.compile(r"[A-Za-z0-9_\-+/=]{20,}")  # a key, not a name

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>|^`{}]+")
_SECRET_OPTION = re.compile(r".*(key|secret|token|pass|sas|credential|connection_string|auth|cookie).*", re.IGNORECASE)
_HIDDEN = "***"


def scheme_of(address: str) -> str | None:
    """Returns the scheme of a URL; null for a local path.

    >>> scheme_of("s3://bucket/a.warc.gz"), scheme_of("/data/a.warc.gz")
    ('s3', None)
    """
    scheme, separator, _ = address.partition("://")
    return scheme if separator else None


def is_web(address: str) -> bool:
    """Returns whether an address is http or https, where only the address itself can be fetched, and no folder
    listed."""
    return scheme_of(address) in ("http", "https")


def address_of(name: str) -> str:
    """Normalizes the name of a file: returns a local absolute path or a URL.

    >>> address_of("s3a://bucket/a.warc.gz"), address_of("HTTP://host/a.warc"), address_of("file:///data/a%20b.warc")
    ('s3://bucket/a.warc.gz', 'http://host/a.warc', '/data/a b.warc')
    """
    if re.match("file:/", name, re.IGNORECASE):
        name = unquote(re.sub("^[^:]*:(//[^/]*)?", "", name))
    scheme, separator, rest = name.partition("://")
    if not separator:
        return os.path.abspath(os.path.expanduser(name))
    scheme = scheme.lower()
    return f"{'s3' if scheme in ('s3a', 's3n') else scheme}://{rest}"


def identity_of(address: str) -> str:
    """Removes user, password and signature from an address; the result identifies the file and may be stored and shown.

    >>> identity_of("https://me:pw@host/a.warc.gz?part=2&X-Amz-Signature=ab&X-Amz-Date=20220101T000000Z")
    'https://host/a.warc.gz?part=2'
    >>> identity_of("/data/a@b?token=1"), identity_of("abfss://crawl@account.dfs.core.windows.net/a?sv=1&sig=x")
    ('/data/a@b?token=1', 'abfss://crawl@account.dfs.core.windows.net/a')
    """
    return "::".join(_parted(part)[0] for part in _CHAINED.split(address))


def secrets_of(address: str) -> list[str]:
    """Lists what `identity_of` removes: passwords and signatures, as written and decoded, the longest first."""
    found = [secret for part in _CHAINED.split(address) for secret in _parted(part)[1]]
    forms = {form for secret in found for form in (secret, unquote(secret), unquote_plus(secret)) if len(form) > 3}
    return sorted(forms, key=lambda form: (-len(form), form))


def without_secrets(text: str, addresses: Iterable[str] = (), options: Mapping[str, Any] | None = None) -> str:
    """Replaces each URL in a text by its identity, so that the text may be stored and shown.

    >>> without_secrets("503 of 'https://me:pw@host/a?token=t', and more")
    "503 of 'https://host/a', and more"

    Args:
        text: The text, such as a library's error message.
        addresses: Addresses whose secrets are removed wherever they occur in the text.
        options: Storage options whose keys, tokens and passwords are removed too.
    """
    secrets = []
    for address in addresses:
        text = text.replace(address, identity_of(address))
        secrets += secrets_of(address)
    for secret in [*secrets, *_secret_options(options or {})]:
        text = text.replace(secret, _HIDDEN)
    return _URL.sub(lambda found: identity_of(found[0]), text)


def _secret_options(options: Mapping[str, Any], is_secret: bool = False) -> list[str]:
    """Lists the values that are credentials, at any depth."""
    found = []
    for key, value in options.items():
        is_one = is_secret or _SECRET_OPTION.fullmatch(str(key)) is not None
        if isinstance(value, Mapping):
            found += _secret_options(value, is_one)
        elif is_one and isinstance(value, str) and len(value) > 3:
            found.append(value)
    return sorted(found, key=lambda value: -len(value))


def _parted(url: str) -> tuple[str, list[str]]:
    """Returns the identity of one URL of a chain, and the secrets removed from it."""
    begin = SCHEME.match(url)
    if begin is None or begin[1].lower() in ("file", "local"):
        return url, []
    rest = url[begin.end() :]
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    if "@" not in authority and re.fullmatch(r"[^:]+:(?!\d*$).*", authority) and "@" in rest:
        authority = rest[: rest.rindex("@") + 1]  # a password with a slash in it, which should have been escaped
        authority += re.split(r"[/?#\\]", rest[len(authority) :], maxsplit=1)[0]
    rest = rest[len(authority) :]
    user, at, host = authority.rpartition("@")
    secrets = [f"{user}@", user.partition(":")[2] or user] if at else []
    if at and begin[1].lower() in _AT_IS_A_PLACE:
        secrets, user = [], user.partition(":")[0] if begin[1].lower() not in ("git", "github") else user
    else:
        user = at = ""
    rest, mark, fragment = rest.partition("#")
    path, question, query = rest.partition("?")
    query, left_out = _without_signature(query)
    fragment, in_fragment = _without_signature(fragment)
    kept = f"{path}{question if query or not left_out else ''}{query}"
    kept += f"{mark if fragment or not in_fragment else ''}{fragment}"
    return f"{begin[0]}{user}{at}{host}{kept}", [*secrets, *left_out, *in_fragment]


def _without_signature(query: str) -> tuple[str, list[str]]:
    """Removes signatures and tokens from a query; returns the query and the values removed."""
    parameters = query.split("&")
    names = [unquote_plus(parameter.partition("=")[0]).lower() for parameter in parameters]
    values = [parameter.partition("=")[2] for parameter in parameters]
    is_secret = [
        _SECRET.fullmatch(name) is not None
        or (name in ("key", "code") and _OPAQUE.fullmatch(unquote(value)) is not None)
        for name, value in zip(names, values, strict=True)
    ]
    if any(_EXPIRES.fullmatch(name) for name in names):
        is_secret = [one or _HASH.fullmatch(name) is not None for one, name in zip(is_secret, names, strict=True)]
        is_timed = any(is_secret)
    else:
        is_timed = False
    if any(is_secret):
        is_secret = [
            one or _BESIDE_SECRET.fullmatch(name) is not None or (is_timed and _EXPIRES.fullmatch(name) is not None)
            for one, name in zip(is_secret, names, strict=True)
        ]
    kept = [parameter for parameter, one in zip(parameters, is_secret, strict=True) if not one]
    return "&".join(kept) if any(is_secret) else query, [
        v for v, one in zip(values, is_secret, strict=True) if one and v
    ]
