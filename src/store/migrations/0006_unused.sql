-- Bodies that no version names, and since when: they are collected a day later.
CREATE TABLE unused (
    hash     BLOB NOT NULL PRIMARY KEY, -- BLAKE3 of the body, 32 bytes
    since_us INTEGER NOT NULL           -- when it was met first
) STRICT;
