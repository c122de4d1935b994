//! THE LIST of methods, and the table that is derived from it.
//!
//! Dispatch, documents, metric labels and tests all come from [`METHODS`]. Must never know what a method does.

use std::sync::OnceLock;

use futures_util::future::BoxFuture;
use rustc_hash::FxHashMap;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::decode::{Arguments, decode, write_result};
use super::lines::{InLines, Lines};
use super::methods::{
    absent, ace, admin, agents, files, memories, mounts, namespaces, outside, rebac, sandboxes, sharing, skills,
    versions, workspaces,
};
use super::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::telemetry::series::{CounterSeries, SecondsSeries};

/// Every method, by name. One line each.
pub static METHODS: &[Entry] = &[
    entry::<ace::AceAddFeedback>(),
    entry::<ace::AceCompleteTrajectory>(),
    entry::<ace::AceCreatePlaybook>(),
    entry::<ace::AceGetEffectiveScore>(),
    entry::<ace::AceGetPlaybook>(),
    entry::<ace::AceGetTrajectory>(),
    entry::<ace::AceGetTrajectoryFeedback>(),
    entry::<ace::AceLogTrajectoryStep>(),
    entry::<ace::AceMarkForRelearning>(),
    entry::<ace::AceQueryPlaybooks>(),
    entry::<ace::AceQueryTrajectories>(),
    entry::<ace::AceStartTrajectory>(),
    entry::<mounts::AddMount>(),
    entry::<admin::AdminAuditQuery>(),
    entry::<admin::AdminCollect>(),
    entry::<admin::AdminCreateBackup>(),
    entry::<admin::AdminCreateKey>(),
    entry::<admin::AdminGetKey>(),
    entry::<admin::AdminGetQuota>(),
    entry::<admin::AdminListBackups>(),
    entry::<admin::AdminListKeys>(),
    entry::<admin::AdminListQuotas>(),
    entry::<admin::AdminRevokeKey>(),
    entry::<admin::AdminSetQuota>(),
    entry::<admin::AdminUpdateKey>(),
    entry::<files::Append>(),
    entry::<sharing::ApplyDynamicViewerFilter>(),
    entry::<memories::ApproveMemory>(),
    entry::<memories::ApproveMemoryBatch>(),
    entry::<versions::BatchGetContentIds>(),
    entry::<absent::BatchReflect>(),
    entry::<mounts::CancelSyncJob>(),
    alias::<ace::AceCompleteTrajectory>("complete_trajectory"),
    entry::<files::Copy>(),
    entry::<absent::CreateLlmReader>(),
    entry::<absent::CuratePlaybook>(),
    entry::<memories::DeactivateMemory>(),
    entry::<memories::DeactivateMemoryBatch>(),
    entry::<files::Delete>(),
    entry::<agents::DeleteAgent>(),
    entry::<files::DeleteBulk>(),
    entry::<memories::DeleteMemory>(),
    entry::<memories::DeleteMemoryBatch>(),
    entry::<mounts::DeleteSavedMount>(),
    entry::<agents::DeprovisionUser>(),
    entry::<versions::DiffVersions>(),
    entry::<files::Edit>(),
    entry::<files::Exists>(),
    entry::<versions::ExportMetadata>(),
    entry::<agents::GetAgent>(),
    entry::<files::GetAvailableNamespaces>(),
    entry::<sharing::GetDynamicViewerConfig>(),
    entry::<files::GetEtag>(),
    entry::<workspaces::GetMemoryInfo>(),
    entry::<versions::GetMetadata>(),
    entry::<mounts::GetMount>(),
    entry::<namespaces::GetNamespace>(),
    entry::<ace::GetPlaybook>(),
    entry::<namespaces::GetRebacOption>(),
    entry::<mounts::GetSyncJob>(),
    entry::<versions::GetVersion>(),
    entry::<workspaces::GetWorkspaceInfo>(),
    entry_in_lines::<files::Glob>(),
    entry::<sharing::GrantConsent>(),
    entry_in_lines::<files::Grep>(),
    entry::<mounts::HasMount>(),
    entry::<versions::ImportMetadata>(),
    entry::<absent::InitializeSemanticSearch>(),
    entry::<files::IsDirectory>(),
    entry::<files::List>(),
    entry::<agents::ListAgents>(),
    entry::<mounts::ListConnectors>(),
    entry::<versions::ListDeleted>(),
    entry::<sharing::ListIncomingShares>(),
    entry::<memories::ListMemories>(),
    entry::<mounts::ListMounts>(),
    entry::<sharing::ListOutgoingShares>(),
    entry::<workspaces::ListRegisteredMemories>(),
    entry::<mounts::ListSavedMounts>(),
    entry::<mounts::ListSyncJobs>(),
    entry::<versions::ListVersions>(),
    entry::<workspaces::ListWorkspaces>(),
    entry::<absent::LlmRead>(),
    entry::<absent::LlmReadDetailed>(),
    entry::<absent::LlmReadStream>(),
    entry::<mounts::LoadMount>(),
    entry::<workspaces::LoadWorkspaceMemoryConfig>(),
    alias::<ace::AceLogTrajectoryStep>("log_trajectory_step"),
    entry::<sharing::MakePrivate>(),
    entry::<sharing::MakePublic>(),
    entry::<absent::McpConnect>(),
    entry::<absent::McpGetOauthUrl>(),
    entry::<outside::McpListMounts>(),
    entry::<absent::McpListTools>(),
    entry::<absent::McpMount>(),
    entry::<absent::McpSync>(),
    entry::<absent::McpUnmount>(),
    entry::<files::Mkdir>(),
    entry::<namespaces::NamespaceCreate>(),
    entry::<namespaces::NamespaceDelete>(),
    entry::<namespaces::NamespaceGet>(),
    entry::<namespaces::NamespaceList>(),
    entry::<namespaces::NamespaceValidate>(),
    entry::<absent::OauthExchangeCode>(),
    entry::<absent::OauthGetAuthUrl>(),
    entry::<outside::OauthListCredentials>(),
    entry::<outside::OauthListProviders>(),
    entry::<absent::OauthRevokeCredential>(),
    entry::<absent::OauthTestCredential>(),
    entry::<ace::ProcessRelearning>(),
    entry::<agents::ProvisionUser>(),
    entry::<memories::QueryMemories>(),
    entry::<ace::QueryPlaybooks>(),
    entry::<ace::QueryTrajectories>(),
    entry::<files::Read>(),
    entry::<files::ReadBulk>(),
    entry::<files::ReadRange>(),
    entry::<sharing::ReadWithDynamicViewer>(),
    entry::<rebac::RebacCheck>(),
    entry::<rebac::RebacCheckBatch>(),
    entry::<rebac::RebacCreate>(),
    entry::<rebac::RebacDelete>(),
    entry::<rebac::RebacExpand>(),
    entry::<sharing::RebacExpandWithPrivacy>(),
    entry::<rebac::RebacExplain>(),
    entry::<rebac::RebacFilter>(),
    entry::<rebac::RebacListObjects>(),
    entry::<rebac::RebacListSubjects>(),
    entry::<rebac::RebacListTuples>(),
    entry::<agents::RegisterAgent>(),
    entry::<workspaces::RegisterMemory>(),
    entry::<namespaces::RegisterNamespace>(),
    entry::<workspaces::RegisterWorkspace>(),
    entry::<mounts::RemoveMount>(),
    entry::<files::Rename>(),
    entry::<files::RenameBulk>(),
    entry::<memories::RetrieveMemory>(),
    entry::<sharing::RevokeConsent>(),
    entry::<sharing::RevokeShare>(),
    entry::<sharing::RevokeShareById>(),
    entry::<files::Rmdir>(),
    entry::<versions::Rollback>(),
    entry::<sandboxes::SandboxConnect>(),
    entry::<sandboxes::SandboxCreate>(),
    entry::<sandboxes::SandboxDisconnect>(),
    entry::<sandboxes::SandboxGetOrCreate>(),
    entry::<sandboxes::SandboxList>(),
    entry::<sandboxes::SandboxPause>(),
    entry::<sandboxes::SandboxResume>(),
    entry::<sandboxes::SandboxRun>(),
    entry::<sandboxes::SandboxStatus>(),
    entry::<sandboxes::SandboxStop>(),
    entry::<sandboxes::SandboxSync>(),
    entry::<mounts::SaveMount>(),
    entry::<absent::SemanticSearch>(),
    entry::<absent::SemanticSearchIndex>(),
    entry::<absent::SemanticSearchStats>(),
    entry::<namespaces::SetRebacOption>(),
    entry::<sharing::ShareWithUser>(),
    entry::<outside::ShutdownParserThreads>(),
    entry::<skills::SkillsApprove>(),
    entry::<skills::SkillsCreate>(),
    entry::<skills::SkillsCreateFromContent>(),
    entry::<skills::SkillsCreateFromFile>(),
    entry::<skills::SkillsExport>(),
    entry::<skills::SkillsFork>(),
    entry::<skills::SkillsImport>(),
    entry::<skills::SkillsInfo>(),
    entry::<skills::SkillsList>(),
    entry::<skills::SkillsListApprovals>(),
    entry::<skills::SkillsPublish>(),
    entry::<skills::SkillsReject>(),
    entry::<skills::SkillsSearch>(),
    entry::<skills::SkillsSubmitApproval>(),
    entry::<skills::SkillsValidate>(),
    entry::<skills::SkillsValidateZip>(),
    alias::<ace::AceStartTrajectory>("start_trajectory"),
    entry::<files::Stat>(),
    entry::<memories::StoreMemory>(),
    entry::<mounts::SyncMount>(),
    entry::<mounts::SyncMountAsync>(),
    entry::<versions::Undelete>(),
    entry::<workspaces::UnregisterMemory>(),
    entry::<workspaces::UnregisterWorkspace>(),
    entry::<agents::UpdateAgent>(),
    entry::<memories::UpdateMemory>(),
    entry::<workspaces::WorkspaceDeleteSnapshot>(),
    entry::<workspaces::WorkspaceDiff>(),
    entry::<workspaces::WorkspaceLog>(),
    entry::<workspaces::WorkspaceRestore>(),
    entry::<workspaces::WorkspaceSnapshot>(),
    entry::<files::Write>(),
    entry::<files::WriteBatch>(),
    entry::<files::WriteStream>(),
];

