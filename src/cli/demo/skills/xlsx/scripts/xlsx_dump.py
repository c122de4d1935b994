#!/usr/bin/env python3
"""Prints a sheet of an .xlsx file as CSV or JSON. Dates come out as ISO text."""
import argparse
import csv
import datetime
import json
import re
import sys
import zipfile
import xml.etree.ElementTree as ET

M = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
BUILT_IN_DATES = set(range(14, 23)) | set(range(45, 48))


def column(reference):
    """'C7' -> 2"""
    number = 0
    for letter in re.match(r"[A-Z]+", reference)[0]:
        number = number * 26 + ord(letter) - 64
    return number - 1


class Workbook:
    def __init__(self, path):
        self.archive = zipfile.ZipFile(path)
        relations = {r.get("Id"): r.get("Target") for r in self.xml("xl/_rels/workbook.xml.rels")}
        book = self.xml("xl/workbook.xml")
        properties = book.find(M + "workbookPr")
        self.epoch_1904 = properties is not None and properties.get("date1904") in ("1", "true")
        self.sheets = {}
        for sheet in book.iter(M + "sheet"):
            target = relations[sheet.get(R + "id")]
            self.sheets[sheet.get("name")] = target.lstrip("/") if target.startswith("/") else "xl/" + target
        self.strings, self.date_styles = [], set()
        if "xl/sharedStrings.xml" in self.archive.namelist():
            for item in self.xml("xl/sharedStrings.xml").iter(M + "si"):
                self.strings.append("".join(t.text or "" for t in item.iter(M + "t")))
        if "xl/styles.xml" in self.archive.namelist():
            self.read_styles()

    def xml(self, name):
        return ET.fromstring(self.archive.read(name))

    def read_styles(self):
        root = self.xml("xl/styles.xml")
        own = {}
        for fmt in root.iter(M + "numFmt"):
            bare = re.sub(r'"[^"]*"|\[[^\]]*\]|\\.', "", fmt.get("formatCode", "")).lower()
            own[int(fmt.get("numFmtId"))] = bool(re.search(r"[dy]|h:|:m", bare))
        formats = root.find(M + "cellXfs")
        for at, xf in enumerate(formats if formats is not None else []):
            number = int(xf.get("numFmtId", "0"))
            if own.get(number, number in BUILT_IN_DATES):
                self.date_styles.add(at)

    def date(self, serial):
        start = datetime.datetime(1904, 1, 1) if self.epoch_1904 else datetime.datetime(1899, 12, 30)
        moment = start + datetime.timedelta(days=serial)
        return moment.date().isoformat() if moment.time() == datetime.time() else moment.isoformat(timespec="seconds")

    def value(self, cell, formulas):
        formula = cell.find(M + "f")
        if formulas and formula is not None:
            return "=" + (formula.text or "")
        kind, stored = cell.get("t", "n"), cell.find(M + "v")
        if kind == "inlineStr":
            return "".join(t.text or "" for t in cell.iter(M + "t"))
        if stored is None or stored.text is None:
            return None
        if kind == "s":
            return self.strings[int(stored.text)]
        if kind == "b":
            return stored.text == "1"
        if kind in ("str", "e", "d"):
            return stored.text
        number = float(stored.text)
        if int(cell.get("s", "0")) in self.date_styles:
            return self.date(number)
        return int(number) if number.is_integer() else number

    def rows(self, name, formulas=False):
        last = 0
        for row in self.xml(self.sheets[name]).iter(M + "row"):
            number = int(row.get("r", last + 1))
            for _ in range(number - last - 1):
                yield []
            last, out = number, []
            for at, cell in enumerate(row.iter(M + "c")):
                place = column(cell.get("r")) if cell.get("r") else at
                out.extend([None] * (place - len(out)))
                out.append(self.value(cell, formulas))
            yield out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--list", action="store_true", help="print the names of the sheets")
    parser.add_argument("--sheet", help="default: the first one")
    parser.add_argument("--format", choices=["csv", "json"], default="csv")
    parser.add_argument("--formulas", action="store_true", help="print formulas instead of their results")
    args = parser.parse_args()
    try:
        book = Workbook(args.file)
    except (OSError, zipfile.BadZipFile, KeyError, ET.ParseError) as error:
        sys.exit(f"{args.file}: not a readable .xlsx file: {error}")
    if args.list:
        print("\n".join(book.sheets))
        return
    sheet = args.sheet or next(iter(book.sheets))
    if sheet not in book.sheets:
        sys.exit(f"no sheet {sheet!r}; there are: {', '.join(book.sheets)}")
    rows = list(book.rows(sheet, args.formulas))
    if args.format == "csv":
        csv.writer(sys.stdout).writerows([["" if v is None else v for v in row] for row in rows])
    else:
        header = [str(v) for v in rows[0]] if rows else []
        print(json.dumps([dict(zip(header, row)) for row in rows[1:]], ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
