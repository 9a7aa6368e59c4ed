//! The embedded engine: closed-form patch diffusion, no weights.
