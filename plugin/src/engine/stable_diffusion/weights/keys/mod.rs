//! The names of weights in the original single files (“LDM” after the program that first wrote them), and diffusers' names.
//!
//! All names follow from a few rules and the number of layers in each block, so there are no tables of names here.

pub mod clip;
pub mod unet;
pub mod vae;

/// `key` with the first rule that fits applied: a rule replaces whole components at the beginning.
fn replaced(key: &str, rules: &[(&str, &str)]) -> Option<String> {
    rules.iter().find_map(|(from, to)| {
        let rest = key.strip_prefix(from)?;
        (rest.is_empty() || rest.starts_with('.')).then(|| format!("{to}{rest}"))
    })
}

/// The first component and the rest.
fn split(key: &str) -> Option<(&str, &str)> {
    key.split_once('.')
}

/// The first component as a number, and the rest.
fn numbered(key: &str) -> Option<(usize, &str)> {
    let (number, rest) = split(key)?;
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests;
