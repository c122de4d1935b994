// Draws /openapi.json. Everything goes into the page as text, nothing as markup.
"use strict";

const KEY = "nexus-lite-key";
const $ = (id) => document.getElementById(id);
let spec = null;

function make(tag, text, ...children) {
  const node = document.createElement(tag);
  if (text) node.textContent = text;
  node.append(...children);
  return node;
}

function headers() {
  const key = sessionStorage.getItem(KEY);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

function resolve(schema) {
  const seen = new Set();
  while (schema && schema.$ref && !seen.has(schema.$ref)) {
    seen.add(schema.$ref);
    schema = schema.$ref.slice(2).split("/").reduce((at, name) => at?.[name], spec);
  }
  return schema ?? {};
}

function typeOf(schema) {
  const name = schema.$ref && schema.$ref.split("/").pop();
  const plain = resolve(schema);
  const many = plain.anyOf ?? plain.oneOf;
  if (plain.const !== undefined) return JSON.stringify(plain.const);
  if (plain.enum) return plain.enum.map((each) => JSON.stringify(each)).join(" | ");
  if (many) return many.map(typeOf).join(" | ");
  if (plain.type === "array") return `[${typeOf(plain.items ?? {})}]`;
  if (name) return name;
  return [plain.type ?? "any"].flat().join(" | ");
}

// The fields of an object, one row each; objects inside follow as their own tables.
function fields(schema, depth = 0) {
  const plain = resolve(schema);
  if (plain.type === "array" && plain.items) return fields(plain.items, depth);
  const some = (plain.anyOf ?? plain.oneOf ?? []).map(resolve).filter((each) => each.properties);
  const properties = plain.properties ?? some[0]?.properties;
  const box = make("div");
  if (!properties) {
    box.append(make("p", plain.description ? `${typeOf(schema)}: ${plain.description}` : typeOf(schema)));
    return box;
  }
  const rows = Object.entries(properties).map(([name, each]) => {
    const needed = (plain.required ?? some[0]?.required ?? []).includes(name);
    const fallback = each.default === undefined ? "" : ` Default: ${JSON.stringify(each.default)}.`;
    const row = make("tr", null, make("td", null, make("code", name)), make("td", typeOf(each)));
    row.append(make("td", (each.description ?? resolve(each).description ?? "") + fallback));
    if (needed) row.firstChild.firstChild.className = "needed";
    return row;
  });
  box.append(rows.length ? make("table", null, ...rows) : make("p", "none"));
  if (depth < 3) {
    for (const [name, each] of Object.entries(properties)) {
      const inner = resolve(each.items ?? each);
      if (inner.properties) box.append(make("h4", name), fields(inner, depth + 1));
    }
  }
  return box;
}

function trial(path, name) {
  const params = make("textarea", "{}");
  const answer = make("pre", "");
  const button = make("button", "Send");
  answer.hidden = true;
  params.setAttribute("aria-label", "Parameters as JSON");
  button.onclick = async () => {
    answer.hidden = false;
    try {
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: name, params: JSON.parse(params.value) });
      const reply = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...headers() },
        body,
      });
      const text = await reply.text();
      try {
        answer.textContent = JSON.stringify(JSON.parse(text), null, 2);
      } catch {
        answer.textContent = `${reply.status} ${text}`;
      }
    } catch (error) {
      answer.textContent = String(error);
    }
  };
  return make("div", null, make("h4", "Try it (it is executed)"), params, button, answer);
}

function body(path, verb, operation) {
  const box = make("div");
  // The first paragraph of a method is its summary.
  for (const paragraph of (operation.description ?? "").split("\n\n").slice(path.startsWith("/api/nfs/") ? 1 : 0)) {
    box.append(make("p", paragraph.replaceAll("\n", " ")));
  }
  if (operation["x-not-available"]) box.append(make("p", `Not available: ${operation["x-not-available"]}`));
  const sent = operation.requestBody?.content?.["application/json"]?.schema;
  const given = sent?.properties?.params;
  const params = given?.anyOf?.[0] ?? given;
  if (params) box.append(make("h4", "Parameters"), fields(params));
  else if (sent) box.append(make("h4", "Body"), fields(sent));
  for (const each of operation.parameters ?? []) {
    box.append(make("p", `${each.name} (${each.in}): ${each.description ?? ""}`));
  }
  const ok = (operation.responses?.["200"] ?? operation.responses?.["201"])?.content?.["application/json"]?.schema;
  const result = ok?.anyOf?.[0]?.properties?.result;
  if (result ?? ok) box.append(make("h4", "Result"), fields(result ?? ok));
  const statuses = Object.entries(operation.responses ?? {}).map(([status, each]) => `${status} ${resolve(each).description}`);
  if (operation["x-errors"]?.length) box.append(make("h4", "Errors"), make("p", operation["x-errors"].join(", ")));
  box.append(make("h4", "Answers"), make("pre", statuses.join("\n")));
  if (params) box.append(trial(path, operation.operationId));
  return box;
}

function operation(path, verb, described) {
  const name = path.startsWith("/api/nfs/") && verb === "post" ? described.operationId : `${verb.toUpperCase()} ${path}`;
  const line = make("summary", null, make("code", name), make("span", described.summary));
  const node = make("details", null, line);
  node.id = described.operationId ?? name;
  node.dataset.words = `${name} ${described.summary}`.toLowerCase();
  node.ontoggle = () => {
    if (node.open && node.childElementCount === 1) node.append(body(path, verb, described));
  };
  return node;
}

function draw() {
  $("version").textContent = spec.info.version;
  const groups = new Map();
  for (const [path, item] of Object.entries(spec.paths)) {
    for (const [verb, described] of Object.entries(item)) {
      if (!described.responses) continue;
      const group = described.tags?.[0] ?? "server";
      groups.set(group, [...(groups.get(group) ?? []), operation(path, verb, { ...described, parameters: [...(item.parameters ?? []), ...(described.parameters ?? [])] })]);
    }
  }
  $("operations").replaceChildren(
    ...[...groups].map(([group, nodes]) => make("section", null, make("h2", `${group} (${nodes.length})`), ...nodes)),
  );
  const named = location.hash && $(decodeURIComponent(location.hash.slice(1)));
  if (named) {
    named.open = true;
    named.scrollIntoView();
  }
}

function search() {
  const words = $("search").value.toLowerCase().split(/\s+/);
  for (const section of document.querySelectorAll("section")) {
    let shown = 0;
    for (const node of section.querySelectorAll("details")) {
      node.hidden = !words.every((word) => node.dataset.words.includes(word));
      shown += node.hidden ? 0 : 1;
    }
    section.hidden = shown === 0;
  }
}

async function load() {
  const reply = await fetch("/openapi.json", { headers: headers() });
  if (!reply.ok) {
    const why = "This server shows its documents to those who have a key: enter one above.";
    $("operations").replaceChildren(make("p", reply.status === 401 ? why : `openapi.json: ${reply.status}`));
    return;
  }
  spec = await reply.json();
  draw();
  search();
}

$("search").oninput = search;
$("access").onsubmit = (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, $("key").value.trim());
  $("key").value = "";
  load();
};
load();
