//! What a test needs that need not be on a machine: without it the test says so and passes, unless `NEXUS_LITE_REQUIRE`
//! names it.

/// Says why a test does not run; fails it where the variable holds `what`.
#[expect(clippy::print_stdout, reason = "whoever sees a test pass should know that it did not run")]
pub(crate) fn absent(what: &str, problem: &str) {
    let required = std::env::var_os("NEXUS_LITE_REQUIRE").unwrap_or_default().to_string_lossy().into_owned();
    assert!(!required.contains(what), "NEXUS_LITE_REQUIRE asks for {what}: {problem}");
    println!("skipped: {problem}");
}
