//! The two doors: the C symbol and the `abi_stable` root module. Both lead to one table.

use std::ffi::c_void;
use std::ptr;

use abi_stable::library::{CheckTypeLayout, LibHeader, RootModuleResult};
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::std_types::RStr;
use repose_host::abi;
use repose_host::root::{Root, RootRef};

/// With the NUL that the table needs.
const PLUGIN_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

static TABLE: abi::Api = abi::Api {
    version: abi::VERSION,
    struct_size: size_of::<abi::Api>() as u32,
    plugin_version: PLUGIN_VERSION.as_ptr().cast(),
    engine_open: super::engine_open,
    engine_close: super::engine_close,
    job_learn: super::job_learn,
    job_repose: super::job_repose,
    job_erase: super::job_erase,
    job_replay: super::job_replay,
    job_status: super::job_status,
    job_cancel: super::job_cancel,
    job_preview: super::job_preview,
    job_layer: super::job_layer,
    job_picture: super::job_picture,
    job_bytes: super::job_bytes,
    job_free: super::job_free,
    library_command: super::library_command,
    bytes_free: super::bytes_free,
};

/// The table for hosts that know `version` of `repose.h`, or null if this plugin does not.
// SAFETY: no other library that a host would load exports this name.
#[unsafe(no_mangle)]
pub extern "C" fn repose_api(version: u32) -> *const abi::Api {
    if (1..=abi::VERSION).contains(&version) {
        &raw const TABLE
    } else {
        ptr::null()
    }
}

extern "C" fn root_api(version: u32) -> *const c_void {
    repose_api(version).cast()
}

fn root() -> RootRef {
    let version = PLUGIN_VERSION.trim_end_matches('\0');
    let root = Root {
        plugin_version: RStr::from_str(version),
        api: root_api,
    };
    root.leak_into_prefix()
}

extern "C" fn load_root() -> RootModuleResult {
    abi_stable::library::__call_root_module_loader(root)
}

/// What `abi_stable` looks for, under the name it looks for. Written out, because its macro does so in the words of an
/// earlier edition of Rust.
// SAFETY: only abi_stable's loader reads this name, and it expects a LibHeader.
#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
pub static ROOT_MODULE: LibHeader =
    // SAFETY: `load_root` gives a prefix of RootRef, as from_constructor asks.
    unsafe { LibHeader::from_constructor::<RootRef>(load_root, CheckTypeLayout::Yes) };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_module_has_the_name_that_is_looked_for() {
        // The attribute above takes only a literal.
        let source = include_str!("table.rs");
        let line = format!(
            "export_name = \"{}\"",
            abi_stable::library::ROOT_MODULE_LOADER_NAME
        );
        assert!(source.contains(&line), "{line}");
    }

    #[test]
    fn unknown_versions_get_no_table() {
        assert!(repose_api(0).is_null());
        assert!(repose_api(abi::VERSION + 1).is_null());
        assert!(!repose_api(abi::VERSION).is_null());
    }
}
