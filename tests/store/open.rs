//! Opening, locking, refusing, closing.

use nexus_lite::store::{Store, StoreError};

use super::{Names, add, names, open, options, origin};

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let t = open();
    t.store.submit(origin(), add("alice")).await.expect("written");
    t.store.close().await.expect("closes");
    let again = Store::builder(options(&t.dir)).project::<Names>().open().expect("opens again");
    assert_eq!(names(&again).await.expect("read"), (1, vec!["alice".to_owned()]));
    assert_eq!(again.submit(origin(), add("bob")).await.expect("written"), (2, 2));
}

#[tokio::test]
async fn a_second_handle_is_refused_with_the_pid() {
    let t = open();
    let refused = Store::builder(options(&t.dir)).open();
    assert!(matches!(refused, Err(StoreError::Locked { pid, .. }) if pid == std::process::id().to_string()));
}
