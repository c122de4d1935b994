#!/usr/bin/env python3
"""Prints the text of a PDF file, page by page. Does not read scans and does not decrypt."""
import argparse
import re
import sys
import zlib

from pdf_parse import Lexer, Pdf, Stream, Text, unfilter

SPACE_FROM = 0.25  # a move to the right by this share of the type size is a space


def unicode_map(pdf, font):
    """code -> text from the font's ToUnicode table, and the number of bytes of a code."""
    table = pdf.get(font.get("ToUnicode"))
    width = 2 if font.get("Subtype") == "Type0" else 1
    if not isinstance(table, Stream):
        return None, width
    text = (unfilter(table.info, table.raw) or b"").decode("latin-1")
    out = {}

    def chars(digits):
        return bytes.fromhex(digits).decode("utf-16-be", "replace")

    for block in re.findall(r"beginbfchar(.*?)endbfchar", text, re.S):
        for code, target in re.findall(r"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>", block):
            out[int(code, 16)] = chars(target)
    for block in re.findall(r"beginbfrange(.*?)endbfrange", text, re.S):
        for low, high, target in re.findall(r"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>\s*(<[0-9A-Fa-f]+>|\[[^\]]*\])", block):
            low, high = int(low, 16), int(high, 16)
            if target.startswith("["):
                for at, item in enumerate(re.findall(r"<([0-9A-Fa-f]+)>", target)):
                    out[low + at] = chars(item)
            else:
                start = int(target[1:-1], 16)
                for code in range(low, min(high, low + 65535) + 1):
                    out[code] = chars(f"{start + code - low:0{len(target) - 2}x}")
    return out, width


def decode(raw, font):
    table, width = font
    if table is None:
        return raw.decode("cp1252", "replace") if width == 1 else "\ufffd" * (len(raw) // 2)
    codes = (int.from_bytes(raw[at : at + width], "big") for at in range(0, len(raw), width))
    return "".join(table.get(code, "\ufffd") for code in codes)


def page_text(pdf, page):
    resources = pdf.get(page.get("Resources")) or {}
    named = pdf.get(resources.get("Font")) or {}
    fonts = {name: unicode_map(pdf, pdf.get(font) or {}) for name, font in named.items()}
    font, size, out, stack = (None, 1), 1.0, [], []
    lexer = Lexer(pdf.content(page))
    last_y = y = 0.0

    def newline():
        if out and not out[-1].endswith("\n"):
            out.append("\n")

    while (item := lexer.token()) is not None:
        if not isinstance(item, bytes) or isinstance(item, Text):
            stack.append(item)
            continue
        if item == b"Tf" and len(stack) >= 2:
            font, size = fonts.get(stack[-2], (None, 1)), abs(float(stack[-1])) or 1.0
        elif item in (b"Td", b"TD") and len(stack) >= 2:
            if float(stack[-1]) != 0:
                newline()
            elif float(stack[-2]) > SPACE_FROM * size and out and not out[-1].endswith((" ", "\n")):
                out.append(" ")
        elif item == b"Tm" and len(stack) >= 6:
            y = float(stack[-1])
            if abs(y - last_y) > SPACE_FROM * size:
                newline()
            elif out and not out[-1].endswith((" ", "\n")):
                out.append(" ")
            last_y = y
        elif item == b"T*":
            newline()
        elif item in (b"Tj", b"'", b'"') and stack and isinstance(stack[-1], Text):
            if item != b"Tj":
                newline()
            out.append(decode(stack[-1], font))
        elif item == b"TJ" and stack and isinstance(stack[-1], list):
            for part in stack[-1]:
                if isinstance(part, Text):
                    out.append(decode(part, font))
                elif isinstance(part, (int, float)) and -part > 1000 * SPACE_FROM:
                    out.append(" ")
        elif item == b"ET":
            newline()
        elif item == b"BI":  # an inline image: skip its bytes
            end = re.compile(rb"\sEI\b").search(lexer.data, lexer.at)
            lexer.at = end.end() if end else len(lexer.data)
        stack.clear()
    return "".join(out).strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--page", type=int, help="only this page, from 1")
    args = parser.parse_args()
    try:
        pdf = Pdf(args.file)
        if pdf.encrypted:
            sys.exit(f"{args.file}: encrypted; ask for an unprotected copy")
        pages = list(pdf.pages())
        texts = [page_text(pdf, page) for page in pages]
    except (OSError, ValueError, zlib.error) as error:
        sys.exit(f"{args.file}: {error}")
    for number, text in enumerate(texts, 1):
        if args.page in (None, number):
            print(f"--- page {number} of {len(texts)} ---\n{text}\n")
    if any("\ufffd" in text for text in texts):
        print("warning: a font has no table of characters; its text is not readable", file=sys.stderr)
    if not any(texts):
        print("warning: no text found; the file may be a scan (see pdf_info.py)", file=sys.stderr)


if __name__ == "__main__":
    main()
