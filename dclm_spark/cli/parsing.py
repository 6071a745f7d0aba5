"""Parses arguments, and reports each error in one line: what was found, what may be meant, where to find help."""

import argparse
import difflib
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

EXIT_USAGE = 2


class Parser(argparse.ArgumentParser):
    """Variant of argparse's parser without the usage of thirty options before each error."""

    def error(self, message: str) -> NoReturn:
        name = self.prog.split()[0]
        missing = re.fullmatch(r"the following arguments are required: (.*)", message)
        said = self._lacking(missing[1].split(", ")) if missing else message
        print(f"{name}: {said}; `{self.prog} --help` tells more", file=sys.stderr)
        sys.exit(EXIT_USAGE)

    def parse_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> Any:
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            parser = getattr(parsed, "parser", self)
            parser.error(f"unknown: {' '.join(unknown)}{parser._meant(unknown)}")
        return parsed

    def parse_known_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> Any:
        given = None if args is None else list(args)
        self._given = given or []
        return super().parse_known_args(given, namespace)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            what = action.metavar or action.dest or "value"
            known = ", ".join(map(str, action.choices))
            hint = closest(str(value), map(str, action.choices)) or f"; expected one of: {known}"
            raise argparse.ArgumentError(None, f"no {str(what).lower()} {value!r}{hint}")

    def _lacking(self, names: Sequence[str]) -> str:
        """Returns the message for missing arguments, each with its help."""
        commands = [action for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        if commands:
            return f"which command? One of: {', '.join(commands[0].choices)}"
        helps = {
            str(name): action.help for action in self._actions for name in (*action.option_strings, action.metavar)
        }
        lacking = [f"{name} ({helps[name]})" if helps.get(name) else name for name in names]
        return f"{self.prog.split(maxsplit=1)[-1]} needs {' and '.join(lacking)}{self._meant(self._given)}"

    def _meant(self, words: Iterable[str]) -> str:
        """Returns a hint on the options that unknown words may mean."""
        options = [option for action in self._actions for option in action.option_strings]
        found = [word.partition("=")[0] for word in words if word.startswith("--")]
        return "".join(
            closest(word, options) for word in found if not any(option.startswith(word) for option in options)
        )


def closest(found: str, known: Iterable[str]) -> str:
    """Returns a question that names the known word most similar to `found`; empty if none is similar.

    >>> closest("funnle", ["funnel", "run"]), closest("--warehose", ["--warehouse", "--dump"]), closest("xyz", ["run"])
    ("; did you mean 'funnel'?", "; did you mean '--warehouse'?", '')
    """
    near = difflib.get_close_matches(found, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
