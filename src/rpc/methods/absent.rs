//! Methods of the contract that this server does not have: each is refused with what is missing and what to do.
//!
//! One table. A method in it is called as any other: its parameters are checked by name, everybody with a key gets the
//! same refusal, and nothing is changed. Documents, the status page and the authorization matrix follow from it.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::ServiceError;

/// Makes the methods: type, name, required parameters; optional ones, what it would do, what is missing, what to do.
macro_rules! absent {
    ($($type:ident = $name:literal ($($required:ident),*; $($optional:ident),*) $what:literal, $why:expr, $hint:expr;)*) => {
        $(
            #[doc = $what]
            ///
            /// Not available: the call is refused with what is missing, and nothing is done.
            #[derive(Debug, Deserialize, JsonSchema)]
            pub struct $type {
                $(
                    /// Accepted, and not looked at.
                    #[expect(dead_code, reason = "a client may send it; there is nothing here that it could be for")]
                    $required: Value,
                )*
                $(
                    /// Accepted, and not looked at.
                    #[serde(default)]
                    #[expect(dead_code, reason = "a client may send it; there is nothing here that it could be for")]
                    $optional: Option<Value>,
                )*
            }

            impl Method for $type {
                const NAME: &'static str = $name;
                const ACCESS: Access = Access::Read;
                const ERRORS: &'static [ErrorCode] = &[ErrorCode::NotSupported];
                const REFUSED: Option<&'static str> = Some($why);
                type Output = ();

                async fn call(self, _cx: &RequestContext) -> Result<(), RpcError> {
                    let message = format!("{} is not available: {}", $name, $why);
                    Err(ServiceError::NotSupported { message, hint: $hint.into() }.into())
                }
            }
        )*
    };
}

const NO_MODEL: &str = "this server runs no language model and calls none";
const ASK_IT_YOURSELF: &str = "read the files (read, grep) and ask the model from your own program";
const NO_EMBEDDINGS: &str = "this server makes no embeddings, so there is no semantic index";
const USE_GREP: &str = "search by text: grep and glob for files, query_memories for memories";
const NO_MCP: &str = "this server starts no MCP servers and connects to none";
const RUN_MCP_YOURSELF: &str = "connect to the MCP server from your own program; mcp_list_mounts is empty";
const NO_OAUTH: &str = "this server has no OAuth providers configured and keeps no credentials";
const KEEP_TOKENS: &str = "get the token from the provider in your own program; oauth_list_providers is empty";
const NO_CURATION: &str = "it needs a language model, and this server runs none and calls none";

absent! {
    BatchReflect = "batch_reflect" (; agent_id, since, min_trajectories, task_type)
        "Let a language model reflect on trajectories.",
        NO_CURATION, "ace_query_trajectories and ace_get_trajectory give what there is to reflect on";
    CreateLlmReader = "create_llm_reader" (; provider, model, api_key, system_prompt, max_context_tokens)
        "Make a reader that answers questions about files.", NO_MODEL, ASK_IT_YOURSELF;
    CuratePlaybook = "curate_playbook" (; reflections, reflection_memory_ids, playbook_name, merge_threshold)
        "Let a language model merge reflections into a playbook.",
        NO_CURATION, "query_memories gives the reflections; curate them in your own program";
    InitializeSemanticSearch = "initialize_semantic_search" (; embedding_provider, embedding_model, api_key, chunk_size,
        chunk_strategy)
        "Prepare search by meaning.", NO_EMBEDDINGS, USE_GREP;
    LlmRead = "llm_read" (path, prompt; model, max_tokens, use_search, search_mode, provider, api_key)
        "Let a language model answer a question about files.", NO_MODEL, ASK_IT_YOURSELF;
    LlmReadDetailed = "llm_read_detailed" (path, prompt; model, max_tokens, use_search, search_mode, provider, api_key)
        "Let a language model answer a question about files, with its sources.", NO_MODEL, ASK_IT_YOURSELF;
    LlmReadStream = "llm_read_stream" (path, prompt; model, max_tokens, use_search, search_mode, provider, api_key)
        "Let a language model answer a question about files, word by word.", NO_MODEL, ASK_IT_YOURSELF;
    McpConnect = "mcp_connect" (provider; redirect_url, user_email, reuse_nexus_token)
        "Connect to a hosted MCP server.", NO_MCP, RUN_MCP_YOURSELF;
    McpGetOauthUrl = "mcp_get_oauth_url" (provider; redirect_url)
        "Begin to let a hosted MCP server in.", NO_MCP, RUN_MCP_YOURSELF;
    McpListTools = "mcp_list_tools" (name;) "List the tools of a mounted MCP server.", NO_MCP, RUN_MCP_YOURSELF;
    McpMount = "mcp_mount" (name; transport, command, url, args, env, headers, description, tier)
        "Mount an MCP server.", NO_MCP, RUN_MCP_YOURSELF;
    McpSync = "mcp_sync" (name;) "Look up the tools of a mounted MCP server again.", NO_MCP, RUN_MCP_YOURSELF;
    McpUnmount = "mcp_unmount" (name;) "Unmount an MCP server.", NO_MCP, RUN_MCP_YOURSELF;
    OauthExchangeCode = "oauth_exchange_code" (provider, code; user_email, state, redirect_uri, code_verifier)
        "End a sign-in at a provider.", NO_OAUTH, KEEP_TOKENS;
    OauthGetAuthUrl = "oauth_get_auth_url" (provider; redirect_uri, scopes)
        "Begin a sign-in at a provider.", NO_OAUTH, KEEP_TOKENS;
    OauthRevokeCredential = "oauth_revoke_credential" (provider, user_email;)
        "Give a credential back.", NO_OAUTH, KEEP_TOKENS;
    OauthTestCredential = "oauth_test_credential" (provider, user_email;)
        "Try a credential.", NO_OAUTH, KEEP_TOKENS;
    SemanticSearch = "semantic_search" (query; path, limit, filters, search_mode)
        "Search files by meaning.", NO_EMBEDDINGS, USE_GREP;
    SemanticSearchIndex = "semantic_search_index" (; path, recursive)
        "Index files for search by meaning.", NO_EMBEDDINGS, USE_GREP;
    SemanticSearchStats = "semantic_search_stats" (;)
        "Tell how much is indexed for search by meaning.", NO_EMBEDDINGS, USE_GREP;
}
