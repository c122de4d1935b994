-- Bodies over 64 KiB where the server has no disk of its own (PostgreSQL): in parts. On SQLite they are blob files.
CREATE TABLE chunks (
    hash BLOB NOT NULL,    -- BLAKE3 of the whole body
    part INTEGER NOT NULL, -- from 0, in the order of the bytes
    body BLOB NOT NULL,    -- its bytes
    PRIMARY KEY (hash, part)
) STRICT;
