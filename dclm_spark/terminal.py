"""Makes text from the web, files and errors safe for a terminal: characters that it would execute are escaped."""

import re

# Controls except tabs and line ends; marks that change the direction of writing; lone surrogates, which cannot be
# encoded.
_BEYOND_ASCII = "\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_COMMANDS = re.compile(f"[\x00-\x08\x0b-\x1f{_BEYOND_ASCII}]")
_COMMANDS_OR_LINES = re.compile(f"[\x00-\x1f{_BEYOND_ASCII}\u2028\u2029]")
_LEFT_BY_JSON = re.compile(f"[{_BEYOND_ASCII}]")


class Coloured(str):
    """Text of an answer that is already safe and holds our own colours: it is printed unchanged."""

    __slots__ = ()


def shown(text: str) -> str:
    r"""Escapes a text of several lines: controls become `\x1b` or `\u009b`, marks of direction `\u202e`.

    >>> shown("red \x1b[31m\x9b31m\n\tand \u202eon")
    'red \\x1b[31m\\u009b31m\n\tand \\u202eon'
    >>> shown("")
    ''
    """
    return _COMMANDS.sub(_escape, text)


def shown_in_line(text: str) -> str:
    r"""Escapes a text that must stay on one line, such as an address, a media type or a message.

    >>> shown_in_line("http://a.b/\n  kept")
    'http://a.b/\\x0a  kept'
    """
    return _COMMANDS_OR_LINES.sub(_escape, text)


def shown_json(written: str) -> str:
    r"""Escapes characters in JSON that a terminal would execute, as `\u009b`; its meaning does not change.

    >>> shown_json('"\x9b31m"')
    '"\\u009b31m"'
    """
    return _LEFT_BY_JSON.sub(_escape, written)


def _escape(found: re.Match[str]) -> str:
    # Controls outside of ASCII become JSON escapes, because an answer as text may be JSON too.
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x20 else f"\\u{code:04x}"
