//! `skills_create_from_file`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::skills::making::{self, Source};

/// Make a skill from a file of text or Markdown.
///
/// The file comes as `file_data`, or is one of this store, named by its path. Name and description are taken from its
/// front matter, its name and its first line where they are not given. PDF, office documents and pictures are not read,
/// nothing is fetched from other places and no model is called: such a request is refused and says what is missing.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SkillsCreateFromFile {
    /// The name of the file, or its path in this store where no data comes along.
    source: String,
    /// Its bytes, base64.
    #[serde(default)]
    file_data: Option<String>,
    /// Letters, digits, `-` and `_`.
    #[serde(default)]
    name: Option<String>,
    /// What it is for.
    #[serde(default)]
    description: Option<String>,
    /// `agent`, `personal`, `user`, `tenant` or `system`.
    #[serde(default = "super::agent")]
    tier: String,
    /// Refused: no model is called.
    #[serde(default)]
    use_ai: bool,
    /// Refused: no pictures are read.
    #[serde(default)]
    use_ocr: bool,
    /// Taken without effect: the tables of a text are in it.
    #[serde(default)]
    extract_tables: bool,
    /// Taken without effect: a text has no pictures.
    #[serde(default)]
    extract_images: bool,
    /// Who wrote it.
    #[serde(default, rename = "_author", alias = "author")]
    author: Option<String>,
}

/// The skill that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkillsCreateFromFileOutput {
    /// The path of its SKILL.md.
    skill_path: String,
    /// Its name.
    name: String,
    /// Where it lies: `personal`, `user`, `tenant` or `system`.
    tier: String,
    /// The file.
    source: String,
}

impl Method for SkillsCreateFromFile {
    const NAME: &'static str = "skills_create_from_file";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::Validation,
        ErrorCode::NotSupported,
        ErrorCode::FileNotFound,
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::Precondition,
        ErrorCode::StorageFull,
    ];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = SkillsCreateFromFileOutput;

    async fn call(self, cx: &RequestContext) -> Result<SkillsCreateFromFileOutput, RpcError> {
        let tier = making::tier_of(&self.tier)?.name();
        // A text has its tables in it, and no pictures.
        let _ = (self.extract_tables, self.extract_images);
        let file = self.source.clone();
        let output = move |path: &str| {
            let name = path.rsplit('/').nth(1).unwrap_or_default().to_owned();
            let source = file.clone();
            SkillsCreateFromFileOutput { skill_path: path.to_owned(), name, tier: tier.to_owned(), source }
        };
        let make = output.clone();
        cx.reply_if(move |paths: &Vec<String>| paths.first().map(|path| make(path)));
        let source = Source { source: self.source, data: self.file_data, use_ai: self.use_ai, use_ocr: self.use_ocr };
        let made = making::create_from_file(&cx.call, source, self.name, self.description, self.tier, self.author);
        Ok(output(&made.await?.0.path))
    }
}
