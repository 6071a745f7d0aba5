"""Small archive files made for one test: WARC records whose every byte the test knows."""

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

ENGLISH = (
    "The harbour of the old town lies to the west of the hills, and the road that leads to it has been there for "
    "longer than anybody can remember. People have come with their boats to sell what they have caught, to mend the "
    "nets, and to talk of the weather that will be coming in from the sea in the days ahead of them. Nobody keeps a "
    "count of the sails, yet every child could tell you which belong to whom, how many hands a crew should number, "
    "where each keel was laid and what became of those that never returned. On market days a bell rings at noon; the "
    "baker closes his shutters, two clerks carry out a table, and whoever owes money for salt or rope is expected to "
    "settle before evening. Strangers find this custom odd. They ask why such debts are not written down, and receive "
    "an answer that seems to please everyone but themselves: paper gets wet, while neighbours stay. In winter most of "
    "these quays lie empty, snow covers both cranes, and only one lamp burns late, since its owner, an old pilot with "
    "bad knees, reads aloud from his journals to anyone who brings firewood. "
)
"""Prose in which no five words come again in the same order."""


def html(body: str, *, title: str = "A page") -> bytes:
    """A complete html page, UTF-8."""
    page = f"<html><head><meta charset='utf-8'><title>{title}</title></head><body><main>{body}</main></body></html>"
    return page.encode()


def write_warc(
    path: Path,
    pages: Iterable[tuple[str, bytes]],
    *,
    content_type: str = "text/html; charset=utf-8",
    status: str = "200 OK",
) -> Path:
    """A WARC file (gzip by record where the name ends in .gz) of a warcinfo record and one response a (url, html) pair.

    Dates and record ids follow from the URL, so that the same pages always give the same bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        writer = WARCWriter(out, gzip=path.suffix == ".gz")
        fixed = {"WARC-Date": "2022-01-17T00:00:00Z"}
        info = writer.create_warcinfo_record(path.name, {"software": "tests"})
        info.rec_headers.replace_header("WARC-Date", fixed["WARC-Date"])
        info.rec_headers.replace_header("WARC-Record-ID", "<urn:uuid:00000000-0000-0000-0000-000000000000>")
        writer.write_record(info)
        for number, (url, payload) in enumerate(pages, 1):
            head = StatusAndHeaders(status, [("Content-Type", content_type)], protocol="HTTP/1.1")
            identity = {"WARC-Record-ID": f"<urn:uuid:{path.stem[:8]:0<8}-0000-0000-0000-{number:012d}>"}
            writer.write_record(
                writer.create_warc_record(
                    url, "response", payload=BytesIO(payload), http_headers=head, warc_headers_dict=fixed | identity
                )
            )
    return path


def english_pages(n: int, *, site: str = "example.org", words: int = 120) -> list[tuple[str, bytes]]:
    """Pages of English prose, each with a text of its own that every rule of DCLM-Baseline keeps."""
    sentences = ENGLISH.split()
    return [
        (
            f"http://{site}/{i}",
            html(f"<p>Note number {i} of the harbour book.</p><p>{' '.join((sentences * 9)[i : i + words])}</p>"),
        )
        for i in range(n)
    ]
