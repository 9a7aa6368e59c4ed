//! What a host's library window asks for, as JSON.
use super::Library;
use crate::Result;

impl Library {
    /// Answers one command.
    pub fn command(&self, json: &str) -> Result<String> {
        let _ = json;
        Ok("{}".into())
    }
}