/// Parameters as a door has them.
#[derive(Debug)]
pub enum Params<'a> {
    /// The text of an object, from a request body.
    Raw(&'a RawValue),
    /// An object in memory.
    Value(Map<String, Value>),
}

impl Params<'_> {
    /// No parameters.
    #[must_use]
    pub fn none() -> Self {
        Self::Value(Map::new())
    }
}

/// Runs a method: decodes the arguments, calls, appends the result as JSON.
pub type Invoke = for<'a> fn(&'a RequestContext, Arguments<'a>, &'a mut Vec<u8>) -> BoxFuture<'a, Result<(), RpcError>>;

/// Begins to answer in lines.
pub type BeginLines = for<'a> fn(&'a RequestContext, Arguments<'a>) -> Result<Lines, RpcError>;

/// One method, without its type.
#[derive(Debug)]
pub struct Entry {
    /// The name on the wire.
    pub name: &'static str,
    /// What it does to the data.
    pub access: Access,
    /// The errors to expect beside the general ones.
    pub errors: &'static [ErrorCode],
    /// How a reply may be cached.
    pub cache: CachePolicy,
    /// Whether it has no deadline.
    pub long: bool,
    /// Whether its reply may hold what is shown once.
    pub secret: bool,
    /// The method that this is another name of.
    pub alias_of: Option<&'static str>,
    /// Why it does nothing here but refuse; `None` = it works.
    pub refused: Option<&'static str>,
    /// Whether its result may be kept while nothing changes.
    pub kept: bool,
    /// Runs it. Called by `dispatch` only, which checks the names of the arguments first.
    pub invoke: Invoke,
    /// Begins to answer in lines, if it can. Called by `lines` only.
    pub lines: Option<BeginLines>,
    /// The schema of its parameters: an object with their descriptions; the method's own description is its docs.
    pub params: fn(&mut SchemaGenerator) -> Schema,
    /// The schema of its result.
    pub output: fn(&mut SchemaGenerator) -> Schema,
}

