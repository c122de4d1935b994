//! Shares, consent, what everybody may discover and tables that are shown in part, one method a file.

pub mod apply_dynamic_viewer_filter;
pub mod expand_with_privacy;
pub mod get_dynamic_viewer_config;
pub mod grant_consent;
pub mod list_incoming;
pub mod list_outgoing;
pub mod make_private;
pub mod make_public;
pub mod read_with_dynamic_viewer;
pub mod revoke_consent;
pub mod revoke_share;
pub mod revoke_share_by_id;
pub mod share_with_user;

pub use apply_dynamic_viewer_filter::ApplyDynamicViewerFilter;
pub use expand_with_privacy::RebacExpandWithPrivacy;
pub use get_dynamic_viewer_config::GetDynamicViewerConfig;
pub use grant_consent::GrantConsent;
pub use list_incoming::ListIncomingShares;
pub use list_outgoing::ListOutgoingShares;
pub use make_private::MakePrivate;
pub use make_public::MakePublic;
pub use read_with_dynamic_viewer::ReadWithDynamicViewer;
pub use revoke_consent::RevokeConsent;
pub use revoke_share::RevokeShare;
pub use revoke_share_by_id::RevokeShareById;
pub use share_with_user::ShareWithUser;

/// Shares of one page, unless another number is asked for.
const PAGE: usize = 100;

fn page() -> usize {
    PAGE
}
