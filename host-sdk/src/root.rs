//! The door for Rust hosts: an `abi_stable` root module whose layout is checked when it is loaded.
//!
//! It leads to the same table as the C symbol. It is small and frozen, because `abi_stable` lets a host refuse every
//! plugin whose root module has fewer fields than its own; growth happens in the table, by version.

use std::ffi::c_void;

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::RStr;

/// What the plugin exports to Rust hosts.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = RootRef, prefix_fields = RootPrefix)))]
pub struct Root {
    /// The plugin's version, such as `0.1.0`.
    pub plugin_version: RStr<'static>,
    /// Gives the table of functions ([`crate::abi::Api`]), or null if the plugin does not know this version.
    #[sabi(last_prefix_field)]
    pub api: extern "C" fn(version: u32) -> *const c_void,
}

impl RootModule for RootRef {
    abi_stable::declare_root_module_statics! {RootRef}
    const BASE_NAME: &'static str = "repose";
    const NAME: &'static str = "repose";
    // The version of this module, not of the plugin: it moves only if the fields above change.
    const VERSION_STRINGS: VersionStrings = VersionStrings::new("1.0.0");
}
