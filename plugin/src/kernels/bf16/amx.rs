//! Blocks by Intel's Advanced Matrix Extensions (AMX-TILE and AMX-BF16; Intel SDM vol. 1, chapter 18). The standard library
//! has no stable functions for them, so they are written as assembly.
#![allow(
    unsafe_code,
    reason = "instructions that the language does not know, and a system call"
)]

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::marker::PhantomData;
use std::sync::OnceLock;

use super::block::{Block, Operands, SIDE};

/// Bits of CPUID leaf 7, register EDX.
const AMX_BF16: u32 = 1 << 22;
const AMX_TILE: u32 = 1 << 24;
/// Tile configuration and tile data in XCR0: whether the operating system keeps them between threads.
const TILE_STATE: u64 = 3 << 17;
/// Linux hands out the memory for tiles on request (`arch_prctl(2)`).
const ARCH_REQ_XCOMP_PERM: libc::c_ulong = 0x1023;
const XFEATURE_XTILEDATA: libc::c_ulong = 18;

/// Bytes of a row of eight tiles of 16 rows, in palette 1.
const ROW: u16 = 64;
const ROWS: u8 = 16;

/// What LDTILECFG reads.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

static CONFIGURATION: Configuration = Configuration {
    palette: 1,
    start: 0,
    reserved: [0; 14],
    bytes: [
        ROW, ROW, ROW, ROW, ROW, ROW, ROW, ROW, 0, 0, 0, 0, 0, 0, 0, 0,
    ],
    rows: [
        ROWS, ROWS, ROWS, ROWS, ROWS, ROWS, ROWS, ROWS, 0, 0, 0, 0, 0, 0, 0, 0,
    ],
};

/// Whether the CPU has AMX for bfloat16, and the operating system lets this process use it.
pub fn present() -> bool {
    static PRESENT: OnceLock<bool> = OnceLock::new();
    *PRESENT.get_or_init(|| {
        let wanted = AMX_BF16 | AMX_TILE;
        is_x86_feature_detected!("xsave")
            && __cpuid_count(0, 0).eax >= 7
            && __cpuid_count(7, 0).edx & wanted == wanted
            && state() & TILE_STATE == TILE_STATE
            && permitted()
    })
}

/// XCR0. The CPU must have XSAVE.
fn state() -> u64 {
    #[target_feature(enable = "xsave")]
    fn read() -> u64 {
        // SAFETY: register 0 is there wherever XSAVE is, and programs may read it: the operating system has enabled XSAVE,
        // else its detection would have failed.
        unsafe { _xgetbv(0) }
    }
    // SAFETY: the caller has asked for XSAVE.
    unsafe { read() }
}

/// Asks Linux for the tiles; the answer holds for all threads of the process.
fn permitted() -> bool {
    // SAFETY: this call takes two numbers and touches no memory of ours.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_arch_prctl,
            ARCH_REQ_XCOMP_PERM,
            XFEATURE_XTILEDATA,
        )
    };
    answer == 0
}

/// This thread's tiles, configured until this is dropped. Not to be sent: they belong to the thread.
#[derive(Debug)]
pub struct Tiles(PhantomData<*const ()>);

impl Tiles {
    /// `None` where there are no tiles.
    pub fn new() -> Option<Self> {
        if !present() {
            return None;
        }
        // SAFETY: the CPU has the instruction and Linux has permitted it; the 64 bytes it reads are a valid configuration.
        unsafe {
            asm!(
                "ldtilecfg [{}]",
                in(reg) &raw const CONFIGURATION,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, readonly, preserves_flags),
            );
        }
        Some(Self(PhantomData))
    }

    /// Adds left × right to the sums: four tiles of them, from two tiles of rows and two of columns at a time.
    pub fn add(&self, operands: Operands<'_>, sums: &mut Block) {
        let (left, stride) = operands.left();
        let right = operands.right();
        let half = SIDE / 2;
        // SAFETY: tiles are configured, as `self` shows. `Operands` has asserted that 32 rows, `stride` pairs apart, and
        // 32 columns have as many pairs as are read, in whole tiles of 16; the sums are 32 rows of 128 bytes.
        unsafe {
            asm!(
                "tileloadd tmm0, [{to} + {wide}]",
                "tileloadd tmm1, [{to} + {wide} + 64]",
                "tileloadd tmm2, [{below} + {wide}]",
                "tileloadd tmm3, [{below} + {wide} + 64]",
                "2:",
                "tileloadd tmm4, [{upper} + {stride}]",
                "tileloadd tmm6, [{right} + {wide}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{lower} + {stride}]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tileloadd tmm7, [{right} + {wide} + 64]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {upper}, 64",
                "add {lower}, 64",
                "add {right}, 2048",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{to} + {wide}], tmm0",
                "tilestored [{to} + {wide} + 64], tmm1",
                "tilestored [{below} + {wide}], tmm2",
                "tilestored [{below} + {wide} + 64], tmm3",
                to = in(reg) sums.0.as_mut_ptr(),
                below = in(reg) sums.0[half * SIDE..].as_mut_ptr(),
                upper = inout(reg) left.as_ptr() => _,
                lower = inout(reg) left[half * stride..].as_ptr() => _,
                right = inout(reg) right.as_ptr() => _,
                stride = in(reg) stride * size_of::<u32>(),
                wide = in(reg) SIDE * size_of::<f32>(),
                steps = inout(reg) operands.pairs() / super::TILE => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: tiles are there, as `self` shows. Empty ones cost nothing when threads change.
        unsafe {
            asm!(
                "tilerelease",
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, nomem, preserves_flags),
            );
        }
    }
}
