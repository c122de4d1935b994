-- What a tenant may have; one without a row has what the settings say.
CREATE TABLE quotas (
    tenant    TEXT NOT NULL PRIMARY KEY,
    bytes_max INTEGER, -- bytes of all its files; NULL = no limit
    files_max INTEGER  -- its files; NULL = no limit
) STRICT, WITHOUT ROWID;

-- What a tenant has: counted with each write, never looked for.
CREATE TABLE tenant_use (
    tenant TEXT NOT NULL PRIMARY KEY,
    files  INTEGER NOT NULL, -- files in `nodes`, those of removed directories too until they are freed
    bytes  INTEGER NOT NULL  -- of their newest versions
) STRICT, WITHOUT ROWID;
INSERT INTO tenant_use (tenant, files, bytes)
    SELECT tenant, COUNT(*), CAST(SUM(size) AS BIGINT) FROM nodes WHERE type = 0 GROUP BY tenant;
