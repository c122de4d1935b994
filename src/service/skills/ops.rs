//! The writer message that puts skills into a folder: made, imported, forked or published, all of them or none.
//!
//! Owns who may. A new skill in the caller's own folder needs no grant (as an agent's directory does not); everywhere
//! else it takes WRITE on each file or where it is to be made, and for everybody's folder the instance admin. Who has
//! an approval for exactly these bytes may publish to the tenant's folder; what is made there is then the reviewer's.

use crate::auth::{Caller, Identity};
use crate::model::{ApprovalRow, VirtualPath};
use crate::service::access::{Access, Permission};
use crate::service::files::ops::{FileBody, MESSAGE_BYTES, make_directories_in, put_file_in};
use crate::service::located::Located;
use crate::service::skills::Tier;
use crate::service::skills::front_matter::SKILL_FILE;
use crate::service::{Lacking, ServiceError};
use crate::store::{Sql, WriteOp, WriteTx, approvals};

/// Files that one message writes.
pub const FILES_MAX: usize = 512;

/// A skill that is to be written.
#[derive(Debug)]
pub struct Draft {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub directory: VirtualPath,
    /// Its files, with whole paths.
    pub files: Vec<(VirtualPath, FileBody)>,
    /// The id of the tuple that makes the caller the owner of a new directory; drawn by the request.
    pub tuple_id: String,
}

/// What is said of a skill that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    /// That it is there, and where.
    Refused,
    /// The names of all that are there, and that one may overwrite them.
    Listed,
    /// Nothing: its files become next versions; those it had besides stay.
    Overwritten,
}

/// An approval that is used, and of what.
#[derive(Debug, Clone)]
pub struct Reviewed {
    /// Which.
    pub approval_id: String,
    /// The directory of the skill that is published.
    pub source: VirtualPath,
    /// The digest of its files.
    pub digest: String,
}

/// Writes skills.
#[derive(Debug)]
pub struct PutSkills {
    /// Who asks.
    pub caller: Caller,
    /// Into which folder.
    pub tier: Tier,
    /// The skills.
    pub drafts: Vec<Draft>,
    /// Files that they are copies of, which the caller must still be able to read.
    pub sources: Vec<VirtualPath>,
    /// What becomes of those that are there.
    pub present: Present,
    /// An approval in the place of the right to write.
    pub reviewed: Option<Reviewed>,
}

impl PutSkills {
    /// Everything that may be refused; the caller in whose name is written, and the approval that is used up.
    fn check(&self, tx: &WriteTx<'_>) -> Result<(Caller, Option<ApprovalRow>), ServiceError> {
        let access = Access::in_writer(tx, &self.caller)?;
        let caller = access.caller().clone();
        may_use(&access, self.tier)?;
        for source in &self.sources {
            let access = Access::in_writer(tx, &self.caller)?;
            access.require_file(Located::find(tx, source)?.target(), Permission::Read)?;
        }
        let approval = self.reviewed.as_ref().map(|reviewed| self.approval(tx, &caller, reviewed)).transpose()?;
        if let Some(draft) = self.drafts.iter().find(|draft| approval.is_some() && access.is_closed(&draft.directory)) {
            return Err(access.denial(Permission::Write, &draft.directory, &draft.directory));
        }
        if approval.is_none() {
            for draft in &self.drafts {
                draft.allowed(tx, &self.caller, self.tier)?;
            }
        }
        self.absent(tx)?;
        let Some(row) = approval else { return Ok((caller, None)) };
        let reviewer = row.reviewed_by.clone().unwrap_or_else(|| caller.user.clone());
        let author = Identity {
            subject_type: "user".into(),
            subject_id: reviewer.clone(),
            user: reviewer,
            agent: None,
            inherits: true,
            ..Identity::clone(&caller)
        };
        Ok((author.into(), Some(row)))
    }

