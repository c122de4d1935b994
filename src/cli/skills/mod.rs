//! `skill`: skills on this machine, looked at without a server, and skills of a server, through its methods.
//!
//! Owns arguments and what is printed; the rules are those of the service.

mod local;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::door::Door;
use super::{Failure, exit};

/// Makes, validates, imports, exports, lists, finds, publishes and forks skills, and has them reviewed.
#[derive(Debug, clap::Args)]
pub struct Skill {
    #[command(flatten)]
    door: Door,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Makes a directory with a SKILL.md to begin with, on this machine; asks no server.
    New {
        /// Its name: small letters, digits and '-'.
        name: String,
        /// What it is for.
        #[arg(long, short)]
        description: Option<String>,
        /// basic, data-analysis, code-generation, document-processing or api-integration.
        #[arg(long, default_value = "basic")]
        template: String,
        /// The directory to make it in.
        #[arg(long = "in", value_name = "DIR", default_value = ".")]
        within: PathBuf,
    },
    /// Says what is wrong with a skill on this machine by the rules of agentskills.io; asks no server.
    Validate {
        /// Its directory, or its SKILL.md.
        #[arg(default_value = ".")]
        path: PathBuf,
    },
    /// Puts skills on a server: an archive, or a directory of this machine.
    Import {
        /// A ZIP, or the directory of a skill.
        path: PathBuf,
        /// personal, tenant or system.
        #[arg(long, default_value = "personal")]
        tier: String,
        /// Makes next versions of skills that are there.
        #[arg(long)]
        overwrite: bool,
    },
    /// Saves a skill as an archive.
    Export {
        /// Its name.
        name: String,
        /// Where to save it; `<name>.skill` without this.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// generic, or claude: as agentskills.io wants it, 8 MiB at most.
        #[arg(long, default_value = "generic")]
        format: String,
        /// Also the skills that it needs.
        #[arg(long)]
        dependencies: bool,
        /// Replaces a file that is there.
        #[arg(long)]
        force: bool,
    },
    /// Lists the skills that you may read.
    List {
        /// Only those of a tier: personal, tenant, system or user.
        #[arg(long)]
        tier: Option<String>,
    },
    /// Shows a skill: what it is for, what it needs, what the standard minds about it.
    Info {
        /// Its name.
        name: String,
    },
    /// Finds skills by words in their names and descriptions.
    Search {
        /// The words.
        #[arg(required = true)]
        query: Vec<String>,
        /// How many.
        #[arg(long, default_value_t = 10)]
        limit: u64,
    },
    /// Puts a copy of a skill where others see it.
    Publish {
        /// Its name.
        name: String,
        /// Where it is.
        #[arg(long, default_value = "personal")]
        from: String,
        /// Where to put it.
        #[arg(long, default_value = "tenant")]
        to: String,
    },
    /// Makes a skill of another name out of one that you may read.
    Fork {
        /// The skill.
        name: String,
        /// The name of the copy.
        target: String,
        /// Where to put it.
        #[arg(long, default_value = "personal")]
        tier: String,
    },
    /// Asks that a skill may be published to the tenant; prints the id of the submission.
    Submit {
        /// Its name.
        name: String,
        /// A user who shall decide; more than once for several. Without one, whoever may write to the tenant's skills.
        #[arg(long = "reviewer", value_name = "USER")]
        reviewers: Vec<String>,
        /// What the reviewers should know.
        #[arg(long, short)]
        comments: Option<String>,
    },
    /// Decides that a submitted skill may be published to the tenant.
    Approve(Decision),
    /// Decides that a submitted skill may not be published.
    Reject(Decision),
    /// Lists submissions, newest first.
    Approvals {
        /// Only those that are pending, approved or rejected.
        #[arg(long, value_parser = ["pending", "approved", "rejected"])]
        status: Option<String>,
        /// Only of this skill.
        name: Option<String>,
    },
}

/// A decision about a submission.
#[derive(Debug, clap::Args)]
struct Decision {
    /// The submission, as `skill approvals` shows it.
    approval_id: String,
    /// Why.
    #[arg(long, short)]
    comments: Option<String>,
}

impl Decision {
    fn params(&self) -> Value {
        json!({ "approval_id": self.approval_id, "comments": self.comments })
    }
}

impl Skill {
    /// Runs.
    pub fn run(self) -> Result<u8, Failure> {
        let door = &self.door;
        let (method, params) = match &self.command {
            Command::New { name, description, template, within } => {
                return local::new(door, name, description.as_deref(), template, within);
            }
            Command::Validate { path } => return local::validate(door, path),
            Command::Export { .. } => return self.export(),
            Command::Import { path, tier, overwrite } => {
                let archive = STANDARD.encode(local::archive(path)?);
                ("skills_import", json!({"zip_data": archive, "tier": tier, "allow_overwrite": overwrite}))
            }
            Command::List { tier } => ("skills_list", json!({ "tier": tier })),
            Command::Info { name } => ("skills_info", json!({ "skill_name": name })),
            Command::Search { query, limit } => ("skills_search", json!({"query": query.join(" "), "limit": limit})),
            Command::Publish { name, from, to } => {
                ("skills_publish", json!({"skill_name": name, "source_tier": from, "target_tier": to}))
            }
            Command::Fork { name, target, tier } => {
                ("skills_fork", json!({"source_name": name, "target_name": target, "tier": tier}))
            }
            Command::Submit { name, reviewers, comments } => {
                let reviewers = (!reviewers.is_empty()).then_some(reviewers);
                let params = json!({"skill_name": name, "reviewers": reviewers, "comments": comments});
                ("skills_submit_approval", params)
            }
            Command::Approve(decision) => ("skills_approve", decision.params()),
            Command::Reject(decision) => ("skills_reject", decision.params()),
            Command::Approvals { status, name } => {
                ("skills_list_approvals", json!({"status": status, "skill_name": name}))
            }
        };
        let answer = door.ask(method, params)?;
        door.show(&answer, |answer| for_people(&self.command, answer))?;
        let nothing = matches!(self.command, Command::Search { .. }) && answer["count"] == 0;
        Ok(if nothing { exit::WRONG } else { exit::OK })
    }

