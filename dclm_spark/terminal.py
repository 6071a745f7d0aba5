"""Text from the web, from files and from errors as a terminal may print it: what it would obey is escaped."""

import re

# Controls but for tabs and line ends; marks that turn the direction of writing; halves of characters, which cannot be
# written at all.
_BEYOND_ASCII = "\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_COMMANDS = re.compile(f"[\x00-\x08\x0b-\x1f{_BEYOND_ASCII}]")
_COMMANDS_OR_LINES = re.compile(f"[\x00-\x1f{_BEYOND_ASCII}\u2028\u2029]")
_LEFT_BY_JSON = re.compile(f"[{_BEYOND_ASCII}]")


class Coloured(str):
    """An answer in words that is safe already and holds colours of our own: printed as it is."""

    __slots__ = ()


def shown(text: str) -> str:
    r"""A text of several lines for a terminal: controls become `\x1b` or `\u009b`, what turns the writing `\u202e`.

    >>> shown("red \x1b[31m\x9b31m\n\tand \u202eon")
    'red \\x1b[31m\\u009b31m\n\tand \\u202eon'
    >>> shown("")
    ''
    """
    return _COMMANDS.sub(_escape, text)


def shown_in_line(text: str) -> str:
    r"""The same for a text that belongs into one line: an address, a media type, a message.

    >>> shown_in_line("http://a.b/\n  kept")
    'http://a.b/\\x0a  kept'
    """
    return _COMMANDS_OR_LINES.sub(_escape, text)


def shown_json(written: str) -> str:
    r"""JSON as it is printed: of the same meaning, with what JSON lets through and a terminal obeys as `\u009b`.

    >>> shown_json('"\x9b31m"')
    '"\\u009b31m"'
    """
    return _LEFT_BY_JSON.sub(_escape, written)


def _escape(found: re.Match[str]) -> str:
    # Beyond the controls of ASCII as JSON escapes, since an answer in words may be JSON too.
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x20 else f"\\u{code:04x}"
