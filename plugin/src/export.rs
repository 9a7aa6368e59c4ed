//! The border to hosts.
