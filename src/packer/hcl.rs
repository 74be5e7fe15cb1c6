//! Packer's newer language, HCL2. Expressions are evaluated with what the template itself
//! says: variables with defaults, locals, functions. A variable without a default is read
//! from `PKR_VAR_…`, as Packer does; a secret one, too.

use std::collections::{BTreeMap, BTreeSet};

use ::hcl::edit::Span;
use ::hcl::edit::expr::{Expression, ObjectKey};
use ::hcl::edit::parser;
use ::hcl::edit::structure::{Block as HclBlock, Body, Structure};
use ::hcl::edit::visit::Visit;
use ::hcl::eval::Context;
use ::hcl::{Map, Value};

use super::blocks::{Block, Broken, Entry, Link, Remark, Said, line, sequence};
use super::holes::{self, Names};
use super::scope::{Mentioned, evaluate, from_environment, is_sensitive, label, locals, variables};
use super::{cloud, functions};

/// A template and what its names say.
struct Document<'a> {
    text: &'a str,
    context: Context<'a>,
    locals: BTreeMap<String, &'a Expression>,
    /// Variables with a default that may be shown.
    defaults: BTreeMap<String, Value>,
}

/// The import blocks of a template.
pub(super) fn read(text: &str) -> Result<Vec<Block>, Broken> {
    // What the parser shows of the line may be a secret.
    let body = parser::parse_body(text).map_err(|error| Broken {
        line: Some(error.location().line()),
        why: format!(
            "{} (column {})",
            error.message().replace('\n', " "),
            error.location().column()
        ),
    })?;
    let document = Document::new(text, &body);
    let mut blocks = Vec::new();
    let builds = body.get_blocks("build").map(|build| &build.body);
    for body in std::iter::once(&body).chain(builds) {
        for block in body.blocks() {
            let links: Vec<_> = match block.ident.as_str() {
                "post-processor" => vec![document.link(block)],
                "post-processors" => {
                    let inside = block.body.get_blocks("post-processor");
                    inside.map(|block| document.link(block)).collect()
                }
                _ => continue,
            };
            blocks.extend(sequence(links));
        }
    }
    Ok(blocks)
}

impl<'a> Document<'a> {
    fn new(text: &'a str, body: &'a Body) -> Self {
        let mut context = Context::new();
        functions::declare(&mut context);
        let mut document = Self {
            text,
            context,
            locals: locals(body),
            defaults: BTreeMap::new(),
        };
        let secrets = document.secrets(body);
        let mut values = Map::new();
        for (name, default, sensitive) in variables(body) {
            let known = default.filter(|_| !sensitive && !secrets.contains(&format!("var.{name}")));
            let known = known.and_then(|default| evaluate(default, &document.context).ok());
            let known = known.filter(|value| !value.is_null());
            let value = known.clone();
            let value = value.unwrap_or_else(|| from_environment(&name).into());
            document
                .defaults
                .extend(known.map(|known| (name.clone(), known)));
            values.insert(name, value);
        }
        document.context.declare_var("var", values);
        document.settle_locals(&secrets);
        document
    }

    /// Locals may be made of locals: again and again until nothing new is known.
    fn settle_locals(&mut self, secrets: &BTreeSet<String>) {
        let mut known = Map::<String, Value>::new();
        self.context.declare_var("local", known.clone());
        loop {
            let before = known.len();
            for (name, expression) in &self.locals {
                if known.contains_key(name) || secrets.contains(&format!("local.{name}")) {
                    continue;
                }
                if let Ok(value) = evaluate(expression, &self.context) {
                    known.insert(name.clone(), value);
                }
            }
            self.context.declare_var("local", known.clone());
            if known.len() == before {
                return;
            }
        }
    }

    /// The names that secrets are read from, and the locals that are said to be sensitive.
    fn secrets(&self, body: &Body) -> BTreeSet<String> {
        struct Secrets<'d, 'a>(&'d Document<'a>, BTreeSet<String>);
        impl Visit for Secrets<'_, '_> {
            fn visit_attr(&mut self, attribute: &::hcl::edit::structure::Attribute) {
                if cloud::is_secret(attribute.key.as_str()) {
                    self.1.extend(self.0.names(&attribute.value));
                }
            }
        }
        let mut secrets = Secrets(self, BTreeSet::new());
        secrets.visit_body(body);
        let sensitive = body.get_blocks("local").filter(|block| is_sensitive(block));
        let sensitive = sensitive.filter_map(|block| Some(format!("local.{}", label(block)?)));
        secrets.1.extend(sensitive);
        secrets.1
    }

    /// `var.x` and `local.y` in an expression, and those in its locals.
    fn names(&self, expression: &Expression) -> BTreeSet<String> {
        let mut names = Mentioned::default();
        names.visit_expr(expression);
        let mut all = BTreeSet::new();
        let mut open: Vec<_> = names.0.into_iter().collect();
        while let Some(name) = open.pop() {
            if let Some(local) = name
                .strip_prefix("local.")
                .and_then(|name| self.locals.get(name))
                && !all.contains(&name)
            {
                let mut inside = Mentioned::default();
                inside.visit_expr(local);
                open.extend(inside.0);
            }
            all.insert(name);
        }
        all
    }

    fn line(&self, place: &impl Span) -> usize {
        line(self.text, place.span().map_or(0, |span| span.start))
    }