/// The entry of method `M`.
#[must_use]
pub const fn entry<M: Method>() -> Entry {
    Entry {
        name: M::NAME,
        access: M::ACCESS,
        errors: M::ERRORS,
        cache: M::CACHE,
        long: M::LONG,
        secret: M::SECRET,
        alias_of: None,
        refused: M::REFUSED,
        kept: M::KEPT,
        invoke: |cx, arguments, out| {
            Box::pin(async move {
                let params: M = decode(M::NAME, arguments)?;
                let output = params.call(cx).await?;
                write_result(out, &output)
            })
        },
        lines: None,
        params: |generator| M::json_schema(generator),
        output: |generator| generator.subschema_for::<M::Output>(),
    }
}

/// The entry of a method that can answer in lines.
#[must_use]
pub const fn entry_in_lines<M: InLines>() -> Entry {
    let lines: BeginLines = |cx, arguments| decode::<M>(M::NAME, arguments)?.lines(cx);
    Entry { lines: Some(lines), ..entry::<M>() }
}

/// The entry of method `M` under another name, by which older clients know it.
#[must_use]
pub const fn alias<M: Method>(name: &'static str) -> Entry {
    Entry { name, alias_of: Some(M::NAME), ..entry::<M>() }
}

/// A parameter, as the schema has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Whether a request must have it.
    pub required: bool,
}

