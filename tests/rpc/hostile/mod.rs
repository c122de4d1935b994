//! Hostile texts in every parameter of every method. The places come from the registry: a method that takes a path
//! under a name which is not known here fails `every_path_is_known`.

// 400 ways to write a path that leads elsewhere.
mod traversal;
// What a database, a pattern or a log line might take for its own.
mod strings;

use nexus_lite::rpc::registry::{Entry, METHODS};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::harness::world::{Setup, Who, World};
use crate::rpc::{grant, ok, write};

/// What alice owns; everything that may be made lies in it.
const HOME: &str = "/tenant:default/user:alice";
/// A file of hers that methods with two paths take.
const GOOD: &str = "/tenant:default/user:alice/good.txt";
/// What nobody of her tenant may see.
const FOREIGN: &str = "/tenant:acme/secret/file";
/// What is in it.
const SECRET: &str = "the-secret-of-acme";

/// How a text gets into a parameter.
type Put = fn(&str) -> Value;

/// Parameters that hold paths, by name, and how each takes one. A name stands for the same thing in every method.
const PATHS: &[(&str, Put)] = &[
    ("path", |s| json!(s)),
    ("file_path", |s| json!(s)),
    ("old_path", |s| json!(s)),
    ("new_path", |s| json!(s)),
    ("src_path", |s| json!(s)),
    ("dst_path", |s| json!(s)),
    ("workspace_path", |s| json!(s)),
    ("output_path", |s| json!(s)),
    ("input_path", |s| json!(s)),
    ("mount_point", |s| json!(s)),
    ("path_prefix", |s| json!(s)),
    ("prefix", |s| json!(s)),
    ("object_prefix", |s| json!(s)),
    ("pattern", |s| json!(s)),
    ("file_pattern", |s| json!(s)),
    ("include_patterns", |s| json!([s])),
    ("exclude_patterns", |s| json!([s])),
    ("paths", |s| json!([s])),
    ("files", |s| json!([[s, "x"]])),
    ("renames", |s| json!([[GOOD, s]])),
    ("renames", |s| json!([[s, GOOD]])),
    ("object", |s| json!(["file", s])),
    ("objects", |s| json!([["file", s]])),
    ("resource", |s| json!(["file", s])),
    ("subject", |s| json!(["file", s])),
    ("checks", |s| json!([[["user", "alice"], "read", ["file", s]]])),
    ("mount_path", |s| json!(s)),
];

/// Names that sound like paths and hold none.
const NO_PATHS: &[&str] = &[
    "show_parsed",
    "path_key",
    "namespace_prefix",
    "redirect_url",
    "redirect_uri",
    "include_unmounted",
    "files_max",
    "file_format",
    "delete_files",
    "directory",
    "file_data",
];

/// Parts of names that a path goes by.
const SOUNDS: &[&str] = &["path", "mount", "prefix", "pattern", "dir", "file", "folder", "object", "location"];

/// A parameter, as the schema has it.
struct Parameter {
    name: String,
    required: bool,
    schema: Value,
}

/// The parameters of a method.
fn parameters(entry: &Entry) -> Vec<Parameter> {
    let mut generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let schema = (entry.params)(&mut generator).to_value();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let none = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    let one = |(name, schema): (&String, &Value)| Parameter {
        name: name.clone(),
        required: required.contains(&json!(name)),
        schema: schema.clone(),
    };
    properties.iter().map(one).collect()
}

/// A harmless value of a required parameter.
fn harmless(parameter: &Parameter) -> Value {
    match parameter.name.as_str() {
        "old_path" | "src_path" | "file_path" | "path" => return json!(GOOD),
        "new_path" | "dst_path" => return json!(format!("{HOME}/moved.txt")),
        "mount_point" => return json!(format!("{HOME}/mnt")),
        "subject" => return json!(["user", "alice"]),
        "object" | "resource" => return json!(["file", GOOD]),
        "objects" => return json!([["file", GOOD]]),
        "checks" => return json!([[["user", "alice"], "read", ["file", GOOD]]]),
        "permission" => return json!("read"),
        "relation" => return json!("direct_viewer"),
        "pattern" => return json!("**"),
        "content" => return json!("content"),
        "edits" => return json!([{"old_str": "good", "new_str": "better"}]),
        "paths" => return json!([GOOD]),
        "files" => return json!([[GOOD, "good"]]),
        "renames" => return json!([[GOOD, format!("{HOME}/moved.txt")]]),
        "backend_type" => return json!("local"),
        "backend_config" => return json!({"data_dir": "/nowhere"}),
        "namespace" => return json!({"object_type": "x", "config": {}}),
        "language" => return json!("bash"),
        _ => {}
    }
    match parameter.schema["type"].as_str() {
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("x"),
    }
}

/// The parameters of a request with `value` in `place`, and harmless ones where something must be.
fn request(parameters: &[Parameter], place: &str, value: Value) -> Value {
    let required = parameters.iter().filter(|p| p.required);
    let mut params: Map<String, Value> = required.map(|p| (p.name.clone(), harmless(p))).collect();
    params.insert(place.to_owned(), value);
    Value::Object(params)
}

/// Every place of every method that takes a path.
fn places() -> Vec<(&'static Entry, &'static str, Put)> {
    let mut found = Vec::new();
    for entry in METHODS {
        for parameter in parameters(entry) {
            found.extend(
                PATHS.iter().filter(|(name, _)| *name == parameter.name).map(|(name, put)| (entry, *name, *put)),
            );
        }
    }
    found
}

#[test]
fn every_path_is_known() {
    let known = |name: &str| PATHS.iter().any(|(path, _)| *path == name) || NO_PATHS.contains(&name);
    let mut unknown = Vec::new();
    for entry in METHODS {
        for Parameter { name, schema, .. } in parameters(entry) {
            let text = schema["description"].as_str().unwrap_or_default().to_lowercase();
            // Of what type an object is says no path.
            let sounds =
                SOUNDS.iter().any(|part| name.contains(part)) && !name.ends_with("_type") && !name.ends_with("_id");
            if (sounds || text.contains("virtual path")) && !known(&name) {
                unknown.push(format!("{}: `{name}`", entry.name));
            }
        }
    }
    assert_eq!(unknown, Vec::<String>::new(), "say in PATHS how these take a path, or in NO_PATHS that they take none");
    assert!(places().len() > 45, "the schemas were read: {}", places().len());
}

/// A world in which alice owns her home, and acme has what she must not see.
async fn world() -> World {
    let hasty = |options: &mut nexus_lite::store::Options| {
        options.durability = nexus_lite::store::Durability::Relaxed;
    };
    let world = World::with(Setup { tune: Box::new(hasty), ..Setup::default() }).await;
    ok(&world, Who::Admin, "mkdir", json!({"path": HOME, "parents": true})).await;
    grant(&world, ("user", "alice"), "direct_owner", HOME).await;
    write(&world, Who::OtherAdmin, FOREIGN, SECRET).await;
    write(&world, Who::Alice, GOOD, "good").await;
    world
}

/// Whether an answer holds the secret, as it is or as base64, or a line of the host's file of users.
fn leaks(said: &str) -> bool {
    use base64::Engine as _;
    let encoded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    [SECRET.to_owned(), encoded(SECRET), "root:x:0".to_owned(), encoded("root:x:0:0:root")]
        .iter()
        .any(|s| said.contains(s))
}