    fn link(&self, block: &HclBlock) -> Link {
        let mut link = Link {
            kind: label(block).unwrap_or_default().to_owned(),
            name: None,
            line: self.line(block),
            entries: Vec::new(),
            files: Vec::new(),
        };
        self.body(&[], &block.body, &mut link.entries);
        link.entries.retain(|entry| {
            if let (["name"], Said::Value(value, _)) = (words(&entry.path).as_slice(), &entry.value)
            {
                link.name = value.as_str().map(str::to_owned);
                return false;
            }
            if let (["files"], Said::Value(::toml::Value::Array(files), _)) =
                (words(&entry.path).as_slice(), &entry.value)
            {
                let files = files
                    .iter()
                    .filter_map(|file| file.as_str().map(str::to_owned));
                link.files = files.collect();
            }
            true
        });
        link
    }

    fn body(&self, path: &[String], body: &Body, entries: &mut Vec<Entry>) {
        for structure in body {
            match structure {
                Structure::Attribute(attribute) => {
                    let path = [path, &[attribute.key.to_string()]].concat();
                    self.expression(&path, self.line(attribute), &attribute.value, entries);
                }
                Structure::Block(block) => self.block(path, block, entries),
            }
        }
    }

    fn block(&self, path: &[String], block: &HclBlock, entries: &mut Vec<Entry>) {
        let name = block.ident.as_str();
        let pair = (
            block.body.get_attribute("key"),
            block.body.get_attribute("value"),
        );
        let tag = match pair {
            (Some(key), Some(value)) if name == "tag" => evaluate(&key.value, &self.context)
                .ok()
                .and_then(|key| Some((key.as_str()?.to_owned(), &value.value))),
            _ => None,
        };
        let line = self.line(block);
        if let Some((key, value)) = tag {
            self.expression(&["tags".to_owned(), key], line, value, entries);
        } else if name == "dynamic" {
            let name = label(block).unwrap_or_default().to_owned();
            entries.push(Entry {
                path: vec![name],
                line,
                value: Said::Unclear("it is a dynamic block".to_owned()),
            });
        } else {
            self.body(&[path, &[name.to_owned()]].concat(), &block.body, entries);
        }
    }

    fn expression(
        &self,
        path: &[String],
        line: usize,
        expression: &Expression,
        entries: &mut Vec<Entry>,
    ) {
        if path.len() == 1 && cloud::is_secret(&path[0]) {
            return entries.push(Entry {
                path: path.to_vec(),
                line,
                value: Said::Secret,
            });
        }
        if let Expression::Object(object) = expression {
            for (key, value) in object {
                let line = key
                    .span()
                    .map_or(line, |span| super::blocks::line(self.text, span.start));
                match self.key(key) {
                    Ok(key) => {
                        let path = [path, &[key]].concat();
                        self.expression(&path, line, value.expr(), entries);
                    }
                    Err(why) => entries.push(Entry {
                        path: path.to_vec(),
                        line,
                        value: Said::Unclear(why),
                    }),
                }
            }
            return;
        }
        let remarks = self.names(expression).into_iter().filter_map(|name| {
            let name = name.strip_prefix("var.")?;
            self.defaults
                .contains_key(name)
                .then(|| Remark::Default(name.to_owned()))
        });
        let remarks: Vec<_> = remarks.collect();
        match evaluate(expression, &self.context) {
            Ok(value) => self.value(path, line, value, &remarks, entries),
            Err(why) => entries.push(Entry {
                path: path.to_vec(),
                line,
                value: Said::Unclear(why),
            }),
        }
    }

    fn key(&self, key: &ObjectKey) -> Result<String, String> {
        match key {
            ObjectKey::Ident(name) => Ok(name.to_string().trim().to_owned()),
            ObjectKey::Expression(expression) => {
                let value = evaluate(expression, &self.context)?;
                let text = value.as_str().map(str::to_owned);
                text.ok_or_else(|| "one of its keys is not a text".to_owned())
            }
        }
    }

    fn value(
        &self,
        path: &[String],
        line: usize,
        value: Value,
        remarks: &[Remark],
        entries: &mut Vec<Entry>,
    ) {
        if let Value::Object(object) = value {
            for (key, value) in object {
                self.value(&[path, &[key]].concat(), line, value, remarks, entries);
            }
            return;
        }
        if value.is_null() {
            return;
        }
        let mut remarks = remarks.to_vec();
        let said = self.plain(value, &mut remarks);
        entries.push(Entry {
            path: path.to_vec(),
            line,
            value: said.map_or_else(Said::Unclear, |value| Said::Value(value, remarks)),
        });
    }

    fn plain(&self, value: Value, remarks: &mut Vec<Remark>) -> Result<::toml::Value, String> {
        Ok(match value {
            Value::String(text) => holes::translate(&text, self, remarks)?.into(),
            Value::Bool(switch) => switch.into(),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => number.into(),
                (None, Some(number)) => number.into(),
                (None, None) => return Err("it is too large a number".to_owned()),
            },
            Value::Array(list) => {
                let list = list.into_iter().map(|value| self.plain(value, remarks));
                list.collect::<Result<Vec<_>, _>>()?.into()
            }
            Value::Object(_) | Value::Null => {
                return Err("it is a list of something else than texts".to_owned());
            }
        })
    }
}

impl Names for Document<'_> {
    /// JSON's way in HCL, as some examples have it.
    fn user(&self, name: &str, remarks: &mut Vec<Remark>) -> Result<String, String> {
        match self.defaults.get(name).and_then(Value::as_str) {
            Some(default) if !default.contains("{{") => {
                remarks.push(Remark::Default(name.to_owned()));
                Ok(default.to_owned())
            }
            _ => Ok(holes::environment(&format!("PKR_VAR_{name}"), remarks)),
        }
    }
}

fn words(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}