    /// The approval, if it is of this skill as it is now, of this caller, and not used yet.
    fn approval(&self, tx: &WriteTx<'_>, caller: &Caller, reviewed: &Reviewed) -> Result<ApprovalRow, ServiceError> {
        let found = approvals::find(tx, &reviewed.approval_id)?;
        let fits = |row: &ApprovalRow| {
            row.tenant == caller.tenant
                && row.submitted_by == caller.user
                && caller.inherits
                && self.tier == Tier::Tenant
                && row.status == approvals::APPROVED
                && row.published_at_us.is_none()
                && row.path == reviewed.source.as_str()
                && row.digest == reviewed.digest
        };
        found
            .filter(fits)
            .ok_or_else(|| ServiceError::Precondition("the approval is not of this skill as it is".into()))
    }

    /// Refuses skills that are there already. Told to who may write there.
    fn absent(&self, tx: &WriteTx<'_>) -> Result<(), ServiceError> {
        if self.present == Present::Overwritten {
            return Ok(());
        }
        let mut there = Vec::new();
        for draft in &self.drafts {
            let file = draft.directory.child(SKILL_FILE);
            if Located::find(tx, &file)?.exact {
                if self.present == Present::Refused {
                    let name = &draft.name;
                    return Err(ServiceError::Validation(format!("Skill '{name}' already exists at {file}")));
                }
                there.push(draft.name.as_str());
            }
        }
        if there.is_empty() {
            return Ok(());
        }
        let names = there.join(", ");
        Err(ServiceError::Validation(format!("Skill(s) already exist: {names}. Please rename or enable overwrite.")))
    }
}

impl Draft {
    fn allowed(&self, tx: &WriteTx<'_>, caller: &Caller, tier: Tier) -> Result<(), ServiceError> {
        let access = Access::in_writer(tx, caller)?;
        if is_own_and_new(&access, tier, &self.directory)? {
            return Ok(());
        }
        // First the one that every skill has: what is refused is told alike whatever is there.
        let description = self.directory.child(SKILL_FILE);
        for path in std::iter::once(&description).chain(self.files.iter().map(|(path, _)| path)) {
            // Each file has the time of a check of its own.
            let access = Access::in_writer(tx, caller)?;
            access.require_write(&Located::find(tx, path)?)?;
        }
        Ok(())
    }
}

/// Whether a directory is a new one in the caller's own folder, for which nobody has to be asked.
pub(super) fn is_own_and_new<T: Sql>(
    access: &Access<'_, T>,
    tier: Tier,
    directory: &VirtualPath,
) -> Result<bool, ServiceError> {
    if tier != Tier::Personal || !access.caller().inherits || access.is_closed(directory) {
        return Ok(false);
    }
    Ok(!Located::find(access.tx(), directory)?.exact)
}

/// Refuses the folder of everybody to all but the instance admin.
pub(super) fn may_use<T: Sql>(access: &Access<'_, T>, tier: Tier) -> Result<(), ServiceError> {
    if tier != Tier::System || access.is_instance_admin() {
        return Ok(());
    }
    Err(ServiceError::PermissionDenied {
        message: "Only admins can import to system tier".into(),
        hint: "skills of the system tier are everybody's: the instance admin puts them there".into(),
        lacking: Lacking::new("instance_admin", "file:/skill"),
    })
}

impl WriteOp for PutSkills {
    const NAME: &'static str = "skills_put";
    /// The paths of the SKILL.md files, in the order of the skills.
    type Output = Vec<String>;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Vec<String>, ServiceError> {
        let (author, approval) = self.check(tx)?;
        let mut paths = Vec::with_capacity(self.drafts.len());
        for draft in &self.drafts {
            if !Located::find(tx, &draft.directory)?.exact {
                make_directories_in(tx, &author, &draft.directory, Some(&draft.tuple_id))?;
            }
            for (path, body) in &draft.files {
                put_file_in(tx, &author, path, body)?;
            }
            paths.push(draft.directory.child(SKILL_FILE).as_str().to_owned());
        }
        if let Some(row) = approval {
            let published_at_us = Some(tx.now_us());
            approvals::update(tx, row.clone(), ApprovalRow { published_at_us, ..row })?;
        }
        Ok(paths)
    }

    fn bytes(&self) -> usize {
        let files = self.drafts.iter().flat_map(|draft| &draft.files);
        files.map(|(path, body)| path.as_str().len() + body.bytes() + MESSAGE_BYTES).sum()
    }
}
