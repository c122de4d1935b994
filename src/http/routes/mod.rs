//! THE LIST of routes: where each is, which verbs it takes, who serves them, and what the document says of them.
//!
//! Every route but the methods is declared once, in [`ALL`]; the server is configured from it and the OpenAPI document is
//! drawn from it. Invariant: this file alone adds routes to the server (`tests/tidy.rs`), so what is not in the document
//! is not served. The methods are in the registry of `rpc`, which describes them itself.

mod describe;
mod events;
mod files;
mod pages;
mod schemas;
mod skills;
mod subscriptions;

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};
use futures_util::future::LocalBoxFuture;
use serde_json::{Map, Value};

use self::describe::Described;
use super::reply::{method_not_allowed, not_found, request_id};
use super::rpc::{self, METHODS};
use super::state::Shared;

/// Serves one request.
type Serve = fn(HttpRequest, web::Payload) -> LocalBoxFuture<'static, HttpResponse>;

/// One verb of a route.
struct Operation {
    verb: Method,
    serve: Serve,
    /// What the document says of it.
    describe: fn() -> Described,
}

/// One route.
struct Route {
    /// Its addresses, as the router reads them; the document shows the first.
    patterns: &'static [&'static str],
    /// The parameters that stand in the address.
    parameters: fn() -> Vec<Value>,
    operations: &'static [Operation],
}

impl Route {
    /// The address for the document: `/files/{path:.*}` is `/files/{path}`.
    fn shown(&self) -> String {
        self.patterns[0].replace(":.*}", "}")
    }

    /// The verbs, for people and the header `Allow`.
    fn verbs(&self) -> String {
        self.operations.iter().map(|operation| operation.verb.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn resource(&self) -> Resource {
        let mut resource = web::resource(self.patterns.to_vec());
        for operation in self.operations {
            resource = resource.route(web::method(operation.verb.clone()).to(operation.serve));
        }
        resource.default_service(web::to(method_not_allowed(&self.verbs())))
    }

    /// The path item of the document.
    fn item(&self) -> Value {
        let mut item = Map::new();
        let parameters = (self.parameters)();
        if !parameters.is_empty() {
            item.insert("parameters".into(), parameters.into());
        }
        for operation in self.operations {
            item.insert(operation.verb.as_str().to_ascii_lowercase(), (operation.describe)().finish());
        }
        item.into()
    }
}

/// No parameters in the address.
fn none() -> Vec<Value> {
    Vec::new()
}

/// The routes that are no methods, a list for each noun.
const ALL: &[&[Route]] = &[pages::ROUTES, files::ROUTES, events::ROUTES, subscriptions::ROUTES, skills::ROUTES];

/// Adds every route.
pub(super) fn configure(server: &mut ServiceConfig) {
    let routes = || ALL.iter().flat_map(|routes| routes.iter());
    let below = |path: &str| path.strip_prefix(METHODS).is_some_and(|rest| rest.starts_with('/'));
    // First, so that a call of a method is not held against the patterns of all other routes, some of which are
    // regular expressions. A page that lies among the methods comes before them.
    for route in routes().filter(|route| below(route.patterns[0])) {
        server.service(route.resource());
    }
    server.service(web::scope(METHODS).default_service(web::to(method)));
    for route in routes().filter(|route| !below(route.patterns[0])) {
        server.service(route.resource());
    }
    server.default_service(web::to(not_found));
}

/// Adds what programs in sandboxes come to: the methods (`rpc` refuses them those that are not for them) and the files.
pub(super) fn configure_inside(server: &mut ServiceConfig) {
    server.service(web::scope(METHODS).default_service(web::to(method)));
    for route in files::ROUTES {
        server.service(route.resource());
    }
    server.default_service(web::to(not_found));
}

/// A method by its name, or what is no name of one.
async fn method(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    if rpc::method_at(request.path()).is_none() {
        return not_found(request).await;
    }
    if request.method() != Method::POST {
        return method_not_allowed("POST")(request).await;
    }
    call(request, payload).await
}

/// A call of a method.
async fn call(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    rpc::call(Shared::of(&request), request.head(), payload.into_inner(), request_id(&request)).await
}

/// The OpenAPI document of this server: its routes and its methods.
#[must_use]
pub fn openapi() -> Value {
    let mut document = crate::rpc::openapi::document();
    let mut paths: Map<String, Value> =
        ALL.iter().flat_map(|routes| routes.iter()).map(|route| (route.shown(), route.item())).collect();
    if let Some(Value::Object(methods)) = document.get_mut("paths").map(Value::take) {
        paths.extend(methods);
    }
    document["paths"] = paths.into();
    for (kind, entries) in schemas::components() {
        for (name, entry) in entries {
            document["components"][kind][name] = entry;
        }
    }
    document
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every `$ref` of the document, found by walking it.
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(members) => {
                for (key, member) in members {
                    match member {
                        Value::String(target) if key == "$ref" => drop(found.insert(target)),
                        _ => references(member, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = openapi();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for target in found {
            let pointer = target.strip_prefix('#').expect("references stay inside the document");
            assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
        }
    }

    #[test]
    fn every_part_of_the_document_is_used() {
        let document = openapi();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for kind in ["schemas", "responses", "headers"] {
            for name in document["components"][kind].as_object().expect("an object").keys() {
                let target = format!("#/components/{kind}/{name}");
                assert!(found.contains(target.as_str()), "nothing refers to {target}");
            }
        }
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_its_parameters() {
        let document = openapi();
        let mut names = BTreeSet::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            let declared: BTreeSet<&str> = item["parameters"]
                .as_array()
                .map(|list| list.iter().filter_map(|parameter| parameter["name"].as_str()).collect())
                .unwrap_or_default();
            let open = path.split('{').skip(1).filter_map(|part| part.split('}').next());
            assert_eq!(open.collect::<BTreeSet<_>>(), declared, "{path}");
            for (verb, operation) in item.as_object().expect("an item").iter().filter(|(key, _)| *key != "parameters") {
                let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{verb} {path} has no name"));
                assert!(names.insert(name), "{name} stands twice");
                assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{verb} {path}");
                assert!(operation["responses"].as_object().is_some_and(|all| !all.is_empty()), "{verb} {path}");
            }
        }
    }

    #[test]
    fn the_document_is_the_same_every_time() {
        assert_eq!(openapi().to_string(), openapi().to_string());
    }
}
