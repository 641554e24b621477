//! The quantiser's side of the process border: `z1 __quantise INPUT OUTPUT TYPE THREADS [IMATRIX]`.
//!
//! Prints `done/total` on stdout for each tensor; the last line on stderr says why it failed. It may be killed at
//! any time, and llama.cpp may abort it: the parent holds the pieces together.

#![expect(unsafe_code, reason = "the binding has no quantiser; the C function is called as its header says")]

use std::ffi::{CStr, CString, OsString, c_char, c_void};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;

use llama_cpp_sys_2 as sys;

use super::{file_type, imatrix};
use crate::error::render;

/// Rows of a tensor that are held at once, in bytes.
const BUFFER_BYTES: usize = 512 << 20;
/// The C function answers so where all went well.
const OK: u32 = 0;

/// Runs the job of the command line; the process's exit code.
pub(super) fn main() -> i32 {
    die_with_parent();
    let arguments: Vec<OsString> = std::env::args_os().skip(2).collect();
    match quantise(&arguments) {
        Ok(()) => 0,
        Err(problem) => {
            eprintln!("{}", render(&problem).replace('\n', ";"));
            1
        }
    }
}

#[cfg(target_os = "linux")]
fn die_with_parent() {
    // Without it a killed z1 would leave the quantiser at work; with less it works as well.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent() {}

fn quantise(arguments: &[OsString]) -> anyhow::Result<()> {
    let [input, output, quant, threads, rest @ ..] = arguments else {
        anyhow::bail!("this is for z1 itself: INPUT OUTPUT TYPE THREADS [IMATRIX]");
    };
    let text = |word: &OsString| {
        word.to_str().map(str::to_owned).ok_or_else(|| anyhow::anyhow!("{} is no text", word.display()))
    };
    let (input, output) = (CString::new(text(input)?)?, CString::new(text(output)?)?);
    let matrix = rest.first().map(|path| imatrix::read(&PathBuf::from(path))).transpose()?;
    // The names must outlive the call, and the list ends with a null name.
    let names: Vec<CString> =
        matrix.iter().flatten().map(|(name, _)| CString::new(name.as_str())).collect::<Result<_, _>>()?;
    let mut entries: Vec<sys::llama_model_imatrix_data> = matrix
        .iter()
        .flatten()
        .zip(&names)
        .map(|((_, values), name)| sys::llama_model_imatrix_data {
            name: name.as_ptr(),
            data: values.as_ptr(),
            size: values.len(),
        })
        .collect();
    entries.push(sys::llama_model_imatrix_data { name: std::ptr::null(), data: std::ptr::null(), size: 0 });
    // SAFETY: the callback is a plain function; the back end is set up once, before anything else is called.
    unsafe {
        sys::llama_log_set(Some(on_log), std::ptr::null_mut());
        sys::llama_backend_init();
    }
    // SAFETY: the function only fills in a struct.
    let mut params = unsafe { sys::llama_model_quantize_default_params() };
    params.nthread = text(threads)?.parse()?;
    params.ftype = file_type(&text(quant)?)?;
    params.max_buf_size = BUFFER_BYTES;
    if matrix.is_some() {
        params.imatrix = entries.as_ptr();
    }
    // SAFETY: both paths are C strings; `params` points to entries, names and values that outlive the call.
    let answer = unsafe { sys::llama_model_quantize(input.as_ptr(), output.as_ptr(), &raw const params) };
    if answer == OK {
        return Ok(());
    }
    let reason = COMPLAINT.lock().ok().and_then(|line| line.clone());
    anyhow::bail!("{}", reason.unwrap_or_else(|| format!("llama.cpp gave up with code {answer}")))
}

/// What llama.cpp said last as an error.
static COMPLAINT: Mutex<Option<String>> = Mutex::new(None);

unsafe extern "C" fn on_log(level: sys::ggml_log_level, text: *const c_char, _data: *mut c_void) {
    // SAFETY: llama.cpp passes a C string that lives for the call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let text = text.trim();
    // "[  12/ 291] blk.0.attn_k.weight - …"
    let progress = text.strip_prefix('[').and_then(|rest| rest.split_once(']')?.0.split_once('/'));
    if let Some((done, total)) = progress {
        // A parent that is gone takes us with it.
        let _ = writeln!(std::io::stdout(), "{}/{}", done.trim(), total.trim());
    } else if level == sys::GGML_LOG_LEVEL_ERROR && !text.is_empty() {
        let reason = text.split_once(": ").map_or(text, |(_, reason)| reason);
        if let Ok(mut line) = COMPLAINT.lock() {
            *line = Some(reason.to_owned());
        }
    }
}
