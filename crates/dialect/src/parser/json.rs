//! Where a JSON value ends, and how text is written in JSON.

/// Finds the end of a JSON value in text that arrives one character at a time. It only counts
/// brackets and knows strings: it does not check the value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Value {
    depth: u32,
    begun: bool,
    in_string: bool,
    escaped: bool,
}

/// Where a character is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Whitespace before the value.
    Before,
    /// In the value.
    Inside,
    /// The last of the value.
    Last,
    /// Behind a value without an end of its own, such as a number.
    After,
}

impl Value {
    /// In an object, of which the rest is to come.
    pub(crate) fn in_object() -> Self {
        Self { depth: 1, begun: true, in_string: false, escaped: false }
    }

    pub(crate) fn is_in_string(&self) -> bool {
        self.in_string
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    pub(crate) fn step(&mut self, c: char) -> Place {
        if self.in_string {
            match c {
                _ if self.escaped => self.escaped = false,
                '\\' => self.escaped = true,
                '"' => {
                    self.in_string = false;
                    return if self.depth == 0 { Place::Last } else { Place::Inside };
                }
                _ => {}
            }
            return Place::Inside;
        }
        match c {
            '}' | ']' | ',' if self.depth == 0 => return Place::After,
            _ if is_space(c) && self.depth == 0 => return if self.begun { Place::After } else { Place::Before },
            '"' => self.in_string = true,
            '{' | '[' => self.depth += 1,
            '}' | ']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    return Place::Last;
                }
            }
            _ => {}
        }
        self.begun = true;
        Place::Inside
    }
}

/// Whitespace of JSON.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\n' | '\r' | '\t')
}

/// The text as a JSON string.
pub(crate) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Text as a part of a JSON string.
pub(crate) fn escape(text: &str) -> String {
    let quoted = quote(text);
    quoted[1..quoted.len() - 1].to_owned()
}
