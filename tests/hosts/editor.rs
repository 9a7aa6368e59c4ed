//! A real editor, run in a home folder of its own, on this system or in the Debian 13 root that `.ci/hosts` makes.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The editors that are driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Editor {
    Gimp210,
    Gimp30,
    Krita51,
    Krita52,
}

/// The root of this repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Editor {
    /// The editor, if it can be run here.
    pub fn found(self) -> Option<Self> {
        let program = self.root().join(self.program().trim_start_matches('/'));
        let why = if !program.exists() {
            format!("{} is not there", program.display())
        } else if self.in_root() && !may_mount() {
            "running in another root needs the rights to mount".to_owned()
        } else {
            return Some(self);
        };
        let message = format!("{self:?}: {why} (.ci/hosts installs it)");
        assert!(
            std::env::var_os("CI").is_none_or(|v| v != "true"),
            "{message}"
        );
        skipped(&message);
        None
    }

    /// The program without a window.
    pub fn console(self) -> &'static str {
        match self {
            Self::Gimp210 => "gimp-console-2.10",
            Self::Gimp30 => "gimp-console-3.0",
            Self::Krita51 | Self::Krita52 => "kritarunner",
        }
    }

    /// The program itself.
    pub fn program(self) -> &'static str {
        match self {
            Self::Gimp210 => "/usr/bin/gimp-2.10",
            Self::Gimp30 => "/usr/bin/gimp-3.0",
            Self::Krita51 | Self::Krita52 => "/usr/bin/krita",
        }
    }

    fn in_root(self) -> bool {
        matches!(self, Self::Gimp30 | Self::Krita52)
    }

    /// The folder that the editor sees as `/`.
    pub fn root(self) -> PathBuf {
        if self.in_root() {
            trixie()
        } else {
            PathBuf::from("/")
        }
    }

    /// A command that the editor's own system runs, with nothing of this process's environment. The folder of temporary
    /// files is the same there, and with it the X11 sockets.
    pub fn command(self, home: &Path, program: impl AsRef<OsStr>) -> Command {
        let mut command = if self.in_root() {
            let mut command = Command::new("/usr/bin/unshare");
            // Each step replaces the one before, so that the process started here is the program in the end; the mounts are
            // this process's alone and go with it.
            command.args(["-m", "--propagation", "private", "--", "/bin/sh", "-ec"]);
            command.arg(
                r#"mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; mkdir -p "$0$1"; mount --rbind "$1" "$0$1"
                shift; exec chroot "$ROOT" "$@""#,
            );
            command.arg(trixie()).arg(temporary()).arg(program);
            command.env("ROOT", trixie());
            command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
            command
        } else {
            Command::new(program)
        };
        let runtime = home.join("run");
        fs::create_dir_all(&runtime).unwrap();
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).unwrap();
        let path = command
            .get_envs()
            .find_map(|(k, v)| (k == "PATH").then(|| v.map(OsStr::to_owned))?)
            .unwrap_or_else(|| "/usr/bin:/bin".into());
        command
            .env_clear()
            .env("ROOT", trixie())
            .env("PATH", path)
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", &runtime)
            .env("LC_ALL", "C.UTF-8")
            .env("GSETTINGS_BACKEND", "memory")
            .env("GIO_USE_VFS", "local")
            .env("NO_AT_BRIDGE", "1")
            .stdin(Stdio::null());
        command
    }
}

/// The Debian 13 root.
fn trixie() -> PathBuf {
    match std::env::var_os("REPOSE_TRIXIE") {
        Some(path) => path.into(),
        None => repository().join("target/trixie"),
    }
}

fn temporary() -> PathBuf {
    std::env::temp_dir().canonicalize().unwrap()
}

fn may_mount() -> bool {
    static MAY: OnceLock<bool> = OnceLock::new();
    *MAY.get_or_init(|| {
        Command::new("/usr/bin/unshare")
            .args(["-m", "/bin/true"])
            .status()
            .is_ok_and(|s| s.success())
    })
}

#[allow(
    clippy::print_stderr,
    reason = "the only way a test can say that it was skipped"
)]
fn skipped(reason: &str) {
    eprintln!("SKIPPED: {reason}");
}

/// One editor at a time: two at once on a small machine are slower together than one after the other, and the time
/// limits below would then say more about the machine than about the editor.
pub fn alone() -> std::sync::MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program that was started, with all that it says in a file. It is killed when this is dropped.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it in a process group of its own, for editors leave children behind.
    pub fn start(mut command: Command, log: PathBuf) -> Self {
        let file = File::create(&log).unwrap();
        command
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .process_group(0);
        let child = command.spawn().unwrap();
        Self { child, log }
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        let mut text = Vec::new();
        let _ = File::open(&self.log).and_then(|mut f| f.read_to_end(&mut text));
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Waits for its end; one that takes longer than `seconds` is killed and fails the test.
    #[track_caller]
    pub fn end(mut self, seconds: u64) -> (ExitStatus, String) {
        let until = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, self.said());
            }
            assert!(
                Instant::now() < until,
                "still running after {seconds} s; it said:\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until `there` gives something; fails the test after `seconds`, or when the program has ended.
    #[track_caller]
    pub fn until<T>(
        &mut self,
        seconds: u64,
        what: &str,
        mut there: impl FnMut() -> Option<T>,
    ) -> T {
        let until = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(found) = there() {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < until,
                "{what}: not within {seconds} s (ended: {ended:?}); it said:\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the system's out-of-memory killer does: no more instruction of the program runs. Its children go on.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("/bin/kill")
            .args(["-9", "--", &format!("-{}", self.child.id())])
            .stderr(Stdio::null())
            .status();
        let _ = self.child.wait();
    }
}

/// An X server without a screen, with a window manager: without one, dialogs get no focus.
pub struct Display {
    _server: Running,
    _manager: Running,
    name: String,
    _folder: tempfile::TempDir,
}

impl Display {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let number = folder.path().join("number");
        let mut command = Command::new("/bin/sh");
        command.args([
            "-c",
            r#"exec Xvfb -displayfd 7 -screen 0 1400x900x24 -nolisten tcp -noreset 7>"$0""#,
        ]);
        command.arg(&number);
        let mut server = Running::start(command, folder.path().join("xvfb.log"));
        let name = server.until(20, "Xvfb", || {
            let text = fs::read_to_string(&number).ok()?;
            text.ends_with('\n').then(|| format!(":{}", text.trim()))
        });
        let mut command = Command::new("openbox");
        command.env("DISPLAY", &name).env("HOME", folder.path());
        let manager = Running::start(command, folder.path().join("openbox.log"));
        Self {
            _server: server,
            _manager: manager,
            name,
            _folder: folder,
        }
    }

    /// For the `DISPLAY` of the programs that shall appear here.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs xdotool and gives what it printed, or `None` if it failed (as `search` does when there is nothing).
    pub fn xdotool(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new("xdotool")
            .args(arguments)
            .env("DISPLAY", &self.name)
            .output()
            .unwrap();
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Takes a picture of the screen.
    pub fn screenshot(&self, path: &Path) {
        let status = Command::new("/usr/bin/import")
            .args(["-window", "root"])
            .arg(path)
            .env("DISPLAY", &self.name)
            .status()
            .unwrap();
        assert!(status.success());
    }
}
