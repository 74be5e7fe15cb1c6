//! Writes the small XML documents of the query services.

use std::fmt::{Display, Write};

use quick_xml::escape::escape;

#[derive(Default)]
pub(crate) struct Xml(String);

/// A whole document with one root element.
pub(crate) fn document(
    root: &str,
    namespace: Option<&str>,
    write: impl FnOnce(&mut Xml),
) -> String {
    let mut xml = Xml(r#"<?xml version="1.0" encoding="UTF-8"?>"#.to_owned() + "\n");
    let namespace = namespace
        .map(|uri| format!(r#" xmlns="{uri}""#))
        .unwrap_or_default();
    xml.write(format_args!("<{root}{namespace}>"));
    write(&mut xml);
    xml.write(format_args!("</{root}>"));
    xml.0
}

impl Xml {
    pub(crate) fn text(&mut self, name: &str, value: impl Display) -> &mut Self {
        let value = value.to_string();
        self.write(format_args!("<{name}>{}</{name}>", escape(&value)))
    }

    /// An element that is absent when there is no value.
    pub(crate) fn optional(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        if let Some(value) = value {
            self.text(name, value);
        }
        self
    }

    pub(crate) fn element(&mut self, name: &str, write: impl FnOnce(&mut Xml)) -> &mut Self {
        self.write(format_args!("<{name}>"));
        write(self);
        self.write(format_args!("</{name}>"))
    }

    /// A list of EC2's kind: `<name><item>..</item></name>`.
    pub(crate) fn items<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        write: impl Fn(&mut Xml, T),
    ) -> &mut Self {
        self.list(name, "item", items, write)
    }

    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        member: &str,
        items: impl IntoIterator<Item = T>,
        write: impl Fn(&mut Xml, T),
    ) -> &mut Self {
        self.element(name, |xml| {
            for item in items {
                xml.element(member, |xml| write(xml, item));
            }
        })
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) -> &mut Self {
        let _infallible = self.0.write_fmt(text);
        self
    }
}
