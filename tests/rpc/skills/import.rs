//! `skills_import`, `skills_export`, `skills_validate_zip`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus_lite::service::skills::archive::{self, Member, Meter};
use serde_json::{Value, json};

use super::super::*;
use super::{PERSONAL, SYSTEM, TENANT, put, skill};

/// An archive of files, base64.
fn zip(files: &[(&str, &str)]) -> String {
    let member = |(path, body): &(&str, &str)| Member { path: (*path).to_owned(), body: (*body).to_owned().into() };
    STANDARD.encode(archive::write(&files.iter().map(member).collect::<Vec<_>>()).expect("an archive"))
}

/// The files of an archive, path and text.
fn files(zip_data: &Value) -> Vec<(String, String)> {
    let bytes = STANDARD.decode(zip_data.as_str().expect("base64")).expect("base64");
    let members = archive::read(&bytes, &mut Meter::default()).expect("an archive");
    members.into_iter().map(|m| (m.path, String::from_utf8(m.body.to_vec()).expect("text"))).collect()
}

#[tokio::test]
async fn what_is_exported_is_imported() {
    let world = World::new().await;
    let two = zip(&[
        ("pdf/SKILL.md", &skill("pdf", "version: 1\n")),
        ("pdf/scripts/run.py", "print(1)\n"),
        ("pdf/reference/a.md", "# A\n"),
        ("docx/SKILL.md", &skill("docx", "")),
        ("__MACOSX/pdf/._x", "litter"),
        ("manifest.json", "{}"),
    ]);
    let looked = ok(&world, Who::Stranger, "skills_validate_zip", json!({"zip_data": two})).await;
    assert_eq!((&looked["valid"], &looked["skills_found"]), (&json!(true), &json!(["pdf", "docx"])));
    assert_eq!((&looked["errors"], &looked["warnings"]), (&json!([]), &json!(["Missing version in 'docx'"])));
    assert!(looked["diagnostics"]["pdf"][0].as_str().expect("a text").contains("Unexpected fields"), "{looked}");
    let made = ok(&world, Who::Alice, "skills_import", json!({"zip_data": two})).await;
    let paths = json!([format!("{PERSONAL}/pdf/"), format!("{PERSONAL}/docx/")]);
    assert_eq!((&made["imported_skills"], &made["skill_paths"]), (&json!(["pdf", "docx"]), &paths));
    assert_eq!(made["tier"], "personal");
    assert!(made["diagnostics"]["pdf"][0].is_string() && made["diagnostics"].get("docx").is_none(), "{made}");
    assert_eq!(read(&world, Who::Alice, &format!("{PERSONAL}/pdf/scripts/run.py")).await, "print(1)\n");
    let info = ok(&world, Who::Alice, "skills_info", json!({"skill_name": "pdf"})).await;
    assert!(info["diagnostics"][0].as_str().expect("a text").contains("version"), "kept and shown: {info}");

    let again = refused(&world, Who::Alice, "skills_import", json!({"zip_data": two}), VALIDATION).await;
    assert_eq!(again.message, "Skill(s) already exist: pdf, docx. Please rename or enable overwrite.");
    let newer = zip(&[("pdf/SKILL.md", &skill("pdf", "version: 2\n"))]);
    ok(&world, Who::Alice, "skills_import", json!({"zip_data": newer, "allow_overwrite": true})).await;
    assert_eq!(ok(&world, Who::Alice, "skills_info", json!({"skill_name": "pdf"})).await["version"], "2");

    let exported = ok(&world, Who::Alice, "skills_export", json!({"skill_name": "pdf"})).await;
    assert_eq!((&exported["skill_name"], &exported["filename"]), (&json!("pdf"), &json!("pdf.skill")));
    let found = files(&exported["zip_data"]);
    let names: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(names, ["pdf/SKILL.md", "pdf/reference/a.md", "pdf/scripts/run.py", "manifest.json"]);
    let manifest: Value = serde_json::from_str(&found[3].1).expect("JSON");
    assert_eq!(
        (&manifest["name"], &manifest["version"], &manifest["format"]),
        (&json!("pdf"), &json!("2"), &json!("generic"))
    );
    assert_eq!(manifest["files"].as_array().expect("files").len(), 3);
    let bytes: usize = found[..3].iter().map(|(_, text)| text.len()).sum();
    assert_eq!(manifest["total_size_bytes"], bytes);
    let back = json!({"zip_data": exported["zip_data"]});
    ok(&world, Who::Bob, "skills_import", back).await;
    assert_eq!(read(&world, Who::Bob, "/tenant:default/user:bob/skill/pdf/reference/a.md").await, "# A\n");
}

