#!/usr/bin/env python3
"""Makes an .xlsx file from CSV files, one sheet each: typed cells, formulas, dates, a frozen bold header row."""
import argparse
import csv
import datetime
import re
import sys
import zipfile
from xml.sax.saxutils import escape, quoteattr

HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"
PLAIN, BOLD, DATE = 0, 1, 2
NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d+)?")


def letters(at):
    """2 -> 'C'"""
    name, at = "", at + 1
    while at:
        at, rest = divmod(at - 1, 26)
        name = chr(65 + rest) + name
    return name


def cell(reference, text, header, as_text):
    if text == "":
        return ""
    if header or as_text:
        return f'<c r="{reference}" s="{BOLD if header else PLAIN}" t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'
    if text.startswith("=") and len(text) > 1:
        return f'<c r="{reference}"><f>{escape(text[1:])}</f></c>'
    if NUMBER.fullmatch(text):
        return f'<c r="{reference}"><v>{text}</v></c>'
    try:
        days = (datetime.date.fromisoformat(text) - datetime.date(1899, 12, 30)).days
        if len(text) == 10 and days > 60:
            return f'<c r="{reference}" s="{DATE}"><v>{days}</v></c>'
    except ValueError:
        pass
    return cell(reference, text, header, True)


def sheet(rows, text_columns):
    header = rows[0] if rows else []
    forced = {at for at, name in enumerate(header) if name in text_columns}
    widths = [max((len(row[at]) for row in rows if at < len(row)), default=8) for at in range(len(header))]
    columns = "".join(
        f'<col min="{at + 1}" max="{at + 1}" width="{min(max(width, 6), 60) + 2}" customWidth="1"/>' for at, width in enumerate(widths)
    )
    out = [
        f'{HEAD}<worksheet xmlns="{MAIN}"><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
    ]
    out.append((f"<cols>{columns}</cols>" if columns else "") + "<sheetData>")
    for number, row in enumerate(rows, 1):
        cells = "".join(cell(f"{letters(at)}{number}", text, number == 1, at in forced) for at, text in enumerate(row))
        out.append(f'<row r="{number}">{cells}</row>')
    return "".join(out) + "</sheetData></worksheet>"


STYLES = (
    f'{HEAD}<styleSheet xmlns="{MAIN}"><numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="3"><xf/>'
    '<xf fontId="1" applyFont="1"/><xf numFmtId="164" applyNumberFormat="1"/></cellXfs></styleSheet>'
)


def make(path, sheets, text_columns):
    numbers = range(1, len(sheets) + 1)
    entries = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{n}" r:id="r{n}"/>' for n, (name, _) in zip(numbers, sheets)
    )
    relations = "".join(f'<Relationship Id="r{n}" Type="{REL}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers)
    types = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{SHEET}.worksheet+xml"/>' for n in numbers
    )
    parts = {
        "[Content_Types].xml": f'{HEAD}<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{SHEET}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{SHEET}.styles+xml"/>{types}</Types>',
        "_rels/.rels": f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="r1" Type="{REL}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        # fullCalcOnLoad: the formulas have no stored results yet.
        "xl/workbook.xml": f'{HEAD}<workbook xmlns="{MAIN}" xmlns:r="{REL}"><sheets>{entries}</sheets><calcPr fullCalcOnLoad="1"/></workbook>',
        "xl/_rels/workbook.xml.rels": f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">{relations}'
        f'<Relationship Id="styles" Type="{REL}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": STYLES,
    }
    for n, (_, rows) in zip(numbers, sheets):
        parts[f"xl/worksheets/sheet{n}.xml"] = sheet(rows, text_columns)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output")
    parser.add_argument("sheets", nargs="+", metavar="NAME=FILE.csv")
    parser.add_argument("--text", action="append", default=[], metavar="COLUMN", help="keep this column as text")
    args = parser.parse_args()
    sheets = []
    for item in args.sheets:
        name, equals, source = item.partition("=")
        if not equals or not 0 < len(name) <= 31 or re.search(r"[\[\]:*?/\\]", name):
            sys.exit(f"{item}: write NAME=FILE.csv; a name has at most 31 characters and none of []:*?/\\")
        with open(source, newline="", encoding="utf-8-sig") as opened:
            sheets.append((name, list(csv.reader(opened))))
    make(args.output, sheets, set(args.text))
    print(f"wrote {args.output}: {', '.join(f'{name} ({len(rows)} rows)' for name, rows in sheets)}")


if __name__ == "__main__":
    main()
