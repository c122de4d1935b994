//! The texts with which a new skill begins.

/// A text to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    /// Its name on the wire.
    pub name: &'static str,
    /// What stands below the title.
    body: &'static str,
}

/// All of them; the first is the one without a wish.
pub const TEMPLATES: &[Template] = &[
    Template {
        name: "basic",
        body: "## When to use\n\n\
               Say in two sentences what somebody asks for when this skill helps, and when it does not.\n\n\
               ## Steps\n\n\
               1. What to look at first.\n\
               2. What to do with it.\n\
               3. How to tell that it worked.\n\n\
               ## Example\n\n\
               Show one request and the answer that is wanted.\n",
    },
    Template {
        name: "data-analysis",
        body: "## When to use\n\n\
               A question is to be answered from tables: CSV, spreadsheets, results of a query.\n\n\
               ## Steps\n\n\
               1. Name the question, and the columns that decide it.\n\
               2. Count rows, empty cells and duplicates before anything else; say what was dropped and why.\n\
               3. Compute the answer in a script under `scripts/`, so that it can be run again.\n\
               4. Check one figure by hand.\n\n\
               ## Result\n\n\
               The answer in one sentence, the figures in a table, and what the data cannot tell.\n",
    },
    Template {
        name: "code-generation",
        body: "## When to use\n\n\
               Code is to be written or changed in a project with habits of its own.\n\n\
               ## Steps\n\n\
               1. Read a neighbouring file and follow its style, names and tests.\n\
               2. Write the test that fails first.\n\
               3. Make the smallest change that lets it pass.\n\
               4. Run the project's own checks.\n\n\
               ## Rules\n\n\
               - No new dependency without need.\n\
               - Errors say what happened, and what to do.\n",
    },
    Template {
        name: "document-processing",
        body: "## When to use\n\n\
               Documents are to be read, put in order, or turned into another form.\n\n\
               ## Steps\n\n\
               1. List the documents and their kinds; say which cannot be read.\n\
               2. Take out the text, with page or section, so that each statement can be found again.\n\
               3. Work on a copy: the originals stay as they are.\n\
               4. Compare the result with the original in three places.\n\n\
               ## Result\n\n\
               The new document, and a list of what was left out.\n",
    },
    Template {
        name: "api-integration",
        body: "## When to use\n\n\
               Data is to be fetched from, or sent to, a service over HTTP.\n\n\
               ## Before the first call\n\n\
               - The address, the way to sign in, and where the key comes from. No key in this file.\n\
               - The limits: calls a minute, size of a page.\n\n\
               ## Steps\n\n\
               1. Make the smallest call that shows that the key works.\n\
               2. Follow pages to the end; wait when told to.\n\
               3. Repeat what is safe to repeat, and nothing else.\n\
               4. Say how many records came, and which failed.\n",
    },
];

impl Template {
    /// The template of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        TEMPLATES.iter().find(|template| template.name == name)
    }

    /// The body of a new skill.
    #[must_use]
    pub fn body(&self, name: &str, description: &str) -> String {
        format!("# {name}\n\n{description}\n\n{}", self.body)
    }
}
