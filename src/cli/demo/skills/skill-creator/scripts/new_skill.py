#!/usr/bin/env python3
"""Makes the directory of a new skill with a SKILL.md to fill in."""
import argparse
import pathlib
import sys

from validate_skill import check_description, check_name

BODY = """---
name: {name}
description: {description}
license: MIT
metadata:
  version: "0.1.0"
---

# {title}

## Choose the way

| task | do |
|---|---|
| (a request in the words of those who make it) | (a command, or a file to read) |

## Rules

1. (What must never happen, and why.)

## Check before handing over

(How the agent knows that the result is right.)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--description", required=True)
    parser.add_argument("--dir", default=".", help="the directory that will hold the skill's directory")
    args = parser.parse_args()
    problems = list(check_name(args.name, args.name)) + list(check_description(args.description))
    if "\n" in args.description or ": " in args.description:
        problems.append("the description must be one line without a colon followed by a space (or be quoted by hand)")
    if problems:
        sys.exit("\n".join(problems))
    target = pathlib.Path(args.dir) / args.name
    if target.exists():
        sys.exit(f"{target} exists already")
    for folder in ("scripts", "references"):
        (target / folder).mkdir(parents=True)
    title = args.name.replace("-", " ").capitalize()
    (target / "SKILL.md").write_text(
        BODY.format(name=args.name, description=args.description, title=title), encoding="utf-8"
    )
    print(f"made {target}; fill in SKILL.md, then run validate_skill.py {target}")


if __name__ == "__main__":
    main()