    fn export(&self) -> Result<u8, Failure> {
        let Command::Export { name, output, format, dependencies, force } = &self.command else {
            return Err(Failure::new(exit::SOFTWARE, "not an export"));
        };
        let params = json!({"skill_name": name, "format": format, "include_dependencies": dependencies});
        let mut answer = self.door.ask("skills_export", params)?;
        let packed = STANDARD.decode(text(&answer["zip_data"]));
        let packed = packed.map_err(|e| Failure::new(exit::DATA, format!("the server sent no archive: {e}")))?;
        let path = output.clone().unwrap_or_else(|| PathBuf::from(text(&answer["filename"])));
        save(&path, &packed, *force)?;
        if let Value::Object(fields) = &mut answer {
            fields.remove("zip_data");
            fields.insert("saved".into(), path.display().to_string().into());
        }
        self.door.show(&answer, |_| format!("{} bytes saved to {}\n", packed.len(), path.display()))?;
        Ok(exit::OK)
    }
}

fn save(path: &Path, bytes: &[u8], force: bool) -> Result<(), Failure> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(path).and_then(|mut file| file.write_all(bytes));
    written.map_err(|e| {
        let failure = Failure::new(exit::CANNOT_CREATE, format!("{}: {e}", path.display()));
        if e.kind() == std::io::ErrorKind::AlreadyExists { failure.hint("--force replaces it") } else { failure }
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn for_people(command: &Command, answer: &Value) -> String {
    let rows = |value: &Value| value.as_array().cloned().unwrap_or_default();
    match command {
        Command::List { .. } => {
            let skills = rows(&answer["skills"]);
            let wide = skills.iter().map(|row| text(&row["name"]).chars().count()).max().unwrap_or(0);
            let line = |row: &Value| {
                let (name, tier) = (text(&row["name"]), text(&row["tier"]));
                format!("{name:wide$}  {tier:8}  {}\n", first_line(text(&row["description"])))
            };
            match skills.is_empty() {
                true => "no skills that you may read; `nexus-lite skill new` makes one\n".to_owned(),
                false => skills.iter().map(line).collect(),
            }
        }
        Command::Search { .. } => {
            let line = |row: &Value| format!("{:>5}  {}\n", row["score"], text(&row["skill_name"]));
            rows(&answer["results"]).iter().map(line).collect()
        }
        Command::Info { .. } => information(answer),
        Command::Import { .. } => {
            let mut said: String =
                texts(&answer["skill_paths"]).iter().map(|path| format!("imported {path}\n")).collect();
            for (name, found) in answer["diagnostics"].as_object().into_iter().flatten() {
                said.extend(texts(found).iter().map(|text| format!("  {name}: {text}\n")));
            }
            said
        }
        Command::Publish { .. } => format!("published {}\n", text(&answer["published_path"])),
        Command::Fork { .. } => format!("forked {}\n", text(&answer["forked_path"])),
        Command::Submit { .. } => format!("{}\n", text(&answer["approval_id"])),
        Command::Approve(_) | Command::Reject(_) => {
            format!("{} {}\n", text(&answer["status"]), text(&answer["approval_id"]))
        }
        Command::Approvals { .. } => submissions(answer),
        _ => format!("{answer}\n"),
    }
}

fn submissions(answer: &Value) -> String {
    let rows = answer["approvals"].as_array().map_or(&[][..], Vec::as_slice);
    let mut said = String::new();
    for row in rows {
        let decided = row["reviewed_by"].as_str().map_or_else(String::new, |user| format!(" by user:{user}"));
        let (id, name, by) = (text(&row["approval_id"]), text(&row["skill_name"]), text(&row["submitted_by"]));
        let about = row["comments"].as_str().map_or_else(String::new, |about| format!("  {}", first_line(about)));
        said.push_str(&format!("{id}  {name}  user:{by}  {}{decided}{about}\n", text(&row["status"])));
    }
    if rows.is_empty() {
        said.push_str("no submissions that you may see\n");
    }
    if answer["complete"] == false {
        said.push_str(&format!("… there may be more: {}\n", text(&answer["reason"])));
    }
    said
}

fn information(answer: &Value) -> String {
    let mut said = String::new();
    let mut line = |label: &str, value: String| said.push_str(&format!("{label:12}{value}\n"));
    for (label, key) in [("name", "name"), ("tier", "tier"), ("file", "file_path"), ("version", "version")] {
        if answer[key].is_string() {
            line(label, text(&answer[key]).to_owned());
        }
    }
    line("about", first_line(text(&answer["description"])).to_owned());
    for (label, key) in [("needs", "requires"), ("load", "resolved_dependencies"), ("missing", "missing_dependencies")]
    {
        let names = texts(&answer[key]);
        if !names.is_empty() {
            line(label, names.join(", "));
        }
    }
    for minded in texts(&answer["diagnostics"]) {
        line("minded", minded.to_owned());
    }
    said
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
