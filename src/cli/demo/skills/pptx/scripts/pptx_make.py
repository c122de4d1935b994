#!/usr/bin/env python3
"""Makes a .pptx file from an outline: '# title', '## slide', '- point', '> note'."""
import argparse
import re
import sys
import zipfile
from xml.sax.saxutils import escape

HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
NS = (
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
)
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
KIND = "application/vnd.openxmlformats-officedocument.presentationml"
THEME_KIND = "application/vnd.openxmlformats-officedocument.theme+xml"
WIDTH, HEIGHT, EDGE = 12192000, 6858000, 838200
POINTS_MAX, WORDS_MAX = 5, 12
EMPTY_GROUP = "<p:nvGrpSpPr><p:cNvPr id=\"1\" name=\"\"/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>"


def parse(text):
    """The outline as a list of slides: title, subtitle or points, notes."""
    slides = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line:
            continue
        if line.startswith("# ") or line.startswith("## "):
            first = line.startswith("# ")
            if first and slides:
                sys.exit(f"line {number}: '#' may stand only once, at the top")
            slides.append({"first": first, "title": line.lstrip("# "), "points": [], "notes": []})
        elif not slides:
            sys.exit(f"line {number}: the outline must begin with '# title' or '## slide'")
        elif line.startswith(">"):
            slides[-1]["notes"].append(line[1:].strip())
        else:
            point = re.match(r"(\s*)[-*]\s+(.*)", raw)
            level = min(len(point[1]) // 2, 4) if point else 0
            slides[-1]["points"].append((level, point[2] if point else line, bool(point)))
    return slides


def warnings(slides):
    for number, slide in enumerate(slides, 1):
        top = [text for level, text, _ in slide["points"] if level == 0]
        if len(top) > POINTS_MAX:
            yield f"slide {number}: {len(top)} points; split it (at most {POINTS_MAX})"
        for text in top:
            if len(text.split()) > WORDS_MAX:
                yield f"slide {number}: {len(text.split())} words in one point (at most {WORDS_MAX}): {text[:40]}…"


def text_body(paragraphs):
    out = ["<p:txBody><a:bodyPr><a:normAutofit/></a:bodyPr>"]
    for level, text, bullet in paragraphs or [(0, "", True)]:
        mark = "" if bullet else "<a:buNone/>"
        out.append(f'<a:p><a:pPr lvl="{level}">{mark}</a:pPr><a:r><a:t>{escape(text)}</a:t></a:r></a:p>')
    return "".join(out) + "</p:txBody>"


def shape(number, name, kind, box, paragraphs):
    x, y, width, height = box
    place = f'<a:xfrm><a:off x="{x}" y="{y}"/><a:ext cx="{width}" cy="{height}"/></a:xfrm>'
    index = ' idx="1"' if kind in ("body", "subTitle") else ""
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="{number}" name="{name}"/><p:cNvSpPr/><p:nvPr><p:ph type="{kind}"{index}/></p:nvPr></p:nvSpPr>'
        f"<p:spPr>{place}</p:spPr>{text_body(paragraphs)}</p:sp>"
    )


