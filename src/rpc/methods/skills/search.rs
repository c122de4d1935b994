//! `skills_search`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::skills;

/// The skills that fit a query, the best first.
///
/// Of those that `skills_list` lists for the caller. The whole query counts 10 in a description and 5 in a name, each
/// of its words 2 and 1; case does not matter. Of equal ones the order of `skills_list` decides.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SkillsSearch {
    /// What is looked for.
    query: String,
    /// Only this tier. Another name has no skills.
    #[serde(default)]
    tier: Option<String>,
    /// Hits, 1,000 at most.
    #[serde(default = "ten")]
    limit: usize,
}

fn ten() -> usize {
    10
}

/// A hit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkillHit {
    /// The name of the skill.
    skill_name: String,
    /// How well it fits.
    score: f64,
}

/// Hits.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkillsSearchOutput {
    /// The hits, the best first.
    results: Vec<SkillHit>,
    /// The query.
    query: String,
    /// How many hits these are.
    count: usize,
}

impl Method for SkillsSearch {
    const NAME: &'static str = "skills_search";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::Indeterminate];
    type Output = SkillsSearchOutput;

    async fn call(self, cx: &RequestContext) -> Result<SkillsSearchOutput, RpcError> {
        let hits = skills::search(&cx.call, &self.query, self.tier.as_deref(), self.limit).await?;
        let hit = |hit: skills::Hit| SkillHit { skill_name: hit.skill.row.name, score: f64::from(hit.score) };
        let results: Vec<_> = hits.into_iter().map(hit).collect();
        Ok(SkillsSearchOutput { count: results.len(), results, query: self.query })
    }
}
