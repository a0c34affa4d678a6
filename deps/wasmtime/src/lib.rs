//! Wasmtime's C API as one static library, and the four calls that it lacks and the runner needs:
//!
//! * WebAssembly core 2.0 with fixed-width SIMD and nothing else (the C API has no switch for some proposals),
//! * load compiled code from an open descriptor (the runner can open nothing),
//! * compile to bytes without making anything executable (the compiler never runs guest code),
//! * a memory limit that remembers that it refused (the outcome of a failed call depends on it).
//!
//! `extras.h` beside this file is their C face. The types behind the pointers are those of
//! `wasmtime-c-api-impl`, pinned to one exact version in Cargo.toml.

use std::fs::File;
use std::mem::{align_of, size_of};
use std::os::fd::{FromRawFd, RawFd};

use wasmtime_c_api::wasmtime::{Config, Engine, Module, ResourceLimiter, Result, Store, WasmFeatures};
pub use wasmtime_c_api::*;

// The C API keeps these fields to itself but is a bare wrapper around them; a release that adds a
// field stops the build here.
const _: () = assert!(size_of::<wasm_config_t>() == size_of::<Config>());
const _: () = assert!(size_of::<wasm_engine_t>() == size_of::<Engine>());
const _: () = assert!(size_of::<wasmtime_module_t>() == size_of::<Module>());
const _: () = assert!(align_of::<wasmtime_module_t>() == align_of::<Module>());
const _: () = assert!(size_of::<wasmtime_store_t>() == size_of::<Store<WasmtimeStoreData>>());

fn report<T>(result: Result<T>, done: impl FnOnce(T)) -> Option<Box<wasmtime_error_t>> {
    match result {
        Ok(value) => {
            done(value);
            None
        }
        Err(error) => Some(Box::new(error.into())),
    }
}

unsafe fn engine_of(engine: &wasm_engine_t) -> &Engine {
    &*(engine as *const wasm_engine_t).cast::<Engine>()
}

/// Switches off every proposal that is not part of core 2.0, those of later releases included.
#[no_mangle]
pub unsafe extern "C" fn aileron_wasmtime_core2(config: &mut wasm_config_t) {
    let core2 = WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::SIMD
        | WasmFeatures::FLOATS
        | WasmFeatures::GC_TYPES; // whether references to anything can be compiled at all: our features say no
    let config = &mut *(config as *mut wasm_config_t).cast::<Config>();
    config.wasm_features(WasmFeatures::all() - core2, false);
}

/// Maps the compiled code behind `fd`, which is consumed.
#[no_mangle]
pub unsafe extern "C" fn aileron_wasmtime_load(
    engine: &wasm_engine_t,
    fd: RawFd,
    out: &mut *mut wasmtime_module_t,
) -> Option<Box<wasmtime_error_t>> {
    let file = File::from_raw_fd(fd);
    report(Module::deserialize_open_file(engine_of(engine), file), |module| {
        *out = Box::into_raw(Box::new(module)).cast::<wasmtime_module_t>();
    })
}

/// Compiles `wasm` to the bytes that `aileron_wasmtime_load` maps.
#[no_mangle]
pub unsafe extern "C" fn aileron_wasmtime_compile(
    engine: &wasm_engine_t,
    wasm: *const u8,
    len: usize,
    out: &mut wasm_byte_vec_t,
) -> Option<Box<wasmtime_error_t>> {
    let bytes = std::slice::from_raw_parts(wasm, len);
    report(engine_of(engine).precompile_module(bytes), |code| out.set_buffer(code))
}

/// Owned by the C caller; must outlive the store that it limits.
#[repr(C)]
pub struct aileron_memory_limit {
    bytes: usize,
    table_elements: usize, // what is left for all tables of the store together
    refused: bool,
}

impl ResourceLimiter for aileron_memory_limit {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let fits = desired <= self.bytes;
        self.refused |= !fits;
        Ok(fits)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let more = desired.saturating_sub(current);
        let fits = more <= self.table_elements;
        if fits {
            self.table_elements -= more;
        }
        Ok(fits)
    }
}

struct LimitPointer(*mut aileron_memory_limit);
unsafe impl Send for LimitPointer {}
unsafe impl Sync for LimitPointer {}

impl LimitPointer {
    unsafe fn get<'a>(&self) -> &'a mut aileron_memory_limit {
        &mut *self.0
    }
}

#[no_mangle]
pub unsafe extern "C" fn aileron_wasmtime_limit(
    store: &mut wasmtime_store_t,
    limit: *mut aileron_memory_limit,
) {
    let store = &mut *(store as *mut wasmtime_store_t).cast::<Store<WasmtimeStoreData>>();
    let limit = LimitPointer(limit);
    store.limiter(move |_| limit.get());
}
