#!/usr/bin/env python3
"""Prints the text of a .pptx file slide by slide, with speaker notes, as an outline or as JSON."""
import argparse
import json
import posixpath
import sys
import zipfile
import xml.etree.ElementTree as ET

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


def relations(archive, part):
    """id -> (kind, part) of everything that a part refers to."""
    folder, name = posixpath.split(part)
    path = f"{folder}/_rels/{name}.rels"
    if path not in archive.namelist():
        return {}
    out = {}
    for item in ET.fromstring(archive.read(path)):
        target = item.get("Target", "")
        target = target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"{folder}/{target}")
        out[item.get("Id")] = (item.get("Type", "").rsplit("/", 1)[-1], target)
    return out


def paragraphs(shape):
    for item in shape.iter(A + "p"):
        text = "".join((t.text or "") if t.tag == A + "t" else " " for t in item.iter() if t.tag in (A + "t", A + "br"))
        properties = item.find(A + "pPr")
        level = int(properties.get("lvl", "0")) if properties is not None else 0
        if text.strip():
            yield level, text.strip()


def placeholder(shape):
    found = shape.find(f"{P}nvSpPr/{P}nvPr/{P}ph")
    return None if found is None else found.get("type", "body")


def slide(archive, part):
    title, points, notes = "", [], []
    root = ET.fromstring(archive.read(part))
    for shape in root.iter(P + "sp"):
        kind = placeholder(shape)
        if kind in ("title", "ctrTitle"):
            title = " ".join(text for _, text in paragraphs(shape))
        elif kind not in ("sldNum", "dt", "ftr"):
            points.extend({"level": level, "text": text} for level, text in paragraphs(shape))
    for frame in root.iter(P + "graphicFrame"):
        points.extend({"level": 0, "text": text} for _, text in paragraphs(frame))
    for kind, target in relations(archive, part).values():
        if kind == "notesSlide":
            for shape in ET.fromstring(archive.read(target)).iter(P + "sp"):
                if placeholder(shape) == "body":
                    notes.extend(text for _, text in paragraphs(shape))
    return {"title": title, "points": points, "notes": notes}


def slides(path):
    with zipfile.ZipFile(path) as archive:
        parts = relations(archive, "ppt/presentation.xml")
        order = ET.fromstring(archive.read("ppt/presentation.xml")).find(P + "sldIdLst")
        return [slide(archive, parts[item.get(R + "id")][1]) for item in (order if order is not None else [])]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    try:
        found = slides(args.file)
    except (OSError, zipfile.BadZipFile, KeyError, ET.ParseError) as error:
        sys.exit(f"{args.file}: not a readable .pptx file: {error}")
    if args.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return
    for number, item in enumerate(found, 1):
        print(f"## {number}. {item['title'] or '(no title)'}")
        for point in item["points"]:
            print("  " * point["level"] + "- " + point["text"])
        for note in item["notes"]:
            print("> " + note)
        print()


if __name__ == "__main__":
    main()
