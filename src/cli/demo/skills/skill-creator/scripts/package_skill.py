#!/usr/bin/env python3
"""Validates a skill and packs it into NAME.skill, a ZIP archive that skills_import takes."""
import argparse
import pathlib
import sys
import zipfile

from validate_skill import validate

SKIPPED = {"__pycache__", ".git", ".DS_Store"}
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same content gives the same archive


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("skill", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("."))
    args = parser.parse_args()
    directory = args.skill.resolve()
    problems = list(validate(directory))
    if problems:
        sys.exit("\n".join([f"{args.skill} is not valid:"] + problems))
    files = [p for p in sorted(directory.rglob("*")) if p.is_file() and not SKIPPED & set(p.relative_to(directory).parts)]
    links = [p for p in files if p.is_symlink()]
    if links:
        sys.exit(f"symbolic links are not packed: {links[0]}")
    target = args.out / f"{directory.name}.skill"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            name = f"{directory.name}/{path.relative_to(directory).as_posix()}"
            archive.writestr(zipfile.ZipInfo(name, EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    print(f"wrote {target}: {len(files)} files, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
