#!/usr/bin/env python3
"""Checks the form of an internal message: sections, length, vague words, sentences without an actor."""
import argparse
import re
import sys

KINDS = {
    "weekly-update": {"words": 250, "sections": ["Progress", "Plans", "Problems"]},
    "incident-report": {"words": 900, "sections": ["Summary", "Impact", "Timeline", "Cause", "Actions"]},
    "announcement": {"words": 300, "sections": ["What changes", "Why", "What you need to do"]},
    "faq": {"words": 1500, "sections": []},
}
VAGUE = "soon asap shortly several various numerous significant significantly improved robust seamless leverage synergy hopefully basically etc".split()
PASSIVE = re.compile(r"\b(will be|is being|was|were|has been|have been)\s+(\w+ed|done|made|sent|built|found)\b", re.I)
SENTENCE_WORDS_MAX = 30


def check(text, kind):
    """Yields (line number, what)."""
    rule, lines = KINDS[kind], text.splitlines()
    headings = [re.sub(r"^#+\s*", "", line).strip().lower() for line in lines if line.startswith("#")]
    for section in rule["sections"]:
        if section.lower() not in headings:
            yield 0, f"no section '{section}'"
    words = len(re.findall(r"\w+", text))
    if words > rule["words"]:
        yield 0, f"{words} words; a {kind} should have at most {rule['words']}"
    if kind == "faq" and not any(heading.endswith("?") for heading in headings):
        yield 0, "no heading is a question"
    section = ""
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            section = re.sub(r"^#+\s*", "", line).strip().lower()
            continue
        for word in VAGUE:
            if re.search(rf"\b{word}\b", line, re.I):
                yield number, f"vague: '{word}'; give a number, a date or a name"
        found = PASSIVE.search(line)
        if found and " by " not in line:
            yield number, f"nobody acts in '{found[0]}'; name who does it"
        for sentence in re.split(r"(?<=[.!?])\s+", line):
            count = len(re.findall(r"\w+", sentence))
            if count > SENTENCE_WORDS_MAX:
                yield number, f"a sentence of {count} words; at most {SENTENCE_WORDS_MAX}"
        is_item = re.match(r"\s*([-*]|\d+\.)\s", line)
        if section in ("actions", "plans") and is_item and not re.search(r"@\w+|\([^)]*[A-Z]\w+[^)]*\)", line):
            yield number, "no owner; write @name or (Name, date)"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--kind", choices=sorted(KINDS), required=True)
    args = parser.parse_args()
    with open(args.file, encoding="utf-8") as source:
        found = list(check(source.read(), args.kind))
    for number, what in found:
        print(f"{args.file}:{number}: {what}" if number else f"{args.file}: {what}")
    print(f"{len(found)} remark(s)" if found else "nothing to remark")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
