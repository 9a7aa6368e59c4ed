//! The bare table, for calling it wrongly.

use std::ffi::CString;
use std::ptr;

use repose_host::abi;

use crate::support::plugin;

/// Everything a learn needs, as the bare contract wants it.
pub struct Bare {
    pub pixels: Vec<u8>,
    pub mask: Vec<u8>,
    pub name: CString,
    pub consent: CString,
    pub picture: abi::Picture,
    pub selection: abi::Selection,
}

impl Bare {
    pub fn new() -> Box<Self> {
        let mut bare = Box::new(Self {
            pixels: vec![100; 16 * 12 * 3],
            mask: vec![255; 16 * 12],
            name: CString::new("thing").unwrap(),
            consent: CString::new("mine").unwrap(),
            picture: abi::Picture {
                struct_size: size_of::<abi::Picture>() as u32,
                width: 16,
                height: 12,
                depth: abi::DEPTH_U8,
                channels: abi::CHANNELS_RGB,
                space: abi::SPACE_SRGB,
                pixels: ptr::null(),
                pixels_size: 16 * 12 * 3,
                stride: 16 * 3,
                icc: ptr::null(),
                icc_size: 0,
            },
            selection: abi::Selection {
                struct_size: size_of::<abi::Selection>() as u32,
                depth: abi::DEPTH_U8,
                x: 0,
                y: 0,
                width: 16,
                height: 12,
                samples: ptr::null(),
                samples_size: 16 * 12,
                stride: 16,
            },
        });
        bare.picture.pixels = bare.pixels.as_ptr().cast();
        bare.selection.samples = bare.mask.as_ptr().cast();
        bare
    }

    pub fn learn(&self) -> abi::LearnRequest {
        abi::LearnRequest {
            struct_size: size_of::<abi::LearnRequest>() as u32,
            refine: abi::REFINE_AUTO,
            picture: &self.picture,
            selection: &self.selection,
            name: self.name.as_ptr(),
            consent: self.consent.as_ptr(),
            expires: ptr::null(),
            person: 0,
            person_agrees: 0,
            caption: ptr::null(),
            word: ptr::null(),
            training: ptr::null(),
        }
    }

    pub fn pose(&self) -> abi::PoseRequest {
        abi::PoseRequest {
            struct_size: size_of::<abi::PoseRequest>() as u32,
            candidates: 1,
            picture: &self.picture,
            selection: &self.selection,
            subject: self.name.as_ptr(),
            pins: ptr::null(),
            pin_count: 0,
            version: 0,
            guide: ptr::null(),
            prompt: ptr::null(),
            offset_x: 0.0,
            offset_y: 0.0,
            scale: 0.0,
            angle: 0.0,
            seed: 0,
            grow: 0,
            refine: abi::REFINE_AUTO,
            text: ptr::null(),
        }
    }

    pub fn erase(&self) -> abi::EraseRequest {
        abi::EraseRequest {
            struct_size: size_of::<abi::EraseRequest>() as u32,
            candidates: 1,
            picture: &self.picture,
            selection: &self.selection,
            seed: 0,
            grow: 0,
            reserved: 0,
        }
    }
}

/// An engine with a library of its own, closed and removed at the end.
pub struct RawEngine {
    pub api: &'static abi::Api,
    pub raw: *mut abi::Engine,
    _folder: tempfile::TempDir,
}

impl RawEngine {
    pub fn open() -> Self {
        let api = plugin().api();
        let folder = tempfile::tempdir().unwrap();
        let path = CString::new(folder.path().to_str().unwrap()).unwrap();
        let options = abi::EngineOptions {
            struct_size: size_of::<abi::EngineOptions>() as u32,
            threads: 1,
            queue: 0,
            precision: 0,
            library: path.as_ptr(),
            models: ptr::null(),
        };
        let mut raw = ptr::null_mut();
        let code = unsafe { (api.engine_open)(&options, &mut raw, ptr::null_mut()) };
        assert_eq!(code, abi::OK);
        Self {
            api,
            raw,
            _folder: folder,
        }
    }

    /// Asks for an erase that must fail; gives the code and the text.
    pub fn refused(&self, request: *const abi::EraseRequest) -> (i32, String) {
        let mut job = ptr::null_mut();
        let mut error = ptr::null_mut();
        let code = unsafe { (self.api.job_erase)(self.raw, request, &mut job, &mut error) };
        assert!(job.is_null(), "an output was written on failure");
        (code, self.taken(error))
    }

    pub fn taken(&self, bytes: *mut abi::Bytes) -> String {
        assert!(!bytes.is_null(), "no text");
        let (data, size) = unsafe { ((*bytes).data.cast::<u8>(), (*bytes).size) };
        let text = unsafe { std::slice::from_raw_parts(data, size) };
        assert_eq!(unsafe { *data.add(size) }, 0, "no NUL at the end");
        let text = String::from_utf8(text.to_vec()).unwrap();
        unsafe { (self.api.bytes_free)(bytes) };
        text
    }
}

impl Drop for RawEngine {
    fn drop(&mut self) {
        unsafe { (self.api.engine_close)(self.raw) }
    }
}
