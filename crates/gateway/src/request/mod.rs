//! Request bodies: read within limits, parsed strictly, validated. Errors name the field.

mod body;
mod content;
mod fields;
mod headers;
mod json;
mod lenient;
mod message;
mod names;
mod numbers;
mod parameters;
mod parse;
mod support;
mod system_lines;
mod template;
mod tool_fields;
mod tools;
mod wrappers;

pub(crate) use body::{Dialect, GenerationBody, JsonSchemaFormat, ReasoningEffort, ResponseFormat, ResponseFormatType};
pub(crate) use content::{Content, ContentPart};
pub(crate) use fields::{PromptField, Stop};
pub(crate) use headers::HeaderOptions;
pub(crate) use json::Json;
pub(crate) use message::{Message, conversation};
pub(crate) use numbers::whole;
pub(crate) use parameters::Parameters;
pub(crate) use system_lines::remove_system_lines;
pub(crate) use template::template_variables;
pub(crate) use tool_fields::{ToolField, chat_tools, no_parameters, read_choice};
pub(crate) use tools::{ToolChoice, Tools};
pub(crate) use wrappers::{Object, Present, Unsupported};
