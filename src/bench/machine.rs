//! What a measurement asks of the operating system, and the one place of `unsafe` in it: processor affinity, limits
//! on open files, children that do not outlive us, and times as the kernel counts them.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

/// Which processors the two sides of a measurement run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    /// The server's.
    pub server: usize,
    /// The publisher's and the viewers'; the same one when there is no other.
    pub generator: usize,
}

impl Cores {
    /// The first two processors that this process may use.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn choose() -> io::Result<Self> {
        let allowed = affinity()?;
        let mut cores = (0..libc::CPU_SETSIZE as usize).filter(|core| {
            // SAFETY: `CPU_ISSET` reads one bit of the set, and `core` is below `CPU_SETSIZE`, the number of bits.
            unsafe { libc::CPU_ISSET(*core, &allowed) }
        });
        let server = cores.next().unwrap_or(0);
        Ok(Self { server, generator: cores.next().unwrap_or(server) })
    }

    /// Whether the two sides share a processor and so slow each other down.
    pub fn are_one(self) -> bool {
        self.server == self.generator
    }
}

/// Keeps the calling thread, and what it starts from now on, on one processor.
///
/// # Errors
/// When the kernel refuses.
pub fn pin(core: usize) -> io::Result<()> {
    // SAFETY: a `cpu_set_t` is an array of integers, for which zero is a value; `CPU_SET` checks nothing, and `core`
    // comes from `Cores::choose`, below `CPU_SETSIZE`. The kernel reads as many bytes as it is told.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    check(result)
}

fn affinity() -> io::Result<libc::cpu_set_t> {
    // SAFETY: as in `pin`; the kernel writes at most as many bytes as it is told the set has.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        check(libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set))?;
        Ok(set)
    }
}

/// Sees to it that this process and its children may open `files` files.
///
/// # Errors
/// When the system's limit is lower.
pub fn allow_open_files(files: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes the structure that it is given.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    if limit.rlim_cur >= files {
        return Ok(());
    }
    limit = libc::rlimit { rlim_cur: files, rlim_max: limit.rlim_max.max(files) };
    // SAFETY: the kernel reads the structure that it is given.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })
}

/// Makes a command run on one processor, and end when the thread that starts it does, however that comes about.
pub fn confine(command: &mut Command, core: usize) {
    let start = move || {
        // SAFETY: `prctl` with these arguments touches no memory.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) })?;
        pin(core)
    };
    // SAFETY: between fork and exec only two system calls are made; neither allocates nor takes a lock.
    unsafe { command.pre_exec(start) };
}

/// Asks a process to end.
///
/// # Errors
/// When there is none, or it is not ours.
pub fn terminate(pid: u32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: `kill` touches no memory.
    check(unsafe { libc::kill(pid, libc::SIGTERM) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Processor time of a process, a thread or a processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// In the program.
    pub user: Duration,
    /// In the kernel for it.
    pub system: Duration,
}

impl CpuTime {
    /// Both together.
    pub fn total(self) -> Duration {
        self.user + self.system
    }

    /// What was used since an earlier reading.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }

    /// Of a process and all its descendants.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn of_tree(pid: u32) -> io::Result<Self> {
        let mut sum = Self::read(&format!("/proc/{pid}/stat"))?;
        for child in children(pid) {
            // A child that has ended meanwhile counts as nothing.
            let used = Self::of_tree(child).unwrap_or_default();
            sum = Self { user: sum.user + used.user, system: sum.system + used.system };
        }
        Ok(sum)
    }

    /// Of this process.
    ///
    /// # Errors
    /// When `/proc` is not there.
    pub fn of_this_process() -> io::Result<Self> {
        Self::read("/proc/self/stat")
    }

    /// Of the calling thread.
    ///
    /// # Errors
    /// When `/proc` is not there.
    pub fn of_this_thread() -> io::Result<Self> {
        Self::read("/proc/thread-self/stat")
    }

    fn read(path: &str) -> io::Result<Self> {
        let stat = fs::read_to_string(path)?;
        Self::parse(&stat, ticks_per_second())
            .ok_or_else(|| io::Error::other(format!("{path} does not have the expected form")))
    }

    /// Reads fields 14 and 15 of `proc_pid_stat(5)`. The second field, the program's name, may hold anything.
    fn parse(stat: &str, ticks_per_second: u64) -> Option<Self> {
        let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().skip(11);
        let mut time = || {
            let ticks: u64 = fields.next()?.parse().ok()?;
            Some(Duration::from_nanos(ticks * (1_000_000_000 / ticks_per_second)))
        };
        Some(Self { user: time()?, system: time()? })
    }
}

/// Time that two processors were busy, with whatever it was.
///
/// # Errors
/// When `/proc` is not there.
pub fn busy(cores: Cores) -> io::Result<Duration> {
    parse_busy(&fs::read_to_string("/proc/stat")?, cores, ticks_per_second())
        .ok_or_else(|| io::Error::other("/proc/stat does not have the expected form"))
}

/// Reads the processors' lines of `proc_stat(5)`: user, nice, system, idle, iowait, irq, softirq, steal, …
fn parse_busy(stat: &str, cores: Cores, ticks_per_second: u64) -> Option<Duration> {
    let busy = |core: usize| {
        let line = stat.lines().find_map(|line| line.strip_prefix(&format!("cpu{core} ")))?;
        let times: Vec<u64> = line.split_ascii_whitespace().map_while(|ticks| ticks.parse().ok()).collect();
        let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = times[..] else { return None };
        Some(user + nice + system + irq + softirq + steal)
    };
    let other = if cores.are_one() { 0 } else { busy(cores.generator)? };
    Some(Duration::from_nanos((busy(cores.server)? + other) * (1_000_000_000 / ticks_per_second)))
}

/// Memory in use by a process and its descendants that no file stands behind, in bytes.
///
/// # Errors
/// When the process is gone, or not ours to look into.
pub fn anonymous_memory(pid: u32) -> io::Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let own = parse_anonymous(&fs::read_to_string(&path)?)
        .ok_or_else(|| io::Error::other(format!("{path} does not have the expected form")))?;
    Ok(own + children(pid).into_iter().filter_map(|child| anonymous_memory(child).ok()).sum::<u64>())
}

