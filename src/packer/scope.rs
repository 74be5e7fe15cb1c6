//! The names of a template and their values.

use std::collections::{BTreeMap, BTreeSet};

use super::value::{Deferred, Text, Value, no_value};

/// The largest value of a name in bytes. Names that are defined by other names could otherwise
/// grow without limit.
const LARGEST: usize = 4 << 10;

/// A name: `var.x`, `local.x` or `path.root`.
#[derive(Clone, Debug)]
struct Definition {
    /// The value, or the reason that it is unknown, such as "the variable x, which is secret".
    value: Result<Value, String>,
    /// The variables whose defaults are part of the value.
    defaults: BTreeSet<String>,
}

/// The names of a template.
#[derive(Debug, Default)]
pub(super) struct Scope {
    names: BTreeMap<String, Definition>,
    /// Texts may contain `{{user}}`.
    has_user: bool,
}

impl Scope {
    /// Returns the scope of a template in Packer's legacy language, in which `{{user}}` is a
    /// variable.
    pub(super) fn with_user() -> Self {
        Self {
            has_user: true,
            ..Self::default()
        }
    }

    /// Adds a name with its value, or with the reason that it is unknown. `defaults` are the
    /// variables whose defaults are part of it.
    pub(super) fn insert(
        &mut self,
        name: String,
        value: Result<Value, String>,
        defaults: BTreeSet<String>,
    ) {
        let value = match value {
            Ok(value) if value.size() > LARGEST => Err(format!("{name}, which is too long")),
            value => value,
        };
        self.names.insert(name, Definition { value, defaults });
    }

    /// Adds names, each after those that it refers to. `evaluate` returns the value, or the
    /// reason that it is unknown, and the variable whose default it is.
    pub(super) fn insert_all<D>(
        &mut self,
        mut pending: BTreeMap<String, D>,
        references: impl Fn(&D) -> BTreeSet<String>,
        evaluate: impl Fn(&Self, &str, &D) -> (Result<Value, String>, Option<String>),
    ) {
        loop {
            let is_ready = |definition: &D| {
                let references = references(definition);
                !references.iter().any(|name| pending.contains_key(name))
            };
            let ready = pending.iter().find(|(_, definition)| is_ready(definition));
            let Some(name) = ready.map(|(name, _)| name.clone()) else {
                break;
            };
            if let Some(definition) = pending.remove(&name) {
                let (value, default) = evaluate(self, &name, &definition);
                let mut defaults = self.defaults(&references(&definition));
                defaults.extend(default);
                self.insert(name, value, defaults);
            }
        }
        for name in pending.into_keys() {
            let value = Err(format!("{name}, which refers to itself"));
            self.insert(name, value, BTreeSet::new());
        }
    }

    /// Returns the variables whose defaults are part of the values of these names.
    pub(super) fn defaults(&self, names: &BTreeSet<String>) -> BTreeSet<String> {
        let definitions = names.iter().filter_map(|name| self.names.get(name));
        definitions.flat_map(|own| own.defaults.clone()).collect()
    }

    /// Returns the value of a name, or the reason that it is unknown.
    pub(super) fn get(&self, name: &str) -> Result<Value, String> {
        let is_own = name.starts_with("var.") || name.starts_with("local.");
        match self.names.get(name) {
            Some(definition) => {
                let value = definition.value.clone();
                value.map_err(|unknown| format!("it depends on {unknown}"))
            }
            None if is_own => Err(format!(
                "it uses {name}, which the template does not declare"
            )),
            None => Err(format!("it uses {name}, which only Packer knows")),
        }
    }

    /// Returns the value of `{{user "NAME"}}`.
    pub(super) fn user(&self, name: &str) -> Result<Text, String> {
        if !self.has_user {
            return Err("it uses {{user}}, which HCL does not have".to_owned());
        }
        let full = format!("var.{name}");
        if self.names.contains_key(&full) {
            return self.get(&full)?.into_text();
        }
        let environment = Deferred::environment(&format!("PKR_VAR_{name}"), Some(name));
        let environment = environment.map(Text::from);
        environment.ok_or_else(|| format!("it depends on {}", no_value(name)))
    }
}