#[tokio::test]
async fn the_claude_format_is_that_of_the_standard() {
    let world = World::new().await;
    put(&world, Who::Admin, PERSONAL, "base", "version: 3\nauthor: Ann\n").await;
    put(&world, Who::Admin, PERSONAL, "top", "requires: [base]\n").await;
    grant(&world, ("user", "alice"), "direct_owner", "/tenant:default/user:alice").await;
    let params = json!({"skill_name": "top", "format": "claude", "include_dependencies": true});
    let exported = ok(&world, Who::Alice, "skills_export", params).await;
    let found = files(&exported["zip_data"]);
    for (path, text) in found.iter().filter(|(path, _)| path.ends_with("SKILL.md")) {
        let directory = path.split('/').next();
        assert_eq!(nexus_lite::service::skills::strict::validate(text, directory), [], "{text}");
    }
    assert_eq!(found.len(), 3, "{found:?}");
    // What goes out that way comes in again, with what it said.
    let back = json!({"zip_data": exported["zip_data"]});
    ok(&world, Who::Bob, "skills_import", back).await;
    let info = ok(&world, Who::Bob, "skills_info", json!({"skill_name": "base"})).await;
    assert_eq!((&info["version"], &info["author"]), (&json!("3"), &json!("Ann")));
    assert_eq!(ok(&world, Who::Bob, "skills_info", json!({"skill_name": "top"})).await["requires"], json!(["base"]));

    put(&world, Who::Admin, PERSONAL, "lacking", "requires: [nowhere]\n").await;
    let params = json!({"skill_name": "lacking", "include_dependencies": true});
    let failure = refused(&world, Who::Alice, "skills_export", params, VALIDATION).await;
    assert!(failure.message.contains("'nowhere'"), "{}", failure.message);
    let bad = json!({"skill_name": "top", "format": "tar"});
    refused(&world, Who::Alice, "skills_export", bad, INVALID_PARAMS).await;
    let large: String =
        (0..3_u32 << 20).map(|at| char::from(b'a' + (at.wrapping_mul(2_654_435_761) >> 28) as u8)).collect();
    for number in 0..3 {
        write(&world, Who::Alice, &format!("{PERSONAL}/base/{number}.txt"), &large).await;
    }
    let failure =
        refused(&world, Who::Alice, "skills_export", json!({"skill_name": "base", "format": "claude"}), VALIDATION)
            .await;
    assert!(failure.message.contains("8 MiB"), "{}", failure.message);
    let whole = ok(&world, Who::Alice, "skills_export", json!({"skill_name": "base"})).await;
    assert_eq!(files(&whole["zip_data"]).len(), 5);
}

#[tokio::test]
async fn an_export_holds_what_the_caller_may_read() {
    let world = World::new().await;
    put(&world, Who::Admin, TENANT, "shared", "").await;
    write(&world, Who::Admin, &format!("{TENANT}/shared/secret.txt"), "the secret").await;
    write(&world, Who::Admin, &format!("{TENANT}/shared/open.txt"), "open").await;
    grant(&world, ("user", "bob"), "direct_viewer", &format!("{TENANT}/shared/SKILL.md")).await;
    grant(&world, ("user", "bob"), "direct_viewer", &format!("{TENANT}/shared/open.txt")).await;
    let his = ok(&world, Who::Bob, "skills_export", json!({"skill_name": "shared"})).await;
    let names: Vec<_> = files(&his["zip_data"]).into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, ["shared/SKILL.md", "shared/open.txt", "manifest.json"]);
    for who in [Who::Stranger, Who::Agent, Who::OtherAdmin] {
        refused(&world, who, "skills_export", json!({"skill_name": "shared"}), VALIDATION).await;
    }
}