fn parse_anonymous(rollup: &str) -> Option<u64> {
    let kilobytes = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:"))?;
    Some(kilobytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|child| child.parse().ok()).collect()
}

fn ticks_per_second() -> u64 {
    // SAFETY: `sysconf` touches no memory of ours.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).ok().filter(|ticks| (1..=1_000_000_000).contains(ticks)).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_any_program_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 130 9 9 20 0 1 0 5 0 0";
        let used = CpuTime::parse(stat, 100).unwrap();
        assert_eq!(used, CpuTime { user: Duration::from_millis(2500), system: Duration::from_millis(1300) });
        assert_eq!(used.total(), Duration::from_millis(3800));
        assert_eq!(CpuTime::parse("7 (a", 100), None);
        assert_eq!(CpuTime::parse("7 (a) S 1", 100), None);
    }

    #[test]
    fn this_process_and_thread_have_cpu_time() {
        let process = CpuTime::of_tree(std::process::id()).unwrap();
        assert!(CpuTime::of_this_process().unwrap().total() >= process.total());
        assert_eq!(process.since(CpuTime { user: Duration::MAX, system: Duration::MAX }), CpuTime::default());
        CpuTime::of_this_thread().unwrap();
    }

    #[test]
    fn busy_time_leaves_out_idling_and_counts_a_shared_core_once() {
        let stat =
            "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 100 100 4 5 6 7 8\ncpu1 10 0 0 9 9 0 0 0 0 0\ncpu10 1 1";
        let busy = |server, generator| parse_busy(stat, Cores { server, generator }, 100);
        assert_eq!(busy(0, 1), Some(Duration::from_millis(310)));
        assert_eq!(busy(0, 0), Some(Duration::from_millis(210)));
        assert_eq!(busy(0, 10), None);
        assert_eq!(busy(0, 2), None);
    }

    #[test]
    fn anonymous_memory_is_in_bytes() {
        assert_eq!(parse_anonymous("Rss: 9 kB\nAnonymous:         1234 kB\nLazyFree: 0 kB"), Some(1_263_616));
        assert_eq!(parse_anonymous("Rss: 9 kB"), None);
        assert!(anonymous_memory(std::process::id()).unwrap() > 0);
    }

    #[test]
    fn a_confined_child_runs_on_its_core_and_ends_when_told() {
        let core = Cores::choose().unwrap().generator;
        let mut command = Command::new("sleep");
        command.arg("60");
        confine(&mut command, core);
        let mut child = command.spawn().unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
        assert_eq!(allowed.trim(), core.to_string());
        terminate(child.id()).unwrap();
        assert!(!child.wait().unwrap().success());
    }
}
