#!/usr/bin/env python3
"""Prints version, pages, size, metadata, encryption, form fields and whether a PDF has text."""
import argparse
import json
import sys
import zlib

from pdf_parse import Pdf, Stream, decode_text


def fields(pdf):
    root = pdf.get(pdf.trailer.get("Root")) or {}
    form = pdf.get(root.get("AcroForm")) or {}

    def walk(reference, prefix, kind, depth):
        field = pdf.get(reference)
        if not isinstance(field, dict) or depth > 16:
            return
        own = decode_text(pdf.get(field.get("T"))) if "T" in field else ""
        name = ".".join(part for part in (prefix, own) if part)
        kind = field.get("FT", kind)
        kids = [k for k in pdf.get(field.get("Kids")) or [] if "T" in (pdf.get(k) or {})]
        if kids:
            for kid in kids:
                yield from walk(kid, name, kind, depth + 1)
        else:
            kinds = {"Tx": "text", "Btn": "button", "Ch": "choice", "Sig": "signature"}
            yield {"name": name, "type": kinds.get(kind, str(kind)), "value": decode_text(pdf.get(field.get("V")))}

    for reference in pdf.get(form.get("Fields")) or []:
        yield from walk(reference, "", None, 0)


def describe(path, with_fields):
    pdf = Pdf(path)
    out = {"file": path, "version": pdf.version, "encrypted": pdf.encrypted}
    if pdf.encrypted:
        return out
    pages = list(pdf.pages())
    box = pdf.get(pages[0].get("MediaBox")) if pages else None
    images = sum(1 for o in pdf.objects.values() if isinstance(o, Stream) and o.info.get("Subtype") == "Image")
    has_text = any(b"Tj" in body or b"TJ" in body for body in map(pdf.content, pages))
    out |= {"pages": len(pages), "page_size_points": [pdf.get(v) for v in box[2:4]] if box else None}
    out |= {"has_text": has_text, "images": images, "looks_scanned": bool(images and not has_text)}
    info = pdf.get(pdf.trailer.get("Info")) or {}
    out["metadata"] = {key: decode_text(pdf.get(value)) for key, value in info.items()}
    found = list(fields(pdf))
    out["form_fields"] = found if with_fields else len(found)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--fields", action="store_true", help="print the form fields, not only their number")
    args = parser.parse_args()
    try:
        print(json.dumps(describe(args.file, args.fields), ensure_ascii=False, indent=1))
    except (OSError, ValueError, zlib.error) as error:
        sys.exit(f"{args.file}: {error}")


if __name__ == "__main__":
    main()
