//! Trajectories, read: attempts at tasks, their steps, and what was said about them.
//!
//! Who sees one is decided in `records`: who made it, his agents that inherit, admins of the tenant, and who was given a
//! relation to it. Computes scores; needs no model for that.

pub mod ops;

use crate::model::records::ONE;
use crate::model::{TrajectoryNoteRow, TrajectoryRow};
use crate::service::records::{self, Feed, Listed, Right};
use crate::service::{Call, ServiceError};
use crate::store::trajectories::{self, FEEDBACK, STEP};

/// Which trajectories to list.
#[derive(Debug, Clone, Default)]
pub struct TrajectoryFilter {
    /// Of this kind of task.
    pub task_type: Option<String>,
    /// With this status.
    pub status: Option<String>,
    /// Made by this agent.
    pub agent_id: Option<String>,
}

impl TrajectoryFilter {
    fn lets_through(&self, row: &TrajectoryRow) -> bool {
        let same = |wanted: &Option<String>, is: Option<&str>| wanted.is_none() || wanted.as_deref() == is;
        same(&self.task_type, row.task_type.as_deref())
            && same(&self.status, Some(row.status.as_str()))
            && same(&self.agent_id, row.agent_id.as_deref())
    }
}

/// Trajectories that the caller may see, newest first.
pub async fn list(call: &Call, filter: TrajectoryFilter, limit: usize) -> Result<Listed<TrajectoryRow>, ServiceError> {
    let asked = call.clone();
    call.read(move |tx| {
        let access = asked.access(tx)?;
        Feed::new(&access, None)?.page(limit, |row| filter.lets_through(row))
    })
    .await
}

/// A trajectory with everything about it.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The trajectory.
    pub row: TrajectoryRow,
    /// Its steps, oldest first.
    pub steps: Vec<TrajectoryNoteRow>,
    /// What was said about it, oldest first.
    pub feedback: Vec<TrajectoryNoteRow>,
}

/// A trajectory that the caller may see.
pub async fn get(call: &Call, trajectory_id: String) -> Result<Whole, ServiceError> {
    let asked = call.clone();
    call.read_slow(move |tx| {
        let row = records::require(&asked.access(tx)?, &trajectory_id, Right::Read)?;
        let steps = trajectories::notes(tx, &trajectory_id, STEP)?;
        let feedback = trajectories::notes(tx, &trajectory_id, FEEDBACK)?;
        Ok(Whole { row, steps, feedback })
    })
    .await
}

/// How several scores become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The last one that was said.
    Latest,
    /// The mean of all.
    Average,
    /// The mean of all, the n-th of which counts n times.
    Weighted,
}

impl Strategy {
    /// As a request names it.
    pub fn parse(text: &str) -> Result<Self, ServiceError> {
        match text {
            "latest" => Ok(Self::Latest),
            "average" => Ok(Self::Average),
            "weighted" => Ok(Self::Weighted),
            _ => Err(ServiceError::InvalidParams("strategy must be latest, average or weighted".into())),
        }
    }

    /// One score of several, oldest first; 0 of none.
    fn score(self, scores: &[i64]) -> f64 {
        let weigh = |weight: fn(i64) -> i64| {
            let weights = (1..).map(weight).take(scores.len());
            let sum: i64 = weights.clone().zip(scores).map(|(weight, score)| weight * score).sum();
            sum / weights.sum::<i64>().max(1)
        };
        let millionths = match self {
            Self::Latest => scores.last().copied().unwrap_or(0),
            Self::Average => weigh(|_| 1),
            Self::Weighted => weigh(|place| place),
        };
        records::share(millionths.clamp(0, ONE))
    }
}

/// The score of a trajectory: the one of its end, if it had one, and those of the feedback that gave one.
pub async fn effective_score(call: &Call, trajectory_id: String, strategy: Strategy) -> Result<f64, ServiceError> {
    let asked = call.clone();
    call.read_slow(move |tx| {
        let row: TrajectoryRow = records::require(&asked.access(tx)?, &trajectory_id, Right::Read)?;
        let said = trajectories::notes(tx, &trajectory_id, FEEDBACK)?;
        let scores: Vec<i64> = row.success_score.into_iter().chain(said.iter().filter_map(|note| note.score)).collect();
        Ok(strategy.score(&scores))
    })
    .await
}

/// The trajectories from which one should learn again, the most urgent first.
pub async fn to_relearn(call: &Call, limit: usize) -> Result<Listed<TrajectoryRow>, ServiceError> {
    let asked = call.clone();
    call.read(move |tx| {
        let access = asked.access(tx)?;
        let mut feed: Feed<'_, '_, _, TrajectoryRow> = Feed::new(&access, None)?;
        let mut rows: Vec<TrajectoryRow> = Vec::new();
        while let Some(row) = feed.next()? {
            if row.relearn_priority.is_some() {
                rows.push(row);
            }
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.relearn_priority));
        let mut cut_short = feed.cut_short();
        if rows.len() > limit {
            cut_short.get_or_insert_with(|| "there are more than `limit`".into());
        }
        rows.truncate(limit);
        Ok(Listed { rows, next: None, cut_short })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_score_of_several() {
        let scores = [0, ONE / 2, ONE];
        assert_eq!(Strategy::Latest.score(&scores), 1.0);
        assert_eq!(Strategy::Average.score(&scores), 0.5);
        // (1·0 + 2·0.5 + 3·1) / 6
        assert_eq!(Strategy::Weighted.score(&scores), 0.666_666);
        for strategy in [Strategy::Latest, Strategy::Average, Strategy::Weighted] {
            assert_eq!(strategy.score(&[]), 0.0, "{strategy:?}");
            assert_eq!(strategy.score(&[250_000]), 0.25, "{strategy:?}");
        }
    }
}
