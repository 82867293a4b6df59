//! Confinement: before the first byte of a stranger's input, the process gives away what decoding does not need.
//!
//! Four walls, none of which relies on another: no new privileges, limits on resources, Landlock (no files, no network, no
//! signals to others), seccomp (a list of system calls). A kernel without Landlock leaves three.

use std::collections::BTreeMap;
use std::io;
use std::process::ExitCode;

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr, RulesetStatus, Scope,
};
use onair::av::worker::ipc::Confinement;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Memory that `prove` gives itself.
const PROOF_MEMORY: u64 = 64 << 20;

/// Why a process cannot be confined as the kernel would let it.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// The kernel refuses a limit, or to close what was inherited.
    #[error(transparent)]
    System(#[from] io::Error),
    /// Landlock is there and refuses the rules.
    #[error(transparent)]
    Landlock(#[from] landlock::RulesetError),
    /// The list of system calls cannot be made or is refused.
    #[error("seccomp: {0}")]
    Seccomp(#[from] seccompiler::Error),
}

impl From<seccompiler::BackendError> for ConfineError {
    fn from(error: seccompiler::BackendError) -> Self {
        Self::Seccomp(error.into())
    }
}

/// Confines the process, which must have one thread, to so many bytes of memory; 0 for no limit.
///
/// # Errors
/// When the kernel has a mechanism and refuses to apply it. What the kernel has not is left out, and told.
pub fn confine(memory: u64) -> Result<Confinement, ConfineError> {
    close_inherited()?;
    limit(libc::RLIMIT_CORE, 0)?;
    if memory > 0 {
        // Not RLIMIT_AS: the libraries alone map more than they use.
        limit(libc::RLIMIT_DATA, memory)?;
    }
    // SAFETY: a call with plain numbers.
    let no_new_privileges = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } == 0;
    let landlock = no_files()?;
    // Those that are open stay open.
    limit(libc::RLIMIT_NOFILE, 0)?;
    let seccomp = no_system_calls()?;
    Ok(Confinement { landlock, seccomp, no_new_privileges, memory })
}

/// Closes every file but the first three: whatever the server has open is none of our business.
fn close_inherited() -> io::Result<()> {
    // SAFETY: a call with plain numbers; nothing in this process has opened a file.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, FIRST_INHERITED, u32::MAX, 0) };
    match closed {
        0 => Ok(()),
        // Linux before 5.9 cannot. The server opens its files so that they are closed here anyway.
        _ if io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The first after standard input, output and error.
const FIRST_INHERITED: u32 = 3;

fn limit(resource: libc::__rlimit_resource_t, most: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: the kernel reads the structure that it is given.
    match unsafe { libc::setrlimit(resource, &raw const limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Landlock with no exception at all. The version of the interface that holds, 0 where there is none.
fn no_files() -> Result<u8, ConfineError> {
    let abi = ABI::V6;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .restrict_self()?;
    Ok(match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _) => 0,
        (_, LandlockStatus::Available { effective_abi, .. }) => {
            u8::try_from(effective_abi as i32).unwrap_or(1)
        }
        _ => 0,
    })
}

/// What computing on memory, pipes and threads needs.
const ALLOWED: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_membarrier,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrusage,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What libraries try and can do without: the attempt fails, as it would on another system.
const REFUSED: &[i64] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    libc::SYS_openat,
    libc::SYS_faccessat,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_getcwd,
    libc::SYS_statx,
    libc::SYS_readlinkat,
    libc::SYS_ioctl,
    libc::SYS_lseek,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setscheduler,
    libc::SYS_set_mempolicy,
];

/// The list of system calls: everything else ends the process.
fn no_system_calls() -> Result<bool, ConfineError> {
    use SeccompCmpOp::{Eq, MaskedEq};
    let mut allowed: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    allowed.extend(ALLOWED.iter().chain(REFUSED).map(|&call| (call, Vec::new())));
    // Memory that is written is never run.
    let not_executable = |argument| when(argument, MaskedEq(libc::PROT_EXEC as u64), 0);
    allowed.insert(libc::SYS_mmap, vec![not_executable(2)?]);
    allowed.insert(libc::SYS_mprotect, vec![not_executable(2)?]);
    // Threads, but no processes. The newer call has its flags in memory, where no filter can look: see below.
    let thread = libc::CLONE_THREAD as u64;
    allowed.insert(libc::SYS_clone, vec![when(0, MaskedEq(thread), thread)?]);
    allowed.insert(libc::SYS_clone3, Vec::new());
    allowed.insert(libc::SYS_prctl, vec![when(0, Eq, libc::PR_SET_NAME as u64)?]);
    // Of itself, for abort() after a failed assertion.
    let own = u64::from(std::process::id());
    allowed.insert(libc::SYS_tgkill, vec![when(0, Eq, own)?]);
    // Asking for a limit is harmless; a new one must not be given.
    allowed.insert(libc::SYS_prlimit64, vec![when(2, Eq, 0)?]);

    let refused = REFUSED.iter().map(|&call| (call, Vec::new())).collect();
    let no_clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let errno = |code| SeccompAction::Errno(code as u32);
    // Of several filters, the strictest answer holds.
    for (rules, otherwise, on_match) in [
        // glibc then takes the older call.
        (no_clone3, SeccompAction::Allow, errno(libc::ENOSYS)),
        (refused, SeccompAction::Allow, errno(libc::EPERM)),
        (allowed, SeccompAction::KillProcess, SeccompAction::Allow),
    ] {
        let architecture = std::env::consts::ARCH.try_into()?;
        let program: BpfProgram = SeccompFilter::new(rules, otherwise, on_match, architecture)?.try_into()?;
        match seccompiler::apply_filter(&program) {
            Ok(()) => {}
            Err(seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error))
                if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) =>
            {
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// A condition on the lower half of an argument.
fn when(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?])
}

/// Confines itself, then tries what must not succeed. Exits with 0 only if it did succeed; mostly it will not live to tell.
pub fn prove(attempt: &str) -> ExitCode {
    if let Err(error) = confine(PROOF_MEMORY) {
        eprintln!("cannot be confined: {error}");
        return ExitCode::from(3);
    }
    let succeeded = match attempt {
        "file" => std::fs::read("/etc/passwd").is_ok(),
        "socket" => std::net::UdpSocket::bind("127.0.0.1:0").is_ok(),
        "program" => std::process::Command::new("/bin/true").status().is_ok(),
        // SAFETY: the child, if there should be one, does nothing but end.
        "process" => match unsafe { libc::fork() } {
            0 => std::process::exit(0),
            child => child > 0,
        },
        "memory" => {
            let mut taken = vec![0_u8; 2 * PROOF_MEMORY as usize];
            taken.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
            taken.contains(&1)
        }
        _ => return ExitCode::from(2),
    };
    if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
