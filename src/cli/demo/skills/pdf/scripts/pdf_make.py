#!/usr/bin/env python3
"""Makes a PDF from plain text: A4, wrapped lines, page numbers. Lines with '# ' become headings."""
import argparse
import sys
import textwrap
import zlib

WIDTH, HEIGHT, MARGIN = 595, 842, 64
SIZE, LEADING, HEADING = 11, 15, 15
COLUMNS = 84  # characters of Courier at 9.2 points that fit between the margins
LINES = (HEIGHT - 2 * MARGIN) // LEADING


def layout(text):
    """Lines with their kind, split into pages."""
    lines = []
    for raw in text.splitlines():
        if raw.startswith("# "):
            lines.append(("head", raw[2:]))
        else:
            indent = " " * (len(raw) - len(raw.lstrip()))
            lines.extend(("text", part) for part in textwrap.wrap(raw, COLUMNS, subsequent_indent=indent) or [""])
    return [lines[at : at + LINES] for at in range(0, len(lines), LINES)] or [[]]


def literal(text):
    raw = text.encode("cp1252", "replace")
    return b"(" + raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)") + b")"


def content(lines, number, total):
    out = [b"BT", b"%d %d Td" % (MARGIN, HEIGHT - MARGIN)]
    for kind, text in lines:
        out.append(b"/F2 %d Tf" % HEADING if kind == "head" else b"/F1 9.2 Tf")
        out.append(literal(text) + b" Tj 0 -%d Td" % LEADING)
    out += [b"ET", b"BT /F1 8 Tf %d 32 Td" % (WIDTH - MARGIN - 60), literal(f"{number} of {total}") + b" Tj ET"]
    return b"\n".join(out)


def make(text, path, title):
    pages = layout(text)
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>")
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>")
    objects.append(b"<< /Title " + literal(title) + b" /Producer (pdf_make.py) >>")
    kids = []
    for number, lines in enumerate(pages, 1):
        packed = zlib.compress(content(lines, number, len(pages)))
        objects.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(packed) + packed + b"\nendstream")
        kids.append(len(objects) + 1)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents %d 0 R" % (WIDTH, HEIGHT, len(objects))
            + b" /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>"
        )
    joined = b" ".join(b"%d 0 R" % kid for kid in kids)
    objects[1] = b"<< /Type /Pages /Count %d /Kids [" % len(kids) + joined + b"] >>"
    out, offsets = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info 5 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    with open(path, "wb") as target:
        target.write(out)
    return len(pages)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text")
    parser.add_argument("output")
    parser.add_argument("--title", default="")
    args = parser.parse_args()
    with open(args.text, encoding="utf-8") as source:
        text = source.read()
    lost = sorted({c for c in text if c not in "\n\t" and c.encode("cp1252", "ignore") == b""})
    if lost:
        print(f"warning: not in the standard fonts, printed as '?': {' '.join(lost[:20])}", file=sys.stderr)
    print(f"wrote {args.output}: {make(text, args.output, args.title)} page(s)")


if __name__ == "__main__":
    main()
