//! The YAML of a front matter as a tree of texts, and what of it the strict dialect of the reference does not allow.
//!
//! Scalars stay as they are written: `1.10` is no number. Bounded in nodes and depth; an alias is never followed.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

/// Nodes of one document.
const NODES_MAX: usize = 4_096;
/// Lists and mappings within one another.
const DEPTH_MAX: usize = 16;

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Text(String),
    List(Vec<Node>),
    Map(Vec<Field>),
}

/// A key and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) key: String,
    /// From 1, of the key.
    pub(super) line: usize,
    pub(super) value: Node,
}

/// What is wrong with a document, and on which of its lines (from 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) line: usize,
    pub(super) text: String,
}

/// A document that could be read.
#[derive(Debug)]
pub(super) struct Document {
    /// `None` = it is empty.
    pub(super) node: Option<Node>,
    /// The first thing in it that the strict dialect does not allow.
    pub(super) disallowed: Option<Problem>,
}

/// Reads a document.
pub(super) fn parse(text: &str) -> Result<Document, Problem> {
    if let Some((at, c)) = text.char_indices().find(|(_, c)| !is_printable(*c)) {
        let line = 1 + text[..at].matches('\n').count();
        return Err(Problem { line, text: format!("the character U+{:04X} is not allowed", u32::from(c)) });
    }
    let mut reader = Reader { events: Parser::new_from_str(text), disallowed: None, nodes: 0, tabbed: Vec::new() };
    let node = reader.document()?;
    let disallowed = reader.disallowed.take().or_else(|| reader.tab(text));
    Ok(Document { node, disallowed })
}

/// What YAML lets stand in a text as it is.
fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && c != '\u{feff}'
}

struct Reader<'a> {
    events: Parser<'a, granit_parser::StrInput<'a>>,
    disallowed: Option<Problem>,
    nodes: usize,
    /// Where a tab may stand: in quotes, in blocks of text, in comments.
    tabbed: Vec<Range<usize>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        loop {
            return match self.events.next() {
                Some(Ok((Event::Comment(..), span))) => {
                    self.tabbed.extend(span.byte_range());
                    continue;
                }
                Some(Ok(event)) => Ok(event),
                Some(Err(error)) => Err(Problem { line: error.marker().line().max(1), text: error.info() }),
                None => Err(Problem { line: 1, text: "the document has no end".into() }),
            };
        }
    }

    /// The first tab where the strict dialect has none.
    fn tab(&self, text: &str) -> Option<Problem> {
        let is_free = |at: &usize| !self.tabbed.iter().any(|range| range.contains(at));
        let at = text.match_indices('\t').map(|(at, _)| at).find(is_free)?;
        let line = 1 + text[..at].matches('\n').count();
        Some(Problem { line, text: "found character '\\t' that cannot start any token".into() })
    }

    fn document(&mut self) -> Result<Option<Node>, Problem> {
        let mut found = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(found),
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if found.is_some() => {
                    return Err(problem(span, "expected a single document"));
                }
                Event::DocumentStart(..) => {}
                event => found = Some(self.node(event, span, 0)?),
            }
        }
    }

    fn disallow(&mut self, span: Span, text: &str) {
        if self.disallowed.is_none() {
            self.disallowed = Some(problem(span, text));
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Problem> {
        self.nodes += 1;
        if self.nodes > NODES_MAX || depth > DEPTH_MAX {
            return Err(problem(span, "the document is too large, or too deep"));
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.properties(span, anchor, tag.is_some());
                if style != ScalarStyle::Plain {
                    self.tabbed.extend(span.byte_range());
                }
                // What is not there is read as if it were written so.
                let absent = style == ScalarStyle::Plain && span.start.index() >= span.end.index();
                Ok(Node::Text(if absent { String::new() } else { text.into_owned() }))
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.properties(span, anchor, tag.is_some());
                self.flow(span, style);
                let mut list = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => return Ok(Node::List(list)),
                        (event, span) => list.push(self.node(event, span, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(style, anchor, tag) => {
                self.properties(span, anchor, tag.is_some());
                self.flow(span, style);
                self.mapping(depth)
            }
            _ => Err(problem(span, "an alias, which a front matter cannot have")),
        }
    }

    fn properties(&mut self, span: Span, anchor: usize, tagged: bool) {
        if tagged {
            self.disallow(span, "a tag (do not specify types in markup)");
        }
        if anchor > 0 {
            self.disallow(span, "an anchor (surround the text with ' and ')");
        }
    }

    fn flow(&mut self, span: Span, style: StructureStyle) {
        if style == StructureStyle::Flow {
            self.disallow(
                span,
                "a list or a mapping in brackets (write it on lines of their own, or surround it with ' and ')",
            );
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Node, Problem> {
        let mut fields: Vec<Field> = Vec::new();
        let mut column = None;
        loop {
            let (event, span) = self.next()?;
            let merges = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = match event {
                Event::MappingEnd => return Ok(Node::Map(fields)),
                event => self.node(event, span, depth + 1)?,
            };
            let Node::Text(key) = key else { return Err(problem(span, "a key that is no text")) };
            if fields.iter().any(|field| field.key == key) {
                return Err(problem(span, &format!("Duplicate key '{key}' found")));
            }
            let (event, at) = self.next()?;
            if matches!(event, Event::MappingStart(StructureStyle::Block, ..)) {
                let own = at.start.col();
                if *column.get_or_insert(own) != own {
                    self.disallow(at, "a mapping indented otherwise than the one before");
                }
            }
            let value = self.node(event, at, depth + 1)?;
            if merges && !matches!(value, Node::Map(_)) {
                self.disallow(span, "expected a mapping for merging");
            }
            fields.push(Field { key, line: span.start.line().max(1), value });
        }
    }
}

fn problem(span: Span, text: &str) -> Problem {
    Problem { line: span.start.line().max(1), text: text.to_owned() }
}
