//! All that a host author needs.