/// An entry and the names of its parameters.
#[derive(Debug)]
pub struct Spec {
    /// The entry.
    pub entry: &'static Entry,
    /// Its parameters, in order of declaration.
    pub parameters: Vec<Parameter>,
    /// Counts the requests that were answered.
    pub(super) answered: CounterSeries,
    /// How long all requests took.
    pub(super) took: SecondsSeries,
}

impl Spec {
    /// Derives the parameters from the schema.
    #[must_use]
    pub fn of(entry: &'static Entry) -> Self {
        let mut generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
        let schema = (entry.params)(&mut generator);
        let required: Vec<&str> = match schema.get("required") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let parameters = match schema.get("properties") {
            Some(Value::Object(properties)) => properties
                .keys()
                .map(|name| Parameter { name: name.clone(), required: required.contains(&name.as_str()) })
                .collect(),
            _ => Vec::new(),
        };
        Self { entry, parameters, answered: CounterSeries::new(), took: SecondsSeries::new() }
    }
}

/// The method called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Spec> {
    static TABLE: OnceLock<FxHashMap<&'static str, Spec>> = OnceLock::new();
    TABLE.get_or_init(|| METHODS.iter().map(|entry| (entry.name, Spec::of(entry))).collect()).get(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_alphabetical_and_without_doubles() {
        for pair in METHODS.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} must stand after {}", pair[0].name, pair[1].name);
        }
    }

    /// A method that comes, goes or changes its access or its parameters changes this list: on purpose, or not at all.
    #[test]
    fn the_list_as_clients_see_it() {
        let line = |entry: &'static Entry| {
            let mark = |p: &Parameter| format!("{}{}", p.name, if p.required { "*" } else { "" });
            let parameters: Vec<String> = Spec::of(entry).parameters.iter().map(mark).collect();
            let of = entry.alias_of.map_or_else(String::new, |of| format!(" = {of}"));
            let refused = if entry.refused.is_some() { " refused" } else { "" };
            format!("{} {:?} ({}){of}{refused}", entry.name, entry.access, parameters.join(", "))
        };
        insta::assert_snapshot!(METHODS.iter().map(line).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn another_name_is_that_of_a_method_which_is_there() {
        for (entry, of) in METHODS.iter().filter_map(|entry| Some((entry, entry.alias_of?))) {
            let of = find(of).expect(of).entry;
            assert!(of.alias_of.is_none() && of.access == entry.access, "{}", entry.name);
        }
    }

    #[test]
    fn every_method_is_found_by_its_name() {
        for entry in METHODS {
            assert_eq!(find(entry.name).expect(entry.name).entry.name, entry.name);
        }
        assert!(find("no_such_method").is_none());
    }
}
