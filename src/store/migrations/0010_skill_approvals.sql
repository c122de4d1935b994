-- Skills that wait for a review before they are shared, and what was decided.
CREATE TABLE skill_approvals (
    approval_id     TEXT NOT NULL PRIMARY KEY, -- the UUID that clients know
    tenant          TEXT NOT NULL,             -- whose skill folder it is for
    skill_name      TEXT NOT NULL,             -- the name of the skill
    path            TEXT NOT NULL,             -- its directory when it was submitted
    digest          TEXT NOT NULL,             -- BLAKE3 over the paths and contents of the directory, hex
    submitted_by    TEXT NOT NULL,             -- the user
    submitted_at_us INTEGER NOT NULL,          -- when
    reviewers       TEXT NOT NULL,             -- a JSON array of users; empty: whoever may write to the folder
    comments        TEXT,                      -- of who submitted it, then of who decided
    status          TEXT NOT NULL,             -- 'pending', 'approved' or 'rejected'
    reviewed_by     TEXT,                      -- the user who decided; NULL = nobody yet
    reviewed_at_us  INTEGER,                   -- when
    published_at_us INTEGER                    -- when it was used; NULL = not yet
) STRICT;
CREATE INDEX skill_approvals_by_tenant ON skill_approvals (tenant, submitted_at_us);
