#!/usr/bin/env python3
"""Replaces phrases in a .docx file, also where Word has split them over several runs. Formatting stays."""
import argparse
import io
import sys
import zipfile
import xml.etree.ElementTree as ET

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
SPACE = "{http://www.w3.org/XML/1998/namespace}space"


def replace_in(paragraph, old, new):
    """Replaces every occurrence in one paragraph; returns how many there were."""
    count, start = 0, 0
    while True:
        texts = list(paragraph.iter(W + "t"))
        whole = "".join(t.text or "" for t in texts)
        at = whole.find(old, start)
        if at < 0:
            return count
        end, seen, written = at + len(old), 0, False
        for text in texts:
            own = text.text or ""
            low, high = max(at - seen, 0), min(end - seen, len(own))
            if low < high:
                text.text = own[:low] + ("" if written else new) + own[high:]
                text.set(SPACE, "preserve")
                written = True
            seen += len(own)
        count, start = count + 1, at + len(new)


def change(xml, pairs, counts):
    # ElementTree invents new prefixes unless it is told the old ones.
    for _, (prefix, uri) in ET.iterparse(io.BytesIO(xml), events=["start-ns"]):
        ET.register_namespace(prefix, uri)
    root = ET.fromstring(xml)
    for paragraph in root.iter(W + "p"):
        for old, new in pairs:
            counts[old] += replace_in(paragraph, old, new)
    return ET.tostring(root, encoding="UTF-8", xml_declaration=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--replace", nargs=2, action="append", required=True, metavar=("OLD", "NEW"))
    parser.add_argument("--all-parts", action="store_true", help="also headers, footers, notes and comments")
    args = parser.parse_args()
    if args.input == args.output:
        sys.exit("write to a new file, not over the original")
    counts = {old: 0 for old, _ in args.replace}
    if "" in counts:
        sys.exit("the phrase to replace is empty")
    wanted = ("header", "footer", "comments", "footnotes", "endnotes")
    with zipfile.ZipFile(args.input) as source, zipfile.ZipFile(args.output, "w", zipfile.ZIP_DEFLATED) as target:
        for item in source.infolist():
            data = source.read(item)
            part = item.filename.removeprefix("word/")
            if part == "document.xml" or (args.all_parts and part.endswith(".xml") and part.startswith(wanted)):
                data = change(data, args.replace, counts)
            target.writestr(item, data)
    for old, count in counts.items():
        print(f"{count} x {old!r}")
    sys.exit(0 if all(counts.values()) else 1)


if __name__ == "__main__":
    main()
