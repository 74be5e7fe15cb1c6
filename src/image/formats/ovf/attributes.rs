//! The attributes of an XML element by their local names.

use quick_xml::XmlVersion;
use quick_xml::events::BytesStart;

/// Names and values in the order of the element. If a name occurs twice, the first one counts.
pub(super) struct Attributes(Vec<(String, String)>);

impl Attributes {
    /// Parses the attributes; the error describes the problem.
    pub(super) fn parse(element: &BytesStart) -> Result<Self, String> {
        let mut all = Vec::new();
        // The library's search for duplicates takes quadratic time, and the XML is hostile.
        for attribute in element.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let name = attribute.key.local_name();
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| error.to_string())?;
            all.push((name.as_ref().to_owned(), value.into_owned()));
        }
        Ok(Self(all))
    }

    /// Returns the value of this attribute.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the value as an owned string.
    pub(super) fn get_owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }
}
