//! What the architecture page says of the code: the list of the writer's messages in it is the code's.

use nexus_lite::service::ops::OPS;

const PAGE: &str = include_str!("../src/ARCHITECTURE.md");

#[test]
fn the_page_lists_the_writers_messages() {
    let (_, rest) = PAGE.split_once("<!-- ops:begin -->").expect("the list begins");
    let (list, _) = rest.split_once("<!-- ops:end -->").expect("the list ends");
    let wanted: String = OPS.iter().map(|op| format!("- `{op}`\n")).collect();
    assert_eq!(list.trim(), wanted.trim(), "write this list into src/ARCHITECTURE.md");
}
