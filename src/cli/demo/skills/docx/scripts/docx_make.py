#!/usr/bin/env python3
"""Makes a .docx file from simple Markdown: headings, paragraphs, lists, tables, **bold**, *italic*."""
import argparse
import re
import zipfile
from xml.sax.saxutils import escape

NS = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def runs(text):
    """Turns inline marks into runs."""
    out = []
    for part in re.split(r"(\*\*.+?\*\*|\*.+?\*)", text):
        if not part:
            continue
        mark = ""
        if part.startswith("**") and part.endswith("**") and len(part) > 4:
            mark, part = "<w:rPr><w:b/></w:rPr>", part[2:-2]
        elif part.startswith("*") and part.endswith("*") and len(part) > 2:
            mark, part = "<w:rPr><w:i/></w:rPr>", part[1:-1]
        out.append(f'<w:r>{mark}<w:t xml:space="preserve">{escape(part)}</w:t></w:r>')
    return "".join(out)


def paragraph(text, style=None, number=None):
    properties = f'<w:pStyle w:val="{style}"/>' if style else ""
    if number:
        properties += f'<w:numPr><w:ilvl w:val="0"/><w:numId w:val="{number}"/></w:numPr>'
    return f"<w:p><w:pPr>{properties}</w:pPr>{runs(text)}</w:p>"


def table(rows):
    edge = "".join(f'<w:{side} w:val="single" w:sz="4"/>' for side in ("top", "left", "bottom", "right", "insideH", "insideV"))
    out = [f"<w:tbl><w:tblPr><w:tblBorders>{edge}</w:tblBorders></w:tblPr>"]
    for row in rows:
        out.append("<w:tr>" + "".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) + "</w:tr>")
    return "".join(out) + "</w:tbl>"


def body(text):
    out, lines, at = [], text.splitlines(), 0
    while at < len(lines):
        line = lines[at].strip()
        heading = re.match(r"(#{1,6})\s+(.*)", line)
        if not line:
            at += 1
        elif heading:
            out.append(paragraph(heading[2], f"Heading{len(heading[1])}"))
            at += 1
        elif line.startswith("|"):
            rows = []
            while at < len(lines) and lines[at].strip().startswith("|"):
                cells = [cell.strip() for cell in lines[at].strip().strip("|").split("|")]
                if not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
                    rows.append(cells)
                at += 1
            out.append(table(rows))
        elif re.match(r"[-*]\s+", line):
            out.append(paragraph(re.sub(r"^[-*]\s+", "", line), number=1))
            at += 1
        elif re.match(r"\d+\.\s+", line):
            out.append(paragraph(re.sub(r"^\d+\.\s+", "", line), number=2))
            at += 1
        else:
            words = []
            while at < len(lines) and lines[at].strip() and not re.match(r"\s*(#{1,6}\s|\||[-*]\s|\d+\.\s)", lines[at]):
                words.append(lines[at].strip())
                at += 1
            out.append(paragraph(" ".join(words) or line))
            at += 0 if words else 1
    return "".join(out)


def styles():
    out = [f'{HEAD}<w:styles {NS}><w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/></w:style>']
    for level in range(1, 7):
        size = 36 - 3 * level
        out.append(
            f'<w:style w:type="paragraph" w:styleId="Heading{level}"><w:name w:val="heading {level}"/><w:basedOn w:val="Normal"/>'
            f'<w:pPr><w:keepNext/><w:spacing w:before="240"/><w:outlineLvl w:val="{level - 1}"/></w:pPr>'
            f'<w:rPr><w:b/><w:sz w:val="{size}"/></w:rPr></w:style>'
        )
    return "".join(out) + "</w:styles>"


def numbering():
    kinds = [(1, "bullet", "\u2022"), (2, "decimal", "%1.")]
    abstract = "".join(
        f'<w:abstractNum w:abstractNumId="{n}"><w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="{fmt}"/>'
        f'<w:lvlText w:val="{mark}"/><w:pPr><w:ind w:left="720" w:hanging="360"/></w:pPr></w:lvl></w:abstractNum>'
        for n, fmt, mark in kinds
    )
    numbers = "".join(f'<w:num w:numId="{n}"><w:abstractNumId w:val="{n}"/></w:num>' for n, _, _ in kinds)
    return f"{HEAD}<w:numbering {NS}>{abstract}{numbers}</w:numbering>"


def make(text, path):
    parts = {
        "[Content_Types].xml": f'{HEAD}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{WORD}.document.main+xml"/>'
        f'<Override PartName="/word/styles.xml" ContentType="{WORD}.styles+xml"/>'
        f'<Override PartName="/word/numbering.xml" ContentType="{WORD}.numbering+xml"/></Types>',
        "_rels/.rels": f'{HEAD}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{REL}/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels": f'{HEAD}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{REL}/styles" Target="styles.xml"/>'
        f'<Relationship Id="r2" Type="{REL}/numbering" Target="numbering.xml"/></Relationships>',
        "word/document.xml": f"{HEAD}<w:document {NS}><w:body>{body(text)}<w:sectPr/></w:body></w:document>",
        "word/styles.xml": styles(),
        "word/numbering.xml": numbering(),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("markdown")
    parser.add_argument("output")
    args = parser.parse_args()
    with open(args.markdown, encoding="utf-8") as source:
        make(source.read(), args.output)
    print(f"wrote {args.output}")


if __name__ == "__main__":
    main()
