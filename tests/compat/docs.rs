//! The page of the documentation in a real browser: it draws every operation, and asks nobody but this server.

use crate::harness::browser;
use crate::harness::client::Client;
use crate::harness::process::Process;

#[test]
fn the_page_is_drawn_and_asks_nobody_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Process::start(&dir.path().join("data"));
    let here = format!("http://{}", server.address());
    let document = Client::new(server.address(), None).get("/openapi.json").expect("an answer").json();
    let operations: Vec<&str> = document["paths"]
        .as_object()
        .expect("paths")
        .values()
        .flat_map(|path| path.as_object().expect("verbs").values())
        .filter_map(|operation| operation["operationId"].as_str())
        .collect();
    assert!(operations.len() > 200, "{}", operations.len());
    // With one of them opened.
    let Some(seen) = browser::load(&format!("{here}/docs#write")) else { return };
    assert_eq!(seen.console, Vec::<String>::new());
    for operation in &operations {
        assert!(seen.dom.contains(&format!("<details id=\"{operation}\"")), "{operation} is not drawn");
    }
    assert_eq!(seen.dom.matches("<details ").count(), operations.len());
    assert!(seen.dom.contains("<td><code class=\"needed\">path</code></td>"), "no parameters: {}", seen.dom);
    let elsewhere: Vec<&String> = seen.asked.iter().filter(|url| !url.starts_with(&format!("{here}/"))).collect();
    assert!(elsewhere.is_empty(), "asked elsewhere: {elsewhere:?}");
    for part in ["/docs", "/docs/page.js", "/docs/page.css", "/openapi.json"] {
        assert!(seen.asked.iter().any(|url| url.trim_end_matches("#write") == format!("{here}{part}")), "{part}");
    }
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[test]
fn the_browser_tells_of_what_is_asked_elsewhere() {
    // Nobody listens there; that it was asked is what counts.
    let outside = "http://127.0.0.2:9/x.js";
    let Some(seen) = browser::load(&format!("data:text/html,<script src='{outside}'></script><script>no()</script>"))
    else {
        return;
    };
    assert!(seen.asked.iter().any(|url| url == outside), "{:?}", seen.asked);
    assert!(seen.console.iter().any(|line| line.contains("no is not defined")), "{:?}", seen.console);
}
