#!/usr/bin/env python3
"""Prints the text of a .docx file as simple Markdown, or as JSON blocks with --json."""
import argparse
import json
import sys
import zipfile
import xml.etree.ElementTree as ET

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def run_text(node):
    """The visible text below node: deleted text is left out, tabs and breaks are kept."""
    out = []
    for item in node.iter():
        if item.tag == W + "t":
            out.append(item.text or "")
        elif item.tag == W + "tab":
            out.append("\t")
        elif item.tag in (W + "br", W + "cr"):
            out.append("\n")
    return "".join(out)


def paragraph(node):
    style, listed = "", False
    properties = node.find(W + "pPr")
    if properties is not None:
        named = properties.find(W + "pStyle")
        style = named.get(W + "val", "") if named is not None else ""
        listed = properties.find(W + "numPr") is not None
    level = 0
    if style.lower().startswith("heading") and style[7:].isdigit():
        level = int(style[7:])
    elif style.lower() == "title":
        level = 1
    kind = "heading" if level else "item" if listed or style.startswith("List") else "paragraph"
    return {"kind": kind, "level": level, "text": run_text(node)}


def blocks(path):
    with zipfile.ZipFile(path) as archive:
        body = ET.fromstring(archive.read("word/document.xml")).find(W + "body")
    for node in body:
        if node.tag == W + "p":
            yield paragraph(node)
        elif node.tag == W + "tbl":
            rows = [[run_text(cell) for cell in row.iter(W + "tc")] for row in node.iter(W + "tr")]
            yield {"kind": "table", "rows": rows}


def markdown(block):
    if block["kind"] == "heading":
        return "#" * min(block["level"], 6) + " " + block["text"]
    if block["kind"] == "item":
        return "- " + block["text"]
    if block["kind"] == "table":
        return "\n".join(" | ".join(cell.replace("\n", " ") for cell in row) for row in block["rows"])
    return block["text"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--json", action="store_true", help="print a JSON list of blocks")
    args = parser.parse_args()
    try:
        found = list(blocks(args.file))
    except (OSError, zipfile.BadZipFile, KeyError, ET.ParseError) as error:
        sys.exit(f"{args.file}: not a readable .docx file: {error}")
    if args.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        print("\n\n".join(markdown(block) for block in found))


if __name__ == "__main__":
    main()