#[tokio::test]
async fn an_import_is_all_or_nothing_and_takes_the_right() {
    let world = World::new().await;
    let two = zip(&[("a/SKILL.md", &skill("a", "")), ("b/SKILL.md", &skill("b", ""))]);
    let into = |tier: &str| json!({"zip_data": two, "tier": tier});
    refused(&world, Who::Alice, "skills_import", into("tenant"), DENIED).await;
    let system = refused(&world, Who::Admin, "skills_import", into("system"), DENIED).await;
    assert_eq!(system.message, "Only admins can import to system tier");
    ok(&world, Who::Instance, "skills_import", into("system")).await;
    assert_eq!(list(&world, Who::Instance, SYSTEM, false).await, [format!("{SYSTEM}/a"), format!("{SYSTEM}/b")]);
    refused(&world, Who::Alice, "skills_import", into("planet"), INVALID_PARAMS).await;
    refused(&world, Who::Agent, "skills_import", into("user"), DENIED).await;
    // b is there: a is not written either.
    ok(&world, Who::Bob, "skills_create", json!({"name": "b", "description": "d"})).await;
    let before = world.head().await;
    let there = refused(&world, Who::Bob, "skills_import", into("personal"), VALIDATION).await;
    assert!(there.message.contains("already exist: b."), "{}", there.message);
    assert_eq!(world.head().await, before);
    // A skill that somebody else has put there is not overwritten, nor told of.
    put(&world, Who::Admin, PERSONAL, "b", "").await;
    let before = world.head().await;
    for overwrite in [false, true] {
        let mut over = into("personal");
        over["allow_overwrite"] = json!(overwrite);
        refused(&world, Who::Alice, "skills_import", over, DENIED).await;
    }
    assert_eq!(world.head().await, before);
}

#[tokio::test]
async fn says_what_is_wrong_with_an_archive() {
    let world = World::new().await;
    let cases: &[(String, &str)] = &[
        ("AAAA".into(), "Invalid ZIP file: File is not a zip file"),
        ("?".into(), "Invalid ZIP file: zip_data is no base64"),
        (zip(&[("a/notes.md", "x")]), "Invalid skill package: No SKILL.md file found in package"),
        (zip(&[]), "Invalid skill package: No SKILL.md file found in package"),
        (
            zip(&[("SKILL.md", &skill("a", ""))]),
            "Invalid skill package: SKILL.md must be at root of skill directory, found at: SKILL.md",
        ),
        (
            zip(&[("a/b/SKILL.md", &skill("b", ""))]),
            "Invalid skill package: SKILL.md must be at root of skill directory, found at: a/b/SKILL.md",
        ),
        (
            zip(&[("a/SKILL.md", &skill("b", ""))]),
            "Invalid skill package: Skill name mismatch: directory is 'a' but SKILL.md name is 'b'",
        ),
        (
            zip(&[("a/SKILL.md", "# no front matter")]),
            "Invalid skill package: a: SKILL.md must begin with YAML front matter between two lines '---'",
        ),
    ];
    for (zip_data, wanted) in cases {
        let failure = refused(&world, Who::Alice, "skills_import", json!({"zip_data": zip_data}), VALIDATION).await;
        assert_eq!(failure.message, *wanted);
        let looked = ok(&world, Who::Alice, "skills_validate_zip", json!({"zip_data": zip_data})).await;
        assert_eq!((&looked["valid"], &looked["errors"][0]), (&json!(false), &json!(wanted)));
    }
    // What people write is taken: a colon in a description, a name that the standard does not like.
    let lenient = zip(&[("My_Skill/SKILL.md", "---\nname: My_Skill\ndescription: Use when: always\n---\nBody\n")]);
    let made = ok(&world, Who::Alice, "skills_import", json!({"zip_data": lenient})).await;
    let minded = made["diagnostics"]["My_Skill"].as_array().expect("diagnostics");
    assert!(minded[0].as_str().expect("a text").contains("quotes"), "{minded:?}");
    let info = ok(&world, Who::Alice, "skills_info", json!({"skill_name": "My_Skill"})).await;
    assert_eq!(info["description"], "Use when: always");
}
