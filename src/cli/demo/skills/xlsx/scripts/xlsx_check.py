#!/usr/bin/env python3
"""Looks for errors in an .xlsx file: stored error values, formulas on missing sheets, ranges that end too early."""
import argparse
import re
import sys

from xlsx_dump import M, Workbook, column

SHEET_NAME = re.compile(r"(?:'((?:[^']|'')+)'|\b([A-Za-z_][\w.]*))!")
RANGE = re.compile(r"(?<![!\w])\$?([A-Z]{1,3})\$?(\d+):\$?([A-Z]{1,3})\$?(\d+)")


def sheet_cells(book, sheet):
    for item in book.xml(book.sheets[sheet]).iter(M + "c"):
        yield item.get("r", "?"), item


def check(book, sheet):
    filled = {}
    for reference, item in sheet_cells(book, sheet):
        plain = item.find(M + "f") is None
        if plain and item.find(M + "v") is not None and re.fullmatch(r"[A-Z]+\d+", reference):
            filled.setdefault(column(reference), set()).add(int(re.search(r"\d+", reference)[0]))
    for reference, item in sheet_cells(book, sheet):
        stored, formula = item.find(M + "v"), item.find(M + "f")
        if item.get("t") == "e":
            yield reference, f"holds the error {stored.text if stored is not None else '?'}"
        text = formula.text if formula is not None else None
        if not text:
            continue
        bare = re.sub(r'"[^"]*"', "", text)
        if "#REF!" in bare:
            yield reference, f"refers to a deleted cell: ={text}"
        for quoted, name in SHEET_NAME.findall(bare):
            wanted = quoted.replace("''", "'") or name
            if wanted not in book.sheets:
                yield reference, f"names the sheet {wanted!r}, which is not there"
        for first, _, last, end in RANGE.findall(bare):
            below = int(end) + 1
            own_row = int(re.search(r"\d+", reference)[0])
            if first == last and below in filled.get(column(last + "1"), ()) and below != own_row:
                yield reference, f"={text} stops at {last}{end}, but {last}{below} has data too"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    args = parser.parse_args()
    book, found = Workbook(args.file), 0
    for sheet in book.sheets:
        for reference, what in check(book, sheet):
            found += 1
            print(f"{sheet}!{reference}: {what}")
    print(f"{found} problem(s)" if found else "nothing found")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
