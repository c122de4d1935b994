#!/usr/bin/env python3
"""Validates skill directories: front matter by the specification, references, scripts that at least compile."""
import argparse
import pathlib
import re
import sys
import unicodedata

FIELDS = {"name", "description", "license", "compatibility", "metadata", "allowed-tools"}
BODY_LINES_MAX = 500


def check_name(name, directory):
    plain = unicodedata.normalize("NFKC", name)
    if not 1 <= len(plain) <= 64:
        yield "name: 1 to 64 characters"
    if plain != plain.lower() or not all(c.isalnum() or c == "-" for c in plain):
        yield "name: lower-case letters, digits and hyphens only"
    if plain.startswith("-") or plain.endswith("-") or "--" in plain:
        yield "name: no hyphen at either end and no two in a row"
    if plain != unicodedata.normalize("NFKC", directory):
        yield f"name: '{name}' is not the name of the directory, '{directory}'"


def check_description(description):
    if not 1 <= len(description.strip()) <= 1024:
        yield "description: 1 to 1024 characters"


def front_matter(text):
    """A flat reading that is enough for the fields of the specification; returns fields and body."""
    found = re.match(r"---\r?\n(.*?)\r?\n---\r?\n?(.*)", text, re.S)
    if not found:
        raise ValueError("SKILL.md does not begin with front matter between two lines of ---")
    fields, current = {}, None
    for number, line in enumerate(found[1].splitlines(), 2):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        entry = re.match(r"(\s*)([\w-]+):(?:\s+(.*))?$", line)
        if not entry:
            raise ValueError(f"line {number}: not 'key: value': {line}")
        indent, key, value = entry[1], entry[2], (entry[3] or "").strip()
        if value[:1] in "\"'" and value[-1:] == value[:1] and len(value) > 1:
            value = value[1:-1]
        elif ": " in value:
            raise ValueError(f"line {number}: a value with a colon must be quoted")
        if not indent:
            if key in fields:
                raise ValueError(f"line {number}: '{key}' appears twice")
            current = fields[key] = {} if key == "metadata" and not value else value
        elif isinstance(current, dict):
            current[key] = value
        else:
            raise ValueError(f"line {number}: unexpected indentation")
    return fields, found[2]


def validate(directory):
    """Yields the problems of one skill."""
    path = directory / "SKILL.md"
    if not path.is_file():
        yield "no SKILL.md"
        return
    try:
        fields, body = front_matter(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        yield str(error)
        return
    for unknown in sorted(set(fields) - FIELDS):
        yield f"unknown field '{unknown}'; put it under metadata"
    for needed in ("name", "description"):
        if needed not in fields:
            yield f"{needed}: missing"
    if "name" in fields:
        yield from check_name(fields["name"], directory.resolve().name)
    if "description" in fields:
        yield from check_description(fields["description"])
    if len(fields.get("compatibility", "")) > 500:
        yield "compatibility: at most 500 characters"
    if len(body.splitlines()) > BODY_LINES_MAX:
        yield f"the body has more than {BODY_LINES_MAX} lines; move details to references/"
    for named in sorted(set(re.findall(r"\b(?:scripts|references|assets)/[\w./-]*\w", body))):
        if not (directory / named).exists():
            yield f"the body names {named}, which is not there"
    for script in sorted(directory.glob("scripts/**/*.py")):
        try:
            compile(script.read_text(encoding="utf-8"), str(script), "exec")
        except (SyntaxError, UnicodeDecodeError) as error:
            yield f"{script.relative_to(directory)}: {error}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("skill", nargs="+", type=pathlib.Path)
    args = parser.parse_args()
    bad = 0
    for directory in args.skill:
        problems = list(validate(directory))
        bad += bool(problems)
        print(f"{directory}: {'ok' if not problems else ''}".rstrip())
        for problem in problems:
            print(f"  {problem}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