def slide_xml(slide):
    wide = WIDTH - 2 * EDGE
    if slide["first"]:
        title = shape(2, "Title", "ctrTitle", (EDGE, HEIGHT // 3, wide, 1200000), [(0, slide["title"], False)])
        rest = shape(3, "Subtitle", "subTitle", (EDGE, HEIGHT // 3 + 1300000, wide, 900000), [(0, t, False) for _, t, _ in slide["points"]])
    else:
        title = shape(2, "Title", "title", (EDGE, 365125, wide, 1100000), [(0, slide["title"], False)])
        rest = shape(3, "Content", "body", (EDGE, 1600000, wide, HEIGHT - 2200000), slide["points"])
    return f"{HEAD}<p:sld {NS}><p:cSld><p:spTree>{EMPTY_GROUP}{title}{rest}</p:spTree></p:cSld></p:sld>"


def notes_xml(notes):
    body = shape(2, "Notes", "body", (685800, 4400550, 5486400, 3600450), [(0, note, False) for note in notes])
    return f"{HEAD}<p:notes {NS}><p:cSld><p:spTree>{EMPTY_GROUP}{body}</p:spTree></p:cSld></p:notes>"


def theme():
    names = ("dk1", "lt1", "dk2", "lt2", "accent1", "accent2", "accent3", "accent4", "accent5", "accent6", "hlink", "folHlink")
    values = ("1A1A1A", "FFFFFF", "22384D", "EEF2F5", "1F6FB2", "D9822B", "3A8F5C", "8A5FB0", "C0453E", "5B6B79", "1F6FB2", "8A5FB0")
    colours = "".join(f'<a:{n}><a:srgbClr val="{v}"/></a:{n}>' for n, v in zip(names, values))
    font = '<a:latin typeface="Calibri"/><a:ea typeface=""/><a:cs typeface=""/>'
    fill = '<a:solidFill><a:schemeClr val="phClr"/></a:solidFill>'
    line = f'<a:ln w="6350">{fill}</a:ln>'
    effect = "<a:effectStyle><a:effectLst/></a:effectStyle>"
    return (
        f'{HEAD}<a:theme {NS} name="Plain"><a:themeElements><a:clrScheme name="Plain">{colours}</a:clrScheme>'
        f'<a:fontScheme name="Plain"><a:majorFont>{font}</a:majorFont><a:minorFont>{font}</a:minorFont></a:fontScheme>'
        f'<a:fmtScheme name="Plain"><a:fillStyleLst>{fill * 3}</a:fillStyleLst><a:lnStyleLst>{line * 3}</a:lnStyleLst>'
        f"<a:effectStyleLst>{effect * 3}</a:effectStyleLst><a:bgFillStyleLst>{fill * 3}</a:bgFillStyleLst></a:fmtScheme></a:themeElements></a:theme>"
    )


def master(tag, extra, points):
    tree = f"<p:cSld><p:spTree>{EMPTY_GROUP}{points}</p:spTree></p:cSld>"
    return f"{HEAD}<p:{tag} {NS}>{tree}{extra}</p:{tag}>"


COLOUR_MAP = (
    '<p:clrMap bg1="lt1" tx1="dk1" bg2="lt2" tx2="dk2" accent1="accent1" accent2="accent2" accent3="accent3" '
    'accent4="accent4" accent5="accent5" accent6="accent6" hlink="hlink" folHlink="folHlink"/>'
)


def rels(*items):
    entries = "".join(f'<Relationship Id="{i}" Type="{REL}/{kind}" Target="{target}"/>' for i, kind, target in items)
    return f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">{entries}</Relationships>'


def make(slides, path):
    wide = WIDTH - 2 * EDGE
    boxes = shape(2, "Title", "title", (EDGE, 365125, wide, 1100000), [(0, "Title", False)]) + shape(
        3, "Content", "body", (EDGE, 1600000, wide, HEIGHT - 2200000), [(0, "Text", True)]
    )
    bullet = "".join(
        f'<a:lvl{n}pPr marL="{228600 * n}" indent="-228600"><a:buChar char="&#8226;"/><a:defRPr sz="{2600 - 300 * n}"/></a:lvl{n}pPr>'
        for n in range(1, 6)
    )
    styles = (
        '<p:txStyles><p:titleStyle><a:lvl1pPr><a:defRPr sz="3600" b="1"/></a:lvl1pPr></p:titleStyle>'
        f"<p:bodyStyle>{bullet}</p:bodyStyle><p:otherStyle/></p:txStyles>"
    )
    layouts = '<p:sldLayoutIdLst><p:sldLayoutId id="2147483649" r:id="r1"/></p:sldLayoutIdLst>'
    numbers = list(range(1, len(slides) + 1))
    noted = [n for n in numbers if slides[n - 1]["notes"]]
    ids = "".join(f'<p:sldId id="{255 + n}" r:id="s{n}"/>' for n in numbers)
    overrides = [("ppt/presentation.xml", f"{KIND}.presentation.main+xml"), ("ppt/slideMasters/m.xml", f"{KIND}.slideMaster+xml")]
    overrides += [("ppt/slideLayouts/l.xml", f"{KIND}.slideLayout+xml"), ("ppt/notesMasters/n.xml", f"{KIND}.notesMaster+xml")]
    overrides += [(f"ppt/theme/t{n}.xml", THEME_KIND) for n in (1, 2)]
    overrides += [(f"ppt/slides/s{n}.xml", f"{KIND}.slide+xml") for n in numbers]
    overrides += [(f"ppt/notesSlides/s{n}.xml", f"{KIND}.notesSlide+xml") for n in noted]
    types = "".join(f'<Override PartName="/{part}" ContentType="{kind}"/>' for part, kind in overrides)
    parts = {
        "[Content_Types].xml": f'{HEAD}<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{types}</Types>',
        "_rels/.rels": rels(("r1", "officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": f'{HEAD}<p:presentation {NS}><p:sldMasterIdLst><p:sldMasterId id="2147483648" r:id="m"/></p:sldMasterIdLst>'
        f'<p:notesMasterIdLst><p:notesMasterId r:id="n"/></p:notesMasterIdLst><p:sldIdLst>{ids}</p:sldIdLst>'
        f'<p:sldSz cx="{WIDTH}" cy="{HEIGHT}"/><p:notesSz cx="6858000" cy="9144000"/></p:presentation>',
        "ppt/_rels/presentation.xml.rels": rels(
            ("m", "slideMaster", "slideMasters/m.xml"),
            ("n", "notesMaster", "notesMasters/n.xml"),
            ("t", "theme", "theme/t1.xml"),
            *((f"s{n}", "slide", f"slides/s{n}.xml") for n in numbers),
        ),
        "ppt/slideMasters/m.xml": master("sldMaster", COLOUR_MAP + layouts + styles, boxes),
        "ppt/slideMasters/_rels/m.xml.rels": rels(("r1", "slideLayout", "../slideLayouts/l.xml"), ("r2", "theme", "../theme/t1.xml")),
        "ppt/slideLayouts/l.xml": master("sldLayout", "", boxes),
        "ppt/slideLayouts/_rels/l.xml.rels": rels(("r1", "slideMaster", "../slideMasters/m.xml")),
        "ppt/notesMasters/n.xml": master("notesMaster", COLOUR_MAP, ""),
        "ppt/notesMasters/_rels/n.xml.rels": rels(("r1", "theme", "../theme/t2.xml")),
        "ppt/theme/t1.xml": theme(),
        "ppt/theme/t2.xml": theme(),
    }
    for n, slide in zip(numbers, slides):
        links = [("r1", "slideLayout", "../slideLayouts/l.xml")]
        if slide["notes"]:
            links.append(("r2", "notesSlide", f"../notesSlides/s{n}.xml"))
            parts[f"ppt/notesSlides/s{n}.xml"] = notes_xml(slide["notes"])
            parts[f"ppt/notesSlides/_rels/s{n}.xml.rels"] = rels(
                ("r1", "slide", f"../slides/s{n}.xml"), ("r2", "notesMaster", "../notesMasters/n.xml")
            )
        parts[f"ppt/slides/s{n}.xml"] = slide_xml(slide)
        parts[f"ppt/slides/_rels/s{n}.xml.rels"] = rels(*links)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outline")
    parser.add_argument("output")
    args = parser.parse_args()
    with open(args.outline, encoding="utf-8") as source:
        slides = parse(source.read())
    if not slides:
        sys.exit("the outline has no slides")
    for warning in warnings(slides):
        print("warning: " + warning, file=sys.stderr)
    make(slides, args.output)
    print(f"wrote {args.output}: {len(slides)} slides")


if __name__ == "__main__":
    main()
